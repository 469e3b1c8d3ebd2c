"""Checks before every request, in this order: host, origin, token and scope, rate, length."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from flask import Flask, Request, Response, g, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge

from loki_web import logging_setup
from loki_web.auth.authenticator import Authenticator
from loki_web.errors import Forbidden, TooManyRequests
from loki_web.services.context import WritableSources
from loki_web.store.shared.rate_window import SharedWindow
from loki_web.web import access, audit_hook, context, cors
from loki_web.web.meter import RULE
from loki_web.web.origins import host_is_allowed, is_address, origin_is_allowed
from loki_web.web.request_parser import MAX_BODY_BYTES

REQUEST_ID_HEADER = "X-Request-ID"
STATE_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_UNPROXIED = "werkzeug.proxy_fix.orig"
_CONTROL = ("/api/control/", "/api/agents/")  # Stop, Pause, Resume and Kill
# Probes use the IP address of a container. This is safe: DNS rebinding needs a host name.
_ANY_HOST = frozenset({"/health"})
_ANY_ADDRESS = ("/health", access.METRICS)
_POLICY, _NO_ORIGIN = "Content-Security-Policy", "'none'"
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """Accept or refuse each request.

    :ivar window: counts state changes by client, shared by all workers.
    :ivar recorder: records requests in the audit log.
    """

    def __init__(
        self,
        sources: WritableSources,
        authenticator: Authenticator,
        is_of_project: Callable[[str], bool],
    ) -> None:
        self.window = _open_window(sources)
        self.recorder = audit_hook.Recorder(sources, self.window)
        self._sources = sources
        self._settings = sources.settings
        self._authenticator = authenticator
        self._is_of_project = is_of_project
        self._is_host_allowed = lru_cache(maxsize=256)(
            lambda host: host_is_allowed(host, sources.settings)
        )

    def admit(self, environ: dict[str, Any], rule: str) -> str:
        """Check a request that is answered without Flask.

        :param rule: of the route that matches the path.
        :return: the value of the header X-Loki-Scopes; empty on public routes.
        :raises PublicError: when the request is refused.
        """
        _begin(environ)
        self.check(Request(environ), rule)
        return _note_user(environ)

    def check(self, req: Request, rule: str | None) -> None:
        """Check a request and store its identity in the environ.

        :param rule: of the matched route, None if no route matches.
        :raises PublicError: when the request is refused.
        """
        req.environ[RULE] = rule
        self._check_host(req)
        self._check_origin(req)
        self._check_sign_in_rate(req, rule)
        access.check(req, rule, self._authenticator, self._sources, self._is_of_project)
        self._check_rate(req, rule)
        if rule is not None:
            self.recorder.check_can_record(req.method, rule)
        if (req.content_length or 0) > MAX_BODY_BYTES:  # even if the view does not read it
            raise RequestEntityTooLarge

    def _check_host(self, req: Request) -> None:
        """Check the Host and, behind a proxy, the original Host.

        A proxy that does not set X-Forwarded-Host passes on a forged one, but not a forged Host.

        :raises Forbidden: for a name that is not allowed (DNS rebinding).
        """
        unproxied = req.environ.get(_UNPROXIED, {}).get("HTTP_HOST") or req.host
        if req.path not in _ANY_HOST and not all(
            self._is_host_allowed(host) or (req.path.startswith(_ANY_ADDRESS) and is_address(host))
            for host in (req.host, unproxied)
        ):
            raise Forbidden("Host not allowed. Add it to LOKI_ALLOWED_HOSTS.")

    def _check_origin(self, req: Request) -> None:
        """Refuse state changes by pages of other origins (CSRF); reading is up to CORS.

        :raises Forbidden: for an origin that is neither ours nor configured.
        """
        if req.method not in STATE_CHANGING:
            return
        origin = req.headers.get("Origin")
        if origin is None:
            foreign = req.headers.get("Sec-Fetch-Site") == "cross-site"
        else:
            foreign = not origin_is_allowed(origin, req.host, self._settings)
        if foreign:
            raise Forbidden("Origin not allowed to change anything. Add it to LOKI_DASHBOARD_CORS.")

    def _check_sign_in_rate(self, req: Request, rule: str | None) -> None:
        """Count attempts to sign in by address, before the token is looked at.

        :raises TooManyRequests: when there were too many within a minute.
        """
        if rule == access.SESSION and req.method == "POST":
            self._count(f"sign-in {req.remote_addr}")

    def _check_rate(self, req: Request, rule: str | None) -> None:
        if req.method not in STATE_CHANGING or rule is None or access.is_reading(req.method, rule):
            return
        key = access.client_of(req)
        if rule.startswith(_CONTROL):  # other changes must not lock anybody out of Stop
            key = f"control {key}"
        self._count(key)

    def _count(self, key: str) -> None:
        wait = self.window.hit(key, self._settings.control_rate_limit)
        if wait is not None:
            raise TooManyRequests(f"Too many changes. Try again in {wait} seconds.", wait)


def install(app: Flask, sources: WritableSources) -> Guard:
    """Check each request before its view, and complete the headers of each response.

    :return: the guard, for answers that are sent without Flask.
    """

    @cache
    def rules_of_projects() -> frozenset[str]:
        """Return the routes of blueprints that are about one project; all exist by now."""
        return frozenset(
            rule.rule
            for rule in app.url_map.iter_rules()
            if rule.rule.startswith("/api/")
            and getattr(
                app.blueprints.get(rule.endpoint.rpartition(".")[0]), "is_of_project", False
            )
        )

    guard = Guard(sources, access.install(app, sources), lambda rule: rule in rules_of_projects())

    @app.before_request
    def check() -> None:
        _begin(request.environ)
        guard.check(request, request.url_rule.rule if request.url_rule else None)
        g.admitted = True

    @app.after_request
    def complete(response: Response) -> Response:
        if not guard.recorder.record(response):
            response = audit_hook.make_unrecorded(response)
        cors.complete_headers(response)
        context.complete_headers(response)
        headers = response.headers
        scopes = _note_user(request.environ)
        if scopes or access.get_identity().key:  # a valid token can be without scopes
            headers[access.SCOPES_HEADER] = scopes
        for name, value in _ALWAYS.items():
            headers.setdefault(name, value)
        _restrict_frames(headers, sources.settings.frame_ancestors)
        headers[REQUEST_ID_HEADER] = logging_setup.request_id()
        return response

    return guard


def _open_window(sources: WritableSources) -> SharedWindow:
    folder, link = sources.cache_folder, sources.link
    path = folder / "control-calls.sqlite3" if folder else None
    return link.open_window(path) if link else SharedWindow(path)


def _begin(environ: dict[str, Any]) -> None:
    """Set the ids of a request for its log lines."""
    sent_id, trace = environ.get("HTTP_X_REQUEST_ID", ""), environ.get("HTTP_TRACEPARENT", "")
    logging_setup.begin_request(sent_id, trace)


def _restrict_frames(headers: Headers, ancestors: tuple[str, ...]) -> None:
    """Say which pages may show the response in a frame (clickjacking); by default none.

    X-Frame-Options cannot list origins, so it is sent only if no page may.
    """
    policy = headers.get(_POLICY, "default-src 'none'")
    headers[_POLICY] = f"{policy}; frame-ancestors {' '.join(ancestors or (_NO_ORIGIN,))}"
    if not ancestors:
        headers["X-Frame-Options"] = "DENY"


def _note_user(environ: dict[str, Any]) -> str:
    """Store the user name in the environ, for the access log.

    :return: the value of the header X-Loki-Scopes: all scopes if authentication is off, because a
        client's cache adds the headers of a 304 to those of an answer that it got when it was on;
        empty on public routes.
    """
    identity = access.get_identity_in(environ)
    environ[logging_setup.USER] = identity.name if identity.key else ""
    return " ".join(sorted(identity.scopes))
