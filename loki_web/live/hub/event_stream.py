"""A client of server-sent events: read-only, resumes with Last-Event-ID."""

import hashlib
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from loki_web.live import protocol
from loki_web.live.feed.feed import Standing
from loki_web.live.hub.connection import Connection, MayStay
from loki_web.live.messages import (
    EVENT_STREAM_HEARTBEAT,
    EVENT_STREAM_START,
    Batch,
    Topic,
    events,
)

MAX_ID_LENGTH = 1024
_STATE = re.compile(r"([a-z]{1,20}):([0-9a-z.-]{1,60})", re.ASCII)
_RESET = "The state of this Last-Event-ID is no longer available; the current state follows"


class EventStream(Connection):
    """Each event id identifies the project, if one was named, and the state of all channels."""

    KEEPALIVE_SECONDS: ClassVar[float] = 15.0
    ANSWERS: ClassVar[bool] = False

    __slots__ = ("_known",)

    def __init__(
        self,
        sock: socket.socket,
        head: bytes,
        channels: frozenset[str],
        last_id: str = "",
        may_stay: MayStay | None = None,
        project: Path | None = None,
    ) -> None:
        """Queue the start of the response.

        :param head: status line and headers of the response.
        :param last_id: the `Last-Event-ID` of a reconnecting client.
        """
        super().__init__(sock, channels, may_stay, project)
        self._known = _states(last_id, channels, self._project_id)
        self.write(head + EVENT_STREAM_START)

    @property
    def known(self) -> Mapping[str, str]:
        """Return the states in the `Last-Event-ID`, by channel."""
        return self._known

    def welcome(self, standing: Standing, tokens: Mapping[Topic, str]) -> None:
        """Send the missed and current messages, or a `reset` for channels with an unknown state."""
        messages = [protocol.connected(self.channels), *standing.missed]
        if standing.unknown:
            messages.append(protocol.reset(_RESET, standing.unknown))
        self.write(events([*messages, *standing.whole, *standing.current], self._id(tokens)))
        self._known = {}

    def deliver(self, batch: Batch, tokens: Mapping[Topic, str]) -> None:
        """Send the messages of a batch as events, with the id to resume from."""
        self.write(batch.events(self._id(tokens)))

    def keep_alive(self) -> None:
        """Send a comment, which clients ignore."""
        self.write(EVENT_STREAM_HEARTBEAT)

    def hear(self, data: bytes) -> None:
        """Ignore input: an event stream has no messages from the client."""

    def say_goodbye(self, code: int, reason: str) -> None:
        """End the stream; the client reconnects by itself."""
        self.is_over = True

    def _id(self, tokens: Mapping[Topic, str]) -> str:
        states = [f"{topic.channel}:{tokens[topic]}" for topic in sorted(self.topics)]
        return ",".join([*self._project_id, *states])

    @property
    def _project_id(self) -> list[str]:
        """Return the part of an id that says which project was named."""
        if self.project is None:
            return []
        name = hashlib.blake2b(os.fsencode(self.project), digest_size=8).hexdigest()
        return [f"{protocol.PROJECT}:{name}"]


def _states(last_id: str, channels: frozenset[str], project: list[str]) -> dict[str, str]:
    """Parse an event id into the state of each channel.

    :param project: the part of the id that says which project was named. An id of another project
        gives unknown states, as a malformed one does.
    """
    if not last_id:
        return {}
    parts = last_id[:MAX_ID_LENGTH].split(",")
    matches = [match for part in parts if (match := _STATE.fullmatch(part))]
    states = {match[1]: match[2] for match in matches}
    is_same = project == [match[0] for match in matches if match[1] == protocol.PROJECT]
    channel_states = {name: states[name] for name in channels if name in states and is_same}
    return channel_states or dict.fromkeys(channels, "")
