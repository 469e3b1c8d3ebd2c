"""What is asked of a client before it is let in; every refusal is an ordinary HTTP answer."""

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
_SHAKEN = (
    "HTTP_UPGRADE",
    "HTTP_CONNECTION",
    "HTTP_SEC_WEBSOCKET_KEY",
    "HTTP_SEC_WEBSOCKET_VERSION",
)


def check(asked: Request, settings: Settings) -> None:
    """:raises Forbidden: for a page of another origin; who sends no origin is no page.
    :raises NotFound: where the server under the application does not give out its sockets.
    """
    origin = asked.headers.get("Origin")
    foreign = origin is not None and not origin_is_allowed(origin, asked.host, settings)
    if foreign or origin == "null":
        raise Forbidden("Pages of another origin may not listen here")
    if _SOCKET not in asked.environ:
        raise NotFound("The live feed needs gunicorn; this server has none")


def check_handshake(asked: Request) -> None:
    """See to it that the handshake can only succeed, and hide from it what is not its business:
    the token, and the offer to compress, which costs 90 KiB a connection.

    :raises BadRequest: where it is none.
    :raises UpgradeRequired: for a version of the protocol that is not spoken here.
    """
    headers = asked.headers
    if headers.get("Sec-WebSocket-Version") != _VERSION:
        raise UpgradeRequired(f"WebSocket version {_VERSION} is spoken here")
    if not _is_key(headers.get("Sec-WebSocket-Key", "")):
        raise BadRequest("Sec-WebSocket-Key must be 16 bytes in base64")
    if asked.content_length or "Transfer-Encoding" in headers:
        raise BadRequest("The handshake has no body")
    offered = headers.get("Sec-WebSocket-Protocol", "").split(",")
    spoken = [word.strip() for word in offered if word.strip() in SUBPROTOCOLS]
    _reduce(asked.environ, spoken)


def _reduce(environ: MutableMapping[str, Any], spoken: list[str]) -> None:
    for name in [name for name in environ if name.startswith("HTTP_") and name not in _SHAKEN]:
        del environ[name]
    environ["HTTP_HOST"] = "localhost"  # it was checked; the handshake only wants to see one
    environ["QUERY_STRING"] = environ["RAW_URI"] = ""
    if spoken:
        environ["HTTP_SEC_WEBSOCKET_PROTOCOL"] = spoken[0]


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.strip(), validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False
