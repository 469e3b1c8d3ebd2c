"""Which process a file means, whether it lives, and the only place that sends a signal."""

import os
import signal
from typing import Any

import psutil

from loki_web.store.look import observe
from loki_web.store.process import process

_CLOCK_SLACK_SECONDS = 2.0
_RECORD_SLACK_SECONDS = 60.0
_RUNNER_NAMES = ("run.sh", "loki")
_RUNNER_COPY = "loki-run-"
_LARGEST_PID = 2**31 - 1


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
    return pid is not None and bool(observe(process(pid)))


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


def get_server_pid() -> int:
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
