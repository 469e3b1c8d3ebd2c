"""Forwarding of audit entries to a syslog server (RFC 3164, facility local0).

Entries are sent by a background thread, so that requests are not delayed. An entry that cannot be
sent is dropped with one warning in the server's log; the file still has it.
"""

import json
import logging
import queue
import socket
import sys
import threading
from logging.handlers import QueueListener, SysLogHandler

from loki_web.services.context import Sources
from loki_web.store.coerce import Json

_TIMEOUT_SECONDS = 3.0
_MAX_WAITING = 1000
_MAX_DATAGRAM_TEXT = 8192 - len("<134>loki-audit: ")

log = logging.getLogger(__name__)


class SyslogForwarder:
    """Send entries from a background thread, which starts with the first entry."""

    def __init__(self, sources: Sources) -> None:
        settings = sources.settings
        self._is_configured = bool(settings.audit_syslog_host)
        kind = socket.SOCK_STREAM if settings.audit_syslog_proto == "tcp" else socket.SOCK_DGRAM
        self._handler = _Handler(settings.audit_syslog_host, settings.audit_syslog_port, kind)
        self._waiting: queue.Queue[logging.LogRecord] = queue.Queue(_MAX_WAITING)
        self._listener: QueueListener | None = None
        self._lock = threading.Lock()

    def send(self, entry: Json) -> None:
        """Queue an entry without waiting; drop it if the queue is full."""
        if not self._is_configured:
            return
        with self._lock:
            if self._listener is None:
                self._listener = QueueListener(self._waiting, self._handler)
                self._listener.start()
        try:
            self._waiting.put_nowait(_make_record(entry))
        except queue.Full:
            self._handler.warn_once("too many audit entries are waiting for the syslog server")

    def send_now(self, entry: Json) -> bool:
        """Send an entry before returning, for a program that exits afterwards.

        :return: whether it was sent; True without a configured server.
        """
        if not self._is_configured:
            return True
        self._handler.handle(_make_record(entry))
        self._handler.close()
        return not self._handler.is_failing


class _Handler(SysLogHandler):
    """Connect at the first entry, with a time limit, and again after an error.

    :ivar is_failing: whether the last entry was lost.
    """

    ident = "loki-audit: "
    append_nul = False

    def __init__(self, host: str, port: int, kind: socket.SocketKind) -> None:
        logging.Handler.__init__(self)  # SysLogHandler's own connects
        self.address = self._server = host, port
        self.facility = self.LOG_LOCAL0
        self.socktype = kind
        self.socket: socket.socket | None = None
        self.unixsocket = False
        self.is_failing = False
        self._error: BaseException | None = None

    def createSocket(self) -> None:  # noqa: N802
        """Connect, for UDP as well, so that the absence of a local server is noticed."""
        if self.socktype == socket.SOCK_STREAM:
            self.socket = socket.create_connection(self._server, _TIMEOUT_SECONDS)
            return
        family, kind, protocol, _, address = socket.getaddrinfo(
            *self._server, type=socket.SOCK_DGRAM
        )[0]
        self.socket = socket.socket(family, kind, protocol)
        self.socket.connect(address)

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record; a stream needs a line end, a datagram is cut."""
        text = super().format(record)
        return f"{text}\n" if self.socktype == socket.SOCK_STREAM else text[:_MAX_DATAGRAM_TEXT]

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; if the connection is broken, once more: the server may have restarted."""
        for _ in range(2 if self.socket else 1):
            self._error = None
            super().emit(record)
            if self._error is None:
                self.is_failing = False
                return
        self.warn_once(f"cannot send an audit entry to the syslog server: {self._error}")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Close the connection after an error in `emit`, where others print a traceback."""
        self._error = sys.exc_info()[1]
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def warn_once(self, text: str) -> None:
        """Log a warning unless the entry before was lost as well."""
        if not self.is_failing:
            log.warning(text)
        self.is_failing = True


def _make_record(entry: Json) -> logging.LogRecord:
    """Return the record of an entry: a warning for a failure."""
    level = logging.INFO if entry.get("success") else logging.WARNING
    return logging.makeLogRecord(
        {"msg": json.dumps(entry), "levelno": level, "levelname": logging.getLevelName(level)}
    )
