"""gunicorn's threaded worker, except that no thread waits for a slow client.

gunicorn assigns a connection to a thread at its first byte. The thread then waits for the rest of
the request without a limit: as many slow clients as threads, and the worker serves no one else.
Here a connection gets a thread when the head of its request is complete; TLS handshakes and heads
are received piece by piece as they arrive. What a client does not take of a response is sent by the
main loop. A thread waits only for a body: half of the threads at most, a quarter for one client
address, each with a time limit. Above the limit of connections, those of the address that has most
are closed, the longest idle first. Behind trusted proxies and at a unix socket the address of the
client is not known here, so only the bounds for all clients apply. Requests that may compute for
seconds use a quarter of the threads; others of that kind are queued without a thread.
"""

import errno
import os
import selectors
import socket
import ssl
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain, islice, takewhile
from typing import Any
from urllib.parse import unquote_to_bytes

import gunicorn.sock as gunicorn_sock
from gunicorn import http
from gunicorn.workers import gthread

from loki_web.config.settings import get_process_settings
from loki_web.server import heap
from loki_web.server.balance import Balance
from loki_web.server.hooks import refuse
from loki_web.server.shares import Shares
from loki_web.store.shared.counts import open_counts

HANDSHAKE_SECONDS = 5.0  # for a TLS handshake
HEAD_SECONDS = 10.0  # for the head of a request, from its first byte
REQUEST_SECONDS = 45.0  # for the body of a request, and for the client to take the response
LINGER_SECONDS = 2.0  # for a client to read the end of a response and disconnect
MAX_HEAD_BYTES = 64 * 1024
MAX_UNSENT_BYTES = 64 * 1024 * 1024  # of responses that clients do not take, in one worker
_REST_SECONDS = 0.05  # to receive an unread body before the connection is kept alive
_SHORT_SECONDS = 0.2  # for the body of a request, in all; longer waits are limited in number
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_QUIT_SECONDS, _QUIT_POLL_SECONDS = 0.1, 0.002
_MAX_QUEUED = 8  # for each thread
_ROOM = 16  # descriptors that a few concurrent requests need
_NO_ROOM_SECONDS = 0.01
_TRIM_SECONDS = 10.0  # at least, between two trims of the heap
_ACTIVE_SECONDS = 1.0  # for which a connection counts as active after a request
_MOST_ACTIVE = 64  # to be counted
_PUBLISH_SECONDS = 0.01  # at least, between two counts of the active connections
_LEAST_BYTES, _MOST_BYTES = 8192, 1024 * 1024  # to receive of a body at once, as gunicorn does
_EXPENSIVE = (
    b"/api/registry",
    b"/api/fleet",
    b"/api/running-projects",
    b"/api/logs",
    b"/api/memory",
    b"/api/learning",
    b"/enterprise/audit",
)
_QUEUED = object()  # the result of a connection that is queued
_END_OF_HEAD = b"\r\n\r\n"
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_current = threading.local()  # `conn`: the connection that this thread serves


class Worker(gthread.ThreadWorker):  # type: ignore[misc]  # the library has no types
    """Overrides the methods of gunicorn's worker that assign connections to threads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._serving: set[Any] = set()
        self._busy: set[Any] = set()  # connections that have a thread or wait for one
        self._lingering: dict[Any, float] = {}
        self._flushing: dict[Any, float] = {}
        self._queued: deque[Any] = deque()
        self._may_compute = threading.Semaphore(max(1, self.cfg.threads // 4))
        self._may_wait = Shares(max(1, self.cfg.threads // 2), max(1, self.cfg.threads // 4))
        self._knows_clients = not get_process_settings().trusted_proxies
        self._stops_at = float("inf")
        self._has_served, self._trims_at = False, 0.0
        self._publishes_at = 0.0

    @property
    def is_serving(self) -> bool:
        """Whether a thread serves a request."""
        return bool(self._serving)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Stop at once, but between two events of the main loop.

        gunicorn's handler takes the lock of the thread pool, which the loop may hold already.
        """
        if self.booted:
            self.method_queue.defer(self._quit)
        else:
            self._quit()

    def _quit(self) -> None:
        """End; wait for requests in progress, no longer than gunicorn does in any case."""
        self.alive = False
        self.tpool.shutdown(wait=False)
        self.cfg.worker_int(self)
        deadline = time.monotonic() + _QUIT_SECONDS
        while (self._serving or self._lingering) and time.monotonic() < deadline:
            time.sleep(_QUIT_POLL_SECONDS)
        sys.exit(0)

    def run(self) -> None:
        """Run the main loop, and let signals wake it.

        Otherwise a signal that comes just before the loop waits, or that the system gives to
        another thread, is handled up to a second later.
        """
        self.poller.register(self.PIPE[0], selectors.EVENT_READ, _drain)
        super().run()

    def init_process(self) -> None:
        """Prepare to count connections in the memory of the workers, and run."""
        self._balance = Balance(open_counts())
        super().init_process()

    def accept(self, listener: Any) -> None:
        """Accept a connection, unless a worker with fewer does.

        If no descriptor is free, close the longest idle connections.
        """
        if self._balance.gives_way(self._count_active(), lambda: _is_readable(listener, 0.0)):
            return
        try:
            super().accept(listener)
            self._balance.publish(self._count_active())
        except OSError as error:
            if error.errno not in _NO_DESCRIPTORS:
                raise
            for _ in range(_ROOM):
                self._make_room()
            time.sleep(_NO_ROOM_SECONDS)  # avoid a busy loop while the listener stays readable

    def handle(self, conn: Any) -> Any:
        """Serve a connection, or defer it until its request head is complete; runs in a thread."""
        try:
            conn.sock.setblocking(False)
            if not (conn.initialized or self._begin(conn)):
                return gthread._DEFER
            if not _receive_head(conn):
                is_too_large = len(conn.parser.unreader.buf.getvalue()) >= MAX_HEAD_BYTES
                refusal = 431, "Request Header Fields Too Large"
                return _refuse(conn, *refusal) if is_too_large else gthread._DEFER
        except OSError:  # disconnected, or no TLS
            return False
        if not _is_expensive(conn):
            return self._serve(conn)
        if not self._may_compute.acquire(blocking=False):
            return _QUEUED
        try:
            return self._serve(conn)
        finally:
            self._may_compute.release()

    def _serve(self, conn: Any) -> Any:
        conn.began, conn.is_cut = time.monotonic(), False
        conn.deadline = conn.began + REQUEST_SECONDS
        conn.patience, conn.waits_as = _SHORT_SECONDS, None
        _current.conn = conn
        self._serving.add(conn)
        try:
            return super().handle(conn)
        finally:
            self._serving.discard(conn)
            conn.began, _current.conn, self._has_served = None, None, True
            if conn.waits_as is not None:
                self._may_wait.give_back(conn.waits_as)

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection the next free thread."""
        self._busy.add(conn)
        super().enqueue_req(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Send the rest of the response, and then close the connection or keep it alive."""
        self._busy.discard(conn)
        result = None if fs.cancelled() or fs.exception() else fs.result()
        if result is _QUEUED:
            self._queue(conn)
        elif result is gthread._DEFER:
            self._defer(conn)
        elif getattr(conn, "unsent", None):
            self._flush(conn, fs)
        elif not result:
            self._linger(conn)  # gunicorn's would wait for the client
        else:
            super().finish_request(conn, fs)
        self._resume_queued()

    def murder_pending(self) -> None:
        """Close connections that are too slow or above the limit; called at least once a second."""
        now = time.monotonic()
        is_over = now > self._stops_at
        for conn in [conn for conn in self.pending_conns if is_over or _is_late(conn, now)]:
            if conn.initialized and conn.began is not None:
                _refuse(conn, 408, "Request Timeout")
            self._drop(conn)
        for conn in [
            conn for conn, began in self._lingering.items() if now - began > LINGER_SECONDS
        ]:
            self._drop(conn)
        while self.nr_conns >= self.worker_connections and self._make_room():
            pass
        for conn in [
            conn for conn, began in self._flushing.items() if now - began > REQUEST_SECONDS
        ]:
            self._drop(conn)
        self._resume_queued()
        self._trim_heap(now)
        super().murder_pending()
        self._publish_connections(now)

    def _publish_connections(self, now: float) -> None:
        """Tell the other workers how many connections are active, see `server.balance`."""
        if self.alive and now >= self._publishes_at:
            self._publishes_at = now + _PUBLISH_SECONDS
            self._balance.publish(self._count_active())

    def _count_active(self) -> int:
        """Return how many connections have a request or had one a moment ago; new ones too."""
        since = time.monotonic() + self.cfg.keepalive - _ACTIVE_SECONDS
        latest_first = (reversed(self.keepalived_conns), reversed(self.pending_conns))
        active = [takewhile(lambda conn: conn.timeout > since, conns) for conns in latest_first]
        return len(self._busy) + sum(1 for _ in islice(chain(*active), _MOST_ACTIVE))

    def _trim_heap(self, now: float) -> None:
        """Return to the system what requests have freed.

        That takes less than a millisecond, or several for a large heap with many holes.
        """
        if self._has_served and now >= self._trims_at:
            self._has_served, self._trims_at = False, now + _TRIM_SECONDS
            heap.trim()

    def _cap_keepalive(self, deadline: float) -> None:
        """Close connections without a complete head at `deadline` too; called when it stops."""
        self._stops_at = deadline
        self._balance.publish(None)
        super()._cap_keepalive(deadline)

    def _defer(self, conn: Any) -> None:
        """Wait for the head of a request without a thread, also while the worker stops."""
        try:
            conn.sock.setblocking(False)
            conn.timeout = time.monotonic() + self.cfg.keepalive
            self.pending_conns.append(conn)
            ready = partial(self.on_pending_socket_readable, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, ready)
        except (OSError, ValueError):
            self._drop(conn)

    def _queue(self, conn: Any) -> None:
        if len(self._queued) < _MAX_QUEUED * self.cfg.threads:
            self._queued.append(conn)
        else:
            _refuse(conn, 503, "Service Unavailable")
            self._linger(conn)

    def _resume_queued(self) -> None:
        """Give the next queued request a thread, if one of its kind is free."""
        if self._queued and self._may_compute.acquire(blocking=False):
            self._may_compute.release()
            conn = self._queued.popleft()
            if _has_given_up(conn.sock):
                self._drop(conn)
            else:
                self.enqueue_req(conn)

    def _begin(self, conn: Any) -> bool:
        """Continue the TLS handshake if there is one; return whether a request can be received."""
        conn.began = getattr(conn, "began", None) or time.monotonic()
        if self.cfg.is_ssl:
            if not isinstance(conn.sock, ssl.SSLSocket):
                conn.sock = gunicorn_sock.ssl_wrap_socket(conn.sock, self.cfg)
                conn.sock.setblocking(False)
            try:
                conn.sock.do_handshake()
            except _NOT_YET:
                return False
        conn.parser = http.get_parser(self.cfg, conn.sock, conn.client)
        conn.parser.unreader.chunk = partial(self._receive, conn)
        conn.initialized, conn.began = True, None
        return True

    def _receive(self, conn: Any, size_hint: int | None = None) -> bytes:
        """Receive a part of a body; empty if the client is too slow, as if it had disconnected."""
        size = min(max(size_hint or 0, _LEAST_BYTES), _MOST_BYTES)
        limit = conn.deadline - time.monotonic()
        data = _receive_now(conn.sock, size) if limit > 0 else None
        if data is None and self._wait(conn, limit):
            data = _receive_now(conn.sock, size)
        conn.is_cut = conn.is_cut or data is None
        return data or b""

    def _wait(self, conn: Any, seconds: float) -> bool:
        """Wait until a client sends more.

        Requests for which a thread has waited _SHORT_SECONDS in all are limited in number, also
        those whose bodies arrive byte by byte.
        """
        began = time.monotonic()
        if _is_readable(conn.sock, min(seconds, conn.patience)):
            conn.patience -= time.monotonic() - began
            return True
        conn.patience = 0.0
        if conn.waits_as is None and seconds > 0:
            address = self._find_address(conn)
            conn.waits_as = address if self._may_wait.take(address) else None
        remaining = began + seconds - time.monotonic()
        return conn.waits_as is not None and _is_readable(conn.sock, remaining)

    def _find_address(self, conn: Any) -> str:
        """Return the address of a client; empty where only the address of a proxy is known."""
        is_known = self._knows_clients and isinstance(conn.client, tuple)
        return str(conn.client[0]) if is_known else ""

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Close the connection if the application left a body unread that does not arrive."""
        # `_receive` limits the wait. gunicorn's own deadline could pass while the thread was
        # interrupted: then it closed a sound connection, and the client's next request was lost.
        conn.deadline = time.monotonic() + _REST_SECONDS
        if not (keepalive and conn.parser.finish_body()) or conn.is_cut:
            return False
        if self.cfg.is_ssl and conn.sock.pending():  # decrypted already: the poller does not see it
            _add(conn.parser.unreader, conn.sock.recv(conn.sock.pending()))
        return True

    def _flush(self, conn: Any, fs: Any) -> None:
        """Send what the client has not taken of its response, while it takes it."""
        try:
            conn.sock.setblocking(False)
            self._flushing[conn] = time.monotonic()
            self.poller.register(
                conn.sock, selectors.EVENT_WRITE, partial(self._continue_flushing, conn, fs)
            )
        except (OSError, ValueError):
            self._drop(conn)
        while sum(map(_count_unsent, self._flushing)) > MAX_UNSENT_BYTES:
            self._drop(next(iter(self._flushing)))

    def _continue_flushing(self, conn: Any, fs: Any, sock: socket.socket) -> None:
        try:
            _send_unsent(conn)
        except OSError:
            self._drop(conn)
            return
        if not conn.unsent:
            self.poller.unregister(sock)
            del self._flushing[conn]
            self.finish_request(conn, fs)

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
        """Close the longest idle connection of the address with most; return whether there was one.

        Other addresses keep theirs, even if that address has only busy ones at the moment.
        """
        kinds = (self._lingering, self.pending_conns, self.keepalived_conns, self._flushing)
        idle = [conn for kind in kinds for conn in kind]
        if not idle:
            return False
        addresses = Counter(map(self._find_address, [*idle, *self._busy]))
        [(greediest, _)] = addresses.most_common(1)
        victim = next((conn for conn in idle if self._find_address(conn) == greediest), None)
        if victim is not None:
            self._drop(victim)
        return victim is not None

    def _drop(self, conn: Any) -> None:
        for idle in (self.pending_conns, self.keepalived_conns):
            with suppress(ValueError):
                idle.remove(conn)
        self._lingering.pop(conn, None)
        self._flushing.pop(conn, None)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()


def send(sock: Any, data: bytes, chunked: bool = False) -> None:
    """Send a part of a response without waiting; what the client does not take is sent later.

    Replaces `gunicorn.util.write`.
    """
    conn = getattr(_current, "conn", None)
    if chunked:
        data = b"%X\r\n%b\r\n" % (len(data), data)
    if conn is None or conn.sock is not sock:
        sock.sendall(data)
        return
    conn.unsent = getattr(conn, "unsent", None) or deque()
    conn.unsent.append(memoryview(data))
    _send_unsent(conn)


def send_chunk(sock: Any, data: bytes) -> None:
    """Send a chunk. Replaces `gunicorn.util.write_chunk`."""
    send(sock, data, chunked=True)


def _send_unsent(conn: Any) -> None:
    while conn.unsent:
        sent = _without_blocking(conn.sock, conn.sock.send, conn.unsent[0])
        if sent is None:
            return
        conn.unsent[0] = conn.unsent[0][sent:]
        if not conn.unsent[0]:
            conn.unsent.popleft()


def _count_unsent(conn: Any) -> int:
    return sum(map(len, conn.unsent))


def _drain(pipe: int) -> None:
    with suppress(BlockingIOError):
        os.read(pipe, _LEAST_BYTES)


def _receive_head(conn: Any) -> bool:
    """Receive what has arrived; return whether the head of a request is complete.

    It counts as complete if the client has disconnected: gunicorn handles that.
    """
    unreader = conn.parser.unreader
    while _END_OF_HEAD not in unreader.buf.getvalue().lstrip(b"\r\n"):
        if len(unreader.buf.getvalue()) >= MAX_HEAD_BYTES:
            return False
        data = _receive_now(conn.sock, MAX_HEAD_BYTES)
        if data is None:
            return False
        if not data:
            break
        conn.began = conn.began or time.monotonic()
        _add(unreader, data)
    return True


def _add(unreader: Any, data: bytes) -> None:
    unreader.buf.seek(0, os.SEEK_END)
    unreader.buf.write(data)


def _is_expensive(conn: Any) -> bool:
    """Return whether a request may compute for long, by its decoded path."""
    line = conn.parser.unreader.buf.getvalue()[:MAX_HEAD_BYTES].lstrip(b"\r\n").split(b"\r\n", 1)[0]
    target = line.split(b" ", 2)[1:2]
    path = unquote_to_bytes(target[0].partition(b"?")[0]) if target else b""
    return any(part in path for part in _EXPENSIVE)


def _has_given_up(sock: Any) -> bool:
    """Return whether the client of a queued request has disconnected."""
    try:
        return socket.socket.recv(sock, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _receive_now(sock: Any, size: int) -> bytes | None:
    """Return what has arrived; empty if the client has disconnected, None if there is nothing."""
    data: bytes | None = _without_blocking(sock, sock.recv, size)
    return data


def _without_blocking(sock: Any, call: Callable[..., Any], argument: Any) -> Any:
    """Call a method of a socket that would block in another mode; return None if it would."""
    with suppress(*_NOT_YET):
        if not isinstance(sock, ssl.SSLSocket):
            return call(argument, socket.MSG_DONTWAIT)
        timeout = sock.gettimeout()
        sock.settimeout(0)
        try:
            return call(argument)
        finally:
            sock.settimeout(timeout)


def _is_readable(sock: Any, seconds: float) -> bool:
    selector = selectors.PollSelector()  # unlike epoll it needs no descriptor
    selector.register(sock, selectors.EVENT_READ)
    return bool(selector.select(max(0.0, seconds)))


def _is_late(conn: Any, now: float) -> bool:
    limit = HEAD_SECONDS if conn.initialized else HANDSHAKE_SECONDS
    return conn.began is not None and now - conn.began > limit


def _refuse(conn: Any, status: int, reason: str) -> bool:
    """Send an error response instead of the application; return False: do not keep alive."""
    with suppress(OSError):
        refuse(conn.sock, status, reason, "")
    return False
