"""The one gate before every request, in the order in which it asks."""

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from loki_web.api.request_parser import MAX_BODY_BYTES
from loki_web.errors import Forbidden, TooManyRequests
from loki_web.security import access, recording
from loki_web.security.origins import host_is_allowed, origin_is_allowed
from loki_web.services.sources import Sources
from loki_web.settings import Settings
from loki_web.store.shared_window import SharedWindow

STATE_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_UNPROXIED = "werkzeug.proxy_fix.orig"
_ANY_HOST = frozenset({"/health"})  # probes address a container by its number


def install(app: Flask, sources: Sources) -> None:
    settings = sources.settings
    folder = sources.cache_folder
    window = SharedWindow(folder / "control-calls.sqlite3" if folder else None)

    authenticator = access.install(app, sources)
    recording.install(app, sources, window)

    @app.before_request
    def guard() -> None:
        _check_host(request, settings)
        _check_origin(request, settings)
        access.check(request, authenticator, sources)
        g.admitted = True
        _check_rate(request, settings, window)
        _check_length(request)

    @app.after_request
    def say_how_to_treat_the_answer(response: Response) -> Response:
        access.tell_scopes(response)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault(
            "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
        )
        return response


def _check_host(asked: Request, settings: Settings) -> None:
    """A proxy that sets no X-Forwarded-Host lets through what a page made up, but not its Host."""
    unproxied = asked.environ.get(_UNPROXIED, {}).get("HTTP_HOST") or asked.host
    hosts = {asked.host, unproxied}
    if asked.path not in _ANY_HOST and not all(host_is_allowed(h, settings) for h in hosts):
        raise Forbidden("This server is not known under that host name; see LOKI_ALLOWED_HOSTS")


def _check_origin(asked: Request, settings: Settings) -> None:
    """Pages of other origins may read what CORS lets them, but change nothing."""
    if asked.method not in STATE_CHANGING:
        return
    origin = asked.headers.get("Origin")
    if origin is None:
        foreign = asked.headers.get("Sec-Fetch-Site") == "cross-site"
    else:
        foreign = not origin_is_allowed(origin, asked.host, settings)
    if foreign:
        raise Forbidden("Pages of another origin may not change anything here")


def _check_rate(asked: Request, settings: Settings, window: SharedWindow) -> None:
    rule = asked.url_rule
    if (
        asked.method not in STATE_CHANGING
        or rule is None
        or access.is_reading(asked.method, rule.rule)
    ):
        return
    wait = window.hit(access.client_of(asked), settings.control_rate_limit)
    if wait is not None:
        raise TooManyRequests(f"Too many changes; try again in {wait} seconds", wait)


def _check_length(asked: Request) -> None:
    """Also for routes that do not read a body."""
    if (asked.content_length or 0) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
