"""One hook that puts every state change and every refusal into the audit log."""

from collections.abc import Callable
from typing import Any

from flask import Request, Response, g, request

from loki_web.audit import log as audit_log
from loki_web.audit.actions import Action, classify_request
from loki_web.audit.syslog import SyslogForwarder
from loki_web.auth.identity import PERSON, TOKEN
from loki_web.services.context import Sources
from loki_web.store.coerce import Json, as_dict, first_text
from loki_web.store.shared.rate_window import SharedWindow
from loki_web.web import access

# Neither a stranger nor a page that keeps asking with an old token may push the history out of the
# log. Recorded in a minute: refusals of an address, and of one who asks for one thing to read.
MAX_REFUSALS = 600
MAX_REFUSED_READS = 3
_REFUSED = frozenset({401, 403})
_TOO_MANY = 429


def recorder(sources: Sources, window: SharedWindow) -> Callable[[Response], None]:
    """Return what puts the request at hand into the audit log when it has its response.

    :param window: bounds the refusals that are recorded.
    """
    if not sources.settings.audit_recorded:
        return lambda _: None
    forwarder = SyslogForwarder(sources.settings)

    def remember(response: Response) -> None:
        if _is_worth_it(request, response) and not _is_flood(request, response, window):
            entry = audit_log.record(sources, _event(request, response))
            if entry:
                forwarder.send(entry)

    return remember


def _is_worth_it(asked: Request, response: Response) -> bool:
    """What changed something or tried to, and who was turned away at the gate."""
    if asked.url_rule is None or asked.method == "OPTIONS" or response.status_code == _TOO_MANY:
        return False
    if not access.is_reading(asked.method, asked.url_rule.rule):
        return True
    return response.status_code in _REFUSED and not g.get("admitted")


def _is_flood(asked: Request, response: Response, window: SharedWindow) -> bool:
    if response.status_code not in _REFUSED:
        return False
    if asked.url_rule and access.is_reading(asked.method, asked.url_rule.rule):
        key = f"refused {access.client_of(asked)} {asked.url_rule.rule}"
        if window.hit(key, MAX_REFUSED_READS) is not None:
            return True
    return window.hit(f"refused {asked.remote_addr}", MAX_REFUSALS) is not None


def _event(asked: Request, response: Response) -> audit_log.Event:
    rule = asked.url_rule.rule if asked.url_rule else asked.path
    what = classify_request(asked.method, rule, permanent=asked.args.get("permanent") == "true")
    failed = response.status_code >= 400
    answer = _answer(response) if failed or response.status_code == 201 else {}
    who = access.identity()
    return audit_log.Event(
        action=what.action,
        resource_type=what.resource_type,
        resource_id=_resource_id(asked, answer),
        user_id=who.key if who.kind == PERSON else who.name,
        token_id=who.key if who.kind == TOKEN else None,
        ip_address=asked.remote_addr or None,  # a unix socket has none
        user_agent=asked.headers.get("User-Agent"),
        success=not failed,
        error=first_text(answer.get("detail")) or None if failed else None,
        details=_details(asked, response, what, answer, who.name if who.kind == PERSON else None),
    )


def _details(
    asked: Request, response: Response, what: Action, answer: Json, person: str | None
) -> dict[str, Any]:
    details: dict[str, Any] = {
        "source": "api",
        "method": asked.method,
        "path": asked.path,
        "status": response.status_code,
    }
    if person:
        details["person"] = person
    if what.resource_type == "token" and response.status_code == 201:
        details |= {key: answer.get(key) for key in ("name", "scopes")}
    return details


def _resource_id(asked: Request, answer: Json) -> str | None:
    """The id in the address, or that of what was made."""
    values = list((asked.view_args or {}).values())
    return str(values[-1]) if values else first_text(answer.get("id")) or None


def _answer(response: Response) -> Json:
    """The body, unless it is a stream or no JSON."""
    if response.is_streamed or not response.is_json:
        return {}
    return as_dict(response.get_json(silent=True))
