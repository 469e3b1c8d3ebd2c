"""Authentication and authorization of requests: deny by default, with a short list of public paths.

A new route needs the scope `read` for GET and `control` for other methods. All exceptions are in
the tables of this module.

A token that is limited to projects opens the routes that are about one project, and those of
_FOR_LIMITED; `web.context` gives all of them sources with that limit.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Request, request

from loki_web.auth import scopes
from loki_web.auth.authenticator import Authenticator
from loki_web.auth.identity import UNAUTHENTICATED, Identity
from loki_web.auth.scopes import ADMIN, AUDIT, CONTROL, READ
from loki_web.errors import Forbidden, Unauthenticated
from loki_web.services.context import WritableSources
from loki_web.web import session_cookie

PUBLIC = frozenset(
    {
        *("/", "/health", "/health/live", "/health/ready"),
        *("/api/enterprise/status", "/api/auth/info"),
        *("/openapi.json", "/asyncapi.json", "/docs", "/favicon.ico"),
    }
)
PUBLIC_FOLDERS = ("/assets/", "/docs/")
METRICS = "/metrics"
PROJECT = "project"  # the query parameter
SCOPES_HEADER = "X-Loki-Scopes"
KEY_HEADER = "X-API-Key"
CSRF_HEADER = "X-CSRF-Token"
SESSION = "/api/auth/session"  # POST signs in, DELETE signs out
# Browsers cannot send an Authorization header here, so the token may be in the query string.
SOCKET, EVENT_STREAM = "/ws", "/api/events"

# The first matching prefix decides.
_SCOPE_OF_PREFIX = (
    (SESSION, READ),
    ("/api/enterprise/audit", AUDIT),
    ("/api/enterprise/", ADMIN),
    ("/api/secrets/", ADMIN),
)
# Of all projects; a limited token sees its own in them.
_FOR_LIMITED = frozenset(
    {
        *("/api/fleet", "/api/running-projects", "/api/focus", METRICS, SOCKET, EVENT_STREAM),
        *("/api/registry/projects", "/api/registry/projects/<anything:identifier>"),
        *("/api/registry/projects/<anything:identifier>/health", "/api/registry/discover"),
        *("/api/registry/tasks", "/api/registry/learnings"),
    }
)
_READING = frozenset({"GET", "HEAD"})
READS_BY_POST = frozenset({"/api/memory/retrieve"})  # a search with a body
_EXTENSION = "loki_web.authenticator"
_IDENTITY = "loki_web.identity"  # key of the WSGI environ
_SUBPROTOCOL = "bearer"
_TOKEN_SUBPROTOCOL = "loki.token."  # noqa: S105


def install(app: Flask, sources: WritableSources) -> Authenticator:
    """Create the authenticator of the application; `get_authenticator` returns it later."""
    created = Authenticator(sources)
    app.extensions[_EXTENSION] = created
    return created


def get_authenticator(app: Flask) -> Authenticator:
    """Return the authenticator that `install` created."""
    installed: Authenticator = app.extensions[_EXTENSION]
    return installed


def check(
    req: Request,
    rule: str | None,
    checker: Authenticator,
    sources: WritableSources,
    is_of_project: Callable[[str], bool],
) -> None:
    """Authenticate and authorize a request, and store its identity in the environ.

    :param rule: of the matched route, None if no route matches.
    :param is_of_project: returns whether the route of a rule is about one project.
    :raises Unauthenticated: without a valid token.
    :raises Forbidden: when the token lacks the scope that the route needs.
    :raises Unavailable: when the OIDC issuer is needed to verify the token and does not answer.
    """
    if _is_public(req, rule, sources):
        return
    holder = _find_holder(req, rule, checker)
    if holder is None:
        raise Unauthenticated("A valid access token is required")
    req.environ[_IDENTITY] = holder
    if rule is not None:
        needed = scope_of(req.method, rule)
        may_scrape = rule == METRICS and holder.has_scope(scopes.METRICS)
        if not (holder.has_scope(needed) or may_scrape):
            raise Forbidden(f"The token lacks the scope {needed}")
        if holder.projects is not None and not _is_limited(req.method, rule, is_of_project):
            raise Forbidden("The token is limited to projects, and this is about more than them")
    checker.record_use(holder)


def _is_limited(method: str, rule: str, is_of_project: Callable[[str], bool]) -> bool:
    """Return whether a route shows and changes nothing outside of the projects of a token."""
    if rule == SESSION:
        return True
    if rule in _FOR_LIMITED:
        return method in _READING
    return is_of_project(rule) and scope_of(method, rule) in (READ, CONTROL)


def _find_holder(req: Request, rule: str | None, checker: Authenticator) -> Identity | None:
    """Return who sends a request: the holder of its token, else who has signed in.

    :raises Forbidden: for a cookie that a page of another origin sent, or a change without the
        CSRF token. Pages at another port of this host send our cookie too (RFC 6265, 8.5).
    """
    raw = bearer(req, rule)
    is_sign_in = rule == SESSION and req.method == "POST"
    cookie = None if raw or is_sign_in or not checker.is_required else session_cookie.read(req)
    if cookie is None:
        return checker.authenticate(raw)
    if not session_cookie.is_from_own_page(req, must_tell=rule == SOCKET):
        raise Forbidden("Only pages of this server can use its session cookie")
    holder = checker.find_signed_in(cookie)
    csrf_token, is_change = req.headers.get(CSRF_HEADER, ""), req.method not in _READING
    if holder and is_change and not checker.is_csrf_token(csrf_token, holder):
        raise Forbidden(f"The header {CSRF_HEADER} is missing or wrong. Sign in again.")
    return holder


def get_identity() -> Identity:
    """Return the identity of the current request."""
    return get_identity_in(request.environ)


def get_identity_in(environ: Mapping[str, Any]) -> Identity:
    """Return the identity of the request of an environ."""
    identity: Identity = environ.get(_IDENTITY, UNAUTHENTICATED)
    return identity


def _is_public(req: Request, rule: str | None, sources: WritableSources) -> bool:
    """Return whether a request needs no token: public paths and CORS preflights."""
    if req.method == "OPTIONS":
        return rule is None or bool(getattr(req.url_rule, "provide_automatic_options", False))
    if rule is not None and req.method not in _READING:
        return False
    path = without_slash(req.path) if rule is None else rule
    if path == METRICS:  # the names of other projects are not public
        return sources.settings.metrics_public and PROJECT not in req.args
    return path in PUBLIC or path.startswith(PUBLIC_FOLDERS)


def without_slash(path: str) -> str:
    """Return a path without slashes at its end; they redirect, see `error_handlers`."""
    return path.rstrip("/") or "/"


def scope_of(method: str, rule: str) -> str:
    """Return the scope that a route needs."""
    for prefix, scope in _SCOPE_OF_PREFIX:
        if rule.startswith(prefix):
            return scope
    return READ if is_reading(method, rule) else CONTROL


def is_reading(method: str, rule: str) -> bool:
    """Return whether a route changes nothing."""
    return method in _READING or (method == "POST" and rule in READS_BY_POST)


def bearer(req: Request, rule: str | None) -> str | None:
    """Return the raw token of a request, or None.

    X-API-Key comes first: a proxy may use Authorization itself. For the live feed it may also be
    the query parameter `token`; for a WebSocket also the subprotocol `loki.token.<token>`, or the
    subprotocol after `bearer`.
    """
    key = req.headers.get(KEY_HEADER, "").strip()
    if key:
        return key
    scheme, _, token = req.headers.get("Authorization", "").partition(" ")
    if token and scheme.lower() == "bearer":
        return token.strip()
    if rule == EVENT_STREAM:
        return req.args.get("token")
    if rule != SOCKET:
        return None
    offered = [word.strip() for word in req.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if len(offered) == 2 and offered[0].lower() == _SUBPROTOCOL:
        return offered[1]
    carried = [word for word in offered if word.startswith(_TOKEN_SUBPROTOCOL)]
    if carried:
        return carried[0].removeprefix(_TOKEN_SUBPROTOCOL)
    return req.args.get("token")


def client_of(req: Request) -> str:
    """Return the key of a client for rate limits: its token or user, else its IP address.

    Clients of a unix socket have no address and share the key `local`.
    """
    holder = get_identity_in(req.environ)
    return f"{holder.kind}:{holder.key}" if holder.key else req.remote_addr or "local"
