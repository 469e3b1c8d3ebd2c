"""Real servers for tests: gunicorn on a free port of the loopback address, ended by the test."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
import requests

from tests.support import prepared
from tests.support.places import Place
from tests.support.waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).parents[2]
_MOST_RESERVED = 64  # far more than servers that are being started at one time
_reserved: deque[int] = deque()  # the descriptors of sockets
Process = subprocess.Popen[str] | prepared.Process
_MOST_LINES = 40  # of the log of a server that a failed test shows
running_test: pytest.Item | None = None  # set by the conftest before the test's fixtures


@dataclass
class Server:
    """A running server.

    :param errors: the lines it wrote to standard error so far; all of them once it has ended.
    :param shown_for: the failed test whose report has its log.
    """

    process: Process
    host: str
    errors: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None
    shown_for: pytest.Item | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=PATIENCE_SECONDS, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=PATIENCE_SECONDS, **options)

    def head(self, path: str, **options: Any) -> requests.Response:
        return requests.head(self.url + path, timeout=PATIENCE_SECONDS, **options)

    def put(self, path: str, **options: Any) -> requests.Response:
        return requests.put(self.url + path, timeout=PATIENCE_SECONDS, **options)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=PATIENCE_SECONDS, **options)

    def count(self, words: str) -> int:
        """Return how many lines on standard error have these words."""
        return sum(words in line for line in self.errors)

    def workers(self) -> list[int]:
        """The pids of the processes that answer."""
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def has_replaced(self, before: list[int]) -> bool:
        """Return whether as many other workers run as before."""
        now = self.workers()
        return len(now) == len(before) and not set(now) & set(before)

    def kill(self) -> None:
        """SIGKILL to all of its processes at once, as when the power fails."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self._wait()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to the master, by default SIGTERM, and return the exit code."""
        self.process.send_signal(how)
        return self._wait()

    def _wait(self) -> int:
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        if self.reader is not None:
            self.reader.join(timeout=PATIENCE_SECONDS)
            assert not self.reader.is_alive(), "another process holds its standard error"
        return code


_running: list[Server] = []


def accepts(path: Path) -> bool:
    """Return whether a server listens at a unix socket; it is bound a moment earlier."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def free_port() -> int:
    """Reserve a port of the loopback address for a server that this test process starts.

    The socket that found the port stays bound without listening. With SO_REUSEADDR at both, which
    gunicorn, nginx and Prometheus set, a server can listen there all the same, while Linux gives
    the port to nobody who asks for any port, to bind or to connect. When it was closed instead,
    two tests in parallel could be given the same port (there are 14,000 of them, and each is free
    until the server binds it half a second later). gunicorn then tries again for five seconds, the
    server of the other test passes for healthy meanwhile, and when that test ends it, the clients
    of this one are told 1001 in the middle.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port = int(probe.getsockname()[1])
    _reserved.append(probe.detach())
    if len(_reserved) > _MOST_RESERVED:
        os.close(_reserved.popleft())  # its server has been listening for long
    return port


def environment(place: Place, **settings: str) -> dict[str, str]:
    """Our own settings and nothing of the machine's but where programs are."""
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return {**base, **place.environment(**settings)}


def without_privileges(command: list[str]) -> list[str]:
    """The command as somebody whom permissions hold back, which root is not."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--", *command]


def start(command: list[str], **options: Any) -> subprocess.Popen[Any]:
    """Start the process of a server; only tests that are marked `server` may."""
    require_mark()
    return subprocess.Popen(command, **options)


def start_module(
    module: str,
    *arguments: str,
    env: dict[str, str],
    output: int = 1,
    errors: int | None = None,
    folder: Path = ROOT,
) -> prepared.Process:
    """Start `python -m MODULE` in a process that has imported everything before, as `start` does.

    :param errors: the descriptor of its standard error; by default it is dropped.
    """
    require_mark()
    with open(os.devnull, "r+") as nothing:
        streams = (nothing.fileno(), output, nothing.fileno() if errors is None else errors)
        return prepared.Process(module, *arguments, environment=env, streams=streams, folder=folder)


def require_mark() -> None:
    if running_test and not running_test.get_closest_marker("server"):
        pytest.fail(f"mark {running_test.nodeid} with @pytest.mark.server: it starts a server")


@contextmanager
def serving(
    place: Place,
    *,
    workers: int = 1,
    target: str = "wsgi:app",
    conf: str | Path = "gunicorn.conf.py",
    options: Sequence[str] = (),
    **settings: str,
) -> Iterator[Server]:
    """Run `gunicorn -c CONF OPTIONS TARGET` on a place, and check that it ends with exit code 0.

    The signal is SIGQUIT: after SIGTERM, workers wait two seconds for further requests on
    connections that are kept alive, as those of a page. `Server.end` sends SIGTERM.
    """
    port = settings.setdefault("LOKI_DASHBOARD_PORT", str(free_port()))
    env = environment(place, LOKI_WORKERS=str(workers), **settings)
    errors, errors_end = os.pipe()
    with open(errors_end, "w") as end:
        master = start_module(
            "gunicorn", "-c", str(conf), *options, target, env=env, errors=end.fileno()
        )
    with _attended(master, open(errors), f"127.0.0.1:{port}", signal.SIGQUIT) as server:
        _wait_for_workers(server, workers)
        yield server


@contextmanager
def serving_without_privileges(place: Place, **settings: str) -> Iterator[Server]:
    """The same by somebody whom permissions hold back, with two workers."""
    port = str(free_port())
    env = environment(place, LOKI_WORKERS="2", LOKI_DASHBOARD_PORT=port, **settings)
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    with running(without_privileges(command), env, f"127.0.0.1:{port}") as server:
        _wait_for_workers(server, 2)
        yield server


def _wait_for_workers(server: Server, count: int) -> None:
    wait_until(lambda: len(server.workers()) == count, "all workers")  # one answers earlier


@contextmanager
def running(
    command: list[str],
    env: dict[str, str],
    host: str,
    folder: Path = ROOT,
    descriptors: Sequence[int] = (),
) -> Iterator[Server]:
    """Any command that serves `/health` on `host`, waited for and ended by SIGTERM.

    :param descriptors: open files that the process inherits.
    """
    process = start(
        command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True,
        pass_fds=descriptors,
    )  # fmt: skip
    assert process.stderr is not None
    with _attended(process, process.stderr, host) as server:
        yield server


@contextmanager
def _attended(
    process: Process, errors: IO[str], host: str, how_to_end: signal.Signals = signal.SIGTERM
) -> Iterator[Server]:
    server = Server(process, host)
    server.reader = threading.Thread(target=_collect, args=(errors, server.errors))
    server.reader.start()
    _running.append(server)
    try:
        _wait_until_healthy(server)
        yield server
        if process.poll() is None:
            assert server.end(how_to_end) == 0, "\n".join(server.errors)
    except BaseException:
        if running_test is not None:
            show_logs(running_test)
        raise
    finally:
        _running.remove(server)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        server.reader.join(timeout=PATIENCE_SECONDS)
        if not server.reader.is_alive():  # closing would wait for a process that holds the pipe
            errors.close()


def show_logs(item: pytest.Item) -> None:
    """Add the ends of the logs of the running servers to the report of a failed test."""
    for server in _running:
        if server.shown_for is not item:
            server.shown_for = item
            lines = server.errors[-_MOST_LINES:]
            item.add_report_section("call", f"log of {server.host}", "\n".join(lines))


def _collect(errors: IO[str], lines: list[str]) -> None:
    for line in errors:
        lines.append(line.rstrip("\n"))


def is_healthy(host: str) -> bool:
    """Return whether `/health` answers 200, without the work of `Server.get` for each look."""
    connection = HTTPConnection(host, timeout=PATIENCE_SECONDS)
    with closing(connection), suppress(OSError, HTTPException):
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    return False


def _wait_until_healthy(server: Server) -> None:
    def is_healthy_or_over() -> bool:
        return server.process.poll() is not None or is_healthy(server.host)

    wait_until(is_healthy_or_over, "a healthy server")
    assert server.process.poll() is None, "\n".join(server.errors)
