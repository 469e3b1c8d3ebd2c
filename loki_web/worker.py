"""gunicorn's threaded worker, except that no thread waits for the head of a request.

gunicorn gives a connection to a thread at its first byte, and the thread then waits for the rest of
the request for as long as the client likes: as many slow clients as there are threads, and nobody
else is served. Here a connection gets a thread when the head of its request is there. What a thread
may still have to wait for, a body, a TLS handshake or a client that does not read, has an end.
"""

import socket
import time
from contextlib import suppress
from typing import Any

from gunicorn.workers import gthread

from loki_web.startup import refuse

HEAD_SECONDS = 10.0  # for the head of a request, from its first byte
REQUEST_SECONDS = 45.0  # for all the rest
MAX_HEAD_BYTES = 64 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT


class Worker(gthread.ThreadWorker):  # type: ignore[misc]  # the library has no types
    """Its methods are those in which gunicorn's decides who gets a thread, and for how long."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._at_work: dict[Any, float] = {}

    def handle(self, conn: Any) -> Any:
        """Serve a connection, or give it back to be waited for; runs in a thread."""
        if _has_read_ahead(conn):
            return self._serve(conn)
        seen = _peek(conn.sock)
        if seen is None:
            return gthread._DEFER
        if not seen or _END_OF_HEAD in seen or not self._can_wait_for_more(conn):
            return self._serve(conn)
        return self._wait_for_more(conn, len(seen))

    def murder_pending(self) -> None:
        """Called at least once a second: end what has taken too long."""
        now = time.monotonic()
        for conn in [one for one in self.pending_conns if _is_late(one, now)]:
            self.pending_conns.remove(conn)
            with suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.sock)
            self.nr_conns -= 1
            _turn_away(conn, 408, "Request Timeout")
            conn.close()
        for conn, began in list(self._at_work.items()):
            if now - began > REQUEST_SECONDS:
                with suppress(OSError):  # its thread wakes up and finds that the client has gone
                    socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)
        super().murder_pending()

    def _can_wait_for_more(self, conn: Any) -> bool:
        """What is encrypted cannot be looked at, and only TCP wakes for more than it has."""
        return not self.cfg.is_ssl and conn.sock.family != socket.AF_UNIX

    def _wait_for_more(self, conn: Any, seen: int) -> Any:
        """:param seen: bytes of a head that is not complete."""
        before = getattr(conn, "seen", 0)
        if not before:
            conn.head_began = time.monotonic()
        if seen == before:
            return False  # what woke us was the client's going away
        if seen >= MAX_HEAD_BYTES:
            return _turn_away(conn, 431, "Request Header Fields Too Large")
        conn.seen = seen
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)
        return gthread._DEFER

    def _serve(self, conn: Any) -> Any:
        if getattr(conn, "seen", 0):
            conn.seen = 0
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._at_work[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._at_work[conn]


def _has_read_ahead(conn: Any) -> bool:
    """Some of the next request came with the one before."""
    return conn.parser is not None and bool(conn.parser.unreader.buf.getvalue())


def _peek(sock: socket.socket) -> bytes | None:
    """What has come so far, left where it is; empty when the client has gone; None for nothing."""
    try:
        return socket.socket.recv(sock, MAX_HEAD_BYTES, _PEEK)  # as TCP has it, below TLS
    except BlockingIOError:
        return None
    except OSError:
        return b""  # gunicorn meets the fault again and deals with it


def _is_late(conn: Any, now: float) -> bool:
    return bool(getattr(conn, "seen", 0)) and now - conn.head_began > HEAD_SECONDS


def _turn_away(conn: Any, status: int, reason: str) -> bool:
    """Answer in the place of the application; the connection is not to be kept."""
    with suppress(OSError):
        refuse(conn.sock, status, reason, "")
    return False
