"""How a connection leaves the thread that accepted it.

gunicorn closes the socket object of a request when its handler is done, and counts the connection
as gone. The object is kept, since a TLS socket cannot be taken out of it, but from then on only we
can close it: gunicorn's own closing finds a socket that has no peer any more, which it is used to.
"""

import errno
import socket
import ssl
from typing import NoReturn


class _Kept(socket.socket):
    """A socket that lets its former owner go through the motions."""

    __slots__ = ()

    def setblocking(self, flag: bool) -> None:
        """It never blocks again."""

    def settimeout(self, value: float | None) -> None:
        """It never blocks again."""

    def shutdown(self, how: int) -> NoReturn:
        raise OSError(errno.ENOTCONN, "handed over")

    def close(self) -> None:
        """Closed by `close` of this module only."""


class _KeptTLS(ssl.SSLSocket):
    setblocking = _Kept.setblocking
    settimeout = _Kept.settimeout
    shutdown = _Kept.shutdown
    close = _Kept.close


def take(sock: socket.socket) -> socket.socket:
    """Make a request's socket ours: it does not block, and nobody else can close it."""
    sock.setblocking(False)
    sock.__class__ = _KeptTLS if isinstance(sock, ssl.SSLSocket) else _Kept
    return sock


def close(sock: socket.socket) -> None:
    """End a connection that was taken: what is still to be sent goes out, then its end."""
    kind = ssl.SSLSocket if isinstance(sock, ssl.SSLSocket) else socket.socket
    kind.close(sock)
