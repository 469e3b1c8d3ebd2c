"""Clients of the live feed, real ones, as tests use them."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import websocket

from tests.servers import Server

Message = dict[str, Any]
QUIET_SECONDS = 0.6  # longer than a change takes to come


class Client:
    """A WebSocket client that has heard `connected`, unless it is told not to wait for it."""

    def __init__(self, host: str, path: str = "/ws", scheme: str = "ws", **options: Any) -> None:
        address = f"{scheme}://{host}{path}"
        self.socket = websocket.create_connection(address, timeout=10, **options)

    def hear(self, seconds: float = 10) -> Message:
        self.socket.settimeout(seconds)
        message: Message = json.loads(self.socket.recv())
        return message

    def hear_all(self, seconds: float = QUIET_SECONDS) -> list[Message]:
        """Everything that comes until it has been quiet for so long, or ends."""
        found = []
        with contextlib.suppress(websocket.WebSocketException, OSError):
            while True:
                found.append(self.hear(seconds))
        return found

    def say(self, content: Any) -> None:
        self.socket.send(content if isinstance(content, str) else json.dumps(content))

    def send_raw(self, data: bytes) -> None:
        """Frames of the test's own making."""
        assert self.socket.sock is not None
        self.socket.sock.sendall(data)

    def ask(self, content: Any) -> Message:
        self.say(content)
        return self.hear()

    def subscribe(self, *channels: str) -> Message:
        return self.ask({"type": "subscribe", "data": {"channels": list(channels)}})

    def close_code(self, seconds: float = 10) -> int:
        """The code with which the server closes, whatever it says before."""
        self.socket.settimeout(seconds)
        while True:
            opcode, data = self.socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")

    def close(self) -> None:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self.socket.close(timeout=1)
        self.hang_up()

    def hang_up(self) -> None:
        """End without a goodbye."""
        self.socket.shutdown()  # type: ignore[no-untyped-call]


@contextmanager
def listening(server: Server, *channels: str, **options: Any) -> Iterator[Client]:
    """A client that was told `connected`, and subscribed where channels are given."""
    client = Client(server.host, **options)
    try:
        assert client.hear()["type"] == "connected"
        if channels:
            assert client.subscribe(*channels)["type"] == "subscribed"
        yield client
    finally:
        client.close()


class Stream:
    """A listener to server-sent events, down to the bytes.

    :ivar head: of the response.
    :ivar last_id: the id that was given last.
    """

    def __init__(self, host: str, path: str = "/api/events", **headers: str) -> None:
        name, _, port = host.partition(":")
        self._socket = socket.create_connection((name, int(port)), timeout=10)
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Accept-Encoding: gzip"]
        lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._data = b""
        self.last_id = ""
        self.head = self._until(b"\r\n\r\n").decode()

    def block(self, seconds: float = 10) -> str:
        """The next block of lines, a comment or an event."""
        self._socket.settimeout(seconds)
        return self._until(b"\n\n").decode().strip("\n")

    def hear(self, seconds: float = 10) -> Message:
        """The next message."""
        while True:
            lines = dict(line.split(": ", 1) for line in self.block(seconds).split("\n"))
            if "data" in lines:
                self.last_id = lines.get("id", self.last_id)
                message: Message = json.loads(lines["data"])
                return message

    def hear_all(self, seconds: float = QUIET_SECONDS) -> list[Message]:
        found = []
        with contextlib.suppress(TimeoutError):
            while True:
                found.append(self.hear(seconds))
        return found

    def ended(self, seconds: float = 5) -> bool:
        """True when the server ends the stream in time."""
        self._socket.settimeout(seconds)
        try:
            while self._socket.recv(65536):
                pass
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._data:
            came = self._socket.recv(65536)
            if not came:
                raise ConnectionError("the stream has ended")
            self._data += came
        found, _, self._data = self._data.partition(mark)
        return found


@contextmanager
def streaming(server: Server, path: str = "/api/events", **headers: str) -> Iterator[Stream]:
    """A listener that was told `connected`."""
    stream = Stream(server.host, path, **headers)
    try:
        assert stream.hear()["type"] == "connected"
        yield stream
    finally:
        stream.close()


def told(messages: list[Message]) -> list[tuple[str, str]]:
    """Type and id of each."""
    return [(message["type"], message["data"]["id"]) for message in messages]


def until(condition: Any, seconds: float = 10) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
