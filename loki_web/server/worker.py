"""gunicorn's threaded worker, except that no thread waits for the head of a request.

gunicorn assigns a connection to a thread at its first byte. The thread then waits for the rest of
the request without a limit: as many slow clients as threads, and the worker serves no one else.
Here a connection gets a thread when the head of its request is complete. What a thread may still
wait for (a body, a TLS handshake, a client that does not read) has a time limit. No thread waits
for a client to disconnect, and above the limit of connections the longest idle ones are closed.
"""

import errno
import selectors
import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers import gthread

from loki_web.server.hooks import refuse

HEAD_SECONDS = 10.0  # for the head of a request, from its first byte
REQUEST_SECONDS = 45.0  # for the rest of the request and its response
LINGER_SECONDS = 2.0  # for a client to read the end of a response and disconnect
MAX_HEAD_BYTES = 64 * 1024
_REST_SECONDS = 0.05  # to receive an unread body before the connection is kept alive
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ROOM = 16  # descriptors that a few concurrent requests need
_NO_ROOM_SECONDS = 0.01
_END_OF_HEAD = b"\r\n\r\n"
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT


class Worker(gthread.ThreadWorker):  # type: ignore[misc]  # the library has no types
    """Overrides the methods of gunicorn's worker that assign connections to threads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._serving: dict[Any, float] = {}
        self._lingering: dict[Any, float] = {}

    @property
    def is_serving(self) -> bool:
        """Whether a thread serves a request."""
        return bool(self._serving)

    def accept(self, listener: Any) -> None:
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in _NO_DESCRIPTORS:
                raise
            for _ in range(_ROOM):
                self._make_room()
            time.sleep(_NO_ROOM_SECONDS)  # avoid a busy loop while the listener stays readable

    def handle(self, conn: Any) -> Any:
        """Serve a connection, or defer it until its request head is complete; runs in a thread."""
        if _has_read_ahead(conn):
            return self._serve(conn)
        seen = _peek(conn.sock)
        if seen is None:
            return gthread._DEFER
        if not seen or _END_OF_HEAD in seen or not self._can_wait_for_more(conn):
            return self._serve(conn)
        return self._wait_for_more(conn, len(seen))

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Close a connection without blocking; gunicorn's would wait for the client."""
        if fs.cancelled() or fs.exception() or not fs.result():
            self._linger(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Close connections that are too slow or above the limit; called at least once a second."""
        now = time.monotonic()
        for conn in [conn for conn in self.pending_conns if _is_late(conn, now)]:
            _refuse(conn, 408, "Request Timeout")
            self._drop(conn)
        for conn in [
            conn for conn, began in self._lingering.items() if now - began > LINGER_SECONDS
        ]:
            self._drop(conn)
        while self.nr_conns >= self.worker_connections and self._make_room():
            pass
        for conn, began in list(self._serving.items()):
            if now - began > REQUEST_SECONDS:
                with suppress(OSError):  # wakes its thread, which sees a disconnected client
                    socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)
        super().murder_pending()

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Close the connection if the application left a body unread that does not arrive."""
        return keepalive and conn.parser.finish_body(deadline=time.monotonic() + _REST_SECONDS)

    def _linger(self, conn: Any) -> None:
        """Shut down writing, and close when the client has disconnected (lingering close).

        Closing at once would reset the connection, and the client would lose the response, if its
        request was not read completely.
        """
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # disconnected, or taken over by the live feed
            self._drop(conn)
            return
        self._lingering[conn] = time.monotonic()
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._finish_lingering, conn))

    def _finish_lingering(self, conn: Any, sock: socket.socket) -> None:
        with suppress(OSError):
            if socket.socket.recv(sock, MAX_HEAD_BYTES):
                return
        self._drop(conn)

    def _make_room(self) -> bool:
        """Close the longest idle connection; return whether there was one."""
        for idle in (self._lingering, self.pending_conns, self.keepalived_conns):
            if idle:
                self._drop(next(iter(idle)))
                return True
        return False

    def _drop(self, conn: Any) -> None:
        for idle in (self.pending_conns, self.keepalived_conns):
            with suppress(ValueError):
                idle.remove(conn)
        self._lingering.pop(conn, None)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _can_wait_for_more(self, conn: Any) -> bool:
        """Return whether the head can be peeked at: not with TLS; SO_RCVLOWAT works only on TCP."""
        return not self.cfg.is_ssl and conn.sock.family != socket.AF_UNIX

    def _wait_for_more(self, conn: Any, seen: int) -> Any:
        """Defer a connection until more bytes arrive.

        :param seen: number of bytes of the incomplete head.
        """
        before = getattr(conn, "seen", 0)
        if not before:
            conn.head_began = time.monotonic()
        if seen == before:
            return False  # no new bytes: the client has disconnected
        if seen >= MAX_HEAD_BYTES:
            return _refuse(conn, 431, "Request Header Fields Too Large")
        conn.seen = seen
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)
        return gthread._DEFER

    def _serve(self, conn: Any) -> Any:
        if getattr(conn, "seen", 0):
            conn.seen = 0
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._serving[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._serving[conn]


def _has_read_ahead(conn: Any) -> bool:
    """Return whether the parser has bytes of the next request already."""
    return conn.parser is not None and bool(conn.parser.unreader.buf.getvalue())


def _peek(sock: socket.socket) -> bytes | None:
    """Return the received bytes without consuming them; empty if disconnected, None if none."""
    try:
        return socket.socket.recv(sock, MAX_HEAD_BYTES, _PEEK)  # the raw bytes, below TLS
    except BlockingIOError:
        return None
    except OSError:
        return b""  # gunicorn gets the same error and handles it


def _is_late(conn: Any, now: float) -> bool:
    return bool(getattr(conn, "seen", 0)) and now - conn.head_began > HEAD_SECONDS


def _refuse(conn: Any, status: int, reason: str) -> bool:
    """Send an error response instead of the application; return False: do not keep alive."""
    with suppress(OSError):
        refuse(conn.sock, status, reason, "")
    return False
