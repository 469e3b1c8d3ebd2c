"""Error responses: always `{"detail": "sentence"}`, also for errors of Flask and gunicorn."""

import logging
from urllib.parse import quote

from flask import Flask, Response, jsonify, request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException
from werkzeug.routing import WebsocketMismatch

from loki_web.errors import PublicError
from loki_web.web import access

_SENTENCES = {
    400: "The request is not valid",
    404: "Not found",
    405: "Method not allowed for this path",
    408: "The request took too long to arrive",
    413: "The body is larger than 1 MB",
    414: "The URL is too long",
    415: "The content type is not supported",
    431: "The header fields are too large",
}
_ONLY_SOCKET = (
    f"{access.SOCKET} is a WebSocket: connect with ws:// or wss://. If a proxy removes the Upgrade "
    f"header, configure it to pass it, or use {access.EVENT_STREAM}."
)
_NO_SOCKET = f"This path is not a WebSocket; connect to {access.SOCKET}."
_API = ("/api/", "/health", access.METRICS)

log = logging.getLogger(__name__)


def install(app: Flask) -> None:
    """Answer every error as JSON with `detail`; unexpected ones are logged and get no text."""
    app.register_error_handler(PublicError, _public)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _public(error: PublicError) -> Response:
    response = _detail(error.detail, error.status)
    response.headers.update(error.headers)
    return response


def _http(error: HTTPException) -> Response:
    """Answer errors of the framework, with their headers: Location for redirects, Allow for 405."""
    if error.code == 404 and (address := _without_slash()):
        return _moved(address)
    status = error.code or 500
    response = _detail(_describe(error, status), status)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _describe(error: HTTPException, status: int) -> str:
    if isinstance(error, WebsocketMismatch):
        return _ONLY_SOCKET if request.path == access.SOCKET else _NO_SOCKET
    return _SENTENCES.get(status, error.name)


def _without_slash() -> str | None:
    """Return the address of an API path without slashes at its end, if there is such a route."""
    path, adapter = access.without_slash(request.path), request_ctx.url_adapter
    is_other = path != request.path and path.startswith(_API) and request.url_rule is None
    if not is_other or adapter is None or not adapter.allowed_methods(path):
        return None
    query = request.query_string.decode("latin-1")
    return request.script_root + quote(path) + (f"?{query}" if query else "")


def _moved(address: str) -> Response:
    response = _detail("The path has no slash at its end", 308)
    response.headers["Location"] = address
    return response


def handle_malformed_body(_: Exception) -> Response:
    """Answer a malformed chunked body, detected by gunicorn while the body is read."""
    return _detail(_SENTENCES[400], 400)


def _unexpected(error: Exception) -> Response:
    log.error("the request failed", exc_info=error)
    return _detail("Internal server error", 500)


def _detail(sentence: str, status: int) -> Response:
    response = jsonify({"detail": sentence})
    response.status_code = status
    return response
