"""The other machines for the live feed of one application: a hub for each of their sessions."""

import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from loki_web.errors import AwayError, Unavailable
from loki_web.live.hub.connection import Connection
from loki_web.live.hub.event_loop import Loop
from loki_web.live.hub.hub import Hub
from loki_web.live.machines.publisher import Publisher
from loki_web.live.machines.remote_feed import RemoteFeed
from loki_web.services.context import WritableSources
from loki_web.services.machines.names import is_elsewhere
from loki_web.services.machines.roster import Roster

if TYPE_CHECKING:
    from loki_web.store.shared.redis import Link

_MOST_HUBS = 64
_RENEW_SECONDS = 20.0
_RETRY_SECONDS = 5


class Machines:
    """The sessions of other machines, and the places of identities on all of them.

    :param give_back: called when a counted connection has ended.
    """

    def __init__(
        self, sources: WritableSources, link: "Link", roster: Roster, give_back: Callable[[], None]
    ) -> None:
        self._sources = sources
        self._link = link
        self._roster = roster
        self._give_back = give_back
        self._loop = Loop()  # of all these hubs
        self._followed: dict[str, Hub] = {}  # by session
        # Also hubs that were forgotten while a request had them, before it opened its connection.
        self._hubs: WeakValueDictionary[str, Hub] = WeakValueDictionary()
        self._places: WeakKeyDictionary[Connection, tuple[str, str]] = WeakKeyDictionary()
        self._by_owner: defaultdict[str, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    @property
    def hubs(self) -> list[Hub]:
        """Return the hubs of other machines' sessions, also of some without a connection."""
        return [hub for reference in self._hubs.valuerefs() if (hub := reference())]

    def start(self) -> None:
        """Listen, publish or stand by, and renew places from now on."""
        self._loop.prepare()
        self._roster.start()
        Publisher(self._sources, self._link, self._roster).start()
        threading.Thread(target=self._renew, name="places", daemon=True).start()

    def find_hub(self, project: str, limit: frozenset[str] | None) -> Hub | None:
        """Return the hub of a session of another machine; None for one of this machine.

        :param limit: of the token, see `Sources.limit`.
        :raises NotFound: when no machine reports the session, or the limit excludes it.
        :raises Unavailable: when too many sessions are followed.
        """
        is_edge = self._sources.settings.is_edge
        if not (is_edge or is_elsewhere(self._sources, project)):
            return None
        session = self._roster.get_session(project, limit)
        with self._lock:
            if session in self._followed:
                return self._followed[session]
            self._make_room()
            hub = self._hubs.get(session)
            if hub is None:
                hub = Hub(self._loop, self._give_back, self._sources.counts)
                hub.source = RemoteFeed(session, self._link, hub)
                self._hubs[session] = hub
            self._followed[session] = hub
            return hub

    def _make_room(self) -> None:
        """Forget sessions without connections whose feeds have ended, if there are too many.

        :raises Unavailable: when all are followed.
        """
        if len(self._followed) >= _MOST_HUBS:
            self._followed = {
                session: hub for session, hub in self._followed.items() if hub.count or _runs(hub)
            }
        if len(self._followed) >= _MOST_HUBS:
            raise Unavailable("Too many sessions are followed.", _RETRY_SECONDS)

    def take_place(self, connection: Connection, owner: str, most: int) -> bool:
        """Take a place for a connection of an identity; while Redis is away, it needs none."""
        name = secrets.token_hex(8)
        with suppress(AwayError):
            if not self._link.take_place(owner, name, most):
                self._give_back_closed()
                if not self._link.take_place(owner, name, most):
                    return False
        with self._lock:
            self._places[connection] = owner, name
            self._by_owner[owner].add(name)
        return True

    def _renew(self) -> None:
        """Renew the places of open connections, and give back those of others."""
        while True:
            time.sleep(_RENEW_SECONDS)
            with suppress(AwayError):
                self._give_back_closed()
                for owner, names in list(self._by_owner.items()):
                    self._link.renew_places(owner, names)

    def _give_back_closed(self) -> None:
        with self._lock:
            is_open = {name for _, name in self._places.values()}
            closed = {owner: names - is_open for owner, names in self._by_owner.items()}
        for owner, names in closed.items():
            if names:
                self._link.give_back_places(owner, names)
            with self._lock:
                self._by_owner[owner] -= names
                if not self._by_owner[owner]:
                    del self._by_owner[owner]


def _runs(hub: Hub) -> bool:
    return isinstance(hub.source, RemoteFeed) and hub.source.runs
