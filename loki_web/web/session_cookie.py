"""The cookie of a browser that has signed in, see `auth.sign_ins`.

Cookies are shared by all ports of a host, so the port is in its name: servers on one host do not
overwrite each other's.
"""

import re
from datetime import UTC, datetime

from flask import Request, Response, after_this_request, request

from loki_web.web.origins import origin_is_own

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_PORT = re.compile(r":(\d{1,5})\Z")
_OWN = frozenset({"same-origin", "none"})  # `none`: the address was typed, or a bookmark


def read(req: Request) -> str | None:
    """Return the secret in the cookie of a request.

    None for two cookies of the name, too: one of them was set by a neighbor, at another port or
    subdomain of the host, and which one is not known.
    """
    name, header = get_name(req), req.headers.get("Cookie", "")
    pairs = [part.strip().partition("=") for part in header.split(";")]
    secrets = [value for key, _, value in pairs if key == name]
    return secrets[0] if len(secrets) == 1 and _SECRET.fullmatch(secrets[0]) else None


def is_from_own_page(req: Request, *, must_tell: bool) -> bool:
    """Return whether a request comes from a page of this server, or from no page at all.

    Configured origins are not our own: their pages have tokens.

    :param must_tell: whether it needs an Origin header, as browsers send it for each WebSocket.
    """
    origin = req.headers.get("Origin")
    if origin is not None:
        return origin_is_own(origin, req.host)
    return not must_tell and req.headers.get("Sec-Fetch-Site", "none") in _OWN


def get_name(req: Request) -> str:
    """Return the name of the cookie.

    Its prefix makes browsers refuse it from other hosts (`__Host-`, which needs the path `/`), or
    unless it came over HTTPS (`__Secure-`).
    """
    port = _PORT.search(req.host)
    number = port.group(1) if port else ("443" if req.is_secure else "80")
    prefix = "" if not req.is_secure else "__Secure-" if req.script_root else "__Host-"
    return f"{prefix}loki-session-{number}"


def read_current() -> str | None:
    """Return the secret in the cookie of the current request."""
    return read(request)


def set_cookie(secret: str, expires: datetime) -> None:
    """Send the cookie with the response to the current request."""

    @after_this_request
    def add(response: Response) -> Response:
        response.set_cookie(
            get_name(request),
            secret,
            expires=expires,
            path=f"{request.script_root}/",
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return response


def clear_cookie() -> None:
    """Remove the cookie with the response to the current request."""
    set_cookie("", datetime.fromtimestamp(0, UTC))
