"""An event that a signal handler can set."""

from contextlib import suppress
from queue import Empty, SimpleQueue


class SignalEvent:
    """As `threading.Event`, for one thread that waits and handlers of signals that set it.

    A handler runs in the thread that waits. If a signal came while that thread held the lock of a
    `threading.Event`, the handler would wait for its own thread.
    """

    def __init__(self) -> None:
        self._set: SimpleQueue[None] = SimpleQueue()  # not empty once it is set; has no such lock

    def set(self) -> None:
        """Set the event; a signal handler may call this at any moment."""
        self._set.put(None)

    def is_set(self) -> bool:
        """Return whether the event was set."""
        return not self._set.empty()

    def wait(self, seconds: float) -> bool:
        """Wait until the event is set, `seconds` at most, and return whether it is."""
        with suppress(Empty):
            self._set.put(self._set.get(timeout=seconds))
        return self.is_set()
