"""Keep in memory what the machines that share a Redis server report about themselves.

One thread in each process listens. A request reads what was heard last and never waits for Redis.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from loki_web.errors import AwayError, NotFound
from loki_web.services.context import Sources
from loki_web.services.fleet import overview
from loki_web.services.fleet.overview import FleetDict, FleetProjectDict
from loki_web.services.machines import keys
from loki_web.services.machines.names import SESSION
from loki_web.services.session.liveness import UNKNOWN
from loki_web.services.session.state import STOPPED
from loki_web.store.coerce import (
    as_amount,
    as_count,
    as_dict,
    as_flag,
    as_number,
    dicts_in,
    first_text,
)

if TYPE_CHECKING:
    from loki_web.store.shared.redis import Link

MACHINE_SECONDS = 30.0
_MOST_MACHINES = 1000
_MOST_REVOKED = 10_000
_MOST_WAITING = 1000
_PAUSE_SECONDS = 1.0
_BEGINNING = "0-0"  # of a stream
_KEPT_SECONDS = 15.0  # for which a machine is kept that Redis has lost

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reports:
    """The last reports of other machines; replaced as a whole.

    :param projects: of other machines, those that others may read, by session.
    :param revoked: the time from which a token is refused, by id.
    """

    projects: Mapping[str, FleetProjectDict] = field(default_factory=dict)
    revoked: Mapping[str, float] = field(default_factory=dict)


class Roster:
    """The machines, their sessions and the revoked tokens."""

    def __init__(self, sources: Sources, link: "Link") -> None:
        self._own = sources.settings.machine
        self._link = link
        self._reports = Reports()
        self._last: dict[str, tuple[float, list[FleetProjectDict]]] = {}  # by machine
        self._unsent: dict[str, float] = {}
        self._lock = threading.Lock()
        self._runs = False

    def start(self) -> None:
        """Listen from now on; called in each worker."""
        with self._lock:
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="machines", daemon=True).start()

    def list_projects(self, limit: frozenset[str] | None = None) -> Mapping[str, FleetProjectDict]:
        """Return the projects of other machines by session.

        :param limit: of the token, see `Sources.limit`.
        """
        projects = self._reports.projects
        if limit is None:
            return projects
        return {session: projects[session] for session in limit & projects.keys()}

    def is_revoked(self, token: str, now: float) -> bool:
        """Return whether any machine has revoked a token."""
        since = self._unsent.get(token, self._reports.revoked.get(token))
        return since is not None and since <= now

    def revoke(self, tokens: Mapping[str, float]) -> None:
        """Tell all machines that tokens are refused from these times on.

        While Redis does not answer, this process refuses them, and tells it later.
        """
        new = {
            token: since
            for token, since in tokens.items()
            if self._reports.revoked.get(token) != since
        }
        with self._lock:
            self._unsent |= new
        if new:
            with suppress(AwayError):
                self._send()

    def get_session(self, identifier: str, limit: frozenset[str] | None = None) -> str:
        """Return a session of another machine; empty for the one that is shown without a name.

        That is the only one that runs, else the one that changed last.

        :param limit: as for `list_projects`.
        :raises NotFound: when no machine reports it, or the limit excludes it.
        """
        projects = self.list_projects(limit)
        if identifier:
            if identifier not in projects:
                raise NotFound("Project not found")
            return identifier
        in_order = overview.sort_projects(projects.values())
        if not in_order:
            detail = "No machine has published a session yet"
            raise NotFound(detail if limit is None else "Project not found")
        return first_text(in_order[0]["id"])

    def _run(self) -> None:
        last, is_new = _BEGINNING, True  # not "$": news that come between two reads would be missed
        while True:
            try:
                self._send()
                self._receive(with_tokens=is_new)
                streams = self._link.read_streams({keys.NEWS: last})
                is_new = bool(streams)
                last = streams[0][1][-1][0].decode() if streams else self._find_again(last)
            except AwayError:
                is_new = True
                time.sleep(_PAUSE_SECONDS)
            except Exception:  # whatever it is, the next turn may succeed
                log.exception("other machines could not be heard")
                time.sleep(_PAUSE_SECONDS)

    def _find_again(self, last: str) -> str:
        """Return the id after which to read on; the beginning if the stream is another one.

        That is so if Redis was emptied. If its clock is behind, the new ids are lower than `last`.
        """
        raw = self._link.call(
            lambda client: client.xrevrange(keys.NEWS, count=1), tries_anyway=True
        )
        return last if raw and raw[0][0].decode() == last else _BEGINNING

    def _send(self) -> None:
        with self._lock:
            unsent = dict(list(self._unsent.items())[:_MOST_WAITING])
        if not unsent:
            return

        def announce(client: Any) -> None:
            with client.pipeline() as together:
                together.zadd(keys.REVOKED, unsent, lt=True)  # never later than before
                together.xadd(keys.NEWS, {"revoked": len(unsent)}, maxlen=100)
                together.execute()

        self._link.call(announce)
        with self._lock:
            self._reports = Reports(self._reports.projects, {**self._reports.revoked, **unsent})
            for token, since in unsent.items():
                if self._unsent.get(token) == since:
                    del self._unsent[token]

    def _receive(self, *, with_tokens: bool) -> None:
        def read(client: Any) -> tuple[int, list[Any], dict[str, Any]]:
            names = client.zrevrange(keys.MACHINES, 0, _MOST_MACHINES)
            others = [name.decode() for name in names if name != self._own.encode()]
            texts = client.mget([keys.machine(name) for name in others]) if others else []
            reports = dict(zip(others, texts, strict=True))
            count = client.zcard(keys.REVOKED)
            if not with_tokens:
                return count, [], reports
            return count, client.zrevrange(keys.REVOKED, 0, _MOST_REVOKED, withscores=True), reports

        count, revoked, reports = self._link.call(read, tries_anyway=True)
        now = time.monotonic()
        reporting = {
            name: (now, list(_read_projects(text))) for name, text in reports.items() if text
        }
        recent = {name: each for name, each in self._last.items() if now - each[0] < _KEPT_SECONDS}
        self._last = {**recent, **reporting}
        projects = {
            str(project["id"]): project for _, listed in self._last.values() for project in listed
        }
        tokens = {token.decode(): since for token, since in revoked}
        with self._lock:
            if count < len(self._reports.revoked):  # Redis has lost some: tell them again
                self._unsent = {**self._reports.revoked, **self._unsent}
            self._reports = Reports(projects, {**self._reports.revoked, **tokens})


def get_roster(sources: Sources) -> Roster | None:
    """Return the roster of this process; None without a Redis server."""
    own = sources.unlimited
    link = own.link
    if link is None:
        return None
    roster: Roster = own.values.get(Roster, lambda _: Roster(own, link))
    return roster


def get_fleet(sources: Sources) -> FleetDict:
    """Return the projects of all machines; an edge has none of its own."""
    roster = get_roster(sources)
    if roster is None:
        return overview.get_fleet(sources)
    own = [] if sources.settings.is_edge else overview.get_fleet(sources)["projects"]
    for project in own:
        project["machine"] = sources.settings.machine
    return overview.sum_up([*own, *roster.list_projects(sources.limit).values()])


def _read_projects(text: bytes) -> Iterator[FleetProjectDict]:
    """Yield what a machine tells about its projects, in the shape of our own fleet."""
    try:
        report = as_dict(orjson.loads(text))
    except orjson.JSONDecodeError:
        return
    for entry in dicts_in(report.get("projects")):
        if (session := first_text(entry.get("id"))) and SESSION.fullmatch(session):
            yield {
                "id": session,
                "name": first_text(entry.get("name")),
                "alias": first_text(entry.get("alias")) or None,
                "path": first_text(entry.get("path")),
                "is_server_project": False,
                "registered": as_flag(entry.get("registered")),
                "is_shown": False,
                "machine": session.partition(":")[0],
                "status": first_text(entry.get("status"), default=STOPPED),
                "phase": first_text(entry.get("phase")),
                "iteration": as_count(entry.get("iteration")),
                "cost_usd": as_amount(entry.get("cost_usd")) or 0.0,
                "budget_limit": as_amount(entry.get("budget_limit")),
                "budget_remaining": as_number(entry.get("budget_remaining")),
                "budget_exceeded": as_flag(entry.get("budget_exceeded")),
                "open_alerts": as_count(entry.get("open_alerts")),
                "running_agents": as_count(entry.get("running_agents")),
                "last_change": first_text(entry.get("last_change")) or None,
                "liveness": first_text(entry.get("liveness"), default=UNKNOWN),
            }
