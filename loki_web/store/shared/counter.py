"""Count something across all processes of the server, correctly even after one is killed.

Each process has a file in a shared folder: the size of the file is the count of the process, and
the lock on it shows that the process is alive. A sparse file takes no disk space, and reading its
size needs no lock. Files that cannot be written or read count as zero: a broken cache folder must
not make the server refuse clients. Why neither a share for each process nor a database:
docs/decisions/029-connections-counted-by-file-size.md.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from loki_web.errors import StorageError
from loki_web.store import atomic

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_LOCK_SECONDS = 0.1


class SharedCount:
    """A counter with a limit, for example of open sockets.

    :param folder: the cache folder; None counts in this process only.
    :param name: the name of what is counted.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self._folder = str(folder) if folder else None
        self._name = name
        self._path = ""
        self._descriptor: int | None = None
        self._own = 0
        self._lock = threading.Lock()

    def take(self, most: int) -> bool:
        """Count one more and return True, unless the total of all processes is `most` already."""
        with self._exclusive(), self._lock:
            is_free = self._own + self._count_of_others() < most
            if is_free:
                self._set(self._own + 1)
            return is_free

    def give_back(self) -> None:
        """Count one less."""
        with self._lock:
            self._set(self._own - 1)

    def total(self) -> int:
        """Return the total of all living processes."""
        with self._lock:
            return self._own + self._count_of_others()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep two processes from taking the last free place at the same moment.

        Go on without the lock after _LOCK_SECONDS, so that a stuck process does not block others.
        """
        with ExitStack() as stack:
            if self._folder is not None:
                with suppress(OSError, StorageError):
                    path = os.path.join(self._folder, self._name)
                    stack.enter_context(atomic.locked(path, _LOCK_SECONDS))
            yield

    def _set(self, number: int) -> None:
        """Set the count of this process, in memory and as the size of its file."""
        self._own = number
        if self._folder is None:
            return
        with suppress(OSError):
            if self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0:
                os.close(self._descriptor)  # the cache folder was cleared
                self._descriptor = None
            if self._descriptor is None:
                self._path = atomic.temporary_name(self._folder, self._name)
                self._descriptor = os.open(self._path, _CREATE, 0o600)
                atomic.lock_temporary(self._descriptor)
            os.ftruncate(self._descriptor, number)

    def _count_of_others(self) -> int:
        """Return the total of the other processes, and remove the files of dead ones."""
        if self._folder is None:
            return 0
        count = 0
        with suppress(OSError):
            for path in atomic.abandoned_temporaries(self._folder):
                with suppress(OSError):
                    os.unlink(path)
            for name in os.listdir(self._folder):
                path = os.path.join(self._folder, name)
                if atomic.is_temporary(name, of=self._name) and path != self._path:
                    with suppress(OSError):
                        count += os.lstat(path).st_size
        return count
