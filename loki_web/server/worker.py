"""gunicorn's threaded worker, except that no thread waits for the head of a request.

gunicorn gives a connection to a thread at its first byte, and the thread then waits for the rest of
the request for as long as the client likes: as many slow clients as there are threads, and nobody
else is served. Here a connection gets a thread when the head of its request is there. What a thread
may still have to wait for, a body, a TLS handshake or a client that does not read, has an end.
Nobody waits for a client to hang up, and where there are too many connections the idle make room.
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
REQUEST_SECONDS = 45.0  # for all the rest
PARTING_SECONDS = 2.0  # for a client to take the end of an answer and hang up
MAX_HEAD_BYTES = 64 * 1024
_REST_SECONDS = 0.05  # for a body that was not read, before its connection can serve on
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ROOM = 16  # descriptors that a few requests need at the same time
_NO_ROOM_SECONDS = 0.01
_END_OF_HEAD = b"\r\n\r\n"
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT


class Worker(gthread.ThreadWorker):  # type: ignore[misc]  # the library has no types
    """Its methods are those in which gunicorn's decides who gets a thread, and for how long."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._at_work: dict[Any, float] = {}
        self._parting: dict[Any, float] = {}

    def accept(self, listener: Any) -> None:
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in _NO_DESCRIPTORS:
                raise
            for _ in range(_ROOM):
                self._make_room()
            time.sleep(_NO_ROOM_SECONDS)  # who waits at the door would wake us up all the time

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

    def finish_request(self, conn: Any, fs: Any) -> None:
        """gunicorn's would let everybody wait until the client has hung up."""
        if fs.cancelled() or fs.exception() or not fs.result():
            self._part(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Called at least once a second: end what has taken too long, or takes others' places."""
        now = time.monotonic()
        for conn in [one for one in self.pending_conns if _is_late(one, now)]:
            _turn_away(conn, 408, "Request Timeout")
            self._drop(conn)
        for conn in [one for one, began in self._parting.items() if now - began > PARTING_SECONDS]:
            self._drop(conn)
        while self.nr_conns >= self.worker_connections and self._make_room():
            pass
        for conn, began in list(self._at_work.items()):
            if now - began > REQUEST_SECONDS:
                with suppress(OSError):  # its thread wakes up and finds that the client has gone
                    socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)
        super().murder_pending()

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """A body that the application did not read and that has not come ends the connection."""
        return keepalive and conn.parser.finish_body(deadline=time.monotonic() + _REST_SECONDS)

    def _part(self, conn: Any) -> None:
        """Say that nothing more comes, and take leave when the client has hung up.

        To close at once would take the answer away where a request was not read to its end.
        """
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # gone, or handed over to the live feed
            self._drop(conn)
            return
        self._parting[conn] = time.monotonic()
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._take_leave, conn))

    def _take_leave(self, conn: Any, sock: socket.socket) -> None:
        with suppress(OSError):
            if socket.socket.recv(sock, MAX_HEAD_BYTES):
                return
        self._drop(conn)

    def _make_room(self) -> bool:
        """End the connection that has been idle for longest."""
        for idle in (self._parting, self.pending_conns, self.keepalived_conns):
            if idle:
                self._drop(next(iter(idle)))
                return True
        return False

    def _drop(self, conn: Any) -> None:
        for idle in (self.pending_conns, self.keepalived_conns):
            with suppress(ValueError):
                idle.remove(conn)
        self._parting.pop(conn, None)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

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
