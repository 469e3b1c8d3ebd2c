"""Where the server listens: sockets of systemd, addresses of gunicorn's own, unix sockets."""

import os
import signal
import socket
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import prepared
from tests.support.activation import activated
from tests.support.places import Place
from tests.support.servers import (
    ROOT,
    accepts,
    environment,
    free_port,
    require_mark,
    running,
    start_module,
)
from tests.support.waiting import PATIENCE_SECONDS, wait_until

OURS = ["gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "--chdir", str(ROOT)]
COMMANDS = {
    "serve": ["loki_web", "serve"],
    "gunicorn": [*OURS, "wsgi:app"],
    "sidecar": ["loki_web", "sidecar"],
    "without our configuration": ["gunicorn", "loki_web.app:create_app()"],
}


def refusal(place: Place, folder: Path, *command: str, listener: int | None = None) -> str:
    """Run a command that has to fail in a folder; return what it writes to standard error.

    :param listener: the descriptor of a socket that it gets as from systemd.
    """
    require_mark()
    with (folder / "said").open("w+") as said, open(os.devnull, "r+") as nothing:
        streams = (nothing.fileno(), nothing.fileno(), said.fileno())
        process = prepared.Process(
            *command, environment=environment(place), folder=folder,
            streams=streams if listener is None else (*streams, listener),
        )  # fmt: skip
        assert process.wait(PATIENCE_SECONDS) != 0
        said.seek(0)
        return said.read()


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_public_socket_of_systemd_is_refused(place: Place, tmp_path: Path, name: str) -> None:
    with closing(socket.create_server(("0.0.0.0", 0))) as listener:
        said = refusal(place, tmp_path, *COMMANDS[name], listener=listener.fileno())
    assert "0.0.0.0 is reachable from outside" in said


def test_a_private_socket_of_systemd_is_served(place: Place, tmp_path: Path) -> None:
    port = free_port()
    with closing(socket.create_server(("127.0.0.1", port))) as listener:
        command = activated(listener, [sys.executable, "-m", *COMMANDS["serve"]])
        files = [listener.fileno()]
        with running(command, environment(place), f"127.0.0.1:{port}", tmp_path, files) as server:
            assert server.get("/api/status").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gunicorn", "without our configuration"])
def test_a_public_address_of_gunicorns_own_is_refused(
    place: Place, tmp_path: Path, name: str
) -> None:
    said = refusal(place, tmp_path, *COMMANDS[name], "-b", f"0.0.0.0:{free_port()}")
    assert "0.0.0.0 is reachable from outside" in said


def test_an_open_server_may_listen_anywhere(place: Place, tmp_path: Path) -> None:
    port = free_port()
    env = environment(place, LOKI_ALLOW_ANONYMOUS="true", LOKI_WORKERS="1")
    command = [sys.executable, "-m", *COMMANDS["gunicorn"], "-b", f"0.0.0.0:{port}"]
    with running(command, env, f"127.0.0.1:{port}", folder=tmp_path):
        pass


@pytest.mark.parametrize("name", ["gunicorn", "sidecar"])
def test_a_unix_socket_is_for_user_and_group(place: Place, tmp_path: Path, name: str) -> None:
    path = tmp_path / "s"
    process = start_module(*COMMANDS[name], "--bind", f"unix:{path}", env=environment(place))
    try:
        wait_until(lambda: accepts(path), "a socket")
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
