"""Processes as inputs of derived values, and the evidence of what a process is."""

import math
import os
import select
import signal
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache

import psutil

_GONE_SECONDS = 1.0
_MAX_PROCESSES = 512  # each keeps a descriptor open
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD, linux/sched.h
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO, linux/proc_ns.h


@dataclass(frozen=True)
class Process:
    """What the kernel tells about a running process. Nothing of it comes from a file of a session.

    Without permission (`hidepid`, another user) only `pid` and `token` are known.

    :param token: differs between two processes that had the same pid.
    :param started: seconds since the epoch, by the present clock; None if unknown.
    :param folder: its working directory; None if unknown.
    :param own_pid: the pid that it has in its own pid namespace.
    :param user: its effective user id; None if unknown.
    :param is_odd: whether it is a kernel thread, or the number is that of a thread.
    """

    pid: int
    token: object
    started: float | None = field(default=None, compare=False)
    folder: str | None = field(default=None, compare=False)
    command: tuple[str, ...] = field(default=(), compare=False)
    own_pid: int | None = field(default=None, compare=False)
    parent: int | None = field(default=None, compare=False)
    user: int | None = field(default=None, compare=False)
    has_terminal: bool = field(default=False, compare=False)
    is_odd: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Ended:
    """A process that this server has seen running and ending, `at` seconds since the epoch."""

    at: float


class ProcessInput:
    """A process. Its state is a Process while it runs, Ended or None when it does not.

    A pidfd of a running process shows its end with one `poll`. A process that has ended is not
    looked up again for _GONE_SECONDS: a later process with the same pid is another one.
    """

    _close = staticmethod(os.close)  # at exit `os` may be gone before `__del__` runs

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._end: select.poll | None = None
        self._descriptor: int | None = None
        self._state: Process | Ended | None = None
        self._looked_at = -math.inf
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self._release()

    @property
    def is_notified(self) -> bool:
        """Whether it is not looked up again before all inputs are: it has ended, or is a thread."""
        return not isinstance(self._state, Process) or self._state.is_odd

    def examine(self) -> Process | Ended | None:
        """Return what is known of the process; Ended or None if it does not run."""
        with self._lock:
            if self._end is not None:
                if not self._end.poll(0):
                    return self._state
            elif self.is_notified and time.monotonic() - self._looked_at < _GONE_SECONDS:
                return self._state
            self._release()
            before, process = self._state, read_process(self._pid)
            if process is None and isinstance(before, Process) and not before.is_odd:
                self._state = Ended(time.time())
            elif process is not None or not isinstance(before, Ended):
                self._state = process
            self._looked_at = time.monotonic()
            if process is not None:
                self._open(process)
            return self._state

    def _open(self, process: Process) -> None:
        """Open a pidfd, and drop it if another process has got the pid since."""
        try:
            self._descriptor = os.pidfd_open(self._pid)
        except OSError:
            return  # no pidfd on this system, or a thread: look the process up each time
        if read_process(self._pid) != process:
            self._release()
            return
        self._end = select.poll()
        self._end.register(self._descriptor, select.POLLIN)

    def _release(self) -> None:
        if self._descriptor is not None:
            self._close(self._descriptor)
        self._descriptor = self._end = None


@lru_cache(maxsize=_MAX_PROCESSES)
def get_process(pid: int) -> ProcessInput:
    """Return the input of a process; all callers share it."""
    return ProcessInput(pid)


def read_process(pid: int) -> Process | None:
    """Return what the kernel tells about a process; None if none runs, and for a zombie."""
    try:
        stat = _read(pid, "stat").rpartition(")")[2].split()
        about = dict(line.split(":", 1) for line in _read(pid, "status").splitlines())
        if stat[0] in "ZXx":
            return None
        return Process(
            pid,
            token=stat[19],
            started=_started(int(stat[19])),
            folder=_folder_of(pid),
            command=tuple(_read(pid, "cmdline").rstrip("\0").split("\0")),
            own_pid=int(about.get("NSpid", str(pid)).split()[-1]),
            parent=int(stat[1]),
            user=int(about["Uid"].split()[1]),
            has_terminal=stat[4] != "0",
            is_odd=bool(int(stat[6]) & _KERNEL_THREAD) or int(about["Tgid"]) != pid,
        )
    except (OSError, ValueError, IndexError, KeyError):
        return _read_hidden(pid)


def terminate(process: Process) -> None:
    """Send SIGTERM to exactly this process.

    :raises OSError: when it has ended, or this user may not signal it.
    """
    descriptor = os.pidfd_open(process.pid)
    try:
        if read_process(process.pid) != process:
            raise ProcessLookupError(process.pid)
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    finally:
        os.close(descriptor)


def ancestors(pid: int) -> frozenset[int]:
    """Return the pids of the parent of a process, its parent and so on."""
    pids: set[int] = set()
    current = read_process(pid)
    while current is not None and current.parent and current.parent not in pids:
        pids.add(current.parent)
        current = read_process(current.parent)
    return frozenset(pids)


def sees_all_processes() -> bool:
    """Return whether this process is in the first pid namespace: not in a container."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NAMESPACE
    except OSError:
        return True


def _read(pid: int, name: str) -> str:
    with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as stream:
        return stream.read()


def _started(ticks: int) -> float:
    """Return a start time, in clock ticks since boot, as seconds since the epoch."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def _folder_of(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return None


def _read_hidden(pid: int) -> Process | None:
    """Return a process that `/proc` does not show: of another user, or of another system.

    EPERM means that it exists. A pidfd cannot be opened for a thread, and shows a zombie.
    """
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except OSError:
        return None
    if not hasattr(os, "pidfd_open"):
        return _read_elsewhere(pid)
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return Process(pid, token=None, is_odd=True)
    try:
        end = select.poll()
        end.register(descriptor, select.POLLIN)
        return None if end.poll(0) else Process(pid, token=None)
    finally:
        os.close(descriptor)


def _read_elsewhere(pid: int) -> Process | None:
    """Return what psutil knows on a system without `/proc`."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return None
            started = process.create_time()
            return Process(
                pid,
                token=started,
                started=started,
                folder=process.cwd(),
                command=tuple(process.cmdline()),
                own_pid=pid,
                parent=process.ppid(),
                user=process.uids().effective,
                has_terminal=process.terminal() is not None,
            )
    except psutil.AccessDenied:
        return Process(pid, token=None)
    except psutil.Error:
        return None
