"""Audit entries to a syslog server as well (RFC 3164, facility local0), out of every request's way.

The file is the log; what cannot be sent is lost here, and said once in the server's own log.
"""

import json
import logging
import queue
import socket
import threading
from contextlib import suppress

from loki_web.config.settings import Settings
from loki_web.store.coerce import Json

_LOCAL0, _WARNING, _INFORMATIONAL = 16, 4, 6
_TIMEOUT_SECONDS = 3.0
_MAX_WAITING = 1000
_MAX_DATAGRAM = 8192

log = logging.getLogger(__name__)


class SyslogForwarder:
    """Sends from a thread of its own, which starts with the first entry."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.audit_syslog_host, settings.audit_syslog_port
        self._over_tcp = settings.audit_syslog_proto == "tcp"
        self._waiting: queue.Queue[bytes] = queue.Queue(_MAX_WAITING)
        self._connection: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._in_trouble = False

    def send(self, entry: Json) -> None:
        """Queue an entry; never waits, never fails."""
        if not self._address[0]:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit-syslog", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(format_message(entry))
        except queue.Full:
            self._say_trouble("too many audit entries are waiting for the syslog server")

    def send_now(self, entry: Json) -> bool:
        """Send an entry before returning, for a program that ends then.

        :return: False where that failed.
        """
        if not self._address[0]:
            return True
        error = self._attempt(format_message(entry))
        self._close()
        return error is None

    def _run(self) -> None:
        while True:
            data = self._waiting.get()
            had_connection = self._connection is not None
            error = self._attempt(data)
            if error and had_connection:  # the server may have been restarted since
                error = self._attempt(data)
            if error:
                self._say_trouble(f"an audit entry could not be sent to the syslog server: {error}")
            else:
                self._in_trouble = False

    def _attempt(self, data: bytes) -> OSError | None:
        try:
            self._deliver(data)
        except OSError as error:
            self._close()
            return error
        return None

    def _deliver(self, data: bytes) -> None:
        if self._connection is None:
            self._connection = self._connected()
        if self._over_tcp:
            self._connection.sendall(data + b"\n")
        else:
            self._connection.send(data[:_MAX_DATAGRAM])

    def _connected(self) -> socket.socket:
        if self._over_tcp:
            return socket.create_connection(self._address, _TIMEOUT_SECONDS)
        family, kind, protocol, _, place = socket.getaddrinfo(
            *self._address, type=socket.SOCK_DGRAM
        )[0]
        connection = socket.socket(family, kind, protocol)
        connection.connect(place)
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
        self._connection = None

    def _say_trouble(self, words: str) -> None:
        if not self._in_trouble:
            log.warning(words)
        self._in_trouble = True


def format_message(entry: Json) -> bytes:
    """The entry as one line, a failure as a warning."""
    severity = _INFORMATIONAL if entry.get("success") else _WARNING
    return f"<{_LOCAL0 * 8 + severity}>loki-audit: {json.dumps(entry)}".encode()
