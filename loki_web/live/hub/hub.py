"""All live connections of one process, served by one thread.

A connection costs a socket and a few objects. The hub selects on all sockets and writes what each
can take without blocking. The rest is queued up to a limit: a client that stops reading is
disconnected with close code 1013, and other clients are not delayed.
"""

import logging
import selectors
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from loki_web.live.feed.feed import Source, Standing, Subscription
from loki_web.live.hub import socket_takeover
from loki_web.live.hub.connection import Connection
from loki_web.live.hub.event_loop import Loop
from loki_web.live.hub.websocket import WebSocket
from loki_web.live.messages import Batch, Topic
from loki_web.live.protocol import Command
from loki_web.services.cells import Counter, Gauge
from loki_web.store.shared.counts import Counts, open_counts

GOING_AWAY, POLICY_VIOLATION, TRY_AGAIN_LATER = 1001, 1008, 1013
CLOSING_SECONDS = 2.0  # for the closing handshake
NO_TOPICS: frozenset[Topic] = frozenset()
_MAX_CLOSING = 1000
_GOING_AWAY = "The server is shutting down"
_LOST = "Messages were lost. Connect again."

log = logging.getLogger(__name__)


class Audience:
    """The connections that listen to each topic.

    :ivar topics: those with at least one listener.
    """

    def __init__(self) -> None:
        self._listeners: dict[Topic, set[Connection]] = {}
        self.topics: frozenset[Topic] = frozenset()

    def listeners_of(self, topic: Topic) -> list[Connection]:
        """Return the connections that listen to a topic."""
        return list(self._listeners.get(topic, ()))

    def set_topics(self, connection: Connection, topics: frozenset[Topic]) -> None:
        """Make a connection listen to these topics and to no others."""
        before = connection.listens_to
        if topics == before:
            return
        connection.listens_to = topics
        for topic in before - topics:
            self._listeners[topic].discard(connection)
            if not self._listeners[topic]:
                del self._listeners[topic]
        for topic in topics - before:
            self._listeners.setdefault(topic, set()).add(connection)
        self.topics = frozenset(self._listeners)


class Hub:
    """The connections of a process and their event loop.

    Public methods are thread-safe; `close` may be called from a signal handler.

    :ivar source: set once, before the first connection.
    :param give_back: called when a counted connection has ended.
    :param counts: where connections and messages are counted for `/metrics`.
    """

    source: Source

    def __init__(
        self,
        loop: Loop | None = None,
        give_back: Callable[[], None] = lambda: None,
        counts: Counts | None = None,
    ) -> None:
        self._loop = loop or Loop()
        self._clock = self._loop.clock
        self._give_back = give_back
        self._counts = counts or open_counts()
        self._connections: set[Connection] = set()
        self._audience = Audience()
        self._tokens: dict[Topic, str] = {}
        self._closing = 0
        self._closes = False
        self._all_gone = threading.Event()

    @property
    def count(self) -> int:
        """Return the number of connections of this process."""
        return len(self._connections)

    @property
    def topics_in_use(self) -> frozenset[Topic]:
        """Return the topics that have at least one listener."""
        return self._audience.topics

    def prepare(self) -> None:
        """Open the descriptors that the event loop needs; call it after the fork."""
        self._loop.prepare()

    def adopt(self, connection: Connection) -> None:
        """Take over a connection and serve it."""
        self._loop.start()
        if connection.counted:
            self._count_open(connection, 1)
        self.post(partial(self._join, connection))

    def refuse(self, connection: Connection, code: int, reason: str) -> None:
        """Close a connection with a code and a reason, in the way of its protocol."""
        self._loop.start()
        self.post(partial(self._reject, connection, code, reason))

    def publish(self, batch: Batch) -> None:
        """Send a batch to all subscribers of its topic."""
        self.post(partial(self._deliver, batch))

    def post(self, action: Callable[[], None]) -> None:
        """Run an action in the hub's thread."""
        self._loop.post(action)

    def close(self) -> None:
        """Close all connections with code 1001, and refuse new ones."""
        self.post(self._close_all)

    def send_away(self) -> None:
        """Close all connections with code 1013: the clients connect again and begin anew."""
        self.post(partial(self._end_all, TRY_AGAIN_LATER, _LOST))

    def wait_until_empty(self, seconds: float) -> None:
        """Wait until all connections have ended, after `close`, but not longer than `seconds`."""
        if self._connections:
            self._all_gone.wait(seconds)

    # The life of a connection, in order.

    def _join(self, connection: Connection) -> None:
        if self._closes:
            self._reject(connection, GOING_AWAY, _GOING_AWAY)
            return
        self._connections.add(connection)
        connection.heard_at = self._clock()
        if isinstance(connection, WebSocket):
            connection.subscribe = partial(self._subscribe, weakref.ref(connection))
        then = partial(self._begin, connection)
        project = str(connection.project) if connection.project else None
        subscription = Subscription(
            connection.channels, connection.known, project, connection.limit
        )
        self._guarded(connection, partial(self.source.subscribe, subscription, then))

    def _begin(self, connection: Connection, standing: Standing) -> None:
        def welcome() -> None:
            if standing.refusal:
                self._start_closing(connection, TRY_AGAIN_LATER, standing.refusal)
                return
            connection.project = standing.project
            connection.welcome(standing, self._tokens)
            connection.is_joining = connection.is_paused = False
            self._remind(connection, connection.KEEPALIVE_SECONDS)

        self._tokens.update(standing.tokens)
        self._guarded(connection, welcome)

    def _subscribe(self, reference: "weakref.ref[WebSocket]", command: Command) -> None:
        connection = reference()
        if connection is None:
            return
        channels, project = command.channels, command.project
        if project is not None:  # all channels of a connection are of one project
            channels = connection.extend(channels)
        elif connection.project is not None:
            project = str(connection.project)
        then = partial(self._subscribed, connection, command)
        subscription = Subscription(channels, command.known, project, connection.limit)
        self.source.subscribe(subscription, then)

    def _subscribed(self, connection: WebSocket, command: Command, standing: Standing) -> None:
        def go_on() -> None:
            connection.subscribed(command, standing)
            if connection.has_undelivered_input:
                self._read(connection)

        self._tokens.update(standing.tokens)
        self._guarded(connection, go_on)

    def _deliver(self, batch: Batch) -> None:
        self._tokens[batch.topic] = batch.token
        sent = 0
        for connection in self._audience.listeners_of(batch.topic):
            if connection.ends_at is None:
                sent += not connection.is_behind
                self._guarded(connection, partial(self._send_or_close, connection, batch))
        self._counts.add(Counter.MESSAGES_SENT, sent * len(batch.messages))

    def _send_or_close(self, connection: Connection, batch: Batch) -> None:
        if connection.is_behind:
            dropped = len(batch.messages) + connection.forget_waiting()
            self._counts.add(Counter.MESSAGES_DROPPED, dropped)
            self._start_closing(connection, TRY_AGAIN_LATER, "The client reads too slowly")
        else:
            connection.deliver(batch, self._tokens)

    def _attend(self, connection: Connection, mask: int) -> None:
        if mask & selectors.EVENT_WRITE and connection.flush():
            connection.heard_at = self._clock()
            if connection.listens:
                connection.hear(b"")  # input that was received while the queue was full
                if connection.has_undelivered_input:
                    self._read(connection)
        if mask & selectors.EVENT_READ:
            self._read(connection)

    def _read(self, connection: Connection) -> None:
        while connection.listens or connection.ends_at is not None:
            data = connection.receive()
            if data is None:
                return
            if not data:
                raise ConnectionResetError
            connection.heard_at = self._clock()
            connection.hear(data)
            if not connection.has_undelivered_input:
                return

    def _keep(self, reference: "weakref.ref[Connection]") -> None:
        """Send a keepalive, or end a connection whose time to close is over."""
        connection = reference()
        if connection is None:
            return
        if connection.ends_at is None:
            self._guarded(connection, partial(self._keep_alive, connection))
        elif connection.ends_at <= self._clock():
            self._drop(connection)

    def _keep_alive(self, connection: Connection) -> None:
        if connection.is_dead(self._clock()):
            raise ConnectionResetError
        if connection.may_stay is not None and not connection.may_stay():
            self._start_closing(connection, POLICY_VIOLATION, "The token is no longer valid")
            return
        connection.keep_alive()
        self._remind(connection, connection.KEEPALIVE_SECONDS)

    def _start_closing(self, connection: Connection, code: int, reason: str) -> None:
        connection.say_goodbye(code, reason)
        connection.is_over = connection.is_over or self._closing >= _MAX_CLOSING
        connection.is_leaving = True

    def _reject(self, connection: Connection, code: int, reason: str) -> None:
        self._connections.add(connection)
        connection.is_paused = False
        self._guarded(connection, partial(self._start_closing, connection, code, reason))

    def _close_all(self) -> None:
        self._closes = True
        self._end_all(GOING_AWAY, _GOING_AWAY)
        self._note_all_gone()

    def _end_all(self, code: int, reason: str) -> None:
        for connection in list(self._connections):
            if connection.ends_at is None:
                self._guarded(connection, partial(self._start_closing, connection, code, reason))

    def _drop(self, connection: Connection) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        self._audience.set_topics(connection, NO_TOPICS)
        self._loop.watch(connection.sock, connection.mask, 0, _nothing)
        with suppress(OSError):
            socket_takeover.close(connection.sock)
        self._closing -= connection.ends_at is not None
        if connection.counted:
            self._give_back()
            self._count_open(connection, -1)
        self._note_all_gone()

    def _count_open(self, connection: Connection, change: int) -> None:
        is_socket = isinstance(connection, WebSocket)
        self._counts.add(Gauge.WEBSOCKETS if is_socket else Gauge.EVENT_STREAMS, change)

    # Invariants of a connection, restored after each action.

    def _guarded(self, connection: Connection, action: Callable[[], None]) -> None:
        """Run an action for one connection; an error ends this connection only."""
        if connection not in self._connections:
            return
        try:
            action()
            self._settle(connection)
        except OSError:
            self._drop(connection)
        except Exception:
            log.exception("a live connection failed")
            self._drop(connection)

    def _settle(self, connection: Connection) -> None:
        if connection.is_over and not connection.has_waiting:
            self._drop(connection)
            return
        if connection.ends_at is None and (connection.is_over or connection.is_leaving):
            connection.ends_at = self._clock() + CLOSING_SECONDS
            self._closing += 1
            self._remind(connection, CLOSING_SECONDS)
        has_begun = connection.ends_at is None and not connection.is_joining
        self._audience.set_topics(connection, connection.topics if has_begun else NO_TOPICS)
        reads = connection.ends_at is not None or connection.listens
        mask = selectors.EVENT_READ * reads | selectors.EVENT_WRITE * connection.has_waiting
        if mask != connection.mask:
            attend = partial(self._attended, connection)
            self._loop.watch(connection.sock, connection.mask, mask, attend)
            connection.mask = mask

    def _attended(self, connection: Connection, mask: int) -> None:
        self._guarded(connection, partial(self._attend, connection, mask))

    def _remind(self, connection: Connection, seconds: float) -> None:
        self._loop.remind(seconds, partial(self._keep, weakref.ref(connection)))

    def _note_all_gone(self) -> None:
        if self._closes and not self._connections:
            self._all_gone.set()


def _nothing(_: int) -> None:
    """Ignore events of a socket that is no longer selected."""
