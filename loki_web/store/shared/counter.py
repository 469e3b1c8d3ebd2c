"""How many of something all processes hold together, right even after one of them was killed.

Each process has a file in a folder that they share: its size is how many the process holds, and
its lock says that the process lives. A size takes no room on the disk, and reading it waits for
nobody. Whatever cannot be written or read is left out of the count; nobody is refused for that.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from loki_web.errors import StorageError
from loki_web.store import atomic

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_TURN_SECONDS = 0.1  # for which one that takes waits for others that do


class SharedCount:
    """:param folder: outside of the session's; None counts in this process alone.
    :param name: of what is counted.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self._folder = str(folder) if folder else None
        self._name = name
        self._path = ""
        self._descriptor: int | None = None
        self._own = 0
        self._lock = threading.Lock()

    def take(self, most: int) -> bool:
        """Hold one more, unless all processes together hold `most` already."""
        with self._turn(), self._lock:
            is_free = self._own + self._held_by_others() < most
            if is_free:
                self._hold(self._own + 1)
            return is_free

    def give_back(self) -> None:
        with self._lock:
            self._hold(self._own - 1)

    def total(self) -> int:
        """How many all living processes hold."""
        with self._lock:
            return self._own + self._held_by_others()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Take turns, so that the last one is not given to two; a process that is stuck in its turn
        holds nobody up for long."""
        with ExitStack() as stack:
            if self._folder is not None:
                with suppress(OSError, StorageError):
                    path = os.path.join(self._folder, self._name)
                    stack.enter_context(atomic.locked(path, _TURN_SECONDS))
            yield

    def _hold(self, number: int) -> None:
        self._own = number
        if self._folder is None:
            return
        with suppress(OSError):
            if self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0:
                os.close(self._descriptor)  # somebody has cleared the folder
                self._descriptor = None
            if self._descriptor is None:
                self._path = atomic.temporary_name(self._folder, self._name)
                self._descriptor = os.open(self._path, _CREATE, 0o600)
                atomic.hold(self._descriptor)
            os.ftruncate(self._descriptor, number)

    def _held_by_others(self) -> int:
        if self._folder is None:
            return 0
        held = 0
        with suppress(OSError):
            for path in atomic.abandoned_temporaries(self._folder):
                with suppress(OSError):
                    os.unlink(path)
            for name in os.listdir(self._folder):
                path = os.path.join(self._folder, name)
                if name.startswith(f".{self._name}.") and path != self._path:
                    with suppress(OSError):
                        held += os.lstat(path).st_size
        return held
