"""Real servers for tests: gunicorn on a free port of the loopback address, ended by the test."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.places import Place

ROOT = Path(__file__).parent.parent
_START_SECONDS = 30.0


@dataclass
class Server:
    """A running server.

    :param errors: the lines it wrote to standard error so far.
    """

    process: subprocess.Popen[str]
    host: str
    errors: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=30, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=30, **options)

    def head(self, path: str, **options: Any) -> requests.Response:
        return requests.head(self.url + path, timeout=30, **options)

    def put(self, path: str, **options: Any) -> requests.Response:
        return requests.put(self.url + path, timeout=30, **options)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=30, **options)

    def workers(self) -> list[int]:
        """The pids of the processes that answer."""
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def kill(self) -> None:
        """SIGKILL to all of its processes at once, as when the power fails."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=20)

    def end(self) -> int:
        """SIGTERM to the master, as an administrator does; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def free_port() -> int:
    """Reserve a port until the tests end.

    A socket that is bound, but does not listen, keeps it from everybody else; a server that sets
    SO_REUSEADDR, as all of ours do, still binds it.
    """
    holder = socket.socket()
    atexit.register(holder.close)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return int(holder.getsockname()[1])


def environment(place: Place, **settings: str) -> dict[str, str]:
    """Our own settings and nothing of the machine's but where programs are."""
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return {**base, **place.environment(**settings)}


def without_privileges(command: list[str]) -> list[str]:
    """The command as somebody whom permissions hold back, which root is not."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--", *command]


@contextmanager
def serving(
    place: Place, *, workers: int = 1, target: str = "wsgi:app", **settings: str
) -> Iterator[Server]:
    """`gunicorn -c gunicorn.conf.py TARGET` on a place; it has to end cleanly."""
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", target]
    with _served(command, place, {"LOKI_WORKERS": str(workers), **settings}) as server:
        yield server


@contextmanager
def serving_without_privileges(place: Place, **settings: str) -> Iterator[Server]:
    """The same by somebody whom permissions hold back, with two workers."""
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    settings = {"LOKI_WORKERS": "2", **settings}
    with _served(without_privileges(command), place, settings) as server:
        yield server


@contextmanager
def _served(command: list[str], place: Place, settings: dict[str, str]) -> Iterator[Server]:
    port = free_port()
    settings = {"LOKI_DASHBOARD_PORT": str(port), **settings}
    with running(command, environment(place, **settings), f"127.0.0.1:{port}") as server:
        yield server


@contextmanager
def running(
    command: list[str], env: dict[str, str], host: str, folder: Path = ROOT
) -> Iterator[Server]:
    """Any command that serves `/health` on `host`, waited for and ended by SIGTERM."""
    process = subprocess.Popen(
        command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    server = Server(process, host)
    reader = threading.Thread(target=_collect, args=(process, server.errors))
    reader.start()
    try:
        _wait_until_healthy(server)
        yield server
        if process.poll() is None:
            assert server.end() == 0, "\n".join(server.errors)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join(timeout=10)
        assert process.stderr is not None
        process.stderr.close()


def _collect(process: subprocess.Popen[str], errors: list[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        errors.append(line.rstrip("\n"))


def _wait_until_healthy(server: Server) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            if server.get("/health").status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError("the server did not start:\n" + "\n".join(server.errors))
