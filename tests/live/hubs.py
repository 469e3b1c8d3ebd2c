"""A hub that is turned by hand, at a time that the test sets, with socket pairs for clients."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage

from loki_web.live.feed.feed import Standing, Subscription, Then
from loki_web.live.hub.connection import Connection
from loki_web.live.hub.event_loop import Loop
from loki_web.live.hub.event_stream import EventStream
from loki_web.live.hub.hub import Hub
from loki_web.live.hub.websocket import WebSocket
from loki_web.live.messages import Batch, Message, Topic
from loki_web.live.protocol import topics_of


@dataclass
class Time:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Source:
    """Knows where every channel stands."""

    hub: Hub

    def subscribe(self, subscription: Subscription, then: Then) -> None:
        root = Path(subscription.project) if subscription.project else None
        topics = topics_of(subscription.channels, root)
        standing = Standing(root, tokens=dict.fromkeys(topics, "aa"))
        self.hub.post(lambda: then(standing))


@dataclass
class Peer:
    """The other side of a connection.

    :ivar begun: what has come of a message that is not whole.
    """

    socket: socket.socket
    frames: Frames = field(default_factory=lambda: Frames(ConnectionType.CLIENT))
    begun: str = ""

    def say(self, content: Any) -> None:
        self.socket.sendall(self.frames.send(TextMessage(json.dumps(content))))

    def send(self, event: Event) -> None:
        self.socket.sendall(self.frames.send(event))

    def came(self) -> bytes:
        """What has come, without waiting."""
        found = b""
        try:
            while came := self.socket.recv(1 << 20):
                found += came
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        return found

    def events(self) -> list[Event]:
        self.frames.receive_data(self.came())
        return list(self.frames.events())

    def heard(self) -> list[Any]:
        """The messages that have come."""
        messages = []
        for event in self.events():
            if isinstance(event, TextMessage):
                self.begun += event.data
                if event.message_finished:
                    messages.append(json.loads(self.begun))
                    self.begun = ""
        return messages

    def is_pinged(self) -> bool:
        found = [event for event in self.events() if isinstance(event, Ping)]
        for event in found:
            self.send(event.response())
        return bool(found)

    def closing(self) -> CloseConnection | None:
        found = [event for event in self.events() if isinstance(event, CloseConnection)]
        return found[0] if found else None


class Bench:
    """A hub and its surroundings.

    :ivar given_back: how many places were given back.
    """

    def __init__(self) -> None:
        self.time = Time()
        self.given_back = 0
        self._peers: list[Peer] = []
        self.loop = Loop(self.time)
        self.hub = Hub(self.loop, self._count)
        self.hub.source = Source(self.hub)
        self.loop.start = lambda: None  # type: ignore[method-assign]  # turned by hand
        self.loop.prepare()

    def client(self, may_stay: Callable[[], bool] | None = None) -> Peer:
        ours, peer = self._pair()
        self._adopt(WebSocket(ours, may_stay=may_stay))
        return peer

    def meet(self, ours: socket.socket, theirs: socket.socket) -> Peer:
        """A client with sockets of the test's own, which are connected."""
        peer = self._peer(theirs)
        self._adopt(WebSocket(ours))
        return peer

    def refused(self, code: int) -> Peer:
        ours, peer = self._pair()
        self.hub.refuse(WebSocket(ours), code, "no")
        self.turn()
        return peer

    def listener(self, last_id: str = "", *channels: str) -> Peer:
        ours, peer = self._pair()
        named = frozenset(channels) or frozenset({"tasks"})
        self._adopt(EventStream(ours, b"", named, last_id))
        return peer

    def publish(self, channel: str, *messages: Message) -> None:
        self.hub.publish(Batch(Topic(channel), messages, "bb"))
        self.turn()

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, and the hub do what there is to do."""
        self.time.now += seconds
        for _ in range(6):
            self.loop.turn(0.0)

    def hear(self, peer: Peer) -> list[Any]:
        """Let the hub do what there is to do; return the messages that a client got."""
        self.turn()
        return peer.heard()

    def close(self) -> None:
        """End as a worker does; nobody is left."""
        self.hub.close()
        self.turn()
        self.turn(10)
        assert self.hub.count == 0
        for peer in self._peers:
            peer.socket.close()

    def _adopt(self, connection: Connection) -> None:
        connection.counted = True
        self.hub.adopt(connection)
        self.turn()

    def _pair(self) -> tuple[socket.socket, Peer]:
        ours, theirs = socket.socketpair()
        return ours, self._peer(theirs)

    def _peer(self, theirs: socket.socket) -> Peer:
        theirs.setblocking(False)
        self._peers.append(Peer(theirs))
        return self._peers[-1]

    def _count(self) -> None:
        self.given_back += 1


def list_feed_threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name in ("live-feed", "live-watcher")}
