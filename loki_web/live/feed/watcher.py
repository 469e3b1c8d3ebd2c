"""Tells at once that something has changed, in any of the folders that this process watches."""

import logging
import select
import threading
from collections.abc import Callable

from loki_web.store.notifier import notifier

_WAIT_SECONDS = 1.0

log = logging.getLogger(__name__)


class Watcher:
    """Which folders are watched, those know whose files are read: see `store.inputs`.

    :param report: called with each change, whoever has drained the events; by any thread, must
        return at once.
    """

    def __init__(self, report: Callable[[], None]) -> None:
        self._report = report
        self._stop = threading.Event()

    def run(self) -> None:
        """Watch until `stop` is called."""
        try:
            notifier().follow(self)
            while not self._stop.is_set():
                self._wait()
                notifier().drain()
        except Exception:  # changes are looked for all the same, see `feed`
            log.exception("changes are not told any more: they are looked for each second")

    def stop(self) -> None:
        self._stop.set()

    def stirred(self) -> None:
        """Take note that there were events, see `store.notifier`."""
        if not self._stop.is_set():
            self._report()

    def _wait(self) -> None:
        """Wait for an event, though not long: there may be another descriptor by then."""
        descriptor = notifier().fileno()
        if descriptor is None:
            self._stop.wait(_WAIT_SECONDS)
            return
        events = select.poll()
        events.register(descriptor, select.POLLIN)
        events.poll(_WAIT_SECONDS * 1000)
