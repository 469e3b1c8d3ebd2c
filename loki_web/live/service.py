"""The live feed of one application: its hub, what feeds it, and how many may listen."""

import socket
from dataclasses import dataclass

from flask import Flask
from wsproto.connection import Connection as Frames

from loki_web.live.feed.feed import Feed
from loki_web.live.hub.connection import Connection, MayStay
from loki_web.live.hub.event_stream import EventStream
from loki_web.live.hub.hub import TRY_AGAIN_LATER, Hub
from loki_web.live.hub.websocket import WebSocket
from loki_web.services.context import Sources
from loki_web.store.shared.counter import SharedCount

_EXTENSION = "loki_web.live"
_TOO_MANY = "There are too many connections"


@dataclass(frozen=True)
class Live:
    """:param places: the connections of all workers together.
    :param most: how many there may be.
    """

    hub: Hub
    places: SharedCount
    most: int

    @classmethod
    def of(cls, src: Sources) -> "Live":
        places = SharedCount(src.cache_folder, "connections")
        hub = Hub(give_back=places.give_back)
        hub.source = Feed(src, hub)
        return cls(hub, places, src.settings.max_ws_connections)

    @property
    def is_full(self) -> bool:
        return self.places.total() >= self.most

    def open_socket(self, sock: socket.socket, frames: Frames, may_stay: MayStay | None) -> None:
        """A WebSocket whose handshake is done; one too many is closed with 1013."""
        self._admit(WebSocket(sock, frames, may_stay))

    def open_stream(
        self,
        sock: socket.socket,
        head: bytes,
        channels: frozenset[str],
        last_id: str,
        may_stay: MayStay | None,
    ) -> None:
        """A listener to server-sent events.

        :param head: the head of the response, still to be written.
        :raises OSError: when the peer is gone already.
        """
        self._admit(EventStream(sock, head, channels, last_id, may_stay))

    def close(self) -> None:
        """Say goodbye to everybody."""
        self.hub.close()

    def _admit(self, connection: Connection) -> None:
        connection.counted = self.places.take(self.most)
        if connection.counted:
            self.hub.adopt(connection)
        else:
            self.hub.refuse(connection, TRY_AGAIN_LATER, _TOO_MANY)


def install(app: Flask, src: Sources) -> None:
    app.extensions[_EXTENSION] = Live.of(src)


def of(app: object) -> Live | None:
    """The live feed of an application, or None where it has none."""
    found: Live | None = getattr(app, "extensions", {}).get(_EXTENSION)
    return found
