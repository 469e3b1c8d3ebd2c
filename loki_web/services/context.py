"""The inputs of every service: the settings, the project's and the user's files, and the clock."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path

from loki_web.config.settings import Settings
from loki_web.store.derived import Values
from loki_web.store.folder import Folder
from loki_web.store.look import observe, state_of
from loki_web.store.search_index import SearchIndex
from loki_web.store.shared.cache_dir import cache_folder
from loki_web.store.sqlite import IndexFile, path_in
from loki_web.store.times import microseconds, utc_now
from loki_web.store.value_store import ValueStore

_MAX_OTHER_PROJECTS = 64
POLL = "poll"  # a value of LOKI_WATCH


@dataclass(frozen=True, slots=True)
class _Moment:
    """A reading of the clock. It is equal to all other readings of the same second."""

    second: datetime
    exact: datetime = field(compare=False)


class Clock:
    """The clock as an input of derived values: a value that depends on it is kept for the rest of
    the second."""

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
    """:param project: the `.loki/` of the project that is served.
    :param user: `~/.loki/`.
    :param started_at: when the server started, seconds since the epoch.
    :param index: the derived index of the project.
    """

    settings: Settings
    project: Folder
    user: Folder
    started_at: float
    _cache: Callable[[], Path | None]
    index: IndexFile
    clock: Clock = field(default_factory=lambda: Clock(utc_now))
    _others: OrderedDict[Path, Folder] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(
        cls, settings: Settings, started_at: float, now: Callable[[], datetime] = utc_now
    ) -> "Sources":
        """Create the sources for these settings. No file is read before the first request.

        :param now: replaces the clock in tests.
        """
        events = settings.watch != POLL
        cache = lru_cache(lambda: _find_cache_folder(settings))
        index = IndexFile(lambda: path_in(folder) if (folder := cache()) else None)
        user = Folder(settings.home / ".loki", events=events)
        project = Folder(settings.loki_dir, events=events, value_store=ValueStore(index))
        return cls(settings, project, user, started_at, cache, index, Clock(now))

    @cached_property
    def values(self) -> Values:
        """Derived values that depend on more than one folder, see `store.derived`."""
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
        return self._cache()

    @cached_property
    def memory_index(self) -> SearchIndex:
        """The search index of the project's memory."""
        return SearchIndex(self.index)

    def project_at(self, path: Path) -> Folder:
        """Return the `.loki/` of another registered project.

        The 64 most recently used folders are kept, with their caches.
        """
        loki_dir = path / ".loki"
        if loki_dir == self.project.path:
            return self.project
        with self._lock:
            folder = self._others.pop(loki_dir, None) or Folder(
                loki_dir, events=self.settings.watch != POLL
            )
            self._others[loki_dir] = folder
            while len(self._others) > _MAX_OTHER_PROJECTS:
                self._others.popitem(last=False)
            return folder


def _find_cache_folder(settings: Settings) -> Path | None:
    preferred = settings.cache_dir or settings.home / ".cache" / "loki-web"
    return cache_folder(preferred, settings.loki_dir)
