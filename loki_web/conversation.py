"""A connection of the server: nobody who works on a request waits for what its client does.

What comes is collected until a request is whole, and what a client does not take yet waits until
it does; both outside of the threads.
"""

import re
import socket
import ssl
import time
import weakref
from contextlib import suppress
from typing import Any

from gunicorn import http
from gunicorn.sock import ssl_wrap_socket
from gunicorn.workers import gthread

from loki_web.api.request_parser import MAX_BODY_BYTES

MAX_HEAD_BYTES = 64 * 1024
MAX_UNSENT_BYTES = 16 * 1024 * 1024  # of one answer; for the rest of a larger one a thread waits
_READ_BYTES = 64 * 1024
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:([^\r\n]*)")
_CODING = re.compile(rb"\r\ntransfer-encoding:([^\r\n]*)")
_EXPECTS = b"\r\nexpect:"
NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class HeadTooLarge(Exception):
    """The head of a request has no end within MAX_HEAD_BYTES."""


class Conversation(gthread.TConn):  # type: ignore[misc]  # the library has no types
    """:ivar came: what was read and belongs to no request yet that is worked on.
    :ivar began: when the first byte of the next request came; None before that.
    :ivar has_head: whether the head of that request is there.
    """

    sock: socket.socket
    parser: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.came = bytearray()
        self.began: float | None = None
        self.has_head = False
        self._searched = 0  # up to where there is no end of what is looked for
        self._needed: int | None = None  # None until the end of the chunks is seen

    def shake_hands(self) -> bool:
        """Begin to speak TLS, where it is spoken; True when both sides are ready.

        :raises OSError: when that fails.
        """
        if self.parser is None:
            if self.cfg.is_ssl and not isinstance(self.sock, ssl.SSLSocket):
                self.began = time.monotonic()
                self.sock = ssl_wrap_socket(self.sock, self.cfg)
            if isinstance(self.sock, ssl.SSLSocket):
                try:
                    self.sock.do_handshake()
                except NOT_NOW:
                    return False
            self.sock.__class__ = _PatientTLS if self.cfg.is_ssl else _Patient
            self.parser = http.get_parser(self.cfg, self, self.client)
            self.initialized = True
        return True

    def is_whole(self) -> bool:
        """Read what has come; True when a request is there, or when nothing more will come.

        :raises HeadTooLarge: when its head has no end.
        :raises OSError: when the peer is gone.
        """
        self.came += self.parser.unreader.take_buffered()
        while not self._has_request():
            try:
                data = self.sock.recv(_READ_BYTES)
            except NOT_NOW:
                return False
            if not data:
                return True
            self.came += data
        return True

    def begin(self) -> None:
        """The request is worked on now; what comes after it is the next one's."""
        self.began, self.has_head = None, False
        self._searched, self._needed = 0, None

    def recv(self, size: int) -> bytes:
        """What a request is read from: what has come, and what a thread has to wait for."""
        if self.came:
            data = bytes(self.came[:size])
            del self.came[:size]
            return data
        found: bytes = self.sock.recv(size)
        return found

    def gettimeout(self) -> float | None:
        found: float | None = self.sock.gettimeout()
        return found

    def settimeout(self, seconds: float | None) -> None:
        self.sock.settimeout(seconds)

    @property
    def unsent(self) -> int:
        """Bytes of answers that the client has not taken."""
        return sum(map(len, _waiting.get(self.sock, ())))

    def flush(self) -> None:
        """Send what the client takes now.

        :raises OSError: when the peer is gone.
        """
        waiting = _waiting.get(self.sock, [])
        while waiting:
            rest = _sent_in_part(self.sock, waiting[0])
            if rest:
                waiting[0] = rest
                return
            waiting.pop(0)

    def _has_request(self) -> bool:
        if self.came and self.began is None:
            self.began = time.monotonic()
        if not self.has_head:
            end = self._found_end()
            if end is None:
                if len(self.came) >= MAX_HEAD_BYTES:
                    raise HeadTooLarge
                return False
            self.has_head, self._searched = True, end
            length = _body_length(bytes(self.came[:end]).lower())
            self._needed = None if length is None else end + length
        if self._needed is None and (self._found_end() or len(self.came) > MAX_BODY_BYTES):
            self._needed = 0
        return self._needed is not None and len(self.came) >= self._needed

    def _found_end(self) -> int | None:
        """Where the lines end that are looked for; what was seen before is not looked at again."""
        found = self.came.find(_END, self._searched)
        self._searched = max(self._searched, len(self.came) - len(_END) + 1)
        return None if found < 0 else found + len(_END)


def _body_length(head: bytes) -> int | None:
    """How much of its body has to come before a request is worked on; None for all its chunks.

    Nothing of a body that is refused anyway, or whose client waits for an answer first.

    :param head: in small letters.
    """
    lengths, codings = _LENGTH.findall(head), _CODING.findall(head)
    if _EXPECTS in head or len(lengths) + len(codings) != 1:
        return 0
    if codings:
        return None if codings[0].strip() == b"chunked" else 0
    length = lengths[0].strip()
    if not length.isdigit() or len(length) > len(str(MAX_BODY_BYTES)):
        return 0
    return int(length) if int(length) <= MAX_BODY_BYTES else 0


# What peers have not taken yet, by socket, since one that is closed takes nothing any more.
_waiting: "weakref.WeakKeyDictionary[socket.socket, list[memoryview]]" = weakref.WeakKeyDictionary()


def _send_patiently(self: socket.socket, data: Any, flags: int = 0) -> None:
    """In the place of `sendall`, which waits."""
    rest = memoryview(bytes(data))
    waiting = _waiting.setdefault(self, [])
    if not waiting:
        rest = _sent_in_part(self, rest)
    if rest:
        waiting.append(rest)
    if sum(map(len, waiting)) > MAX_UNSENT_BYTES:
        while waiting:
            _send_all(self, waiting.pop(0))


def _send_all(peer: socket.socket, data: memoryview) -> None:
    if isinstance(peer, ssl.SSLSocket):
        ssl.SSLSocket.sendall(peer, data)
    else:
        socket.socket.sendall(peer, data)


def _sent_in_part(peer: socket.socket, data: memoryview) -> memoryview:
    """Send what is taken at once.

    :return: what is not.
    """
    try:
        while data:
            data = data[_send_now(peer, data) :]
    except NOT_NOW:
        pass
    return data


def _send_now(peer: socket.socket, data: memoryview) -> int:
    if not isinstance(peer, ssl.SSLSocket):
        return peer.send(data, socket.MSG_DONTWAIT)
    seconds = peer.gettimeout()
    peer.setblocking(False)
    try:
        return peer.send(data)
    finally:
        with suppress(OSError):
            peer.settimeout(seconds)


class _Patient(socket.socket):
    __slots__ = ()
    sendall = _send_patiently


class _PatientTLS(ssl.SSLSocket):
    sendall = _send_patiently
