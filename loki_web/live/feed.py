"""Keeps the channels that somebody listens to up to date, and tells the hub what is new.

One thread reads, another one watches; both exist only while there are listeners, and a little
longer, so that one who comes back finds what was missed.
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
from loki_web.live.watcher import Touched, Watcher
from loki_web.services.sources import Sources

LINGER_SECONDS = 60.0
# A change is looked at again: for what came while a new folder was not watched yet, and when the
# time is over in which a damaged file counts as one that is just being written.
_LOOK_AGAIN_SECONDS = (0.25, 2.0)
_TIMED_SECONDS = 2.0
_ALL_SECONDS = 15.0
_MORE_SECONDS = 0.05

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
    slice: Slice
    is_timed: bool
    used_at: float
    looks: list[float] = field(default_factory=list)
    next_look: float = 0.0

    def schedule(self, now: float, *, was_touched: bool) -> None:
        if was_touched:
            self.looks = list(_LOOK_AGAIN_SECONDS)
        after = _TIMED_SECONDS if self.is_timed else _ALL_SECONDS
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
        self._inbox: queue.SimpleQueue[_Request | set[Touched] | None] = queue.SimpleQueue()
        self._tracked: dict[str, _Tracked] = {}
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
        watcher = Watcher(folders, self._inbox.put, self._mode)
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
        requests: list[_Request] = []
        touched: set[str] = set()
        for item in self._waited_for():
            if isinstance(item, _Request):
                requests.append(item)
            else:
                touched |= self._channels_of(item)
        now = time.monotonic()
        for name, tracked in self._tracked.items():
            if name in touched or tracked.next_look <= now:
                self._refresh(name, was_touched=name in touched)
        for request in requests:
            self._serve(request)

    def _waited_for(self) -> list[_Request | set[Touched] | None]:
        earliest = min((one.next_look for one in self._tracked.values()), default=0.0)
        items = []
        try:
            wait = max(0.0, earliest - time.monotonic())
            items.append(self._inbox.get(timeout=wait))
            while True:
                items.append(self._inbox.get_nowait())
        except queue.Empty:
            return items

    def _channels_of(self, touched: set[Touched] | None) -> set[str]:
        if touched is None:
            return set(self._tracked)
        paths = [one.relative for one in touched if one.root == self._src.project.path]
        user_paths = [one.relative for one in touched if one.root == self._src.user.path]
        return {
            name
            for name in self._tracked
            if _depends(CHANNELS[name].files, paths)
            or _depends(CHANNELS[name].user_files, user_paths)
        }

    def _serve(self, request: _Request) -> None:
        """Read once more, so that the listener gets what is true now."""
        standing = Standing()
        for name in sorted(request.channels):
            if name not in self._tracked:
                made = CHANNELS[name].make(self._src)
                self._tracked[name] = _Tracked(made, CHANNELS[name].is_timed, time.monotonic())
            self._tracked[name].used_at = time.monotonic()
            self._refresh(name, was_touched=True)
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

    def _refresh(self, name: str, *, was_touched: bool) -> None:
        tracked = self._tracked[name]
        try:
            messages = tracked.slice.refresh()
            if messages:
                self._outlet.publish(Batch.of(name, messages, tracked.slice.token))
        except Exception:  # the feed of the other channels goes on
            log.exception("the channel %s could not be read", name)
        tracked.schedule(time.monotonic(), was_touched=was_touched)


def _depends(beginnings: tuple[str, ...], paths: list[str]) -> bool:
    """A change of a folder itself, which loses its slash, concerns all that is in it."""
    return any(path.startswith(beginnings) or path in ("", *_folders(beginnings)) for path in paths)


def _folders(beginnings: tuple[str, ...]) -> set[str]:
    return {beginning.rpartition("/")[0] for beginning in beginnings if "/" in beginning} - {""}
