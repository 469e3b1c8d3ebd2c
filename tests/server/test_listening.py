"""Where the server listens: sockets of systemd, addresses of gunicorn's own, unix sockets."""

import socket
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.activation import activated
from tests.support.places import Place
from tests.support.servers import ROOT, accepts, environment, free_port, running, start
from tests.support.waiting import wait_until

GUNICORN = [sys.executable, "-m", "gunicorn"]
OURS = [*GUNICORN, "-c", str(ROOT / "gunicorn.conf.py"), "--chdir", str(ROOT)]
COMMANDS = {
    "serve": [sys.executable, "-m", "loki_web", "serve"],
    "gunicorn": [*OURS, "wsgi:app"],
    "sidecar": [sys.executable, "-m", "loki_web", "sidecar"],
    "without our configuration": [*GUNICORN, "loki_web.app:create_app()"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_public_socket_of_systemd_is_refused(place: Place, tmp_path: Path, name: str) -> None:
    with closing(socket.create_server(("0.0.0.0", 0))) as listener:
        command = activated(listener, COMMANDS[name])
        done = subprocess.run(
            command, env=environment(place), cwd=tmp_path, pass_fds=[listener.fileno()],
            capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode != 0
    assert "0.0.0.0 is reachable from outside" in done.stderr


def test_a_private_socket_of_systemd_is_served(place: Place, tmp_path: Path) -> None:
    port = free_port()
    with closing(socket.create_server(("127.0.0.1", port))) as listener:
        command = activated(listener, COMMANDS["serve"])
        files = [listener.fileno()]
        with running(command, environment(place), f"127.0.0.1:{port}", tmp_path, files) as server:
            assert server.get("/api/status").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gunicorn", "without our configuration"])
def test_a_public_address_of_gunicorns_own_is_refused(
    place: Place, tmp_path: Path, name: str
) -> None:
    command = [*COMMANDS[name], "-b", f"0.0.0.0:{free_port()}"]
    done = subprocess.run(
        command, env=environment(place), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "0.0.0.0 is reachable from outside" in done.stderr


def test_an_open_server_may_listen_anywhere(place: Place, tmp_path: Path) -> None:
    port = free_port()
    env = environment(place, LOKI_ALLOW_ANONYMOUS="true", LOKI_WORKERS="1")
    command = [*COMMANDS["gunicorn"], "-b", f"0.0.0.0:{port}"]
    with running(command, env, f"127.0.0.1:{port}", folder=tmp_path):
        pass


@pytest.mark.parametrize("name", ["gunicorn", "sidecar"])
def test_a_unix_socket_is_for_user_and_group(place: Place, tmp_path: Path, name: str) -> None:
    path = tmp_path / "s"
    command = [*COMMANDS[name], "--bind", f"unix:{path}"]
    with start(command, env=environment(place), stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: accepts(path), "a socket")
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
        finally:
            process.terminate()
