"""Reads on demand: those that have no channel of the feed, for servers without the files.

A server that gets a request for such a read adds the read to a set in Redis. The machine with the
files writes the answer to Redis, and keeps it up to date until there was no request for 2 minutes.
Answers expire after seconds, so that no server shows an old one.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import orjson

from loki_web.errors import AwayError, NotFound, PublicError, Unavailable
from loki_web.schemas.base import Query
from loki_web.schemas.council import VerdictsQuery
from loki_web.schemas.learning import LatestSignals, SignalFilter, SignalPage
from loki_web.schemas.logs import LEVELS, LogsQuery
from loki_web.schemas.memory import EpisodesQuery
from loki_web.schemas.records import RecordsQuery
from loki_web.services import council, records
from loki_web.services.context import Sources
from loki_web.services.cost import budget, context_window, pricing
from loki_web.services.fleet import selection
from loki_web.services.learning import aggregation, queries
from loki_web.services.logs import reader
from loki_web.services.machines import keys
from loki_web.services.memory import episodes, overview, patterns, skills
from loki_web.services.notifications import triggers
from loki_web.store.coerce import Json

if TYPE_CHECKING:
    from loki_web.store.shared.redis import Link

MOST_BYTES = 256 * 1024  # of an answer
_NO_ANSWER = b""  # written if the read fails or its answer is too large
_DEMAND_SECONDS = 120  # after the last request; the page polls some reads every 60 seconds
_EXPIRY_SECONDS = 15
_RENEW_SECONDS = 5.0
_TURN_SECONDS = 1.0
_MOST_READS = 256

log = logging.getLogger(__name__)

_SERVICES: Mapping[str, tuple[Callable[..., Any], type[Query]]] = {
    "/api/budget": (budget.get_budget, Query),
    "/api/context": (context_window.get_context_window, Query),
    "/api/council/convergence": (council.get_convergence, Query),
    "/api/council/report": (council.get_report, Query),
    "/api/council/verdicts": (council.list_verdicts, VerdictsQuery),
    "/api/notifications/triggers": (triggers.list_triggers, Query),
    "/api/pricing": (pricing.get_pricing, Query),
    "/api/records": (records.get_records, RecordsQuery),
    "/api/logs": (reader.list_entries, LogsQuery),
    "/api/memory/summary": (overview.get_summary, Query),
    "/api/memory/episodes": (episodes.list_episodes, EpisodesQuery),
    "/api/memory/patterns": (patterns.list_patterns, Query),
    "/api/memory/skills": (skills.list_skills, Query),
    "/api/memory/economics": (overview.get_economics, Query),
    "/api/memory/index": (overview.get_index, Query),
    "/api/memory/timeline": (overview.get_timeline, Query),
    "/api/learning/metrics": (queries.get_metrics, SignalFilter),
    "/api/learning/trends": (queries.get_trends, SignalFilter),
    "/api/learning/signals": (queries.list_records, SignalPage),
    "/api/learning/aggregation": (aggregation.get_latest, Query),
    "/api/learning/preferences": (queries.list_preferences, LatestSignals),
    "/api/learning/errors": (queries.list_errors, LatestSignals),
    "/api/learning/success": (queries.list_successes, LatestSignals),
    "/api/learning/tools": (queries.list_tool_uses, LatestSignals),
}
ROUTES = frozenset(_SERVICES)
QUERIES = {rule: query for rule, (_, query) in _SERVICES.items()}
_COUNTS = frozenset({"limit", "lines"})
_NEWEST_LAST = frozenset({"/api/logs", "verdicts"})  # lists whose last entries are kept


def can_select(rule: str, parameters: Json) -> bool:
    """Return whether a request can be answered from the answer without parameters.

    It can if it only limits the number of entries. If it allows more than the default, it gets the
    default number.

    :param parameters: the parameters of the request.
    """
    usual = _get_defaults(rule)
    has_all_levels = parameters.get("level") in (None, frozenset(LEVELS))
    others = parameters.keys() - _COUNTS - {"level"}
    return has_all_levels and all(parameters[name] == usual.get(name) for name in others)


@cache
def _get_defaults(rule: str) -> Json:
    """Return the parameters of a request without any; do not change them."""
    defaults: Json = QUERIES[rule]().load({})
    return defaults


def ask(link: "Link", session: str, rule: str, parameters: Json) -> bytes:
    """Request a read of another machine's session, and return its answer.

    :param rule: the route of the read, one of `ROUTES`.
    :param parameters: the parameters of the request, see `can_select`.
    :raises Unavailable: on the first request; the machine answers within a second or two.
    :raises NotFound: if the answer is too large, or the machine does not publish the session.
    :raises AwayError: when Redis does not answer.
    """
    reads = keys.reads(session.partition(":")[0])

    def request_and_get(client: Any) -> bytes | None:
        with client.pipeline() as together:
            together.sadd(reads, f"{session} {rule}")
            together.expire(reads, _DEMAND_SECONDS)
            together.get(keys.answer(session, rule))
            answer: bytes | None = together.execute()[-1]
            return answer

    body = link.call(request_and_get)
    if body is None:
        raise Unavailable("Requested from the machine of the session. Try again.", 1)
    if body == _NO_ANSWER:
        raise NotFound("The machine does not publish this, or it is too large. Ask that machine.")
    return _shorten(rule, parameters, body)


def _shorten(rule: str, parameters: Json, body: bytes) -> bytes:
    """Return an answer with at most as many entries as a request wants."""
    usual = _get_defaults(rule)
    for name in parameters.keys() & _COUNTS:
        most = parameters[name]
        if most < usual[name]:
            answer = orjson.loads(body)
            if isinstance(answer, dict):
                return orjson.dumps({key: _take(each, most, key) for key, each in answer.items()})
            return orjson.dumps(_take(answer, most, rule))
    return body


def _take(entries: list[Json], most: int, name: str) -> list[Json]:
    """Return the newest entries of a route or of a list in its answer."""
    return entries[-most:] if name in _NEWEST_LAST else entries[:most]


@dataclass
class _Demand:
    """The requests of other servers for one read.

    :ivar requested_at: when the last request was seen, by the monotonic clock.
    :ivar body: the answer that was written last.
    """

    requested_at: float
    body: bytes | None = None
    written_at: float = 0.0


class Answers:
    """Answers reads that other servers request, in a thread of its own: it can take seconds.

    :param machine: the name of this machine.
    :param get_sessions: returns the sources of the sessions that are published, by name.
    """

    def __init__(
        self, link: "Link", machine: str, get_sessions: Callable[[], Mapping[str, Sources]]
    ) -> None:
        self._link = link
        self._machine = machine
        self._get_sessions = get_sessions
        self._demands: dict[str, _Demand] = {}  # by session and route, as in Redis

    def start(self) -> None:
        """Answer from now on."""
        threading.Thread(target=self._run, name="answers", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self._turn()
            except AwayError:  # answers that are due are written in the next turn
                pass
            except Exception:  # whatever it is, the next turn may succeed
                log.exception("other machines could not be answered")
            time.sleep(_TURN_SECONDS)

    def _turn(self) -> None:
        sessions = self._get_sessions()
        if not sessions:  # another server may publish under this name
            return
        self._read_demands()
        for read, demand in self._demands.items():
            session, _, rule = read.partition(" ")
            body, now = _compute(sessions.get(session), rule), time.monotonic()
            if body == demand.body and now - demand.written_at < _RENEW_SECONDS:
                continue
            key = keys.answer(session, rule)
            self._link.call(partial(_write, key, body), tries_anyway=True)
            demand.body, demand.written_at = body, now

    def _read_demands(self) -> None:
        """Take new requests from Redis, and forget reads that nobody has requested lately."""
        reads = keys.reads(self._machine)
        new = self._link.call(lambda client: client.spop(reads, _MOST_READS), tries_anyway=True)
        now = time.monotonic()
        for member in new:
            read = member.decode(errors="replace")
            self._demands.setdefault(read, _Demand(now)).requested_at = now
        latest = sorted(self._demands.items(), key=lambda pair: pair[1].requested_at)[-_MOST_READS:]
        self._demands = {
            read: demand for read, demand in latest if now - demand.requested_at < _DEMAND_SECONDS
        }


def _write(key: str, body: bytes, client: Any) -> None:
    client.set(key, body, ex=_EXPIRY_SECONDS)


def _compute(sources: Sources | None, rule: str) -> bytes:
    """Return the body of an answer, computed again if one of its inputs has changed."""
    if sources is None or rule not in ROUTES:
        return _NO_ANSWER
    try:
        body: bytes = selection.keep(sources, _BODIES[rule]).examine()
    except PublicError:
        return _NO_ANSWER
    except Exception:  # the other reads are answered
        log.exception("%s could not be read for other machines", rule)
        return _NO_ANSWER
    return body


def _build(rule: str, sources: Sources) -> bytes:
    serve, query = _SERVICES[rule]
    body = orjson.dumps(serve(sources, **query().load({})), option=orjson.OPT_NON_STR_KEYS)
    return body if len(body) <= MOST_BYTES else _NO_ANSWER  # it is kept with the sources


_BODIES = {rule: partial(_build, rule) for rule in ROUTES}  # the same object each time
