"""Notices that something changed in the folders of a session, without reading it.

Only the folders that matter are watched, each for itself: a session has thousands of others below
memory and checkpoints. A folder that goes, comes or is replaced is noticed within a second. Where
changes are not told, any second may have brought one.
"""

import logging
import select
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from loki_web.store import watching
from loki_web.store.notifier import notifier

AUTO, EVENTS, POLL = "auto", "events", "poll"
POLL_SECONDS = 1.0

log = logging.getLogger(__name__)


class Watcher:
    """:param folders: roots, each with the folders in it that are watched.
    :param report: called when something may have changed; by any thread, must return at once.
    :param mode: AUTO, EVENTS or POLL.
    """

    def __init__(
        self, folders: Sequence[tuple[Path, tuple[str, ...]]], report: Callable[[], None], mode: str
    ) -> None:
        self._folders = folders
        self._report = report
        self._mode = mode
        self._present: dict[str, int] | None = None
        self._may_be_told = False
        self._is_told = False
        self._is_lost = False
        self._stop = threading.Event()

    def run(self) -> None:
        """Watch until `stop` is called."""
        try:
            notifier().follow(self)
            while not self._stop.is_set():
                self._look_at_folders()
                descriptor = notifier().fileno()
                if self._is_told and descriptor is not None:
                    self._pass_on_events(descriptor)
                else:
                    self._wait_and_report()
        except Exception:  # whatever it is, changes must be noticed
            log.exception("changes are not told any more: looking every second instead")
        while not self._stop.is_set():
            self._wait_and_report()

    def stop(self) -> None:
        self._stop.set()

    def touched(self, _key: str, _name: str, is_folder: bool) -> None:
        """Take note of an event in one of the folders, see `store.notifier`."""
        self._is_lost = self._is_lost or is_folder

    def lost(self) -> None:
        """Take note that the folders may be others."""
        self._is_lost = True

    def stirred(self) -> None:
        """Pass on that there were events, whoever has drained them."""
        if not self._stop.is_set():
            self._report()

    def _look_at_folders(self) -> None:
        """Watch the folders that are there now, where they are others than before."""
        present = {
            real: inode
            for root, relatives in self._folders
            for real, inode in watching.folders(root, relatives).items()
        }
        if present != self._present:
            self._may_be_told = self._mode == EVENTS or (
                self._mode == AUTO
                and all(watching.reports_changes(root) for root, _ in self._folders)
            )
        elif not self._is_lost:
            return
        self._is_lost, self._present = False, present
        self._is_told = self._may_be_told and all(
            notifier().watch(real, self, real) for real in present
        )
        self._report()  # for what came before they were watched

    def _wait_and_report(self) -> None:
        self._stop.wait(POLL_SECONDS)
        self._report()

    def _pass_on_events(self, descriptor: int) -> None:
        """Drain events as they come, until it is time to look at the folders again."""
        events = select.poll()
        events.register(descriptor, select.POLLIN)
        ends = time.monotonic() + POLL_SECONDS
        while notifier().fileno() == descriptor and not (self._is_lost or self._stop.is_set()):
            remaining = ends - time.monotonic()
            if remaining <= 0 or not events.poll(remaining * 1000):
                return
            notifier().drain()
