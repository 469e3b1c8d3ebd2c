"""What every service works on: the settings, the project's and the user's files, and the clock."""

import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cachetools import LRUCache

from loki_web.config.settings import Settings
from loki_web.services.cells import Counter
from loki_web.store.derived import Values
from loki_web.store.folder import Folder
from loki_web.store.look import observe, state_of
from loki_web.store.notifier import read_max_watches
from loki_web.store.search_index import SearchIndex
from loki_web.store.shared.cache_dir import cache_folder
from loki_web.store.shared.counts import Counts, open_counts
from loki_web.store.shared.journal_total import JournalTotal
from loki_web.store.sqlite import IndexFile, path_in
from loki_web.store.times import microseconds, utc_now
from loki_web.store.value_store import ValueStore
from loki_web.store.writable import WritableFolder

if TYPE_CHECKING:
    from loki_web.store.shared.redis import Link

_MAX_OTHER_PROJECTS = 2048
# Of those that the user may have, a share for each project: enough for its folders in each process
# of several servers, with room for other programs.
_WATCHES_OF_PROJECT = 512
_MIN_WATCHED_PROJECTS = 64
POLL = "poll"  # a value of LOKI_WATCH


@dataclass(frozen=True, slots=True)
class _Moment:
    """A reading of the clock. It is equal to all other readings of the same second."""

    second: datetime
    exact: datetime = field(compare=False)


class Clock:
    """The clock as an input of derived values, which are kept for the rest of the second."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def examine(self) -> _Moment:
        """Read the clock."""
        exact = self._now()
        return _Moment(exact.replace(microsecond=0), exact)


@dataclass(frozen=True, slots=True)
class _Interval:
    """Whether the clock is in an interval, in microseconds since 1970; None means no limit."""

    clock: Clock
    after: int | None
    until: int | None

    def examine(self) -> bool:
        """Return True while the clock is in the interval."""
        moment: _Moment = state_of(self.clock)
        now = microseconds(moment.exact)
        return (self.after is None or self.after < now) and (
            self.until is None or now <= self.until
        )


@dataclass(frozen=True)
class Sources:
    """All that a service reads: the first parameter of every service that reads anything.

    It cannot change a file: a service that does takes `WritableSources`.

    :param project: the `.loki/` of the project.
    :param user: `~/.loki/`.
    :param started_at: when the server started, seconds since the epoch.
    :param index: the derived index of the project.
    :param limit: the projects that may be seen: directories, links resolved, and names of other
        machines' sessions; None for all.
    :param base: the same sources without that limit; None if there is none.
    :param is_pinned: whether they show this project, whichever other one is in focus.
    """

    settings: Settings
    project: Folder
    user: Folder
    started_at: float
    index: IndexFile
    clock: Clock
    _find_cache_folder: Callable[[], Path | None]
    limit: frozenset[str] | None = None
    base: "Sources | None" = None
    is_pinned: bool = False
    _others: LRUCache[Path, "Sources"] = field(
        default_factory=lambda: LRUCache(_MAX_OTHER_PROJECTS), init=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @cached_property
    def values(self) -> Values:
        """The cached values that are derived from these sources, see `store.derived`."""
        return Values()

    def now(self) -> datetime:
        """Return the current time in UTC; it is the same for the whole request."""
        moment: _Moment = observe(self.clock)
        return moment.exact

    def now_unrecorded(self) -> datetime:
        """Return the same time as `now` without making the clock an input of the derived value.

        The caller must record with `record_validity` how its value depends on the clock.
        """
        moment: _Moment = state_of(self.clock)
        return moment.exact

    def record_validity(self, after: int | None, until: int | None) -> None:
        """Record that the value being computed is valid while `after` < now <= `until`.

        :param after: microseconds since 1970, like `until`; None for no limit.
        """
        observe(_Interval(self.clock, after, until))

    @property
    def cache_folder(self) -> Path | None:
        """The folder for data that workers share and can compute again; None if not writable."""
        return self._find_cache_folder()

    @cached_property
    def link(self) -> "Link | None":
        """The Redis server that the servers of several machines share; None without one."""
        if not self.settings.redis_url:
            return None
        from loki_web.store.shared.redis import Link  # the library takes 0.2 s

        return Link(self.settings.redis_url, lambda: self.counts.add(Counter.REDIS_FAILURES))

    @cached_property
    def counts(self) -> Counts:
        """The counts of this process, added up with those of the server's other processes."""
        return open_counts()

    @cached_property
    def event_total(self) -> JournalTotal:
        """The count of all events that the project ever had, shared by all processes."""
        folder, name = self.cache_folder, "event-total"
        if self.project.path != self.settings.loki_dir:  # another project, in the same folder
            path = os.fsencode(self.project.path)
            name += f"-{hashlib.blake2b(path, digest_size=8).hexdigest()}"
        return JournalTotal(folder / name if folder else None)

    @cached_property
    def memory_index(self) -> SearchIndex:
        """The search index of the project's memory."""
        return SearchIndex(self.index)

    def pin(self) -> "Sources":
        """Return these sources, pinned, with the same cached values."""
        pinned = replace(self, is_pinned=True)
        pinned.__dict__["values"] = self.values
        return pinned

    @property
    def unlimited(self) -> "Sources":
        """Return the sources without a limit, for what is about their project alone."""
        return self.base or self

    def limited_to(self, limit: frozenset[str]) -> "Sources":
        """Return these sources for somebody who may see only some of the projects.

        :param limit: their directories, links resolved, and names of sessions.
        """
        limited: Sources = self.values.get(
            (Sources, limit),
            lambda _: Sources(
                self.settings,
                self.project,
                self.user,
                self.started_at,
                self.index,
                self.clock,
                self._find_cache_folder,
                limit,
                self,
            ),
        )
        return limited

    def allows(self, root: Path | None) -> bool:
        """Return whether the project in a directory may be seen; links must be resolved."""
        return self.limit is None or str(root) in self.limit

    def at_project(self, root: Path) -> "Sources":
        """Return the sources of another registered project, which has no derived index.

        Those of the most recently used projects are kept, with their cached values. The files of
        the first ones are watched, those of the others are examined.

        :param root: the directory that contains the `.loki/`.
        """
        if self.base is not None:
            return self.base.at_project(root)
        loki_dir = root / ".loki"
        if loki_dir == self.project.path:
            return self
        with self._lock:
            other = self._others.get(loki_dir)
            if other is None:
                is_watched = len(self._others) < _get_max_watched_projects()
                events = is_watched and self.settings.watch != POLL
                other = self._others[loki_dir] = Sources(
                    self.settings,
                    Folder(loki_dir, events=events),
                    self.user,
                    self.started_at,
                    IndexFile(lambda: None),
                    self.clock,
                    self._find_cache_folder,
                )
            return other


@dataclass(frozen=True)
class WritableSources(Sources):
    """Sources whose files can be changed, for what serves POST, PUT and DELETE.

    :ivar audit_failure: set while this process could not write its last audit entry.
    """

    project: WritableFolder
    user: WritableFolder
    audit_failure: threading.Event = field(default_factory=threading.Event, init=False)

    def writable_at_project(self, root: Path) -> "WritableSources":
        """Return sources for a change of another registered project; see `at_project`."""
        return WritableSources(
            self.settings,
            WritableFolder(
                root / ".loki",
                events=False,
                may_return=False,
                is_confined=not self.settings.allow_linked_dir,
            ),
            self.user,
            self.started_at,
            IndexFile(lambda: None),
            self.clock,
            self._find_cache_folder,
        )


def _get_max_watched_projects() -> int:
    return max(read_max_watches() // _WATCHES_OF_PROJECT, _MIN_WATCHED_PROJECTS)


def open_sources(
    settings: Settings, started_at: float, now: Callable[[], datetime] = utc_now
) -> WritableSources:
    """Return the sources for these settings. No file is read before the first request.

    :param started_at: when the server started, seconds since the epoch.
    :param now: replaces the clock in tests.
    """
    events = settings.watch != POLL
    find_cache_folder = lru_cache(lambda: _find_cache_folder(settings))
    index = IndexFile(lambda: path_in(folder) if (folder := find_cache_folder()) else None)
    return WritableSources(
        settings,
        WritableFolder(
            settings.loki_dir,
            events=events,
            value_store=ValueStore(index),
            find_note=lambda: folder / "present" if (folder := find_cache_folder()) else None,
            may_return=False,
            is_confined=not settings.allow_linked_dir,
        ),
        WritableFolder(settings.home / ".loki", events=events),
        started_at,
        index,
        Clock(now),
        find_cache_folder,
    )


def _find_cache_folder(settings: Settings) -> Path | None:
    preferred = settings.cache_dir or settings.home / ".cache" / "loki-web"
    return cache_folder(preferred, settings.loki_dir)
