"""The one gate before every request, in the order in which it asks."""

from functools import lru_cache
from typing import Any

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from loki_web import logging_setup
from loki_web.auth.authenticator import Authenticator
from loki_web.errors import Forbidden, TooManyRequests
from loki_web.services.context import Sources
from loki_web.store.shared.rate_window import SharedWindow
from loki_web.web import access, audit_hook, cors
from loki_web.web.origins import host_is_allowed, origin_is_allowed
from loki_web.web.request_parser import MAX_BODY_BYTES

REQUEST_ID_HEADER = "X-Request-ID"
STATE_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_UNPROXIED = "werkzeug.proxy_fix.orig"
_ANY_HOST = frozenset({"/health"})  # probes address a container by its number
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Guard:
    """Decides for each request whether it may go on: by its host, its origin, who sent it, how many
    changes there were before it, and its length."""

    def __init__(self, sources: Sources, authenticator: Authenticator) -> None:
        folder = sources.cache_folder
        self.window = SharedWindow(folder / "control-calls.sqlite3" if folder else None)
        self._sources = sources
        self._settings = sources.settings
        self._authenticator = authenticator
        self._is_host_allowed = lru_cache(maxsize=256)(
            lambda host: host_is_allowed(host, sources.settings)
        )

    def admit(self, environ: dict[str, Any], rule: str) -> str:
        """Check a request that has not reached Flask and will be answered without it.

        :param rule: of the route that its address belongs to.
        :return: the scopes of a token, in the form of their header.
        :raises PublicError: when it is refused.
        """
        logging_setup.begin_request(environ.get("HTTP_X_REQUEST_ID", ""))
        self.check(Request(environ), rule)
        return _identified(environ)

    def check(self, asked: Request, rule: str | None) -> None:
        """Check a request, and note who sent it.

        :param rule: of its route, None where it has none.
        :raises PublicError: when it is refused.
        """
        self._check_host(asked)
        self._check_origin(asked)
        access.check(asked, rule, self._authenticator, self._sources)
        self._check_rate(asked, rule)
        if (asked.content_length or 0) > MAX_BODY_BYTES:  # also where no body is read
            raise RequestEntityTooLarge

    def _check_host(self, asked: Request) -> None:
        """A proxy that sets no X-Forwarded-Host lets through what a page made up, but not its
        Host."""
        unproxied = asked.environ.get(_UNPROXIED, {}).get("HTTP_HOST") or asked.host
        if asked.path not in _ANY_HOST and not (
            self._is_host_allowed(asked.host) and self._is_host_allowed(unproxied)
        ):
            raise Forbidden("This server is not known under that host name; see LOKI_ALLOWED_HOSTS")

    def _check_origin(self, asked: Request) -> None:
        """Pages of other origins may read what CORS lets them, but change nothing."""
        if asked.method not in STATE_CHANGING:
            return
        origin = asked.headers.get("Origin")
        if origin is None:
            foreign = asked.headers.get("Sec-Fetch-Site") == "cross-site"
        else:
            foreign = not origin_is_allowed(origin, asked.host, self._settings)
        if foreign:
            raise Forbidden("Pages of another origin may not change anything here")

    def _check_rate(self, asked: Request, rule: str | None) -> None:
        if (
            asked.method not in STATE_CHANGING
            or rule is None
            or access.is_reading(asked.method, rule)
        ):
            return
        wait = self.window.hit(access.client_of(asked), self._settings.control_rate_limit)
        if wait is not None:
            raise TooManyRequests(f"Too many changes; try again in {wait} seconds", wait)


def install(app: Flask, sources: Sources) -> Guard:
    """Check each request before its view, and complete the headers of each response."""
    guard = Guard(sources, access.install(app, sources))
    remember = audit_hook.recorder(sources, guard.window)

    @app.before_request
    def check() -> None:
        logging_setup.begin_request(request.headers.get(REQUEST_ID_HEADER, ""))
        guard.check(request, request.url_rule.rule if request.url_rule else None)
        g.admitted = True

    @app.after_request
    def complete(response: Response) -> Response:
        remember(response)
        cors.complete_headers(response)
        headers = response.headers
        scopes = _identified(request.environ)
        if access.identity().key:  # empty for a token that opens nothing
            headers[access.SCOPES_HEADER] = scopes
        for name, value in _ALWAYS.items():
            headers.setdefault(name, value)
        headers[REQUEST_ID_HEADER] = logging_setup.request_id()
        return response

    return guard


def _identified(environ: dict[str, Any]) -> str:
    """Leave in the environ who has asked, for the access log.

    :return: the scopes of their token, in the form of their header; empty where none was needed.
    """
    identity = access.identity_in(environ)
    environ[logging_setup.USER] = identity.name if identity.key else ""
    return " ".join(sorted(identity.scopes)) if identity.key else ""
