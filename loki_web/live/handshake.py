"""Checks before a connection is upgraded; a refusal is an ordinary HTTP error response."""

import base64
import binascii
from collections.abc import MutableMapping
from typing import Any

from flask import Request

from loki_web.config.settings import Settings
from loki_web.errors import BadRequest, Forbidden, NotFound, UpgradeRequired
from loki_web.web.origins import origin_is_allowed

SUBPROTOCOLS = ("loki", "bearer")
_SOCKET = "gunicorn.socket"
_VERSION = "13"
_KEY_BYTES = 16
_HANDSHAKE_HEADERS = (
    "HTTP_UPGRADE",
    "HTTP_CONNECTION",
    "HTTP_SEC_WEBSOCKET_KEY",
    "HTTP_SEC_WEBSOCKET_VERSION",
)


def check(request: Request, settings: Settings) -> None:
    """Check the origin of a connection to the feed, and that the server provides its socket.

    Requests without an Origin header (non-browser clients) are accepted.

    :raises Forbidden: for a page of another origin.
    :raises NotFound: when the WSGI server is not gunicorn.
    """
    origin = request.headers.get("Origin")
    foreign = origin is not None and not origin_is_allowed(origin, request.host, settings)
    if foreign or origin == "null":
        raise Forbidden("Origin not allowed. Add it to LOKI_DASHBOARD_CORS.")
    if _SOCKET not in request.environ:
        raise NotFound("The live feed is available only under gunicorn")


def check_handshake(request: Request) -> None:
    """Validate a WebSocket handshake, and reduce the environ to what the library needs.

    The library then accepts it, without seeing the token or the offer of permessage-deflate,
    which would cost 90 KiB a connection.

    :raises BadRequest: for a malformed handshake.
    :raises UpgradeRequired: for an unsupported version of the protocol.
    """
    headers = request.headers
    if headers.get("Sec-WebSocket-Version") != _VERSION:
        raise UpgradeRequired(f"Unsupported WebSocket version; version {_VERSION} is required.")
    if not _is_key(headers.get("Sec-WebSocket-Key", "")):
        raise BadRequest("Sec-WebSocket-Key must be 16 bytes in base64")
    if request.content_length or "Transfer-Encoding" in headers:
        raise BadRequest("A WebSocket handshake must not have a body")
    offered = headers.get("Sec-WebSocket-Protocol", "").split(",")
    subprotocols = [word.strip() for word in offered if word.strip() in SUBPROTOCOLS]
    _reduce(request.environ, subprotocols)


def _reduce(environ: MutableMapping[str, Any], subprotocols: list[str]) -> None:
    for name in [
        name for name in environ if name.startswith("HTTP_") and name not in _HANDSHAKE_HEADERS
    ]:
        del environ[name]
    environ["HTTP_HOST"] = "localhost"  # already checked; the library requires one
    environ["QUERY_STRING"] = environ["RAW_URI"] = ""
    if subprotocols:
        environ["HTTP_SEC_WEBSOCKET_PROTOCOL"] = subprotocols[0]


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.strip(), validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False
