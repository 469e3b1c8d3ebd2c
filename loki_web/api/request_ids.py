"""Every answer has an id, and what the log says about its request has the same."""

from flask import Flask, Response, request

from loki_web import server_log
from loki_web.gunicorn_log import USER
from loki_web.security import access

HEADER = "X-Request-ID"


def install(app: Flask) -> None:
    """To be installed before all else, so that whatever happens afterwards has the id."""
    app.before_request(_begin)
    app.after_request(_mark)


def _begin() -> None:
    server_log.begin_request(request.headers.get(HEADER, ""))


def _mark(response: Response) -> Response:
    response.headers[HEADER] = server_log.request_id()
    holder = access.identity()
    request.environ[USER] = holder.name if holder.key else ""
    return response
