"""gunicorn's threaded worker, except that no thread waits for a client.

gunicorn gives a connection to a thread at its first byte, and the thread then waits for the rest
of the request, and for its answer to be taken, for as long as the client likes: as many slow
clients as there are threads, and nobody else is served. Here a connection gets a thread when its
request is there, and leaves it when the answer is made. All that has to be waited for has an end,
and where there are too many connections, those that have nothing to say make room.
"""

import errno
import selectors
import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers import gthread

from loki_web.conversation import NOT_NOW, Conversation, HeadTooLarge
from loki_web.live import descriptors
from loki_web.startup import refuse

HEAD_SECONDS = 10.0  # for the head of a request, from its first byte
REQUEST_SECONDS = 45.0  # for its body, for what a thread does have to wait for, for the answer
PARTING_SECONDS = 2.0  # for a client to take the end of an answer and hang up
MAX_HELD_BYTES = 64 * 1024 * 1024  # of requests and answers that wait for their clients
_LOOK_SECONDS = 0.25  # between two looks for what has taken too long
_LARGE = 64 * 1024
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NOBODY = (errno.EAGAIN, errno.ECONNABORTED)


class Worker(gthread.ThreadWorker):  # type: ignore[misc]  # the library has no types
    """Its methods are those in which gunicorn's decides who gets a thread, and for how long.

    All run in the main thread but `handle`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._at_work: dict[Conversation, float] = {}
        # With the moment at which they are cut off, in its order.
        self._answered: dict[Conversation, float] = {}
        self._parting: dict[Conversation, float] = {}
        self._looked_at = 0.0

    def init_process(self) -> None:
        descriptors.allow_many()
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                self._make_room()
                time.sleep(0.01)
            elif error.errno not in _NOBODY:
                raise
            return
        self.nr_conns += 1
        conn = Conversation(self.cfg, sock, client, listener.getsockname())
        self._wait_for_more(conn)

    def on_pending_socket_readable(self, conn: Conversation, client: socket.socket) -> None:
        """Something came; a thread is needed for a whole request, and for TLS to begin."""
        if conn.parser is not None:
            try:
                if not conn.is_whole():
                    return
            except (HeadTooLarge, OSError):
                pass  # it is met again in the thread
        super().on_pending_socket_readable(conn, client)

    def handle(self, conn: Conversation) -> Any:
        """Serve a connection, or give it back to be waited for; runs in a thread."""
        try:
            if not (conn.shake_hands() and conn.is_whole()):
                return gthread._DEFER
        except HeadTooLarge:
            return _turn_away(conn, 431, "Request Header Fields Too Large")
        except OSError:
            return False
        if not conn.came:
            return False  # the client has gone
        conn.begin()
        self._at_work[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._at_work[conn]

    def finish_request(self, conn: Conversation, fs: Any) -> None:
        """The thread is done with a connection; its client may not be."""
        if not conn.unsent:
            self._go_on(conn, fs)
            return
        conn.sock.setblocking(False)
        self._answered[conn] = time.monotonic() + REQUEST_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._send, conn, fs))

    def murder_pending(self) -> None:
        """Called at least once a second: end what has taken too long, or too much room."""
        while self.nr_conns >= self.worker_connections and self._make_room():
            pass
        now = time.monotonic()
        if now - self._looked_at > _LOOK_SECONDS:
            self._looked_at = now
            self._end_the_late(now)
            self._bound_memory()
        super().murder_pending()

    def _end_the_late(self, now: float) -> None:
        for conn in [one for one in self.pending_conns if _is_late(one, now)]:
            _turn_away(conn, 408, "Request Timeout")
            self._drop(conn)
        for waiting in (self._answered, self._parting):
            for conn in [one for one, end in waiting.items() if end < now]:
                self._drop(conn)
        for conn, began in list(self._at_work.items()):
            if now - began > REQUEST_SECONDS:
                with suppress(OSError):  # its thread wakes up and finds that the client has gone
                    socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)
        if not self.alive:
            for conn in [one for one in self.pending_conns if one.began is None]:
                self._drop(conn)

    def _keepalive_after(self, conn: Conversation, keepalive: bool) -> bool:
        """A body that was not read and is not there is not waited for: the connection ends."""
        return keepalive and bool(conn.parser.finish_body(deadline=time.monotonic() + 0.05))

    def _wait_for_more(self, conn: Conversation) -> None:
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        readable = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def _send(self, conn: Conversation, fs: Any, _: socket.socket) -> None:
        try:
            conn.flush()
        except OSError:
            self._drop(conn)
            return
        if not conn.unsent:
            self.poller.unregister(conn.sock)
            del self._answered[conn]
            self._go_on(conn, fs)

    def _go_on(self, conn: Conversation, fs: Any) -> None:
        """With the next request, or with the end."""
        result = None if fs.cancelled() or fs.exception() else fs.result()
        if result is gthread._DEFER and self.alive:
            conn.sock.setblocking(False)
            self._wait_for_more(conn)
        elif result and result is not gthread._DEFER:
            if conn.came:
                self.enqueue_req(conn)
            else:
                super().finish_request(conn, fs)
        else:
            self._part(conn)

    def _part(self, conn: Conversation) -> None:
        """Say that nothing more comes, and let the client take what was said before.

        Where a request was not read to its end, closing at once would take the answer away.
        """
        self._forget(conn)
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # gone, or handed over to the live feed
            self._drop(conn)
            return
        self._parting[conn] = time.monotonic() + PARTING_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._take_leave, conn))

    def _take_leave(self, conn: Conversation, _: socket.socket) -> None:
        try:
            if conn.sock.recv(_LARGE):
                return
        except NOT_NOW:
            return
        except OSError:
            pass
        self._drop(conn)

    def _drop(self, conn: Conversation) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def _forget(self, conn: Conversation) -> None:
        """Nothing is waited for any more."""
        for waiting in (self.pending_conns, self.keepalived_conns):
            with suppress(ValueError):
                waiting.remove(conn)
        self._answered.pop(conn, None)
        self._parting.pop(conn, None)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)

    def _make_room(self) -> bool:
        """End the connection that has had nothing to say, or not all, for longest."""
        for waiting in (self._parting, self.pending_conns, self.keepalived_conns, self._answered):
            if waiting:
                self._drop(next(iter(waiting)))
                return True
        return False

    def _bound_memory(self) -> None:
        slow = [*self.pending_conns, *self._answered]
        held = {conn: len(conn.came) + conn.unsent for conn in slow}
        total = sum(held.values())
        for conn in sorted((one for one in slow if held[one] > _LARGE), key=held.__getitem__):
            if total <= MAX_HELD_BYTES:
                return
            total -= held[conn]
            self._drop(conn)


def _is_late(conn: Conversation, now: float) -> bool:
    if conn.began is None:
        return False
    return now - conn.began > (REQUEST_SECONDS if conn.has_head else HEAD_SECONDS)


def _turn_away(conn: Conversation, status: int, reason: str) -> bool:
    """Answer in the place of the application; the connection is not to be kept."""
    with suppress(OSError):
        refuse(conn.sock, status, reason, "")
    return False
