"""Notices that something changed in the folders of a session, without reading it.

Only the folders that matter are watched, each for itself: a session has thousands of others below
memory and checkpoints. A folder that goes, comes or is replaced is noticed within a second.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchfiles import watch

from loki_web.store import watching

AUTO, EVENTS, POLL = "auto", "events", "poll"
POLL_SECONDS = 1.0
_DEBOUNCE_MS = 50
_STEP_MS = 25
_LOOK_MS = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Touched:
    """A file or folder that changed, came or went.

    :param relative: its path below the root.
    """

    root: Path
    relative: str


Report = Callable[[set[Touched] | None], None]


class Watcher:
    """:param folders: roots, each with the folders in it that are watched.
    :param report: is told what was touched, None for "anything may have".
    :param mode: AUTO, EVENTS or POLL.
    """

    def __init__(
        self, folders: Sequence[tuple[Path, tuple[str, ...]]], report: Report, mode: str
    ) -> None:
        self._folders = folders
        self._report = report
        self._polls = mode == POLL or (
            mode == AUTO and not all(watching.reports_changes(root) for root, _ in folders)
        )
        self._stop = threading.Event()

    def run(self) -> None:
        """Watch until `stop` is called."""
        while not self._stop.is_set():
            if self._polls:
                self._poll()
            else:
                self._watch()

    def stop(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        watched = self._present()
        if not watched:
            self._stop.wait(POLL_SECONDS)
            if self._present():
                self._report(None)
            return
        try:
            self._pass_on_events(watched)
        except FileNotFoundError:
            self._report(None)  # a folder went away just now
        except OSError as error:
            log.warning("no file system events (%s): looking every second instead", error)
            self._polls = True

    def _pass_on_events(self, watched: Mapping[str, tuple[Path, str, int]]) -> None:
        for changes in watch(
            *watched,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            stop_event=self._stop,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=False,
            recursive=False,
            ignore_permission_denied=True,
        ):
            if changes:
                self._report({_touched(path, watched) for _, path in changes})
            if self._present() != watched:
                self._report(None)
                return

    def _poll(self) -> None:
        before = self._versions()
        while not self._stop.wait(POLL_SECONDS):
            now = self._versions()
            changed = {touched for touched, _ in before.items() ^ now.items()}
            if changed:
                self._report(changed)
            before = now

    def _present(self) -> dict[str, tuple[Path, str, int]]:
        return {
            real: (root, relative, inode)
            for root, relatives in self._folders
            for relative in relatives
            for real, inode in watching.folders(root, [relative]).items()
        }

    def _versions(self) -> dict[Touched, object]:
        return {
            Touched(root, relative): version
            for root, relatives in self._folders
            for relative, version in watching.versions(root, relatives).items()
        }


def _touched(path: str, watched: Mapping[str, tuple[Path, str, int]]) -> Touched:
    if path in watched:
        root, relative, _ = watched[path]
        return Touched(root, relative)
    root, relative, _ = watched[os.path.dirname(path)]
    return Touched(root, os.path.join(relative, os.path.basename(path)))
