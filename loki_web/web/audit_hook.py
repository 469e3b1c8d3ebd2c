"""Record state changes, and refused reads within limits, in the audit log."""

from typing import Any

from flask import Request, Response, g, request

from loki_web.audit import log as audit_log
from loki_web.audit.actions import Action, classify_request
from loki_web.audit.syslog import SyslogForwarder
from loki_web.auth.identity import PERSON, TOKEN
from loki_web.errors import Unavailable
from loki_web.services.context import WritableSources
from loki_web.store import json_text
from loki_web.store.coerce import Json, as_dict, first_text
from loki_web.store.shared.rate_window import SharedWindow
from loki_web.web import access, context

# Per minute: recorded refusals of one address, and of one client for one route that reads.
# Neither anonymous clients nor a page that polls with an expired token may fill the log.
MAX_REFUSALS = 600
MAX_REFUSED_READS = 3
_REFUSED = frozenset({401, 403})
_TOO_MANY = 429
_RETRY_SECONDS = 10
_UNRECORDED = "The change was made, but its audit entry could not be written"


class Recorder:
    """Records the requests of an application, unless recording is off.

    :param window: limits how many refusals are recorded.
    """

    def __init__(self, sources: WritableSources, window: SharedWindow) -> None:
        settings = sources.settings
        self._is_required = settings.audit_required
        self._log = audit_log.WritableAuditLog(sources) if settings.audit_recorded else None
        self._forwarder = SyslogForwarder(sources) if settings.audit_recorded else None
        self._window = window

    def record(self, response: Response) -> bool:
        """Record the current request; return False if a required entry could not be written."""
        if self._log is None or self._forwarder is None:
            return True
        if not _is_recorded(request, response) or _is_flood(request, response, self._window):
            return True
        entry = self._log.record(_event(request, response))
        if entry:
            self._forwarder.send(entry)
        return bool(entry) or not self._is_required or response.status_code >= 400

    def check_can_record(self, method: str, rule: str) -> None:
        """Refuse a change before it is made, if its entry is required and cannot be written.

        :raises Unavailable: then.
        """
        if not self._is_required or self._log is None or access.is_reading(method, rule):
            return
        if not self._log.can_record():
            raise Unavailable(
                "The audit log cannot be written, so nothing was changed", _RETRY_SECONDS
            )


def make_unrecorded(response: Response) -> Response:
    """Turn a successful response into 503: the change was made, but its entry was not written."""
    response.status_code = Unavailable.status
    response.set_data(json_text.dump({"detail": _UNRECORDED}))
    response.content_type = "application/json"
    return response


def _is_recorded(req: Request, response: Response) -> bool:
    """Return whether a request tried to change something, or was refused by the guard."""
    if req.url_rule is None or req.method == "OPTIONS" or response.status_code == _TOO_MANY:
        return False
    if not access.is_reading(req.method, req.url_rule.rule):
        return True
    return response.status_code in _REFUSED and not g.get("admitted")


def _is_flood(req: Request, response: Response, window: SharedWindow) -> bool:
    if response.status_code not in _REFUSED:
        return False
    if req.url_rule and access.is_reading(req.method, req.url_rule.rule):
        key = f"refused {access.client_of(req)} {req.url_rule.rule}"
        if window.hit(key, MAX_REFUSED_READS) is not None:
            return True
    return window.hit(f"refused {req.remote_addr}", MAX_REFUSALS) is not None


def _event(req: Request, response: Response) -> audit_log.Event:
    rule = req.url_rule.rule if req.url_rule else req.path
    action = classify_request(req.method, rule, permanent=req.args.get("permanent") == "true")
    failed = response.status_code >= 400
    body = _json_body(response) if failed or response.status_code == 201 else {}
    identity = access.get_identity()
    return audit_log.Event(
        action=action.action,
        resource_type=action.resource_type,
        resource_id=_resource_id(req, body),
        user_id=identity.key if identity.kind == PERSON else identity.name,
        token_id=identity.key if identity.kind == TOKEN else None,
        ip_address=req.remote_addr or None,  # a unix socket has none
        user_agent=req.headers.get("User-Agent"),
        success=not failed,
        error=first_text(body.get("detail")) or None if failed else None,
        details=_details(req, response, action, body),
    )


def _details(req: Request, response: Response, action: Action, body: Json) -> dict[str, Any]:
    identity = access.get_identity()
    details: dict[str, Any] = {
        "source": "api",
        "method": req.method,
        "path": req.path,
        "status": response.status_code,
    }
    project = context.get_noted_project()
    if project is not None and access.PROJECT in req.args:
        details["project"] = str(project)
    if identity.kind == PERSON:
        details["person"] = identity.name
    if action.resource_type == "token" and response.status_code == 201:
        details |= {key: body.get(key) for key in ("name", "scopes")}
    return details


def _resource_id(req: Request, body: Json) -> str | None:
    """Return the id in the path, or that of the created resource."""
    values = list((req.view_args or {}).values())
    return str(values[-1]) if values else first_text(body.get("id")) or None


def _json_body(response: Response) -> Json:
    """Return the JSON body; empty for a stream or another content type."""
    if response.is_streamed or not response.is_json:
        return {}
    return as_dict(response.get_json(silent=True))
