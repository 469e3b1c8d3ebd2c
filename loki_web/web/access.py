"""Who asks, and may they? Deny by default, with a short list of what anyone may see.

A new route needs `read` where it answers GET and `control` where it does anything else. What is
different stands in the tables here, by rule, and nowhere else.
"""

from collections.abc import Mapping
from typing import Any

from flask import Flask, Request, request

from loki_web.auth.authenticator import Authenticator
from loki_web.auth.identity import UNAUTHENTICATED, Identity
from loki_web.auth.scopes import ADMIN, AUDIT, CONTROL, READ
from loki_web.errors import Forbidden, Unauthenticated
from loki_web.services.context import Sources

PUBLIC = frozenset(
    {
        *("/", "/health", "/api/enterprise/status", "/api/auth/info"),
        *("/openapi.json", "/asyncapi.json", "/docs", "/favicon.ico"),
    }
)
PUBLIC_FOLDERS = ("/assets/", "/docs/")
METRICS = "/metrics"
SCOPES_HEADER = "X-Loki-Scopes"
# Browsers cannot send headers there, so the token may stand in the address.
SOCKET, EVENT_STREAM = "/ws", "/api/events"

# The first beginning of a rule that fits decides.
_SCOPE_OF_FOLDER = (
    ("/api/enterprise/audit", AUDIT),
    ("/api/enterprise/", ADMIN),
    ("/api/secrets/", ADMIN),
)
_READING = frozenset({"GET", "HEAD"})
READS_BY_POST = frozenset({"/api/memory/retrieve"})  # a search that has a body
_EXTENSION = "loki_web.authenticator"
_IDENTITY = "loki_web.identity"  # where the environ of a request has who sent it
_SUBPROTOCOL = "bearer"
_TOKEN_SUBPROTOCOL = "loki.token."  # noqa: S105


def install(app: Flask, sources: Sources) -> Authenticator:
    """The authenticator of the application, which `authenticator` finds again."""
    made = Authenticator(sources)
    app.extensions[_EXTENSION] = made
    return made


def authenticator(app: Flask) -> Authenticator:
    found: Authenticator = app.extensions[_EXTENSION]
    return found


def check(asked: Request, rule: str | None, checker: Authenticator, sources: Sources) -> None:
    """Let the request through, with its `identity`, or refuse it.

    :param rule: of its route, None where it has none.
    :raises Unauthenticated: without a token that opens anything.
    :raises Forbidden: when its holder may do other things, but not this.
    :raises Unavailable: when only the OIDC issuer could tell and it does not answer.
    """
    if _is_public(asked, rule, sources):
        return
    holder = checker.authenticate(bearer(asked, rule))
    if holder is None:
        raise Unauthenticated("A valid access token is needed")
    asked.environ[_IDENTITY] = holder
    if rule is not None:
        needed = scope_of(asked.method, rule)
        if not holder.has_scope(needed):
            raise Forbidden(f"The token does not allow this; it needs the scope {needed}")
    checker.record_use(holder)


def identity() -> Identity:
    """Who the request at hand comes from."""
    return identity_in(request.environ)


def identity_in(environ: Mapping[str, Any]) -> Identity:
    """The same for the environ of a request."""
    found: Identity = environ.get(_IDENTITY, UNAUTHENTICATED)
    return found


def _is_public(asked: Request, rule: str | None, sources: Sources) -> bool:
    """What anyone may see, and preflights, which browsers send without a token."""
    if asked.method == "OPTIONS":
        return rule is None or bool(getattr(asked.url_rule, "provide_automatic_options", False))
    if rule is not None and asked.method not in _READING:
        return False
    place = asked.path if rule is None else rule
    if place == METRICS:
        return sources.settings.metrics_public
    return place in PUBLIC or place.startswith(PUBLIC_FOLDERS)


def scope_of(method: str, rule: str) -> str:
    """The scope that a route needs."""
    for beginning, scope in _SCOPE_OF_FOLDER:
        if rule.startswith(beginning):
            return scope
    return READ if is_reading(method, rule) else CONTROL


def is_reading(method: str, rule: str) -> bool:
    """True where nothing is changed."""
    return method in _READING or (method == "POST" and rule in READS_BY_POST)


def bearer(asked: Request, rule: str | None) -> str | None:
    """The raw token of a request. A listener to the live feed may bring it in its address; a
    socket also as the subprotocol `loki.token.…`, or as one after the word `bearer`."""
    scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
    if token and scheme.lower() == "bearer":
        return token.strip()
    if rule == EVENT_STREAM:
        return asked.args.get("token")
    if rule != SOCKET:
        return None
    offered = [word.strip() for word in asked.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if len(offered) == 2 and offered[0].lower() == _SUBPROTOCOL:
        return offered[1]
    carried = [word for word in offered if word.startswith(_TOKEN_SUBPROTOCOL)]
    if carried:
        return carried[0].removeprefix(_TOKEN_SUBPROTOCOL)
    return asked.args.get("token")


def client_of(asked: Request) -> str:
    """Whom a limit counts: the holder of the token, else the address; a unix socket has none."""
    holder = identity_in(asked.environ)
    return f"{holder.kind}:{holder.key}" if holder.key else asked.remote_addr or "local"
