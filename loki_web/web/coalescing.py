"""Coalesce requests that wait for the same value into one computation."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Batch(Generic[T]):
    """Requests that share one value.

    :ivar lock: held while the value is computed.
    :ivar values: the value, as soon as it is computed.
    """

    __slots__ = ("lock", "values")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: list[T] = []


class Coalescer(Generic[T]):
    """Compute a value anew for each batch of requests, in one thread at a time.

    Requests that arrive during a computation share the next one, so each computation begins after
    all of its requests have arrived. Concurrent computations would mostly compete for the
    interpreter lock.

    :param compute: returns the current value.
    """

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute = compute
        self._open = Batch[T]()
        self._computing = threading.Lock()

    def __call__(self) -> T:
        """Return a value whose computation begins after this call."""
        return self.wait(self.join())

    def join(self) -> Batch[T]:
        """Return the open batch: its computation has not begun."""
        return self._open

    def wait(self, batch: Batch[T]) -> T:
        """Return the value of a batch; compute it if no other request of the batch has.

        :raises Exception: if it cannot be computed; the next request of the batch tries again.
        """
        with batch.lock:  # its other requests do not wait for the computation of a later batch
            if not batch.values:
                with self._computing:
                    if batch is self._open:  # a retry leaves the batch open that came after it
                        self._open = Batch()
                    batch.values.append(self._compute())
        return batch.values[0]
