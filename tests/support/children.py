"""Real processes for tests that signal, each in a session of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.waiting import PATIENCE_SECONDS, wait_until

_IGNORES_TERM = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', flush=True); signal.pause()"
)


class Children:
    """Starts processes and ends them all in the end."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def sleeper(self) -> subprocess.Popen[str]:
        """One that lives until somebody ends it."""
        return self._start("sleep", "600")

    def stubborn(self) -> subprocess.Popen[str]:
        """One that ignores SIGTERM."""
        child = self._start(sys.executable, "-c", _IGNORES_TERM)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    def zombie(self) -> int:
        """The pid of one that has ended and was not waited for."""
        child = self._start("true")
        state = f"/proc/{child.pid}/stat"
        wait_until(lambda: _text(state).rpartition(")")[2].split()[0] == "Z", "a zombie")
        return child.pid

    def dead(self) -> int:
        """The pid of one that is gone."""
        child = self._start("true")
        child.wait()
        return child.pid

    def end_all(self) -> None:
        for child in self._started:
            child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()

    def _start(self, *command: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)
        self._started.append(child)
        return child


@contextmanager
def children() -> Iterator[Children]:
    started = Children()
    try:
        yield started
    finally:
        started.end_all()


def was_terminated(child: subprocess.Popen[str]) -> bool:
    """True when SIGTERM ended it."""
    try:
        return child.wait(timeout=PATIENCE_SECONDS) == -signal.SIGTERM
    except subprocess.TimeoutExpired:
        return False


def still_lives(child: subprocess.Popen[str]) -> bool:
    """True when no signal that was sent before has ended it.

    A process that was sent a fatal signal does not stop any more, it ends.
    """
    child.send_signal(signal.SIGSTOP)
    state = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    child.send_signal(signal.SIGCONT)
    return state is not None and state.si_code == os.CLD_STOPPED


def backdate(path: str | os.PathLike[str], seconds: float) -> None:
    """Make a file look as if it was written that long ago."""
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()
