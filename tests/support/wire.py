"""HTTP byte by byte, for what no client library would send."""

import contextlib
import json
import socket
from dataclasses import dataclass
from typing import Any

from tests.support.servers import Server
from tests.support.waiting import PATIENCE_SECONDS


@dataclass(frozen=True)
class Answer:
    """:param before: interim answers such as `100 Continue`, as they came."""

    status_code: int
    headers: dict[str, str]
    content: bytes
    before: bytes = b""

    def json(self) -> Any:
        return json.loads(self.content)


def connect(server: Server, seconds: float = PATIENCE_SECONDS) -> socket.socket:
    host, _, port = server.host.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=seconds)


def head(request_line: str, *lines: str, host: str = "localhost") -> bytes:
    """A request up to its body."""
    return "\r\n".join([request_line, f"Host: {host}", *lines, "", ""]).encode("latin-1")


def exchange(server: Server, data: bytes, *, hang_up: bool = False) -> list[Answer]:
    """Send bytes and read answers until the server closes.

    :param hang_up: say that nothing more will come, as a client does that goes away.
    """
    with connect(server) as sock:
        with contextlib.suppress(ConnectionError):  # an answer may come before all is sent
            sock.sendall(data)
        if hang_up:
            sock.shutdown(socket.SHUT_WR)
        return answers_in(received(sock))


def received(sock: socket.socket) -> bytes:
    """Everything until the server closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while came := sock.recv(65536):
            data += came
    return data


def answers_in(data: bytes) -> list[Answer]:
    """The answers that follow each other, each with its Content-Length; 204 and 304 have none."""
    found = []
    while data:
        before = b""
        while data.startswith(b"HTTP/1.1 1"):
            interim, _, data = data.partition(b"\r\n\r\n")
            before += interim
        beginning, _, data = data.partition(b"\r\n\r\n")
        first, *lines = beginning.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(first.split()[1])
        length = 0 if status in (204, 304) else int(headers["content-length"])
        found.append(Answer(status, headers, data[:length], before))
        data = data[length:]
    return found


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
