"""Compute a value once for all requests that wait for it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Batch(Generic[T]):
    """Requests that wait for one value.

    :ivar values: the value, as soon as it is computed.
    """

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: list[T] = []


class Batches(Generic[T]):
    """Computes a value that is never the same again: by one thread at a time.

    The requests that wait while one is computed share the next one. So each gets a value whose
    computation began after it had asked, and threads that compute do not take turns at one
    interpreter lock.

    :param compute: returns the value of now.
    """

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute = compute
        self._open = Batch[T]()
        self._lock = threading.Lock()

    def __call__(self) -> T:
        """Return a value of now."""
        return self.wait(self.join())

    def join(self) -> Batch[T]:
        """Return the batch whose computation begins next."""
        return self._open

    def wait(self, batch: Batch[T]) -> T:
        """Return the value of a batch. Raises what computing it raises; then others try again."""
        with self._lock:
            if not batch.values:
                self._open = Batch()
                batch.values.append(self._compute())
        return batch.values[0]
