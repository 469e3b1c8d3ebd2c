"""Real processes for tests that signal, each in a session of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.places import Place
from tests.support.waiting import PATIENCE_SECONDS, wait_until

_IGNORES_TERM = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', flush=True); signal.pause()"
)
_NOBODY = 65534


class Children:
    """Starts processes and ends them all in the end."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []
        self._terminals: list[int] = []

    def sleeper(self) -> subprocess.Popen[str]:
        """One that lives until somebody ends it."""
        return self._start("sleep", "600")

    def worker(self, place: Place, *command: str) -> subprocess.Popen[str]:
        """One that works in the project of a place, as a runner and its agents do."""
        return self._start(*(command or ("sleep", "600")), cwd=place.loki.parent)

    def stubborn(self, place: Place) -> subprocess.Popen[str]:
        """A worker that ignores SIGTERM."""
        child = self.worker(place, sys.executable, "-c", _IGNORES_TERM)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    def in_terminal(self) -> subprocess.Popen[str]:
        """One whose controlling terminal is a terminal of its own."""
        controller, terminal = os.openpty()
        child = self._start("setsid", "--ctty", "sleep", "600", stdin=terminal, session=False)
        os.close(terminal)
        self._terminals.append(controller)
        wait_until(lambda: _text(f"/proc/{child.pid}/comm") == "sleep\n", "a sleeping process")
        return child

    def of_another_user(self, place: Place | None = None) -> subprocess.Popen[str]:
        """One of the user nobody; in the project of a place, if one is given. Needs root."""
        return self._start("sleep", "600", cwd=place.loki.parent if place else None, user=_NOBODY)

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
        for terminal in self._terminals:
            os.close(terminal)

    def _start(
        self,
        *command: str,
        cwd: Path | None = None,
        stdin: int | None = None,
        session: bool = True,
        user: int | None = None,
    ) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=stdin,
            start_new_session=session,
            stdout=subprocess.PIPE,
            text=True,
            user=user,
        )
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
