"""Processes as inputs of derived values."""

import math
import os
import select
import threading
import time
from functools import lru_cache
from pathlib import Path

import psutil

_GONE_SECONDS = 1.0
_MAX_PROCESSES = 512  # each keeps a descriptor open


class ProcessInput:
    """A process. Its state is its start time while it runs, None when it has ended.

    A pidfd of a running process shows its end with one `poll`. A process that has ended is not
    looked up again for _GONE_SECONDS: a later process with the same pid is another one.
    """

    _close = staticmethod(os.close)  # at exit `os` may be gone before `__del__` runs

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._end: select.poll | None = None
        self._descriptor: int | None = None
        self._state: object | None = None
        self._looked_at = -math.inf
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self._release()

    @property
    def is_notified(self) -> bool:
        """Whether it has ended: it is not looked up again before all inputs are."""
        return self._state is None

    def examine(self) -> object | None:
        """Return the start time of the process; None if it does not run."""
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
                self._open()
            return self._state

    def _open(self) -> None:
        """Open a pidfd, and drop it if another process has got the pid since."""
        try:
            self._descriptor = os.pidfd_open(self._pid)
        except OSError:
            return  # no pidfd on this system: look the process up each time
        if self._start() != self._state:
            self._release()
            return
        self._end = select.poll()
        self._end.register(self._descriptor, select.POLLIN)

    def _release(self) -> None:
        if self._descriptor is not None:
            self._close(self._descriptor)
        self._descriptor = self._end = None

    def _start(self) -> object | None:
        try:
            return _start_in(Path(f"/proc/{self._pid}/stat").read_text(errors="replace"))
        except FileNotFoundError:
            return None if os.path.isdir("/proc/self") else self._start_elsewhere()
        except (OSError, ValueError, IndexError):
            return self._start_elsewhere()

    def _start_elsewhere(self) -> object | None:
        """Return the start time from psutil, if `/proc` does not show the process.

        :return: True if the process runs and its start time cannot be read.
        """
        try:
            process = psutil.Process(self._pid)
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return None
            return process.create_time()
        except psutil.AccessDenied:
            return True
        except psutil.Error:
            return None


@lru_cache(maxsize=_MAX_PROCESSES)
def get_process(pid: int) -> ProcessInput:
    """Return the input of a process; all callers share it."""
    return ProcessInput(pid)


def _start_in(status: str) -> str | None:
    """Return the start time in the text of `/proc/<pid>/stat`; None if the process has ended."""
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in "ZXx" else fields[19]
