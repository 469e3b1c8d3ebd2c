"""The feed of a session of another machine: a copy of the end of its stream, kept in memory.

It implements `live.feed.feed.Source` for a hub. Tokens are the ids of entries, which all servers
share. While Redis does not answer, it serves what it has.
"""

import logging
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from loki_web.errors import AwayError
from loki_web.live import protocol
from loki_web.live.feed.feed import Outlet, Standing, Subscription, Then
from loki_web.live.machines.entries import (
    MOST_BYTES,
    MOST_ENTRIES,
    NO_ID,
    Entry,
    Id,
    State,
    format_id,
    load_entries,
    load_states,
    parse_id,
    read_entry,
)
from loki_web.live.messages import Batch, Message, Topic
from loki_web.live.protocol import topics_of
from loki_web.services.machines import keys

if TYPE_CHECKING:
    from loki_web.store.shared.redis import Link

# Channels that greet a new subscriber with their value.
_VALUES = frozenset({protocol.STATUS, protocol.AGENTS, protocol.COST, protocol.COUNCIL})
LINGER_SECONDS = 60.0
_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 0.5
_NONE: Mapping[str, State] = MappingProxyType({})
Put = Callable[[Callable[[], None]], None]

log = logging.getLogger(__name__)


class Audience(Outlet, Protocol):
    """The hub, which can also send its clients away."""

    def send_away(self) -> None:
        """Close all connections, so that the clients connect again."""


class Copy:
    """The end of a stream, and the states of its channels."""

    def __init__(self, entries: Sequence[Entry] = (), states: Mapping[str, State] = _NONE) -> None:
        # The entry before the first one. Redis may have lost the entries that states include.
        latest = max((state.at for state in states.values()), default=NO_ID)
        start = entries[0].before if entries else latest
        self.last = start
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._states = dict(states)
        self._floor: defaultdict[str, Id] = defaultdict(lambda: start)
        self._last_of = {channel: state.last for channel, state in states.items()}
        for entry in entries:
            self.append(entry)

    def append(self, entry: Entry) -> None:
        """Append the next entry."""
        self.last = entry.id
        if entry.channel:
            self._entries.append(entry)
            self._bytes += entry.size
            self._last_of[entry.channel] = max(self._last_of.get(entry.channel, NO_ID), entry.id)
        while len(self._entries) > MOST_ENTRIES or self._bytes > MOST_BYTES:
            oldest = self._entries.popleft()
            self._bytes -= oldest.size
            self._floor[oldest.channel] = oldest.id

    def has(self, entry_id: Id) -> bool:
        """Return whether an entry is in the copy; for any thread."""
        return any(entry.id == entry_id for entry in tuple(self._entries))

    def put_states(self, states: Mapping[str, State]) -> None:
        """Replace states by newer ones."""
        self._states.update(states)

    def has_state(self, channel: str) -> bool:
        """Return whether the state and the entries lead to the present."""
        state = self._states.get(channel)
        return state is not None and (
            state.at >= self._last_of.get(channel, NO_ID) or state.at >= self._floor[channel]
        )

    def get_token(self, channel: str) -> str:
        """Return the id of the last entry of a channel."""
        return format_id(self._last_of.get(channel, NO_ID))

    def since(self, channel: str, token: str) -> list[Message] | None:
        """Return the messages since a token, None if they are not known.

        :param token: an id, or the token of a server that has the files.
        """
        start = parse_id(token) or self._find(channel, token)
        last = self._last_of.get(channel, NO_ID)
        if start is None or start > last or start < min(self._floor[channel], last):
            return None
        return self._after(channel, start)

    def whole(self, channel: str) -> list[Message]:
        """Return the state of a channel and the messages since."""
        state = self._states.get(channel)
        return [] if state is None else [*state.messages, *self._after(channel, state.at)]

    def _find(self, channel: str, token: str) -> Id | None:
        for entry in reversed(self._entries):
            if entry.channel == channel and entry.token == token:
                return entry.id
        state = self._states.get(channel)
        return state.last if state is not None and state.token == token else None

    def _after(self, channel: str, start: Id) -> list[Message]:
        entries = (each for each in self._entries if each.channel == channel and each.id > start)
        return [message for entry in entries for message in entry.messages]


class RemoteFeed:
    """Follows a session for a hub, while there are subscribers and LINGER_SECONDS longer.

    :param outlet: gets the changes and the responses to `subscribe` in the order of the stream.
    :ivar runs: whether it has threads and a copy.
    """

    def __init__(self, session: str, link: "Link", outlet: Audience) -> None:
        self._session = session
        self._link = link
        self._outlet = outlet
        self._copy = Copy()
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._used_at = 0.0
        self._lock = threading.Lock()
        self.runs = False

    def subscribe(self, subscription: Subscription, then: Then) -> None:
        """Respond with the state of channels, see `Feed.subscribe`; of this session alone."""
        with self._lock:
            self._inbox.put(lambda: self._outlet.post(partial(then, self._serve(subscription))))
            if not self.runs:
                threading.Thread(target=self._run, name="remote-feed", daemon=True).start()
                self.runs = True  # if a thread could be started

    def _run(self) -> None:
        """Do what is in the inbox; only this thread uses the copy."""
        last, over, is_read = None, threading.Event(), False
        self._used_at = time.monotonic()
        with suppress(AwayError):
            self._copy = self._load()
            last = self._copy.last
        while not self._is_over(over):
            is_read = is_read or self._start_reader(last, over)
            try:
                self._inbox.get(timeout=_LOOK_SECONDS)()
            except queue.Empty:
                pass
            except Exception:  # an error must not stop the feed of all clients
                log.exception("the feed of another machine failed")

    def _start_reader(self, last: Id | None, over: threading.Event) -> bool:
        """Start to read the stream after `last`; return False if it has to be tried again."""
        reader = threading.Thread(
            target=self._read, args=(last, over), name="remote-reader", daemon=True
        )
        try:
            reader.start()
        except RuntimeError as error:  # no more threads: what comes waits in the stream
            log.warning("the stream of another machine is not read yet: %s", error)
            return False
        return True

    def _is_over(self, over: threading.Event) -> bool:
        """Return whether nobody needs the feed any more; then end the reader.

        :param over: set when what the reader still puts into the inbox is not for the next copy.
        """
        now = time.monotonic()
        if self._outlet.topics_in_use:
            self._used_at = now
        with self._lock:
            if now - self._used_at <= LINGER_SECONDS or not self._inbox.empty():
                return False
            over.set()
            self._copy, self.runs = Copy(), False
            return True

    def _read(self, last: Id | None, over: threading.Event) -> None:
        """Read the stream, and put its entries into the inbox.

        :param last: the last entry of the copy; None if nothing could be copied yet.
        :param over: set when the feed has ended.
        """

        def put(action: Callable[[], None]) -> None:
            self._inbox.put(lambda: None if over.is_set() else action())

        while not over.is_set():
            try:
                last = self._begin(put) if last is None else self._go_on(last, put)
            except AwayError:
                time.sleep(_PAUSE_SECONDS)
            except Exception:
                log.exception("the stream of another machine could not be read")
                time.sleep(_PAUSE_SECONDS)

    def _begin(self, put: Put) -> Id:
        """Copy the stream anew, and let all clients begin anew; return the last entry."""
        copy = self._load()
        log.warning("a session of another machine was read anew: its clients connect again")

        def begin() -> None:
            self._copy = copy
            self._outlet.send_away()

        last = copy.last  # before it is used in the other thread
        put(begin)
        return last

    def _go_on(self, last: Id, put: Put) -> Id | None:
        """Wait for entries, and return the last one; None if some before them are missing."""
        for _, raw in self._link.read_streams({keys.events(self._session): format_id(last)}):
            entries = list(map(read_entry, raw))
            if not _is_chain(last, entries):
                return None
            put(partial(self._take, entries))
            return entries[-1].id
        return None if self._is_another(last) else last

    def _is_another(self, last: Id) -> bool:
        """Return whether the stream was begun anew with ids below `last`.

        Redis was emptied, and the clock of the next publisher is behind. A stream that has lost its
        end only has entries that are in the copy.
        """
        stream = keys.events(self._session)
        raw = self._link.call(lambda client: client.xrevrange(stream, count=1), tries_anyway=True)
        end = read_entry(raw[0]).id if raw else last
        return end < last and not self._copy.has(end)

    def _load(self) -> Copy:
        """Copy the entries of the stream that follow each other, and the states.

        States are loaded first: whatever one of them includes of another channel is in the entries.
        """
        states = self._load_states()
        entries = self._link.call(partial(load_entries, self._session), tries_anyway=True)
        breaks = [n for n in range(1, len(entries)) if entries[n].before != entries[n - 1].id]
        return Copy(entries[breaks[-1] if breaks else 0 :], states)

    def _load_states(self) -> dict[str, State]:
        return self._link.call(partial(load_states, self._session), tries_anyway=True)

    def _take(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._copy.append(entry)
            if entry.messages:
                batch = Batch.encode(Topic(entry.channel), entry.messages, format_id(entry.id))
                self._outlet.publish(batch)

    def _serve(self, subscription: Subscription) -> Standing:
        is_seen = subscription.limit is None or self._session in subscription.limit
        if not is_seen or subscription.project not in (None, "", self._session):
            return Standing(refusal="Project not found")
        standing, known_tokens, self._used_at = Standing(), subscription.known, time.monotonic()
        if not all(map(self._copy.has_state, subscription.channels)):
            self._refresh_states()
        for topic in sorted(topics_of(subscription.channels, None, subscription.limit)):
            name = topic.channel
            standing.tokens[topic] = self._copy.get_token(name)
            if topic.limit is not None:
                continue  # the list of the machine's projects, which a limited token does not get
            missed = self._copy.since(name, known_tokens[name]) if name in known_tokens else []
            if missed is None and name in _VALUES:
                standing.missed.extend(self._copy.whole(name)[-1:])
            elif missed is None:
                standing.unknown.append(name)
                standing.whole.extend(self._copy.whole(name))
            elif name in known_tokens:
                standing.missed.extend(missed)
            elif name in _VALUES:
                standing.current.extend(self._copy.whole(name)[-1:])
        return standing

    def _refresh_states(self) -> None:
        try:
            self._copy.put_states(self._load_states())
        except AwayError:
            return


def _is_chain(last: Id, entries: list[Entry]) -> bool:
    return all(
        entry.before == before
        for entry, before in zip(entries, [last, *(e.id for e in entries)], strict=False)
    )
