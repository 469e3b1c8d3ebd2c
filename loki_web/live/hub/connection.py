"""One client of the feed: its socket, its write queue and its channels."""

import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from loki_web.live.feed.feed import Standing
from loki_web.live.hub import socket_takeover
from loki_web.live.messages import Batch, Topic
from loki_web.live.protocol import topics_of

MAX_WAITING_BYTES = 256 * 1024
MAX_WAITING = 1000  # queued writes; small ones cost more memory than their bytes
SEND_BUFFER_BYTES = 64 * 1024
DEAD_MILLISECONDS = 60_000  # how long sent data may stay unacknowledged
ANSWER_SECONDS = 10.0  # for the response to a keepalive, or for reading it
_READ_BYTES = 16 * 1024
_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

# Returns whether the client may still listen; checked at each keepalive.
MayStay = Callable[[], bool]


class Connection:
    """After the hand-over only the hub's thread uses it.

    :ivar counted: whether it counts toward the limit of connections.
    :ivar heard_at: when the client last sent or read something.
    :ivar is_joining: until the first messages are sent.
    :ivar is_paused: while nothing is read from the client.
    :ivar is_leaving: after the server has started to close it.
    :ivar is_over: when it ends after the write queue is sent.
    :ivar ends_at: when it is dropped, even with queued data; None while it is open.
    :ivar listens_to: the topics of the hub's audience.
    :ivar limit: the projects to which its token is limited, see `Sources.limit`.
    :ivar project: the directory of the project that it follows; None for the one that is shown.
    :ivar mask: the events that the selector waits for.
    """

    KEEPALIVE_SECONDS: ClassVar[float]
    ANSWERS: ClassVar[bool]  # whether clients respond to keepalives

    __slots__ = (
        "__weakref__",
        "_queue",
        "_waiting",
        "channels",
        "counted",
        "ends_at",
        "heard_at",
        "is_joining",
        "is_leaving",
        "is_over",
        "is_paused",
        "limit",
        "listens_to",
        "mask",
        "may_stay",
        "project",
        "sock",
    )

    def __init__(
        self,
        sock: socket.socket,
        channels: frozenset[str],
        may_stay: MayStay | None = None,
        project: Path | None = None,
    ) -> None:
        self.sock = socket_takeover.take(sock)
        self.channels = channels
        self.project = project
        self.limit: frozenset[str] | None = None
        self.may_stay = may_stay
        self.counted = False
        self.heard_at = 0.0
        self.ends_at: float | None = None
        self.is_joining = True
        self.is_paused = True
        self.is_leaving = False
        self.is_over = False
        self.listens_to: frozenset[Topic] = frozenset()
        self.mask = 0
        self._queue: list[memoryview] = []  # a list: short, and smaller than a deque when empty
        self._waiting = 0
        _bound(self.sock)

    @property
    def topics(self) -> frozenset[Topic]:
        """Return the channels of the project that it follows."""
        return topics_of(self.channels, self.project, self.limit)

    @property
    def known(self) -> Mapping[str, str]:
        """Return the states of channels that a reconnecting client has, by channel."""
        return {}

    @property
    def has_waiting(self) -> bool:
        """Return whether data is queued that the client has not taken."""
        return bool(self._queue)

    @property
    def is_behind(self) -> bool:
        """Return whether too much is queued: the client reads too slowly."""
        return self._waiting > MAX_WAITING_BYTES or len(self._queue) > MAX_WAITING

    @property
    def listens(self) -> bool:
        """Return whether to read from the client: not while a response is pending or unread."""
        return not (self.is_paused or self.is_behind)

    def is_dead(self, now: float) -> bool:
        """Return whether the client has not responded to a keepalive, or reads nothing."""
        if not self.ANSWERS and not self.has_waiting:
            self.heard_at = now
        return now - self.heard_at > self.KEEPALIVE_SECONDS + ANSWER_SECONDS

    def welcome(self, standing: Standing, tokens: Mapping[Topic, str]) -> None:
        """Send the first messages."""
        raise NotImplementedError

    def deliver(self, batch: Batch, tokens: Mapping[Topic, str]) -> None:
        """Send the messages of a batch.

        :param tokens: the states of the topics after it.
        :raises OSError: when the client has disconnected.
        """
        raise NotImplementedError

    def keep_alive(self) -> None:
        """Send a ping or a heartbeat.

        :raises OSError: when the client has disconnected.
        """
        raise NotImplementedError

    def hear(self, data: bytes) -> None:
        """Handle received bytes."""
        raise NotImplementedError

    def say_goodbye(self, code: int, reason: str) -> None:
        """Start to close the connection, with code and reason if the protocol has them."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Write to the socket; queue what it does not take at once.

        :raises OSError: when the client has disconnected.
        """
        self._queue.append(memoryview(data))
        self._waiting += len(data)
        if len(self._queue) == 1:
            self.flush()

    def flush(self) -> bool:
        """Write queued data, and return whether some was written.

        :raises OSError: when the client has disconnected.
        """
        before = self._waiting
        while self._queue:
            try:
                sent = self.sock.send(self._queue[0])
            except _NOT_NOW:
                break
            self._waiting -= sent
            if sent < len(self._queue[0]):
                self._queue[0] = self._queue[0][sent:]
            else:
                self._queue.pop(0)
        return self._waiting < before

    def forget_waiting(self) -> int:
        """Drop queued writes except the first, of which a part may be written.

        Frames must stay intact, and TLS refuses all other data until it has written the rest of a
        record.

        :return: how many were dropped.
        """
        dropped = self._queue[1:]
        del self._queue[1:]
        self._waiting -= sum(map(len, dropped))
        return len(dropped)

    def receive(self) -> bytes | None:
        """Return received bytes; empty at the end of the stream, None if there are none yet.

        :raises OSError: when the client has disconnected.
        """
        try:
            return self.sock.recv(_READ_BYTES)
        except _NOT_NOW:
            return None

    @property
    def has_undelivered_input(self) -> bool:
        """Return whether TLS has decrypted bytes, which the selector does not see."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0


def _bound(sock: socket.socket) -> None:
    """Bound the kernel's send buffer: it could hide megabytes that a client does not read."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_MILLISECONDS)
