"""The live feed of one application: hub, feed and the limit of connections."""

import resource
import socket
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from flask import Flask
from wsproto.connection import Connection as Frames

from loki_web.auth.identity import Identity
from loki_web.live.feed.feed import Feed
from loki_web.live.hub import socket_takeover
from loki_web.live.hub.connection import Connection, MayStay
from loki_web.live.hub.event_stream import EventStream
from loki_web.live.hub.hub import TRY_AGAIN_LATER, Hub
from loki_web.live.hub.websocket import WebSocket
from loki_web.services.context import WritableSources
from loki_web.services.machines.roster import get_roster
from loki_web.store.shared.counter import SharedCount

if TYPE_CHECKING:
    from loki_web.live.machines.service import Machines

_EXTENSION = "loki_web.live"
_RESERVED_DESCRIPTORS = 24  # for requests and files
_TOO_MANY = "Too many live connections. Try again later."


@dataclass(frozen=True)
class Live:
    """The hub of an application and its limit.

    :param feed: the source of the hub.
    :param open_connections: counts the connections of all workers.
    :param most: the maximum number of connections of all workers.
    :param share: the maximum number of connections of one identity in this process.
    :param machines: the sessions of other machines; None without a Redis server.
    """

    hub: Hub
    feed: Feed
    open_connections: SharedCount
    most: int
    share: int
    machines: "Machines | None" = None
    _by_identity: defaultdict[str, WeakSet[Connection]] = field(
        default_factory=lambda: defaultdict(WeakSet), init=False
    )

    @classmethod
    def create(cls, sources: WritableSources) -> "Live":
        """Create the hub and the feed of these sources."""
        open_connections = SharedCount(sources.cache_folder, "connections")
        hub = Hub(give_back=open_connections.give_back, counts=sources.counts)
        hub.source = feed = Feed(sources, hub)
        most = sources.settings.max_ws_connections
        share = max(1, 2 * most // 3 // sources.settings.workers)
        machines = None
        link, roster = sources.link, get_roster(sources)
        if link is not None and roster is not None:
            from loki_web.live.machines.service import Machines  # not without Redis

            machines = Machines(sources, link, roster, open_connections.give_back)
        return cls(hub, feed, open_connections, most, share, machines)

    def start(self) -> None:
        """Prepare the hub, and connect to other machines if there are any; call in each worker."""
        self.hub.prepare()
        if self.machines is not None:
            self.machines.start()

    def find_hub(self, project: str, limit: frozenset[str] | None) -> Hub:
        """Return the hub for the session of a project: of this machine, or of another one.

        :param project: as the client names it; empty for the one that is shown.
        :param limit: of the token, see `Sources.limit`.
        :raises NotFound: when no machine reports it, or the limit excludes it.
        """
        hub = self.machines.find_hub(project, limit) if self.machines else None
        return hub or self.hub

    @property
    def is_full(self) -> bool:
        """Return whether all connections of all workers are in use."""
        return self.open_connections.total() >= self.most

    def open_socket(
        self,
        hub: Hub,
        sock: socket.socket,
        frames: Frames,
        may_stay: MayStay | None,
        holder: Identity,
        project: Path | None = None,
    ) -> None:
        """Serve a WebSocket after its handshake; above the limit, close it with code 1013.

        :param project: as for `open_stream`.
        """
        self._admit(hub, WebSocket(sock, frames, may_stay, project), holder)

    def open_stream(
        self,
        hub: Hub,
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
        self._admit(hub, EventStream(sock, head, channels, last_id, may_stay, project), holder)

    def close(self) -> None:
        """Close all connections with 1001, going away."""
        for hub in self._hubs():
            hub.close()

    def wait_until_empty(self, seconds: float) -> None:
        """Wait until all connections have ended, after `close`, but not longer than `seconds`."""
        deadline = time.monotonic() + seconds
        for hub in self._hubs():
            hub.wait_until_empty(max(0.0, deadline - time.monotonic()))

    def _hubs(self) -> list[Hub]:
        return [self.hub, *(self.machines.hubs if self.machines else [])]

    def _admit(self, hub: Hub, connection: Connection, holder: Identity) -> None:
        """Serve a connection, or refuse it above the limits; on an error close it."""
        try:
            if self._count(connection, holder):
                hub.adopt(connection)
            else:
                hub.refuse(connection, TRY_AGAIN_LATER, _TOO_MANY)
        except BaseException:
            if connection.counted:
                self.open_connections.give_back()
            socket_takeover.close(connection.sock)  # gunicorn cannot close it
            raise

    def _count(self, connection: Connection, holder: Identity) -> bool:
        """Count a connection and return True; return False if a limit is reached.

        The last tenth of the connections is reserved for identities that may control the session.
        One identity gets two thirds of all connections at most.
        """
        others = self._by_identity[f"{holder.kind}:{holder.key}"] if holder.key else WeakSet()
        most = self.most if holder.may_control else self.most - self.most // 10
        connection.limit = holder.projects
        if not _leaves_descriptors(connection.sock):
            connection.is_over = True  # no closing handshake: requests need its descriptor
            return False
        connection.counted = len(others) < self.share and self.open_connections.take(most)
        if connection.counted and not self._take_place(connection, holder):
            self.open_connections.give_back()
            connection.counted = False
        if connection.counted:
            others.add(connection)
        return connection.counted

    def _take_place(self, connection: Connection, holder: Identity) -> bool:
        """Return whether an identity has not taken its two thirds on all machines together."""
        if self.machines is None or not holder.key:
            return True
        owner, most = f"{holder.kind}:{holder.key}", max(1, 2 * self.most // 3)
        return self.machines.take_place(connection, owner, most)


def _leaves_descriptors(sock: socket.socket) -> bool:
    """Return whether enough descriptors are left; the system assigns the lowest free number."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most == resource.RLIM_INFINITY or sock.fileno() < most - _RESERVED_DESCRIPTORS


def install(app: Flask, sources: WritableSources) -> None:
    """Create the live feed of an application."""
    app.extensions[_EXTENSION] = Live.create(sources)


def get_live(app: object) -> Live | None:
    """Return the live feed of an application, or None."""
    live: Live | None = getattr(app, "extensions", {}).get(_EXTENSION)
    return live
