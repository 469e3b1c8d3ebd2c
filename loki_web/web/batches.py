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
    """Compute a value that is never the same again, in one thread at a time.

    Requests that wait while a value is computed share the next one, so the computation of each
    value begins after all of its requests have arrived. Threads that compute at the same time would
    only take turns at the interpreter lock.

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
        """Return the value of a batch; compute it if no other request of the batch has.

        :raises Exception: if it cannot be computed; the next request of the batch tries again.
        """
        with self._lock:
            if not batch.values:
                self._open = Batch()
                batch.values.append(self._compute())
        return batch.values[0]
