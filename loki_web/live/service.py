"""The live feed of one application: hub, feed and the limit of connections."""

import resource
import socket
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakSet

from flask import Flask
from wsproto.connection import Connection as Frames

from loki_web.auth.identity import Identity
from loki_web.live.feed.feed import Feed
from loki_web.live.hub.connection import Connection, MayStay
from loki_web.live.hub.event_stream import EventStream
from loki_web.live.hub.hub import TRY_AGAIN_LATER, Hub
from loki_web.live.hub.websocket import WebSocket
from loki_web.services.context import Sources
from loki_web.store.shared.counter import SharedCount

_EXTENSION = "loki_web.live"
_RESERVED_DESCRIPTORS = 24  # for requests and files
_TOO_MANY = "Too many live connections. Try again later."


@dataclass(frozen=True)
class Live:
    """The hub of an application and its limit.

    :param open_connections: counts the connections of all workers.
    :param most: the maximum number of connections of all workers.
    :param share: the maximum number of connections of one identity in this process.
    """

    hub: Hub
    open_connections: SharedCount
    most: int
    share: int
    _by_identity: defaultdict[str, WeakSet[Connection]] = field(
        default_factory=lambda: defaultdict(WeakSet), init=False
    )

    @classmethod
    def create(cls, sources: Sources) -> "Live":
        """Create the hub and the feed of these sources."""
        open_connections = SharedCount(sources.cache_folder, "connections")
        hub = Hub(give_back=open_connections.give_back, counts=sources.counts)
        hub.source = Feed(sources, hub)
        most = sources.settings.max_ws_connections
        share = max(1, 2 * most // 3 // sources.settings.workers)
        return cls(hub, open_connections, most, share)

    @property
    def is_full(self) -> bool:
        """Return whether all connections of all workers are in use."""
        return self.open_connections.total() >= self.most

    def open_socket(
        self, sock: socket.socket, frames: Frames, may_stay: MayStay | None, holder: Identity
    ) -> None:
        """Serve a WebSocket after its handshake; above the limit, close it with code 1013."""
        self._admit(WebSocket(sock, frames, may_stay), holder)

    def open_stream(
        self,
        sock: socket.socket,
        head: bytes,
        channels: frozenset[str],
        last_id: str,
        may_stay: MayStay | None,
        holder: Identity,
        project: Path | None = None,
    ) -> None:
        """Serve a client of server-sent events.

        :param head: status line and headers of the response, not yet sent.
        :param last_id: the Last-Event-ID of the client, or an empty string.
        :param may_stay: checked at each keepalive; None if authentication is off.
        :param project: the directory of the project to follow, if one was named.
        :raises OSError: when the client has disconnected.
        """
        self._admit(EventStream(sock, head, channels, last_id, may_stay, project), holder)

    def close(self) -> None:
        """Close all connections with 1001, going away."""
        self.hub.close()

    def _admit(self, connection: Connection, holder: Identity) -> None:
        """Serve a connection, or refuse it above the limits.

        The last tenth of the connections is reserved for identities that may control the session.
        One identity gets two thirds of all connections at most.
        """
        others = self._by_identity[f"{holder.kind}:{holder.key}"] if holder.key else WeakSet()
        most = self.most if holder.may_control else self.most - self.most // 10
        connection.limit = holder.projects
        connection.counted = (
            _leaves_descriptors(connection.sock)
            and len(others) < self.share
            and self.open_connections.take(most)
        )
        if connection.counted:
            others.add(connection)
            self.hub.adopt(connection)
        else:
            self.hub.refuse(connection, TRY_AGAIN_LATER, _TOO_MANY)


def _leaves_descriptors(sock: socket.socket) -> bool:
    """Return whether enough descriptors are left; the system assigns the lowest free number."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most == resource.RLIM_INFINITY or sock.fileno() < most - _RESERVED_DESCRIPTORS


def install(app: Flask, sources: Sources) -> None:
    """Create the live feed of an application."""
    app.extensions[_EXTENSION] = Live.create(sources)


def get_live(app: object) -> Live | None:
    """Return the live feed of an application, or None."""
    live: Live | None = getattr(app, "extensions", {}).get(_EXTENSION)
    return live
