"""Real servers to measure: gunicorn with two workers on a free port of the loopback address."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(__file__).parent.parent
OURS, BARE, BARE_HEALTH, PLAIN = (
    *("wsgi:app", "benchmarks.bare:app", "benchmarks.bare:health"),
    "benchmarks.plain:app",
)
_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 60.0


@dataclass
class Server:
    """A running server.

    :param started: when its process was started, by the monotonic clock.
    :ivar start_milliseconds: from then to its first answer.
    """

    master: psutil.Process
    port: int
    started: float
    start_milliseconds: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=120)

    def raw(self, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and the body as it comes: compressed, if it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), body

    def post(self, path: str, body: Any) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=120)

    def wait_for(self, path: str) -> None:
        """Wait until a path is answered with status 200."""
        deadline = self.started + _START_SECONDS
        while time.monotonic() < deadline and self.master.status() != psutil.STATUS_ZOMBIE:
            with suppress(requests.ConnectionError):
                if self.get(path).status_code == 200:
                    return
            time.sleep(0.01)
        raise SystemExit(f"No answer 200 to {path}. Run the command of the server by hand.")

    def workers(self) -> list[psutil.Process]:
        return self.master.children()

    def cpu_seconds(self) -> float:
        """What all the workers have used, in user and in system mode."""
        return sum(_cpu_ticks(worker.pid) for worker in self.workers()) / _TICKS

    def memory(self) -> list[tuple[float, float]]:
        """RSS and PSS of each worker in MB."""
        return [_memory(worker.pid) for worker in self.workers()]

    def processes(self) -> list[psutil.Process]:
        return [self.master, *self.workers()]


def environment(home: Path, loki: Path, cache: Path, tree: Path = ROOT) -> dict[str, str]:
    """Our own settings and nothing of the machine's but where programs are.

    :param tree: the checkout whose code is used, with the benchmarks of this one.
    """
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{tree}{os.pathsep}{ROOT}",
        "HOME": str(home),
        "LOKI_DIR": str(loki),
        "LOKI_CACHE_DIR": str(cache),
        "LOKI_WORKERS": "2",
        "LOKI_ENTERPRISE_AUDIT": "true",  # opens the routes that read the audit log
    }


@contextmanager
def serving(
    target: str, *, home: Path, loki: Path, cache: Path, tree: Path = ROOT, **more: str
) -> Iterator[Server]:
    """`gunicorn -c gunicorn.conf.py TARGET`; it answers `/health` when the block begins.

    :param tree: the checkout whose code is served; its settings of gunicorn hold for the
        benchmarks' own servers as well.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    env = environment(home, loki, cache, tree) | {"LOKI_DASHBOARD_PORT": str(port), **more}
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", target]
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=tree, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        server = Server(psutil.Process(process.pid), port, started)
        server.wait_for("/health")
        server.start_milliseconds = (time.monotonic() - started) * 1000
        yield server
    finally:
        _end(process)


@contextmanager
def running_session(loki: Path) -> Iterator[None]:
    """Let the session run: this process is the one that its pid file names."""
    file = loki / "loki.pid"
    file.write_text(f"{os.getpid()}\n")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        for child in psutil.Process(process.pid).children():
            child.kill()
        process.kill()
        process.wait()


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _memory(pid: int) -> tuple[float, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    values = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
    return values["Rss"] / 1024, values["Pss"] / 1024
