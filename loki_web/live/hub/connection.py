"""One client of the feed: its socket, what waits to be written to it, and what it listens to."""

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import ClassVar

from loki_web.live.feed.feed import Standing
from loki_web.live.hub import socket_takeover
from loki_web.live.messages import Batch

MAX_WAITING_BYTES = 256 * 1024
MAX_WAITING = 1000  # writes, since small ones cost more than their bytes
SEND_BUFFER_BYTES = 64 * 1024
DEAD_MILLISECONDS = 60_000  # how long what was sent may stay unacknowledged
ANSWER_SECONDS = 10.0  # in which a keepalive has to be answered, or taken
_READ_BYTES = 16 * 1024
_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

# True while whoever opened the connection may still listen.
MayStay = Callable[[], bool]


class Connection:
    """Used by the hub's thread alone, from the moment it is handed over.

    :ivar counted: whether it takes one of the places that there are for connections.
    :ivar heard_at: when something last came from the peer, or was last taken by it.
    :ivar is_joining: until it is told where the channels stand.
    :ivar is_paused: while nothing is read from it.
    :ivar is_leaving: once we said goodbye.
    :ivar is_over: once nothing more is to come; what waits is still written.
    :ivar ends_at: when it is cut off all the same; None while it is open.
    :ivar listens_to: the channels for which the hub knows it.
    :ivar mask: what the selector waits for.
    """

    KEEPALIVE_SECONDS: ClassVar[float]
    ANSWERS: ClassVar[bool]  # whether a live client answers to each keepalive

    __slots__ = (
        "__weakref__",
        "_offset",
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
        "listens_to",
        "mask",
        "may_stay",
        "sock",
    )

    def __init__(
        self, sock: socket.socket, channels: frozenset[str], may_stay: MayStay | None = None
    ) -> None:
        self.sock = socket_takeover.take(sock)
        self.channels = channels
        self.may_stay = may_stay
        self.counted = False
        self.heard_at = 0.0
        self.ends_at: float | None = None
        self.is_joining = True
        self.is_paused = True
        self.is_leaving = False
        self.is_over = False
        self.listens_to: frozenset[str] = frozenset()
        self.mask = 0
        self._queue: list[memoryview] = []  # short, and empty it is small
        self._waiting = 0
        self._offset = 0
        _bound(self.sock)

    @property
    def known(self) -> Mapping[str, str]:
        """The states of channels that the client knows from before."""
        return {}

    @property
    def has_waiting(self) -> bool:
        return bool(self._queue)

    @property
    def is_behind(self) -> bool:
        """True where the client takes less than it is sent."""
        return self._waiting > MAX_WAITING_BYTES or len(self._queue) > MAX_WAITING

    @property
    def listens(self) -> bool:
        """False while nothing more is to be asked: until an answer is there, or those are taken."""
        return not (self.is_paused or self.is_behind)

    def is_dead(self, now: float) -> bool:
        """True where the last keepalive was not answered, or nothing of what waits was taken."""
        if not self.ANSWERS and not self.has_waiting:
            self.heard_at = now
        return now - self.heard_at > self.KEEPALIVE_SECONDS + ANSWER_SECONDS

    def welcome(self, standing: Standing, tokens: Mapping[str, str]) -> None:
        """The first that the client is sent."""
        raise NotImplementedError

    def deliver(self, batch: Batch, tokens: Mapping[str, str]) -> None:
        raise NotImplementedError

    def keep_alive(self) -> None:
        raise NotImplementedError

    def hear(self, data: bytes) -> None:
        """Something came from the client."""
        raise NotImplementedError

    def say_goodbye(self, code: int, reason: str) -> None:
        """Tell the client that the connection ends, where its protocol has words for it."""
        raise NotImplementedError

    def put(self, data: bytes) -> None:
        """Write, or let it wait until the peer takes it.

        :raises OSError: when the peer is gone.
        """
        self._queue.append(memoryview(data))
        self._waiting += len(data)
        if len(self._queue) == 1:
            self.flush()

    def flush(self) -> bool:
        """Write what waits; true when the peer took some of it.

        :raises OSError: when the peer is gone.
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
                self._offset += sent
            else:
                self._queue.pop(0)
                self._offset = 0
        return self._waiting < before

    def forget_waiting(self) -> None:
        """Drop what has not begun to be written; a frame that was begun has to be ended."""
        while len(self._queue) > (1 if self._offset else 0):
            self._waiting -= len(self._queue.pop())

    def receive(self) -> bytes | None:
        """What came; empty at the peer's end, None where nothing has come.

        :raises OSError: when the peer is gone.
        """
        try:
            return self.sock.recv(_READ_BYTES)
        except _NOT_NOW:
            return None

    @property
    def has_undelivered_input(self) -> bool:
        """True where TLS holds bytes that no selector sees."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0


def _bound(sock: socket.socket) -> None:
    """A kernel buffer that grows to megabytes would hide for long that nobody reads."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_MILLISECONDS)
