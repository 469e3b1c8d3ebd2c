"""Parse pids, test whether processes are alive, and send SIGTERM; no other module sends signals."""

import os
import signal
from typing import Any

import psutil

from loki_web.store.look import observe
from loki_web.store.process import get_process

_CLOCK_SLACK_SECONDS = 2.0
_RECORD_SLACK_SECONDS = 60.0
_RUNNER_NAMES = ("run.sh", "loki")
_RUNNER_COPY = "loki-run-"
_LARGEST_PID = 2**31 - 1


def parse_pid(value: Any) -> int | None:
    """Return the pid in a JSON value or in the text of a pid file, None when there is none.

    :param value: a whole number above 1, or its decimal digits.
    """
    if isinstance(value, str):
        digits = value.strip()
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 1 < value <= _LARGEST_PID else None


def is_alive(pid: int | None) -> bool:
    """Return True while the process runs, under any user; a zombie counts as ended."""
    return pid is not None and bool(observe(get_process(pid)))


def terminate(pid: int | None, *, written_at: float, recorded_start: float | None = None) -> bool:
    """Send SIGTERM if the process is certainly the recorded one.

    :param written_at: when the file with the pid was last written, seconds since the epoch. A
        process that started later has reused the pid.
    :param recorded_start: the start time in the file, seconds since the epoch, or None. A process
        that started more than a minute later has reused the pid.
    :return: False when no signal was sent: the process has ended, is not certainly the recorded
        one, belongs to this server, or may not be signalled by this user.
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
        if pid in _get_ancestors() and not _is_runner(process):
            return False
        process.send_signal(signal.SIGTERM)
    except psutil.Error:
        return False
    return True


def is_own(pid: int) -> bool:
    """Return True for this process, its gunicorn master and the other workers."""
    if pid in (os.getpid(), os.getppid()):
        return True
    try:
        process = psutil.Process(pid)
        return process.ppid() == os.getppid() and process.cmdline() == psutil.Process().cmdline()
    except psutil.Error:
        return False


def get_server_pid() -> int:
    """Return the pid of the gunicorn master, or of this process when it runs without one."""
    try:
        parent = psutil.Process().parent()
        is_worker = parent is not None and parent.cmdline() == psutil.Process().cmdline()
    except psutil.Error:
        is_worker = False
    return os.getppid() if is_worker else os.getpid()


def _get_ancestors() -> set[int]:
    return {process.pid for process in psutil.Process().parents()}


def _is_runner(process: psutil.Process) -> bool:
    """Return True for a runner: one that started this server is its ancestor but may be ended."""
    names = [os.path.basename(word) for word in process.cmdline()[:2]]
    return any(name in _RUNNER_NAMES or name.startswith(_RUNNER_COPY) for name in names)
