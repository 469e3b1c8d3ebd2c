"""Keeps the channels that somebody listens to up to date, and tells the hub what is new.

One thread reads, another one watches; both exist only while there are listeners, and a little
longer, so that one who comes back finds what was missed. A turn is one look, see `store.look`: a
channel is read again only when something has changed that it observed the last time.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from loki_web.live.channels import CHANNELS, PROJECT_FOLDERS, USER_FOLDERS
from loki_web.live.messages import Batch, Message
from loki_web.live.slices import Slice
from loki_web.live.watcher import Watcher
from loki_web.services.sources import Sources
from loki_web.store.look import Inputs, are_current, looking, recording

LINGER_SECONDS = 60.0
# A change is looked at again: for what came while a new folder was not watched yet, and when the
# time is over in which a damaged file counts as one that is just being written.
_LOOK_AGAIN_SECONDS = (0.25, 2.0)
_TIMED_SECONDS = 2.0  # for what no event tells of: processes that die
_ALL_SECONDS = 15.0
_MORE_SECONDS = 0.05
_TOGETHER_SECONDS = 0.004  # what is written within them is seen in one turn
_APART_SECONDS = 0.02  # between two turns while changes go on

log = logging.getLogger(__name__)


class Outlet(Protocol):
    """What the feed tells; every method may be called from any thread and returns at once."""

    @property
    def channels_in_use(self) -> frozenset[str]: ...

    def post(self, action: Callable[[], None]) -> None: ...

    def publish(self, batch: Batch) -> None: ...


@dataclass(frozen=True)
class Standing:
    """Where a listener begins.

    :param tokens: the state of each channel asked for.
    :param current: what the listener is told first of each.
    :param missed: what came after the states it knew.
    :param unknown: channels of which it knew a state that nobody knows here.
    :param whole: what replaces those.
    """

    tokens: dict[str, str] = field(default_factory=dict)
    current: list[Message] = field(default_factory=list)
    missed: list[Message] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    whole: list[Message] = field(default_factory=list)


class Source(Protocol):
    """Where the messages come from, as the hub knows it: `Feed`."""

    def want(
        self,
        channels: frozenset[str],
        then: Callable[[Standing], None],
        known: Mapping[str, str] | None = None,
    ) -> None: ...


@dataclass(frozen=True)
class _Request:
    channels: frozenset[str]
    known: Mapping[str, str]
    then: Callable[[Standing], None]


@dataclass
class _Tracked:
    """A channel that is followed.

    :ivar inputs: what it observed when it was read the last time, None where that failed.
    :ivar steady: those of them that do not change by themselves, as the clock does.
    """

    slice: Slice
    used_at: float
    inputs: Inputs | None = None
    steady: Inputs = ()
    read_at: float = 0.0
    looks: list[float] = field(default_factory=list)
    next_look: float = 0.0

    def is_current(self, *, by_the_clock: bool) -> bool:
        if self.inputs is None:
            return False
        return are_current(self.inputs if by_the_clock else self.steady)

    def schedule(self, now: float, *, was_touched: bool) -> None:
        if was_touched:
            self.looks = list(_LOOK_AGAIN_SECONDS)
        is_timed = self.inputs is None or len(self.steady) < len(self.inputs)
        after = _TIMED_SECONDS if is_timed else _ALL_SECONDS
        if self.slice.has_more:
            after = _MORE_SECONDS
        elif self.looks:
            after = min(after, self.looks.pop(0))
        self.next_look = now + after


class Feed:
    """:param outlet: gets every change, and the answers to `want`, in the order in which they are
    read: who was answered gets each later change and none of the earlier ones."""

    def __init__(self, src: Sources, outlet: Outlet, mode: str) -> None:
        self._src = src
        self._outlet = outlet
        self._mode = mode
        # None where something may have changed.
        self._inbox: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._tracked: dict[str, _Tracked] = {}
        self._turned_at = 0.0
        self._lock = threading.Lock()
        self._runs = False

    def want(
        self,
        channels: frozenset[str],
        then: Callable[[Standing], None],
        known: Mapping[str, str] | None = None,
    ) -> None:
        """Begin to follow these channels; `then` is called by the outlet's thread.

        :param known: the states that a listener knows who comes back.
        """
        with self._lock:
            self._inbox.put(_Request(channels, known or {}, then))
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="live-feed", daemon=True).start()

    def _run(self) -> None:
        folders = (
            (self._src.project.path, PROJECT_FOLDERS),
            (self._src.user.path, USER_FOLDERS),
        )
        watcher = Watcher(folders, lambda: self._inbox.put(None), self._mode)
        thread = threading.Thread(target=watcher.run, name="live-watcher", daemon=True)
        thread.start()
        try:
            while not self._is_over():
                self._turn_safely()
        finally:
            watcher.stop()

    def _is_over(self) -> bool:
        now = time.monotonic()
        for name in self._outlet.channels_in_use:
            if name in self._tracked:
                self._tracked[name].used_at = now
        with self._lock:
            for name, tracked in list(self._tracked.items()):
                if now - tracked.used_at > LINGER_SECONDS:
                    del self._tracked[name]
            if self._tracked or not self._inbox.empty():
                return False
            self._runs = False
            return True

    def _turn_safely(self) -> None:
        try:
            self._turn()
        except Exception:  # a fault must not end the feed for everybody
            log.exception("the live feed could not be read")
            time.sleep(_MORE_SECONDS)

    def _turn(self) -> None:
        items = self._waited_for()
        was_touched = None in items
        self._turned_at = now = time.monotonic()
        with looking():
            for name, tracked in self._tracked.items():
                if was_touched or tracked.next_look <= now:
                    self._look_at(name, was_touched=was_touched)
            for request in items:
                if request is not None:
                    self._serve(request)

    def _waited_for(self) -> list[_Request | None]:
        earliest = min((one.next_look for one in self._tracked.values()), default=0.0)
        items: list[_Request | None] = []
        try:
            items.append(self._inbox.get(timeout=max(0.0, earliest - time.monotonic())))
            if items == [None]:
                since = time.monotonic() - self._turned_at
                time.sleep(max(_TOGETHER_SECONDS, _APART_SECONDS - since))
            while True:
                items.append(self._inbox.get_nowait())
        except queue.Empty:
            return items

    def _serve(self, request: _Request) -> None:
        """Look once more, so that the listener gets what is true now."""
        standing = Standing()
        for name in sorted(request.channels):
            if name not in self._tracked:
                self._tracked[name] = _Tracked(CHANNELS[name](self._src), time.monotonic())
            self._tracked[name].used_at = time.monotonic()
            self._look_at(name, was_touched=True, by_the_clock=True)
            found = self._tracked[name].slice
            standing.tokens[name] = found.token
            missed = found.since(request.known[name]) if name in request.known else []
            if missed is None:
                standing.unknown.append(name)
                standing.whole.extend(found.whole())
            elif name in request.known:
                standing.missed.extend(missed)
            else:
                standing.current.extend(found.current())
        self._outlet.post(lambda: request.then(standing))

    def _look_at(self, name: str, *, was_touched: bool, by_the_clock: bool = False) -> None:
        """Read a channel again where something has changed that it is made of.

        That the time has passed is seldom a reason: only things like an age limit depend on it.
        """
        tracked = self._tracked[name]
        is_old = time.monotonic() - tracked.read_at >= _ALL_SECONDS
        if not tracked.is_current(by_the_clock=by_the_clock or is_old):
            self._read(name, tracked)
        tracked.schedule(time.monotonic(), was_touched=was_touched)

    def _read(self, name: str, tracked: _Tracked) -> None:
        tracked.inputs, tracked.read_at = None, time.monotonic()
        try:
            with recording() as recorded:
                messages = tracked.slice.refresh()
            if messages:
                self._outlet.publish(Batch.of(name, messages, tracked.slice.token))
        except Exception:  # the feed of the other channels goes on
            log.exception("the channel %s could not be read", name)
            return
        tracked.inputs = recorded.inputs
        tracked.steady = tuple(one for one in recorded.inputs if one[0] is not self._src.clock)
