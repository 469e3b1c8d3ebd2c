"""A stand-in for the runner of Loki Mode: it starts the server as the runner does."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.places import Place
from tests.support.servers import environment, is_healthy, start
from tests.support.waiting import PATIENCE_SECONDS, wait_until

# Locks descriptor 200, records its pid, starts the server under `nohup`, waits.
_RUNNER = """
import fcntl, os, signal, subprocess, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
loki, *command = sys.argv[1:]
os.dup2(os.open(f"{loki}/session.lock", os.O_RDWR | os.O_CREAT), 200)
fcntl.flock(200, fcntl.LOCK_EX | fcntl.LOCK_NB)
with open(f"{loki}/loki.pid", "w") as stream:
    stream.write(f"{os.getpid()}\\n")
with open(f"{loki}/server.log", "w") as output:
    server = subprocess.Popen(
        ["nohup", *command], close_fds=False, stdout=output, stderr=subprocess.STDOUT
    )
with open(f"{loki}/dashboard.pid", "w") as stream:
    stream.write(f"{server.pid}\\n")
server.wait()
"""


@dataclass(frozen=True)
class Session:
    """A stand-in for the runner, and the server that it has started."""

    place: Place
    process: subprocess.Popen[bytes]
    server: psutil.Process

    @property
    def lock(self) -> Path:
        return self.place.loki / "session.lock"

    def close_terminal(self) -> None:
        """SIGHUP to the whole group; the runner dies of it."""
        os.killpg(self.process.pid, signal.SIGHUP)
        self.process.wait(timeout=PATIENCE_SECONDS)


@contextmanager
def session(place: Place, command: list[str], port: int, **settings: str) -> Iterator[Session]:
    """Run a stand-in for the runner in the project's folder until its server is healthy."""
    env = environment(place, LOKI_DASHBOARD_PORT=str(port), LOKI_WORKERS="1")
    del env["LOKI_DIR"]  # as the runner
    process = start(
        [sys.executable, "-c", _RUNNER, str(place.loki), *command],
        cwd=place.loki.parent, env={**env, **settings}, start_new_session=True,
    )  # fmt: skip
    try:
        host = f"127.0.0.1:{port}"
        wait_until(lambda: is_healthy(host) or process.poll() is not None, "a healthy server")
        assert process.poll() is None, (place.loki / "server.log").read_text()
        pid = int((place.loki / "dashboard.pid").read_text())
        yield Session(place, process, psutil.Process(pid))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_free(lock: Path) -> bool:
    """Return whether the next session could lock the project."""
    with lock.open("r+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
