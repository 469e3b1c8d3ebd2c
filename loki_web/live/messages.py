"""Messages to clients, encoded as WebSocket frames and as server-sent events."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from wsproto.frame_protocol import FrameProtocol

from loki_web.store.coerce import Json

RETRY_MILLISECONDS = 3000
EVENT_STREAM_HEARTBEAT = b": heartbeat\n\n"
EVENT_STREAM_START = b"retry: %d\n\n" % RETRY_MILLISECONDS


@dataclass(frozen=True)
class Message:
    """A message of the feed.

    :param data: the value of the key `data`; None omits the key.
    """

    type: str
    data: Any = None

    @cached_property
    def text(self) -> bytes:
        """Return the message as JSON on one line."""
        content: Json = {"type": self.type}
        if self.data is not None:
            content["data"] = self.data
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)


class Topic(NamedTuple):
    """A channel of one project.

    :param project: its directory; None for the project that is shown where none is named.
    :param limit: of the token, for a channel that is about all projects; see `Sources.limit`.
    """

    channel: str
    project: Path | None = None
    limit: frozenset[str] | None = None


@dataclass(frozen=True)
class Batch:
    """The messages of one change of a channel, encoded once for all connections.

    :param token: identifies the state of the channel after this change, see `feed.state`.
    """

    topic: Topic
    messages: tuple[Message, ...]
    token: str
    _event_streams: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def encode(cls, topic: Topic, messages: Iterable[Message], token: str) -> "Batch":
        """Create a batch and encode it, so that errors occur here and not in the hub.

        :raises TypeError: when a message cannot be encoded as JSON.
        """
        batch = cls(topic, tuple(messages), token)
        _ = batch.frames
        return batch

    @cached_property
    def frames(self) -> bytes:
        """Return the messages as WebSocket frames, encoded once for all clients."""
        return frames(self.messages)

    def events(self, last_id: str) -> bytes:
        """Return the messages as server-sent events.

        :param last_id: the event id of the last message; depends on the client's channels.
        """
        if last_id not in self._event_streams:
            self._event_streams[last_id] = events(self.messages, last_id)
        return self._event_streams[last_id]


def frames(messages: Iterable[Message]) -> bytes:
    """Return the messages as WebSocket text frames."""
    protocol = FrameProtocol(client=False, extensions=[])
    return b"".join(bytes(protocol.send_data(message.text.decode())) for message in messages)


def events(messages: Iterable[Message], last_id: str) -> bytes:
    """Return the messages as server-sent events.

    Only the last one has an id: a client that disconnects in between gets all of them again.
    """
    blocks = [b"data: %b\n" % message.text for message in messages]
    if blocks:
        blocks[-1] += b"id: %b\n" % last_id.encode()
    return b"".join(block + b"\n" for block in blocks)
