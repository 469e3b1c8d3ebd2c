"""Keeps the channels that somebody listens to up to date, and tells the hub what is new.

One thread reads, another one watches; both exist only while there are listeners, and a little
longer, so that one who comes back finds what was missed. A turn is one look, see `store.look`: a
channel is read again only when something has changed that it observed the last time. There is a
turn each second, and at once when the file system tells of a change.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from loki_web.live.feed.channels import CHANNELS
from loki_web.live.feed.state import Slice
from loki_web.live.feed.watcher import Watcher
from loki_web.live.messages import Batch, Message
from loki_web.services.context import Sources
from loki_web.store.look import Input, Inputs, are_current, is_notified, looking, recording
from loki_web.store.notifier import notifier

LINGER_SECONDS = 60.0
_LOOK_SECONDS = 1.0  # for what no event tells of: processes that die, file systems without events
_ALL_SECONDS = 5.0  # for what depends on the time that has passed, as an age limit does
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
class Followed:
    """A channel that is followed.

    :ivar inputs: what it observed when it was read the last time, None where that failed.
    """

    slice: Slice
    used_at: float
    inputs: Inputs | None = None
    _steady: Inputs = ()  # all but the clock
    _untold: Inputs | None = None  # those of them of which no event tells
    _looked_at: float = 0.0

    def is_current(self, *, is_touched: bool, thoroughly: bool) -> bool:
        """Return whether nothing has changed since it was read.

        :param is_touched: whether there were events.
        :param thoroughly: look at the clock too, which seldom is a reason to read again.
        """
        if self.inputs is None:
            return False
        now = time.monotonic()
        thoroughly = thoroughly or now - self._looked_at >= _ALL_SECONDS
        if thoroughly:
            self._looked_at = now
        if thoroughly or is_touched:
            self._untold = None
            return are_current(self.inputs if thoroughly else self._steady)
        if self._untold is None:
            self._untold = tuple(one for one in self._steady if not is_notified(one[0]))
        return are_current(self._untold)

    def read(self, clock: Input) -> list[Message]:
        """Read it again; the messages that tell what is new."""
        self.inputs, self._looked_at = None, time.monotonic()
        with recording() as recorded:
            messages = self.slice.refresh()
        self.inputs, self._untold = recorded.inputs, None
        self._steady = tuple(one for one in recorded.inputs if one[0] is not clock)
        return messages


class Feed:
    """:param outlet: gets every change, and the answers to `want`, in the order in which they are
    read: who was answered gets each later change and none of the earlier ones."""

    def __init__(self, src: Sources, outlet: Outlet) -> None:
        self._src = src
        self._outlet = outlet
        # None where something may have changed.
        self._inbox: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._tracked: dict[str, Followed] = {}
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
        watcher = Watcher(lambda: self._inbox.put(None))
        thread = threading.Thread(target=watcher.run, name="live-watcher", daemon=True)
        self._turn_safely()  # after this there are folders that are watched
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
        self._turned_at = time.monotonic()
        with looking():
            for name in self._tracked:
                self._look_at(name, is_touched=None in items)
            for request in items:
                if request is not None:
                    self._serve(request)

    def _waited_for(self) -> list[_Request | None]:
        """Wait until there is a reason for a turn."""
        has_more = any(one.slice.has_more for one in self._tracked.values())
        due = self._turned_at + (_MORE_SECONDS if has_more else _LOOK_SECONDS)
        items: list[_Request | None] = []
        try:
            items.append(self._inbox.get(timeout=max(0.0, due - time.monotonic())))
            if items == [None]:
                since = time.monotonic() - self._turned_at
                time.sleep(max(_TOGETHER_SECONDS, _APART_SECONDS - since))
            notifier().drain()
            while True:
                items.append(self._inbox.get_nowait())
        except queue.Empty:
            return items

    def _serve(self, request: _Request) -> None:
        """Look once more, so that the listener gets what is true now."""
        standing = Standing()
        for name in sorted(request.channels):
            if name not in self._tracked:
                self._tracked[name] = Followed(CHANNELS[name](self._src), time.monotonic())
            self._tracked[name].used_at = time.monotonic()
            self._look_at(name, is_touched=True, thoroughly=True)
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

    def _look_at(self, name: str, *, is_touched: bool, thoroughly: bool = False) -> None:
        """Read a channel again where something has changed that it is made of."""
        tracked = self._tracked[name]
        if tracked.is_current(is_touched=is_touched, thoroughly=thoroughly):
            return
        try:
            messages = tracked.read(self._src.clock)
            if messages:
                self._outlet.publish(Batch.of(name, messages, tracked.slice.token))
        except Exception:  # the feed of the other channels goes on
            log.exception("the channel %s could not be read", name)
