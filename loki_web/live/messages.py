"""What is sent, and its form on the two kinds of connection."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson
from wsproto.frame_protocol import FrameProtocol

from loki_web.store.coerce import Json

RETRY_MILLISECONDS = 3000
EVENT_STREAM_HEARTBEAT = b": heartbeat\n\n"
EVENT_STREAM_START = b"retry: %d\n\n" % RETRY_MILLISECONDS


@dataclass(frozen=True)
class Message:
    """:param data: what stands under `data`; None leaves the key out."""

    type: str
    data: Any = None

    @cached_property
    def text(self) -> bytes:
        """The message as JSON in one line."""
        content: Json = {"type": self.type}
        if self.data is not None:
            content["data"] = self.data
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)


@dataclass(frozen=True)
class Batch:
    """The messages of one change, written to every connection in the same bytes.

    :param channel: who gets them.
    :param token: names the state of the channel after this change, see `slices`.
    """

    channel: str
    messages: tuple[Message, ...]
    token: str
    _event_streams: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, channel: str, messages: Iterable[Message], token: str) -> "Batch":
        """One that is certain to be writable.

        :raises TypeError: when a message is not JSON.
        """
        made = cls(channel, tuple(messages), token)
        _ = made.frames
        return made

    @cached_property
    def frames(self) -> bytes:
        return frames(self.messages)

    def events(self, last_id: str) -> bytes:
        """:param last_id: the id after the last of them; it depends on the channels listened to."""
        if last_id not in self._event_streams:
            self._event_streams[last_id] = events(self.messages, last_id)
        return self._event_streams[last_id]


def frames(messages: Iterable[Message]) -> bytes:
    """The messages as WebSocket text frames."""
    protocol = FrameProtocol(client=False, extensions=[])
    return b"".join(bytes(protocol.send_data(message.text.decode())) for message in messages)


def events(messages: Iterable[Message], last_id: str) -> bytes:
    """The messages as server-sent events.

    The id stands with the last one: who is cut off in between gets the whole change again.
    """
    blocks = [b"data: %b\n" % message.text for message in messages]
    if blocks:
        blocks[-1] += b"id: %b\n" % last_id.encode()
    return b"".join(block + b"\n" for block in blocks)
