"""A WebSocket client. wsproto handles the frames, `protocol` the messages."""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import ProtocolError

from loki_web.errors import BadRequest
from loki_web.live import messages, protocol
from loki_web.live.feed.feed import Standing
from loki_web.live.hub.connection import Connection, MayStay
from loki_web.live.messages import Batch, Message, Topic
from loki_web.live.protocol import Command

MAX_MESSAGE_BYTES = 64 * 1024
MAX_FRAGMENTS = 1024
_TOO_BIG = "Messages must have at most 64 KiB"
_RESET = "The lists of these channels have changed; request them again from the API"
_PONG = messages.frames([protocol.PONG])


class WebSocket(Connection):
    """A connection whose client sends commands.

    :ivar subscribe: set by the hub; starts a subscription. Further commands wait until the hub
        calls `subscribed`.
    """

    KEEPALIVE_SECONDS: ClassVar[float] = 25.0
    ANSWERS: ClassVar[bool] = True

    __slots__ = (
        "_fragments",
        "_frames",
        "_has_subscribed",
        "_is_broken",
        "_pieces",
        "_size",
        "subscribe",
    )

    def __init__(
        self,
        sock: socket.socket,
        frames: Frames | None = None,
        may_stay: MayStay | None = None,
        project: Path | None = None,
    ) -> None:
        super().__init__(sock, protocol.BROADCASTS, may_stay, project)
        self._frames = frames or Frames(ConnectionType.SERVER)
        self._has_subscribed = False
        self._is_broken = False
        self._pieces: list[str] = []
        self._size = 0
        self._fragments = 0
        self.subscribe: Callable[[Command], None] = _refuse

    def welcome(self, standing: Standing, tokens: Mapping[Topic, str]) -> None:
        """Send `connected` and the current messages."""
        self._send(protocol.connected(self.channels), *standing.current)

    def deliver(self, batch: Batch, tokens: Mapping[Topic, str]) -> None:
        """Send the messages of a batch."""
        self.write(batch.frames)

    def keep_alive(self) -> None:
        """Send a ping."""
        self.write(self._frames.send(Ping()))

    def hear(self, data: bytes) -> None:
        """Decode received frames and handle their messages."""
        if self._is_broken:
            return
        try:
            self._frames.receive_data(data)
            self._handle_events()
        except ProtocolError:  # data after the end of the connection
            self.is_over = True

    def extend(self, channels: frozenset[str]) -> frozenset[str]:
        """Return the channels after a subscription; the first one replaces the broadcasts."""
        return channels | self.channels if self._has_subscribed else channels

    def subscribed(self, command: Command, standing: Standing) -> None:
        """Confirm a subscription or its refusal, and handle commands received meanwhile."""
        if standing.refusal:
            self._send(protocol.error(standing.refusal))
        else:
            self.channels, self.project = self.extend(command.channels), standing.project
            self._has_subscribed = True
            resets = [protocol.reset(_RESET, standing.unknown)] if standing.unknown else []
            self._send(command.confirmation, *standing.missed, *resets, *standing.current)
        self.is_paused = False
        self.hear(b"")

    def say_goodbye(self, code: int, reason: str) -> None:
        """Send a close frame, unless the connection is closing already."""
        if self._frames.state is ConnectionState.OPEN:
            self.write(self._frames.send(CloseConnection(code, reason)))

    def _handle_events(self) -> None:
        for event in self._frames.events():
            if isinstance(event, TextMessage | BytesMessage):
                self._collect(event)
            elif isinstance(event, Ping) and self._frames.state is ConnectionState.OPEN:
                self.write(self._frames.send(event.response()))
            elif isinstance(event, CloseConnection):
                self._handle_close(event)
            if not self.listens or self.is_over or self._is_broken:
                return

    def _collect(self, event: TextMessage | BytesMessage) -> None:
        """Collect the fragments of a message, up to the limits."""
        if self._frames.state is not ConnectionState.OPEN:
            return
        self._size += len(event.data) if isinstance(event, BytesMessage) else _size(event.data)
        self._fragments += event.frame_finished
        if self._size > MAX_MESSAGE_BYTES or self._fragments > MAX_FRAGMENTS:
            self._pieces.clear()
            self._break_off(CloseReason.MESSAGE_TOO_BIG, _TOO_BIG)
            return
        if isinstance(event, TextMessage):
            self._pieces.append(event.data)
        if event.message_finished:
            text = "".join(self._pieces)
            self._pieces.clear()
            self._size = self._fragments = 0
            self._handle_text(text if isinstance(event, TextMessage) else None)

    def _handle_text(self, text: str | None) -> None:
        try:
            if text is None:
                raise BadRequest("Messages must be JSON in text frames")
            self._run(protocol.parse_command(text))
        except BadRequest as error:
            self._send(protocol.error(error.detail))

    def _run(self, command: Command) -> None:
        if command.type == protocol.PING:
            self.write(_PONG)
        elif command.type == protocol.SUBSCRIBE:
            self.is_paused = True
            self.subscribe(command)
        else:
            self.channels -= command.channels
            self._has_subscribed = True
            self._send(command.confirmation)

    def _handle_close(self, event: CloseConnection) -> None:
        """Handle a close frame, a response to ours, or a protocol error found by wsproto."""
        if self._frames.state is ConnectionState.OPEN:
            self._break_off(event.code, "Protocol error")
            return
        if self._frames.state is ConnectionState.REMOTE_CLOSING:
            self.write(self._frames.send(event.response()))
        self.is_over = True

    def _break_off(self, code: int, reason: str) -> None:
        """Close with a reason and ignore further input, which cannot be parsed any more."""
        self.say_goodbye(code, reason)
        self._is_broken = self.is_leaving = True

    def _send(self, *batch: Message) -> None:
        self.write(messages.frames(batch))


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", errors="surrogatepass"))


def _refuse(_: Command) -> None:
    raise BadRequest("The live feed is not ready")
