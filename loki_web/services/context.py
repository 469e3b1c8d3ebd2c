"""What a service reads from: the settings, the two trees of files, and the clock."""

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
POLL = "poll"  # a way of LOKI_WATCH


@dataclass(frozen=True, slots=True)
class _Moment:
    """A state of the clock, equal to all others of its second."""

    second: datetime
    exact: datetime = field(compare=False)


class Clock:
    """The clock by which sessions are judged, as an input: what was computed with it is kept to
    the end of the second."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def examine(self) -> _Moment:
        exact = self._now()
        return _Moment(exact.replace(microsecond=0), exact)


@dataclass(frozen=True, slots=True)
class _Interval:
    """Whether the clock stands in an interval, given in microseconds; None has no end."""

    clock: Clock
    after: int | None
    until: int | None

    def examine(self) -> bool:
        moment: _Moment = state_of(self.clock)
        now = microseconds(moment.exact)
        return (self.after is None or self.after < now) and (
            self.until is None or now <= self.until
        )


@dataclass(frozen=True)
class Sources:
    """:param started_at: when the server started, seconds since the epoch.
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
        events = settings.watch != POLL
        cache = lru_cache(lambda: _cache_folder(settings))
        index = IndexFile(lambda: path_in(folder) if (folder := cache()) else None)
        user = Folder(settings.home / ".loki", events=events)
        project = Folder(settings.loki_dir, events=events, value_store=ValueStore(index))
        return cls(settings, project, user, started_at, cache, index, Clock(now))

    @cached_property
    def values(self) -> Values:
        """The values that are derived from more than one folder, see `store.derived`."""
        return Values()

    def now(self) -> datetime:
        """The present moment; within a look always the same one."""
        moment: _Moment = observe(self.clock)
        return moment.exact

    def now_unrecorded(self) -> datetime:
        """The same moment, for a value that tells by `lasts` how it depends on the clock."""
        moment: _Moment = state_of(self.clock)
        return moment.exact

    def lasts(self, after: int | None, until: int | None) -> None:
        """Record that the value being computed is the same from after one moment until another.

        :param after: microseconds since 1970, as `until`; None for no limit.
        """
        observe(_Interval(self.clock, after, until))

    @property
    def cache_folder(self) -> Path | None:
        """Where all workers keep what they share and can lose; None where nothing can be kept."""
        return self._cache()

    @cached_property
    def memory_index(self) -> SearchIndex:
        """The search index of the project's memory."""
        return SearchIndex(self.index)

    def project_at(self, path: Path) -> Folder:
        """The `.loki/` of another registered project; its caches are kept for the next call."""
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


def _cache_folder(settings: Settings) -> Path | None:
    preferred = settings.cache_dir or settings.home / ".cache" / "loki-web"
    return cache_folder(preferred, settings.loki_dir)
