"""gunicorn hooks: start-up checks, clean-up, error responses for unparsable requests."""

import json
import logging
import socket
import sys
from collections.abc import Iterable
from typing import Any

from flask import Flask
from gunicorn.http.errors import ParseException
from gunicorn.util import write_nonblock

from loki_web import logging_setup
from loki_web.config.parsers import is_loopback
from loki_web.config.settings import Settings
from loki_web.server import heap
from loki_web.services import warming
from loki_web.services.session.processes import parse_pid
from loki_web.store.writable import WritableFolder
from loki_web.web.error_handlers import handle_malformed_body

# Folders below `.loki/` and `~/.loki/` in which this server writes files.
_WRITTEN = ("", "signals", "notifications", "metrics", "state", "state/checkpoints")
_WRITTEN_AT_HOME = ("dashboard", "dashboard/audit")
_PID_FILE = "dashboard/dashboard.pid"

log = logging.getLogger(__name__)


def refuse_exposure(settings: Settings, addresses: Iterable[Any]) -> None:
    """Exit when gunicorn would listen on a public address without authentication.

    gunicorn's own `--bind` overrides the LOKI_* variables, so the settings' check is not enough.

    :param addresses: pairs of host and port, or paths of unix sockets.
    """
    if settings.auth_required or settings.allow_anonymous:
        return
    for address in addresses:
        if isinstance(address, tuple) and not is_loopback(str(address[0])):
            sys.exit(
                f"loki-web: {address[0]} is reachable from outside: set LOKI_ENTERPRISE_AUTH=true, "
                "or LOKI_ALLOW_ANONYMOUS=true to run without authentication"
            )


def sweep(settings: Settings) -> None:
    """Remove temporary files that a killed server left behind."""
    WritableFolder(settings.loki_dir).sweep(*_WRITTEN)
    WritableFolder(settings.home / ".loki").sweep(*_WRITTEN_AT_HOME)


def report_missing_folder(settings: Settings) -> None:
    """Log one line if there is no session yet: an empty page may also mean a wrong LOKI_DIR."""
    if not settings.loki_dir.is_dir():
        log.warning("there is no %s yet: waiting for a session (see LOKI_DIR)", settings.loki_dir)


def handle_parse_errors(worker: Any) -> None:
    """Make the worker's application answer a malformed chunked body with 400.

    gunicorn detects it only while the application reads the body. Registered here, because only
    this package imports gunicorn.
    """
    if isinstance(worker.wsgi, Flask):
        worker.wsgi.register_error_handler(ParseException, handle_malformed_body)


def warm(worker: Any) -> None:
    """Start to warm the caches of the worker's application; the sidecar has none."""
    start = getattr(worker.wsgi, "extensions", {}).get(warming.EXTENSION)
    if start is not None:
        start(heap.trim)


def remove_pid_file(settings: Settings, pid: int) -> None:
    """Remove the pid file that the CLI wrote for this server, unless it names another process."""
    folder = WritableFolder(settings.loki_dir)
    if parse_pid(folder.text(_PID_FILE, limit=64)) == pid:
        folder.remove(_PID_FILE)


def refuse(connection: socket.socket, status: int, reason: str, message: str) -> None:
    """Answer an unparsable request with the same JSON error as any other.

    Replaces `gunicorn.util.write_error`.

    :param message: gunicorn's description; not sent, because it may repeat the client's bytes.
    """
    request_id = logging_setup.begin_request()
    log.info("refused a request: %s %s", status, reason)
    logging_setup.end_request()
    body = json.dumps({"detail": f"The request cannot be read: {reason}"})
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-Content-Type-Options: nosniff\r\nX-Request-ID: {request_id}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    write_nonblock(connection, f"{head}{body}".encode("latin1"))
