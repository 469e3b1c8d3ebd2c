"""`/ws` and `/api/events`: the routes of the live feed, the same in the server and the sidecar.

Both hand the connection over to the hub and free the thread of the request.
"""

import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from socket import socket
from typing import Any, NoReturn

from flask import Blueprint, Flask, Response, current_app, g, request
from flask_sock import Sock
from simple_websocket import Server
from werkzeug.http import http_date

from loki_web.auth.scopes import READ
from loki_web.errors import Unavailable
from loki_web.live import handshake, protocol, service
from loki_web.live.hub.connection import MayStay
from loki_web.live.hub.hub import Hub
from loki_web.live.service import Live
from loki_web.services.context import WritableSources
from loki_web.services.fleet import selection
from loki_web.web import access, context
from loki_web.web.access import PROJECT
from loki_web.web.context import server_sources

_FULL_RETRY_SECONDS = 5

blueprint = Blueprint("live", __name__)
_socket = Sock()


class _NoThread:
    """Replaces the reader thread of the library, because the hub reads."""

    name = ""

    def __init__(self, target: Callable[[], None]) -> None:
        pass

    def start(self) -> None:
        pass


class _EventStreamResponse(Response):
    """A response whose connection the hub takes over as soon as its headers are complete."""

    automatically_set_content_length = False

    def __init__(self, begin: Callable[[socket, bytes], None]) -> None:
        super().__init__(mimetype="text/event-stream")
        self.headers["X-Accel-Buffering"] = "no"
        self.headers["Cache-Control"] = "no-store"
        self._begin = begin

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        return self._hand_over(environ)

    def _hand_over(self, environ: Any) -> NoReturn:
        headers = [f"{name}: {value}" for name, value in self.get_wsgi_headers(environ)]
        lines = ["HTTP/1.1 200 OK", f"Date: {http_date()}", "Connection: close", *headers]
        self._begin(environ["gunicorn.socket"], "\r\n".join([*lines, "", ""]).encode("latin-1"))
        raise StopIteration  # gunicorn ends the request without a response; the thread is free


def install(app: Flask, sources: WritableSources) -> None:
    """Create the live feed of an application and add its routes."""
    app.config["SOCK_SERVER_OPTIONS"] = {
        "thread_class": _NoThread,
        "subprotocols": list(handshake.SUBPROTOCOLS),
    }
    service.install(app, sources)
    app.register_blueprint(blueprint)


@blueprint.before_request
def check() -> None:
    """Refuse a connection before it is opened, see `handshake`."""
    handshake.check(request, server_sources().settings)
    if request.method == "OPTIONS":  # needs no token, so it must not tell which projects exist
        return
    g.hub, g.project = _find_session()
    if request.path == access.SOCKET:
        handshake.check_handshake(request)


@_socket.route(access.SOCKET, bp=blueprint)  # type: ignore[untyped-decorator]
def feed(server: Server) -> None:
    """Hand an accepted WebSocket to the hub."""
    server.connected = False  # the library must not close the socket
    holder = access.get_identity()
    _live().open_socket(g.hub, server.sock, server.ws.connection, _may_stay(), holder, g.project)


@blueprint.errorhandler(ConnectionError)
@blueprint.errorhandler(ssl.SSLError)
def forget(_: OSError) -> Response:
    """Respond to a client that disconnected during the handshake: that is no fault of ours."""
    return Response(status=400)


@blueprint.get(access.EVENT_STREAM)
def events() -> Response:
    """Open a stream of server-sent events.

    :raises BadRequest: for an unknown channel.
    :raises Unavailable: when all connections are in use.
    """
    names = [name for name in request.args.get("channels", "").split(",") if name]
    channels = protocol.parse_channels(names) or protocol.BROADCASTS
    if _live().is_full:
        raise Unavailable("Too many live connections. Try again later.", _FULL_RETRY_SECONDS)
    feed, last_id, may_stay = _live(), request.headers.get("Last-Event-ID", ""), _may_stay()
    hub, project, holder = g.hub, g.project, access.get_identity()
    return _EventStreamResponse(
        lambda sock, head: feed.open_stream(
            hub, sock, head, channels, last_id, may_stay, holder, project
        )
    )


def _find_session() -> tuple[Hub, Path | None]:
    """Return the hub for a connection, and the project of this machine that it follows.

    That is the project in the address. Without one, a client with a limited token follows the
    project that is shown at this moment; for other clients it is None.

    :raises NotFound: for an unknown project.
    :raises Unavailable: when too many projects are followed.
    """
    live, name = _live(), request.args.get(PROJECT, "")
    limit = access.get_identity().projects
    hub = live.find_hub(name, limit)
    if hub is not live.hub or not (name or limit is not None):
        return hub, None
    project = selection.get_root(context.sources())
    live.feed.check_room(project)
    return hub, project


def _live() -> Live:
    live = service.get_live(current_app)
    if live is None:
        raise LookupError("the live feed is not installed")
    return live


def _may_stay() -> MayStay | None:
    """Return a check that the client may still listen; None if authentication is off."""
    checker, holder = access.get_authenticator(current_app), access.get_identity()
    if not checker.is_required:
        return None
    return lambda: READ in checker.get_current_scopes(holder)
