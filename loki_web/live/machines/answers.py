"""Reads that no channel tells about: logs, memory and learning, for servers without the files.

Nothing is computed unasked. A server that is asked for such a read notes that in Redis; the machine
with the files answers there, and goes on as long as others ask. An answer expires after seconds, so
none is old.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from loki_web.errors import AwayError, NotFound, PublicError, Unavailable
from loki_web.schemas.base import Query
from loki_web.schemas.learning import LatestSignals, SignalFilter, SignalPage
from loki_web.schemas.logs import LogsQuery
from loki_web.schemas.memory import EpisodesQuery
from loki_web.services.context import Sources
from loki_web.services.fleet import selection
from loki_web.services.learning import aggregation, queries
from loki_web.services.logs import reader
from loki_web.services.machines import keys
from loki_web.services.memory import episodes, overview, patterns, skills

if TYPE_CHECKING:
    from loki_web.store.shared.redis import Link

MOST_BYTES = 256 * 1024  # of an answer
_NOTHING = b""  # the answer if there is none, or it is too large
_ASKED_SECONDS = 60  # for which a read is answered after somebody has asked for it
_KEPT_SECONDS = 15
_RENEW_SECONDS = 5.0
_TURN_SECONDS = 1.0
_MOST_ASKED = 256

log = logging.getLogger(__name__)

_SERVICES: Mapping[str, tuple[Callable[..., Any], type[Query]]] = {
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


def ask(link: "Link", session: str, rule: str) -> bytes:
    """Return the answer of a machine to a read of one of its sessions, without parameters.

    :raises Unavailable: at the first time; the machine answers within a second or two.
    :raises NotFound: if the answer is too large, or the machine does not publish the session.
    :raises AwayError: when Redis does not answer.
    """
    asked = keys.asked(session.partition(":")[0])

    def note_and_read(client: Any) -> bytes | None:
        with client.pipeline() as together:
            together.sadd(asked, f"{session} {rule}")
            together.expire(asked, _ASKED_SECONDS)
            together.get(keys.answer(session, rule))
            found: bytes | None = together.execute()[-1]
            return found

    body = link.call(note_and_read)
    if body is None:
        raise Unavailable("The machine of the session was asked for this. Try again.", 1)
    if body == _NOTHING:
        raise NotFound("The machine does not publish this, or it is too large. Ask that machine.")
    return body


@dataclass
class _Asked:
    """A read that others were asked for.

    :ivar at: when, for the last time.
    :ivar body: the answer that was written last.
    """

    at: float
    body: bytes | None = None
    written_at: float = 0.0


class Answers:
    """Answers what other servers are asked for, in a thread of its own: it can take seconds.

    :param machine: the name of this one.
    :param get_sessions: returns the sources of the sessions that are published, by name.
    """

    def __init__(
        self, link: "Link", machine: str, get_sessions: Callable[[], Mapping[str, Sources]]
    ) -> None:
        self._link = link
        self._machine = machine
        self._get_sessions = get_sessions
        self._asked: dict[str, _Asked] = {}

    def start(self) -> None:
        """Answer from now on."""
        threading.Thread(target=self._run, name="answers", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self._turn()
            except AwayError:  # each answer is written again when it is due
                pass
            except Exception:  # whatever it is, the next turn may succeed
                log.exception("other machines could not be answered")
            time.sleep(_TURN_SECONDS)

    def _turn(self) -> None:
        sessions = self._get_sessions()
        if not sessions:  # another server may publish under this name
            return
        name = keys.asked(self._machine)
        new = self._link.call(lambda client: client.spop(name, _MOST_ASKED), tries_anyway=True)
        now = time.monotonic()
        for member in new:
            self._asked.setdefault(member.decode(errors="replace"), _Asked(now)).at = now
        latest = sorted(self._asked.items(), key=lambda pair: pair[1].at)[-_MOST_ASKED:]
        self._asked = {name: each for name, each in latest if now - each.at < _ASKED_SECONDS}
        for member, asked in self._asked.items():
            session, _, rule = member.partition(" ")
            body = _compute(sessions.get(session), rule)
            if body == asked.body and now - asked.written_at < _RENEW_SECONDS:
                continue
            key = keys.answer(session, rule)
            self._link.call(partial(_write, key, body), tries_anyway=True)
            asked.body, asked.written_at = body, now


def _write(key: str, body: bytes, client: Any) -> None:
    client.set(key, body, ex=_KEPT_SECONDS)


def _compute(sources: Sources | None, rule: str) -> bytes:
    """Return the body of an answer, computed again if one of its inputs has changed."""
    if sources is None or rule not in ROUTES:
        return _NOTHING
    try:
        body: bytes = selection.keep(sources, _BODIES[rule]).examine()
    except PublicError:
        return _NOTHING
    return body


def _build(rule: str, sources: Sources) -> bytes:
    serve, query = _SERVICES[rule]
    body = orjson.dumps(serve(sources, **query().load({})), option=orjson.OPT_NON_STR_KEYS)
    return body if len(body) <= MOST_BYTES else _NOTHING  # it is kept with the sources


_BODIES = {rule: partial(_build, rule) for rule in ROUTES}  # the same object each time
