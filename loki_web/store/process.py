"""Processes as inputs: when one started, for as long as it runs."""

import math
import os
import select
import threading
import time
from functools import lru_cache
from pathlib import Path

import psutil

_GONE_SECONDS = 1.0
_MAX_HELD = 512  # descriptors of processes


class ProcessInput:
    """A process; its state is when it started while it runs, None when it is gone.

    A running one is held by a descriptor, which tells its end without another look. One that is
    gone is not looked for again for a while: who gets its number is another process.
    """

    _close = staticmethod(os.close)  # which is there until the last descriptor is closed

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
def process(pid: int) -> ProcessInput:
    """Return the input of a process, the same one for each caller."""
    return ProcessInput(pid)


def _start_in(status: str) -> str | None:
    """When a process started, from its `/proc/<pid>/stat`; None for one that is gone."""
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in "ZXx" else fields[19]
