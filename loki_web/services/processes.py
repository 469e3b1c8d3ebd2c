"""Which process a file means, whether it lives, and the only place that sends a signal."""

import math
import os
import select
import signal
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from loki_web.store.look import observe

_CLOCK_SLACK_SECONDS = 2.0
_RECORD_SLACK_SECONDS = 60.0
_RUNNER_NAMES = ("run.sh", "loki")
_RUNNER_COPY = "loki-run-"
_LARGEST_PID = 2**31 - 1
_GONE_SECONDS = 1.0
_MAX_HELD = 512  # descriptors of processes


def parse_pid(value: Any) -> int | None:
    """A process id from JSON or from a pid file: a whole number above 1, or its decimal digits."""
    if isinstance(value, str):
        digits = value.strip()
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 1 < value <= _LARGEST_PID else None


def is_alive(pid: int | None) -> bool:
    """True while the process runs, whoever owns it; a zombie is gone."""
    return pid is not None and bool(observe(_process(pid)))


class _Process:
    """A process; its state is when it started while it runs, None when it is gone.

    A running one is held by a descriptor, which tells its end without another look. One that is
    gone is not looked for again for a while: who gets its number is another process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._end: select.poll | None = None
        self._descriptor: int | None = None
        self._state: object | None = None
        self._looked_at = -math.inf
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self._release()

    def examine(self) -> object | None:
        with self._lock:
            if self._end is not None:
                if not self._end.poll(0):
                    return self._state
            elif self._state is None and time.monotonic() - self._looked_at < _GONE_SECONDS:
                return None
            self._release()
            self._state = self._start()
            self._looked_at = time.monotonic()
            if self._state is not None:
                self._hold()
            return self._state

    def _hold(self) -> None:
        try:
            self._descriptor = os.pidfd_open(self._pid)
        except OSError:
            return  # it cannot be had here: the process is looked at each time
        if self._start() != self._state:
            self._release()
            return
        self._end = select.poll()
        self._end.register(self._descriptor, select.POLLIN)

    def _release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._end = None

    def _start(self) -> object | None:
        try:
            return _start_in(Path(f"/proc/{self._pid}/stat").read_text(errors="replace"))
        except FileNotFoundError:
            return None if os.path.isdir("/proc/self") else self._start_elsewhere()
        except (OSError, ValueError, IndexError):
            return self._start_elsewhere()

    def _start_elsewhere(self) -> object | None:
        """The same on systems, and for processes, that do not show it in `/proc`."""
        try:
            process = psutil.Process(self._pid)
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return None
            return process.create_time()
        except psutil.AccessDenied:
            return True
        except psutil.Error:
            return None


@lru_cache(maxsize=_MAX_HELD)
def _process(pid: int) -> _Process:
    return _Process(pid)


def _start_in(status: str) -> str | None:
    """When a process started, from its `/proc/<pid>/stat`; None for one that is gone."""
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in "ZXx" else fields[19]


def terminate(pid: int | None, *, written_at: float, recorded_start: float | None = None) -> bool:
    """Send SIGTERM if the process is certainly the one that was written down.

    :param written_at: when the file that names it was last written, seconds since the epoch. A
        process that started later is another one that got the number again.
    :param recorded_start: the start time that the file gives, if it does; a process that started
        much later is not the recorded one.
    :return: False when nothing was signalled: no such process, not certainly that one, one of
        our own, or not ours to signal.
    """
    if pid is None or not is_alive(pid) or is_own(pid):
        return False
    try:
        process = psutil.Process(pid)
        started = process.create_time()
        if started > written_at + _CLOCK_SLACK_SECONDS:
            return False
        if recorded_start is not None and started > recorded_start + _RECORD_SLACK_SECONDS:
            return False
        if pid in _ancestors() and not _is_runner(process):
            return False
        process.send_signal(signal.SIGTERM)
    except psutil.Error:
        return False
    return True


def is_own(pid: int) -> bool:
    """True for this process, the gunicorn master above it and the workers beside it."""
    if pid in (os.getpid(), os.getppid()):
        return True
    try:
        process = psutil.Process(pid)
        return process.ppid() == os.getppid() and process.cmdline() == psutil.Process().cmdline()
    except psutil.Error:
        return False


def server_pid() -> int:
    """The process by which this server is known: the gunicorn master above its workers."""
    try:
        parent = psutil.Process().parent()
        same = parent is not None and parent.cmdline() == psutil.Process().cmdline()
    except psutil.Error:
        same = False
    return os.getppid() if same else os.getpid()


def _ancestors() -> set[int]:
    return {process.pid for process in psutil.Process().parents()}


def _is_runner(process: psutil.Process) -> bool:
    """A runner that started this server is above it and still the session's process."""
    names = [os.path.basename(word) for word in process.cmdline()[:2]]
    return any(name in _RUNNER_NAMES or name.startswith(_RUNNER_COPY) for name in names)
