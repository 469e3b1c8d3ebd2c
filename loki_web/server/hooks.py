"""What gunicorn does for us beside calling the application: when it starts, when it ends, and when
a request is too broken to reach the application."""

import json
import logging
import socket
import sys
from collections.abc import Iterable
from typing import Any

from gunicorn.util import write_nonblock

from loki_web import logging_setup
from loki_web.config.parsers import is_loopback
from loki_web.config.settings import Settings
from loki_web.server import heap
from loki_web.services import warming
from loki_web.services.session.processes import parse_pid
from loki_web.store.folder import Folder

# Where this server writes below `.loki/` and below `~/.loki/`.
_WRITTEN = ("", "signals", "notifications", "metrics", "state", "state/checkpoints")
_WRITTEN_AT_HOME = ("dashboard", "dashboard/audit")
_PID_FILE = "dashboard/dashboard.pid"

log = logging.getLogger(__name__)


def refuse_exposure(settings: Settings, addresses: Iterable[Any]) -> None:
    """End the start where gunicorn was told to listen more openly than the settings allow.

    :param addresses: pairs of host and port, or paths of unix sockets.
    """
    if settings.auth_required or settings.allow_anonymous:
        return
    for address in addresses:
        if isinstance(address, tuple) and not is_loopback(str(address[0])):
            sys.exit(
                f"loki-web: {address[0]} is reachable from outside: set LOKI_ENTERPRISE_AUTH=true, "
                "or LOKI_ALLOW_ANONYMOUS=true if that is what you want"
            )


def sweep(settings: Settings) -> None:
    """Remove what a killed server of ours left half-written."""
    Folder(settings.loki_dir).sweep(*_WRITTEN)
    Folder(settings.home / ".loki").sweep(*_WRITTEN_AT_HOME)


def warm(worker: Any) -> None:
    """Let the application of a worker warm its caches, if it is one that has some."""
    start = getattr(worker.wsgi, "extensions", {}).get(warming.EXTENSION)
    if start is not None:
        start(heap.trim)


def withdraw_pid(settings: Settings, pid: int) -> None:
    """Remove the pid file that whoever started this server wrote, if it still names it."""
    folder = Folder(settings.loki_dir)
    if parse_pid(folder.text(_PID_FILE, limit=64)) == pid:
        folder.remove(_PID_FILE)


def refuse(connection: socket.socket, status: int, reason: str, message: str) -> None:
    """Answer what cannot be parsed as every other error is answered.

    :param message: gunicorn's own words, which may repeat what was sent.
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
