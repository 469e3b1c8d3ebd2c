"""Take a socket over from gunicorn.

gunicorn closes the socket object of a request when its handler returns. The object must survive,
because a TLS socket cannot be duplicated. So its class is replaced: gunicorn's calls do nothing,
or fail as for a disconnected client, which gunicorn handles.
"""

import errno
import socket
import ssl
from typing import NoReturn


class _TakenSocket(socket.socket):
    """A socket whose close and settimeout do nothing, so that gunicorn cannot close it."""

    __slots__ = ()

    def setblocking(self, flag: bool) -> None:
        """Do nothing: the socket stays non-blocking."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing: the socket stays non-blocking."""

    def shutdown(self, how: int) -> NoReturn:
        raise OSError(errno.ENOTCONN, "taken over")

    def close(self) -> None:
        """Do nothing: only `close` of this module closes the socket."""


class _TakenTLSSocket(ssl.SSLSocket):
    setblocking = _TakenSocket.setblocking
    settimeout = _TakenSocket.settimeout
    shutdown = _TakenSocket.shutdown
    close = _TakenSocket.close


def take(sock: socket.socket) -> socket.socket:
    """Make a request's socket non-blocking, and prevent gunicorn from closing it."""
    sock.setblocking(False)
    sock.__class__ = _TakenTLSSocket if isinstance(sock, ssl.SSLSocket) else _TakenSocket
    return sock


def close(sock: socket.socket) -> None:
    """Close a socket that was taken over; the kernel still sends what is buffered."""
    kind = ssl.SSLSocket if isinstance(sock, ssl.SSLSocket) else socket.socket
    kind.close(sock)
