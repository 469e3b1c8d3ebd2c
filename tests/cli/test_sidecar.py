"""`loki-web sidecar`: the live feed alone, beside the server, where a proxy finds it."""

import contextlib
import socket
import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, is_one_complaint, run
from tests.live.clients import listening
from tests.support.places import Place
from tests.support.servers import Server, environment, free_port, running, start
from tests.support.waiting import wait_until


def check(server: Server, place: Place) -> None:
    """It is one process that has the feed and nothing else."""
    assert len(server.workers()) == 1
    assert server.get("/api/status").status_code == 404
    with listening(server) as client:
        place.write("queue/pending.json", [{"id": "a"}])
        assert client.hear()["type"] == "task_created"


def test_the_sidecar_listens_at_the_port_after_the_servers(place: Place) -> None:
    port = free_port()
    env = environment(place, LOKI_DASHBOARD_PORT=str(port - 1), LOKI_WORKERS="3")
    with running([*COMMAND, "sidecar"], env, f"127.0.0.1:{port}") as server:
        check(server, place)


@pytest.mark.parametrize("before", ["", "127.0.0.1:"])
def test_the_sidecar_listens_at_a_given_port(place: Place, before: str) -> None:
    port = free_port()
    command = [*COMMAND, "sidecar", "--bind", f"{before}{port}"]
    with running(command, environment(place), f"127.0.0.1:{port}") as server:
        check(server, place)


def test_the_sidecar_listens_at_a_unix_socket(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "s"
    command = [*COMMAND, "sidecar", "--bind", f"unix:{path}"]
    with start(command, env=environment(place), stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answer_over(path).startswith(b"HTTP/1.1 200"), "an answer")
        finally:
            process.terminate()
    assert process.returncode == 0


def answer_over(path: Path) -> bytes:
    """To /health; empty as long as nobody listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        with contextlib.suppress(OSError):
            connection.connect(str(path))
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return connection.recv(4096)
        return b""


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (["--bind", "0.0.0.0:57399"], {}),
        (["--bind", ""], {}),
        (["--bind", "127.0.0.1"], {}),
        (["--bind", "127.0.0.1:99999"], {}),
        (["--bind", "127.0.0.1:nine"], {}),
        (["--bind", "::1:57399"], {}),
        (["--bind", "99999"], {}),
        (["--bind", "\u00b2"], {}),
        (["--bind", "unix:"], {}),
        (["--bind", "/run/live.sock"], {}),
        (["--bind", "http://127.0.0.1:57399"], {}),
        (["--bind", "unix:/no/such/folder/s"], {}),
        (["--bind", "unix:///no/such/folder/s"], {}),
        (["--bind", f"unix:{__file__}"], {}),
        (["--bind", f"unix:/tmp/{'s' * 108}"], {}),
        (["--bind", "fd://99"], {}),
        (["--bind", "fd://0"], {}),
        ([], {"LOKI_DASHBOARD_PORT": "65535"}),
        (["--port", "1"], {}),
        ([], {"LOKI_DASHBOARD_PORT": "x"}),
    ],
)
def test_the_sidecar_refuses_addresses_that_cannot_be_used(
    place: Place, arguments: list[str], settings: dict[str, str]
) -> None:
    quiet = {"LOKI_LOG_FORMAT": "json", "LOKI_LOG_LEVEL": "warning", **settings}
    assert is_one_complaint(run(place, "sidecar", *arguments, settings=quiet))
