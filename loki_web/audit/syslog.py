"""Forwarding of audit entries to a syslog server (RFC 3164, facility local0).

Entries are sent by a background thread, so that requests are not delayed. An entry that cannot be
sent is dropped with one warning in the server's log; the file still has it.
"""

import json
import logging
import queue
import socket
import threading
from contextlib import suppress

from loki_web.services.context import Sources
from loki_web.store.coerce import Json

_LOCAL0, _WARNING, _INFORMATIONAL = 16, 4, 6
_TIMEOUT_SECONDS = 3.0
_MAX_WAITING = 1000
_MAX_DATAGRAM = 8192

log = logging.getLogger(__name__)


class SyslogForwarder:
    """Send entries from a background thread, which starts with the first entry."""

    def __init__(self, sources: Sources) -> None:
        settings = sources.settings
        self._address = settings.audit_syslog_host, settings.audit_syslog_port
        self._over_tcp = settings.audit_syslog_proto == "tcp"
        self._waiting: queue.Queue[bytes] = queue.Queue(_MAX_WAITING)
        self._connection: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_failing = False

    def send(self, entry: Json) -> None:
        """Queue an entry without waiting; drop it if the queue is full."""
        if not self._address[0]:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit-syslog", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(format_message(entry))
        except queue.Full:
            self._warn_once("too many audit entries are waiting for the syslog server")

    def send_now(self, entry: Json) -> bool:
        """Send an entry before returning, for a program that exits afterwards.

        :return: whether it was sent; True without a configured server.
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
            if error and had_connection:  # the server may have been restarted
                error = self._attempt(data)
            if error:
                self._warn_once(f"cannot send an audit entry to the syslog server: {error}")
            else:
                self._is_failing = False

    def _attempt(self, data: bytes) -> OSError | None:
        try:
            self._deliver(data)
        except OSError as error:
            self._close()
            return error
        return None

    def _deliver(self, data: bytes) -> None:
        if self._connection is None:
            self._connection = self._connect()
        if self._over_tcp:
            self._connection.sendall(data + b"\n")
        else:
            self._connection.send(data[:_MAX_DATAGRAM])

    def _connect(self) -> socket.socket:
        if self._over_tcp:
            return socket.create_connection(self._address, _TIMEOUT_SECONDS)
        family, kind, protocol, _, address = socket.getaddrinfo(
            *self._address, type=socket.SOCK_DGRAM
        )[0]
        connection = socket.socket(family, kind, protocol)
        connection.connect(address)
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
        self._connection = None

    def _warn_once(self, text: str) -> None:
        """Log a warning unless the entry before failed as well."""
        if not self._is_failing:
            log.warning(text)
        self._is_failing = True


def format_message(entry: Json) -> bytes:
    """Return an entry as a syslog message: severity warning for a failure, else informational."""
    severity = _INFORMATIONAL if entry.get("success") else _WARNING
    return f"<{_LOCAL0 * 8 + severity}>loki-audit: {json.dumps(entry)}".encode()
