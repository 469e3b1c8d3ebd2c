"""Clients of the live feed, real ones, as tests use them."""

import contextlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import websocket

from tests.support.nginx import Proxy
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_SECONDS

Message = dict[str, Any]


class Client:
    """A WebSocket client that has heard `connected`, unless it is told not to wait for it."""

    def __init__(self, host: str, path: str = "/ws", scheme: str = "ws", **options: Any) -> None:
        address = f"{scheme}://{host}{path}"
        # The library decodes the text anyway; before that it looks at each byte in Python, which
        # made up most of the time of a test with large messages.
        self.socket = websocket.create_connection(
            address, timeout=PATIENCE_SECONDS, skip_utf8_validation=True, **options
        )

    def hear(self) -> Message:
        message: Message = json.loads(self.socket.recv())
        return message

    def hear_rest(self, *channels: str) -> list[Message]:
        """Everything that is still to be told of what has happened until now.

        For a subscription the server reads the files of the channels, also of those that the
        client had before, and tells all of its clients what is new before it answers.

        :param channels: `tasks` and `projects` where none are given.
        """
        self.say({"type": "subscribe", "data": {"channels": channels or ["tasks", "projects"]}})
        found = []
        while (message := self.hear())["type"] != "subscribed":
            found.append(message)
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

    def close_code(self) -> int:
        """The code with which the server closes, whatever it says before."""
        return self.hear_to_end()[1]

    def hear_to_end(self) -> tuple[list[Message], int]:
        """Everything until the server closes, and the code with which it does; 1006 for none."""
        found: list[Message] = []
        with contextlib.suppress(websocket.WebSocketConnectionClosedException, ConnectionError):
            opcode, data = self._frame()
            while opcode != websocket.ABNF.OPCODE_CLOSE:
                if opcode == websocket.ABNF.OPCODE_TEXT:
                    found.append(json.loads(data))
                opcode, data = self._frame()
            with contextlib.suppress(OSError):  # the server may not wait for the answer
                self.socket.send_close()
            return found, int.from_bytes(data[:2], "big")
        return found, 1006

    def _frame(self) -> tuple[int, bytes]:
        """Opcode and data of the next frame, which is not answered."""
        frame = self.socket.recv_frame()  # type: ignore[no-untyped-call]
        return frame.opcode, frame.data

    def close(self) -> None:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self.socket.close(timeout=1)
        self.hang_up()

    def hang_up(self) -> None:
        """End without a goodbye."""
        self.socket.shutdown()  # type: ignore[no-untyped-call]


@contextmanager
def listening(server: Server | Proxy, *channels: str, **options: Any) -> Iterator[Client]:
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
        self._socket = socket.create_connection((name, int(port)), timeout=PATIENCE_SECONDS)
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Accept-Encoding: gzip"]
        lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._data = b""
        self.last_id = ""
        self.head = self._until(b"\r\n\r\n").decode()

    def block(self) -> str:
        """The next block of lines, a comment or an event."""
        return self._until(b"\n\n").decode().strip("\n")

    def hear(self) -> Message:
        """The next message."""
        while True:
            lines = dict(line.split(": ", 1) for line in self.block().split("\n"))
            if "data" in lines:
                self.last_id = lines.get("id", self.last_id)
                message: Message = json.loads(lines["data"])
                return message

    def hear_to_end(self) -> list[Message]:
        """Everything until the server ends the stream."""
        found = []
        with contextlib.suppress(ConnectionError):
            while True:
                found.append(self.hear())
        return found

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
