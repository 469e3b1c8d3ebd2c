"""Reads the subscribed channels when their files change, and publishes the new messages to the hub.

One thread reads and one watches. Both run while there are subscribers and LINGER_SECONDS longer, so
that a client that reconnects gets what it missed. A turn is one look (see `store.look`): a channel
is read again only if one of its inputs has changed. There is a turn each second, and at once after
a file system event.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from loki_web.errors import PublicError, Unavailable
from loki_web.live.feed.channels import CHANNELS
from loki_web.live.feed.state import Slice
from loki_web.live.feed.watcher import Watcher
from loki_web.live.messages import Batch, Message, Topic
from loki_web.live.protocol import PROJECTS, topics_of
from loki_web.services.cells import Gauge
from loki_web.services.context import Sources
from loki_web.services.fleet import selection
from loki_web.store.look import Input, Inputs, are_current, is_notified, looking, recording
from loki_web.store.notifier import get_notifier

LINGER_SECONDS = 60.0
MAX_PROJECTS = 64  # that are followed by name
_RETRY_SECONDS = 60
_LOOK_SECONDS = 1.0  # poll what has no events: exited processes, some file systems
_ALL_SECONDS = 5.0  # poll what depends on the clock, such as age limits
_MORE_SECONDS = 0.05
_TOGETHER_SECONDS = 0.002  # writes within this time are read in one turn
_APART_SECONDS = 0.02  # minimum between two turns while changes continue
_FAILED = "The live feed could not be read. Try again later."

log = logging.getLogger(__name__)


class Outlet(Protocol):
    """The hub as the feed sees it; all methods are thread-safe and do not block."""

    @property
    def topics_in_use(self) -> frozenset[Topic]:
        """Return the topics that have at least one listener."""

    def post(self, action: Callable[[], None]) -> None:
        """Call a function in the thread of the hub."""

    def publish(self, batch: Batch) -> None:
        """Send a batch to the listeners of its topic."""


@dataclass(frozen=True)
class Standing:
    """The start of a subscription.

    :param project: the directory of the project that is followed; None if none was named.
    :param refusal: why there is no subscription, to be sent to the client.
    :param tokens: the current state of each requested topic.
    :param current: first messages of channels for which the client sent no state.
    :param missed: messages since the states that the client sent.
    :param unknown: channels whose state, as sent by the client, is unknown here.
    :param whole: messages that replace the state of the unknown channels.
    """

    project: Path | None = None
    refusal: str | None = None
    tokens: dict[Topic, str] = field(default_factory=dict)
    current: list[Message] = field(default_factory=list)
    missed: list[Message] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    whole: list[Message] = field(default_factory=list)


@dataclass(frozen=True)
class Subscription:
    """A subscription to channels of a project.

    :param known: tokens of the states that a reconnecting client has, by channel.
    :param project: id, alias or path of the project; without it, the one that is shown.
    :param limit: of the token, see `Sources.limit`. With it, a subscription without a project
        follows the one that is shown at this moment.
    """

    channels: frozenset[str]
    known: Mapping[str, str] = field(default_factory=dict)
    project: str | None = None
    limit: frozenset[str] | None = None


Then = Callable[[Standing], None]


class Source(Protocol):
    """The feed as the hub sees it, see `Feed`."""

    def subscribe(self, subscription: Subscription, then: Then) -> None:
        """Start a subscription, see `Feed.subscribe`."""


@dataclass
class Followed:
    """A topic that is followed.

    :ivar inputs: the inputs of the last read with their versions, None if it failed.
    """

    slice: Slice
    used_at: float
    inputs: Inputs | None = None
    _steady: Inputs = ()  # inputs without the clock
    _unnotified: Inputs | None = None  # steady inputs without file system events
    _looked_at: float = 0.0

    def is_current(self, *, is_touched: bool, thoroughly: bool) -> bool:
        """Return whether no input has changed since the last read.

        :param is_touched: whether there were file system events.
        :param thoroughly: check the clock too, which is seldom a reason to read again.
        """
        if self.inputs is None:
            return False
        now = time.monotonic()
        thoroughly = thoroughly or now - self._looked_at >= _ALL_SECONDS
        if thoroughly:
            self._looked_at = now
        if thoroughly or is_touched:
            self._unnotified = None
            return are_current(self.inputs if thoroughly else self._steady)
        if self._unnotified is None:
            self._unnotified = tuple(one for one in self._steady if not is_notified(one[0]))
        return are_current(self._unnotified)

    def read(self, clock: Input) -> list[Message]:
        """Read the channel again and return the messages for what changed."""
        self.inputs, self._looked_at = None, time.monotonic()
        with recording() as recorded:
            messages = self.slice.refresh()
        self.inputs, self._unnotified = recorded.inputs, None
        self._steady = tuple(one for one in recorded.inputs if one[0] is not clock)
        return messages


class Feed:
    """Reads the channels in its own thread.

    :param outlet: gets the changes and the responses to `subscribe` in the order of reading. After
        its response a subscriber therefore gets each later change and no earlier one.
    :param begin: values of channels that all clients already have.
    """

    def __init__(
        self, sources: Sources, outlet: Outlet, begin: Mapping[str, Any] | None = None
    ) -> None:
        self._sources = sources
        self._outlet = outlet
        self._begin = begin or {}
        # A number is the time of a file system event.
        self._inbox: queue.SimpleQueue[tuple[Subscription, Then] | float] = queue.SimpleQueue()
        self._tracked: dict[Topic, Followed] = {}
        self._turned_at = 0.0
        self._lock = threading.Lock()
        self._runs = False

    def subscribe(self, subscription: Subscription, then: Then) -> None:
        """Follow channels of a project and respond with their current state.

        :param then: called with the response in the outlet's thread.
        """
        with self._lock:
            self._inbox.put((subscription, then))
            if not self._runs:
                threading.Thread(target=self._run, name="live-feed", daemon=True).start()
                self._runs = True  # if a thread could be started

    def check_room(self, project: Path) -> None:
        """Check that a project is followed already, or that one more can be.

        :raises Unavailable: when MAX_PROJECTS others are followed.
        """
        followed = {topic.project for topic in list(self._tracked)} - {None}
        if project not in followed and len(followed) >= MAX_PROJECTS:
            detail = "Too many projects are followed. Try again later."
            raise Unavailable(detail, _RETRY_SECONDS)

    def _run(self) -> None:
        watcher = Watcher(lambda: self._inbox.put(time.monotonic()))
        thread = threading.Thread(target=watcher.run, name="live-watcher", daemon=True)
        self._turn_safely()  # the first turn determines which folders are watched
        try:
            thread.start()
        except RuntimeError as error:  # no more threads: poll
            get_notifier().give_up(error)
        try:
            while not self._is_over():
                self._turn_safely()
        finally:
            watcher.stop()

    def _is_over(self) -> bool:
        now = time.monotonic()
        for topic in self._outlet.topics_in_use:
            if topic in self._tracked:
                self._tracked[topic].used_at = now
        with self._lock:
            for topic, tracked in list(self._tracked.items()):
                if now - tracked.used_at > LINGER_SECONDS:
                    del self._tracked[topic]
            if self._tracked or not self._inbox.empty():
                return False
            self._runs = False
            return True

    def _turn_safely(self) -> None:
        try:
            self._turn()
        except Exception:  # an error must not stop the feed of all clients
            log.exception("the live feed could not be read")
            time.sleep(_MORE_SECONDS)

    def _turn(self) -> None:
        items = self._wait_for_turn()
        self._turned_at = time.monotonic()
        events = [item for item in items if isinstance(item, float)]
        with looking():
            for topic in sorted(self._tracked, key=_is_of_projects):  # seldom changed
                self._refresh(topic, is_touched=bool(events))
            for item in items:
                if isinstance(item, tuple):
                    self._respond(*item)
        if events:
            self._sources.counts.put(Gauge.FEED_LAG, time.monotonic() - min(events))

    def _wait_for_turn(self) -> list[tuple[Subscription, Then] | float]:
        """Wait for a request, an event or the time of the next turn; return the queued items."""
        has_more = any(one.slice.has_more for one in self._tracked.values())
        due = self._turned_at + (_MORE_SECONDS if has_more else _LOOK_SECONDS)
        items: list[tuple[Subscription, Then] | float] = []
        try:
            items.append(self._inbox.get(timeout=max(0.0, due - time.monotonic())))
            if isinstance(items[0], float):
                since = time.monotonic() - self._turned_at
                time.sleep(max(_TOGETHER_SECONDS, _APART_SECONDS - since))
            get_notifier().drain()
            while True:
                items.append(self._inbox.get_nowait())
        except queue.Empty:
            return items

    def _respond(self, subscription: Subscription, then: Then) -> None:
        """Respond to a subscription in any case: its client waits, and others come after it."""
        try:
            standing = self._serve(subscription)
        except Exception:
            log.exception("a subscription to the live feed failed")
            standing = Standing(refusal=_FAILED)
        self._outlet.post(partial(then, standing))

    def _serve(self, subscription: Subscription) -> Standing:
        """Read the channels of a subscription again and return their current state."""
        try:
            standing = Standing(self._find_project(subscription.project, subscription.limit))
        except PublicError as error:
            return Standing(refusal=error.detail)
        topics = topics_of(subscription.channels, standing.project, subscription.limit)
        for topic in sorted(topics, key=itemgetter(0)):
            name = topic.channel
            if topic not in self._tracked:
                self._tracked[topic] = self._track(topic)
                if name in self._begin:
                    self._tracked[topic].slice.restore(self._begin[name])
            self._tracked[topic].used_at = time.monotonic()
            self._refresh(topic, is_touched=True, thoroughly=True)
            channel = self._tracked[topic].slice
            standing.tokens[topic] = channel.token
            missed = channel.since(subscription.known[name]) if name in subscription.known else []
            if missed is None:
                standing.unknown.append(name)
                standing.whole.extend(channel.whole())
            elif name in subscription.known:
                standing.missed.extend(missed)
            else:
                standing.current.extend(channel.current())
        return standing

    def _find_project(self, identifier: str | None, limit: frozenset[str] | None) -> Path | None:
        """Return the directory of the project to follow.

        :raises NotFound: for an unknown project.
        :raises Unavailable: when MAX_PROJECTS others are followed.
        """
        if not identifier and limit is None:
            return None
        sources = self._limited(limit)
        root = (
            selection.find_root(sources, identifier)
            if identifier
            else selection.get_root(selection.choose(sources))
        )
        self.check_room(root)
        return root

    def _track(self, topic: Topic) -> Followed:
        own, root = self._limited(topic.limit), topic.project

        def show() -> Sources:
            return selection.open_project(own, root) if root else selection.choose(own)

        return Followed(CHANNELS[topic.channel](own, show), time.monotonic())

    def _limited(self, limit: frozenset[str] | None) -> Sources:
        return self._sources if limit is None else self._sources.limited_to(limit)

    def _refresh(self, topic: Topic, *, is_touched: bool, thoroughly: bool = False) -> None:
        """Read a topic again if one of its inputs has changed, and publish the messages."""
        tracked = self._tracked[topic]
        if tracked.is_current(is_touched=is_touched, thoroughly=thoroughly):
            return
        try:
            messages = tracked.read(self._sources.clock)
            if messages:
                self._outlet.publish(Batch.encode(topic, messages, tracked.slice.token))
        except Exception:  # the other topics continue
            log.exception("the channel %s could not be read", topic.channel)


def _is_of_projects(topic: Topic) -> bool:
    return topic.channel == PROJECTS
