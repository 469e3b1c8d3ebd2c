"""Reads of sessions on other machines: the states of their channels, and answers on demand.

A request reads from Redis, and gets what was read last while Redis is away.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from cachetools import LRUCache
from flask import Flask, Response, current_app, request

from loki_web.errors import AwayError, NotFound, Unavailable
from loki_web.live import protocol
from loki_web.live.machines import answers
from loki_web.live.machines.entries import read_state
from loki_web.schemas.base import Query
from loki_web.schemas.checkpoints import CheckpointsQuery
from loki_web.schemas.notifications import NotificationsQuery
from loki_web.schemas.registry import ProjectsQuery
from loki_web.schemas.tasks import TasksQuery
from loki_web.services import tasks
from loki_web.services.context import Sources
from loki_web.services.machines import keys
from loki_web.services.machines.names import is_elsewhere
from loki_web.services.machines.roster import Roster, get_roster
from loki_web.services.notifications import notifications
from loki_web.services.registry import registry
from loki_web.store.coerce import Json, dicts_in
from loki_web.web.access import EVENT_STREAM, PROJECT, PUBLIC, get_identity
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import PROJECT_HEADER

if TYPE_CHECKING:
    from loki_web.store.shared.redis import Link

_CHANNEL_OF_RULE = {
    "/api/tasks": protocol.TASKS,
    "/api/registry/projects": protocol.PROJECTS,
    "/api/status": protocol.STATUS,
    "/api/agents": protocol.AGENTS,
    "/api/notifications": protocol.NOTIFICATIONS,
    "/api/cost": protocol.COST,
    "/api/council/state": protocol.COUNCIL,
    "/api/checkpoints": protocol.CHECKPOINTS,
}
# The schema of a list's parameters, and the function that applies them to the channel's list.
_SELECTIONS: Mapping[str, tuple[type[Query], Callable[..., Any]]] = {
    protocol.TASKS: (TasksQuery, tasks.select_tasks),
    protocol.PROJECTS: (ProjectsQuery, registry.select_projects),
    protocol.NOTIFICATIONS: (NotificationsQuery, notifications.select_notifications),
    protocol.CHECKPOINTS: (CheckpointsQuery, lambda listed, limit: listed[:limit]),
}
_QUERY_OF_RULE = {
    **{rule: _SELECTIONS.get(name, (Query,))[0] for rule, name in _CHANNEL_OF_RULE.items()},
    **answers.QUERIES,
}
# Routes that answer for this server, although their blueprints are about the project.
_OF_SERVER = frozenset({"/api/auth/info", "/api/secrets/status", "/api/health/processes"})
_MAX_KEPT_BYTES = 32 * 1024 * 1024
_RETRY_SECONDS = 5
_NOT_HERE = (
    "The session is on another machine. This server answers only "
    f"{', '.join(_CHANNEL_OF_RULE)}; and, with no parameters but `limit` and `lines`, "
    f"{', '.join(sorted(answers.ROUTES))}. "
    "Ask that machine for everything else."
)


class Reads:
    """Answers requests for sessions of other machines."""

    def __init__(self, sources: Sources, link: "Link", roster: Roster) -> None:
        self._sources = sources
        self._link = link
        self._roster = roster
        self._last_answers: LRUCache[tuple[str, str, str], bytes] = LRUCache(
            _MAX_KEPT_BYTES, getsizeof=len
        )
        self._lock = threading.Lock()

    def respond(self) -> Response | None:
        """Answer the current request, if it is for another machine; else return None.

        :raises NotFound: if this server does not have what is asked for.
        :raises Unavailable: if Redis does not answer, and nothing was read before.
        """
        rule = request.url_rule.rule if request.url_rule else ""
        identifier = request.args.get(PROJECT, "")
        is_named = is_elsewhere(self._sources, identifier) and rule.startswith("/api/")
        if rule == EVENT_STREAM or not (is_named or self._is_of_edge(rule)):
            return None
        if request.method == "OPTIONS" or rule in PUBLIC:  # without a token
            return None
        limit = get_identity().projects
        session = self._roster.get_session(identifier, limit)
        has_read = rule in _CHANNEL_OF_RULE or rule in answers.ROUTES
        if request.method not in ("GET", "HEAD") or not has_read:
            raise NotFound(_NOT_HERE)
        parameters = _parse_parameters(rule)
        if rule in answers.ROUTES and not answers.can_select(rule, parameters):
            raise NotFound(_NOT_HERE)
        body = self._read(session, rule, parameters)
        if limit is not None and _CHANNEL_OF_RULE.get(rule) == protocol.PROJECTS:
            body = self._limit_projects(session, body)
        response = Response(body, content_type="application/json")
        response.headers["Cache-Control"] = "private, no-cache"
        response.headers[PROJECT_HEADER] = quote(session)
        response.set_etag(hashlib.blake2b(body, digest_size=16).hexdigest(), weak=True)
        response.make_conditional(request)
        return response

    def _is_of_edge(self, rule: str) -> bool:
        """Return whether a request without a project is for another machine."""
        if not self._sources.settings.is_edge:
            return False
        blueprint = current_app.blueprints.get(request.blueprint or "")
        is_of_project = rule not in _OF_SERVER and getattr(blueprint, "is_of_project", False)
        return rule in _CHANNEL_OF_RULE or (is_of_project and rule.startswith("/api/"))

    def _limit_projects(self, session: str, body: bytes) -> bytes:
        """Return only the project of a session from the list of its machine's projects."""
        own = self._roster.list_projects().get(session)
        if own is None:
            return b"[]"
        projects = dicts_in(orjson.loads(body))
        return orjson.dumps([each for each in projects if each.get("path") == own["path"]])

    def _read(self, session: str, rule: str, parameters: Json) -> bytes:
        """Return the answer of a machine; the last one while Redis does not answer."""
        channel = _CHANNEL_OF_RULE.get(rule)
        key = (session, rule, str(parameters))
        try:
            body = (
                self._read_state(session, channel, parameters)
                if channel
                else answers.ask(self._link, session, rule, parameters)
            )
        except AwayError:
            with self._lock:
                last_answer = self._last_answers.get(key)
            if last_answer is None:
                raise Unavailable(
                    "Redis does not answer. Try again later.", _RETRY_SECONDS
                ) from None
            return last_answer
        with self._lock:
            if len(body) < _MAX_KEPT_BYTES:
                self._last_answers[key] = body
        return body

    def _read_state(self, session: str, channel: str, parameters: Json) -> bytes:
        raw = self._link.call(lambda client: client.hget(keys.state(session), channel))
        state = read_state(raw) if raw else None
        if state is None or not state.messages:
            raise NotFound("The machine has not published this yet")
        value = state.messages[0].data
        if channel in _SELECTIONS:
            value = _SELECTIONS[channel][1](dicts_in(value), **parameters)
        return orjson.dumps(value)


def install(app: Flask, sources: Sources) -> None:
    """Answer requests for sessions of other machines, after the guard has admitted them."""
    link, roster = sources.link, get_roster(sources)
    if link is not None and roster is not None:
        app.before_request(Reads(sources, link, roster).respond)


def _parse_parameters(rule: str) -> Json:
    """Return the parameters of the current request as the route itself gets them.

    :raises BadRequest: if one is malformed.
    """
    parsed: Json = Blueprint.ARGUMENTS_PARSER.parse(_QUERY_OF_RULE[rule], request, location="query")
    return parsed
