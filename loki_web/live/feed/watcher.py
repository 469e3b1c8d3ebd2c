"""Reports file system events of the folders that this process watches."""

import select
import threading
from collections.abc import Callable

from loki_web.store.notifier import get_notifier

_WAIT_SECONDS = 1.0


class Watcher:
    """A thread that waits for events and drains them.

    The readers of files choose the watched folders, see `store.inputs`.

    :param report: called after each event, by the thread that drained it; must not block.
    """

    def __init__(self, report: Callable[[], None]) -> None:
        self._report = report
        self._stop = threading.Event()
        get_notifier().follow(self)  # from now on: before the thread runs, others drain events

    def run(self) -> None:
        """Watch until `stop` is called."""
        while not self._stop.is_set():
            try:
                self._wait()
                get_notifier().drain()
            except Exception as error:  # whatever it is, `feed` polls from now on
                get_notifier().give_up(error)

    def stop(self) -> None:
        """Stop watching; the thread ends at its next turn."""
        self._stop.set()

    def stirred(self) -> None:
        """Report events; called by `store.notifier`."""
        if not self._stop.is_set():
            self._report()

    def _wait(self) -> None:
        """Wait for an event, at most _WAIT_SECONDS: the descriptor may be replaced."""
        descriptor = get_notifier().fileno()
        if descriptor is None:
            self._stop.wait(_WAIT_SECONDS)
            return
        events = select.poll()
        events.register(descriptor, select.POLLIN)
        events.poll(_WAIT_SECONDS * 1000)
