"""Sockets that a process inherits, as systemd hands them over."""

import socket
import sys

# As descriptor 3, named for the process that uses it.
_ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def activated(listener: socket.socket, command: list[str]) -> list[str]:
    """Return a command that hands a listening socket over; its descriptor has to be inherited."""
    return [sys.executable, "-c", _ACTIVATE, str(listener.fileno()), *command]
