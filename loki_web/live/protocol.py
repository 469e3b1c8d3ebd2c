"""Messages from clients on a WebSocket: `ping`, `subscribe` and `unsubscribe`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from loki_web.errors import BadRequest
from loki_web.live.messages import Message, Topic
from loki_web.store.coerce import Json
from loki_web.store.json_text import Damaged, parse_strict

PING, SUBSCRIBE, UNSUBSCRIBE = "ping", "subscribe", "unsubscribe"
TASKS, PROJECTS, STATUS, AGENTS, LOGS = "tasks", "projects", "status", "agents", "logs"
NOTIFICATIONS, COST, COUNCIL, CHECKPOINTS = "notifications", "cost", "council", "checkpoints"
CHANNELS = (
    *(TASKS, PROJECTS, STATUS, AGENTS, LOGS),
    *(NOTIFICATIONS, COST, COUNCIL, CHECKPOINTS),
)
BROADCASTS = frozenset({TASKS, PROJECTS})  # channels of a client that has not subscribed
PROJECT, KNOWN = "project", "known"
MAX_NAMED = 100

PONG = Message("pong")
_KNOWN = ", ".join(CHANNELS)


@dataclass(frozen=True)
class Command:
    """A parsed message of a client.

    :param channels: the named channels. Without a name: BROADCASTS to subscribe to, or all
        channels to unsubscribe from.
    :param data: the `data` of the message, repeated in the confirmation.
    :param project: the id, alias or path of the project to follow from now on, empty for the one
        that is shown where none is named; None to change nothing.
    :param known: the states that the client has, by channel.
    """

    type: str
    channels: frozenset[str] = frozenset()
    data: Any = None
    project: str | None = None
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def confirmation(self) -> Message:
        """Return the message that confirms the command to the client."""
        return Message(f"{self.type}d", self.data)


def parse_command(text: str) -> Command:
    """Parse a text message.

    :raises BadRequest: for a malformed or unknown message; the text is sent to the client.
    """
    try:
        content = parse_strict(text.encode("utf-8", errors="surrogatepass"))
    except Damaged:
        raise BadRequest("The message is not valid JSON") from None
    if not isinstance(content, dict):
        raise BadRequest("The message must be a JSON object")
    kind = content.get("type")
    if kind == PING:
        return Command(PING)
    if kind not in (SUBSCRIBE, UNSUBSCRIBE):
        raise BadRequest("type must be ping, subscribe or unsubscribe")
    data = {} if content.get("data") is None else content["data"]
    unnamed = BROADCASTS if kind == SUBSCRIBE else frozenset(CHANNELS)
    channels = _named_channels(data) or unnamed
    if kind == UNSUBSCRIBE:
        return Command(kind, channels, data)
    return Command(kind, channels, data, _named_project(data), _known_states(data))


def parse_channels(names: Iterable[str]) -> frozenset[str]:
    """Return the channels of these names.

    :raises BadRequest: for an unknown name.
    """
    channels = frozenset(names)
    if not channels <= set(CHANNELS):
        raise BadRequest(f"Unknown channel. Known channels: {_KNOWN}")
    return channels


@lru_cache(maxsize=1024)
def topics_of(
    channels: frozenset[str], project: Path | None, limit: frozenset[str] | None = None
) -> frozenset[Topic]:
    """Return the topics of a connection; the list of projects is the same for all projects.

    :param limit: of its token.
    """
    return frozenset(
        Topic(name, None, limit) if name == PROJECTS else Topic(name, project) for name in channels
    )


def reset(detail: str, channels: list[str]) -> Message:
    """Return the message that the client's states of these channels are unknown here."""
    return Message("reset", {"detail": detail, "channels": channels})


def error(detail: str) -> Message:
    """Return the message about a request that was refused."""
    return Message("error", {"detail": detail})


def connected(channels: frozenset[str]) -> Message:
    """Return the first message of a connection, with the channels that it is subscribed to."""
    return Message("connected", {"message": "Connected to Loki Web", "channels": sorted(channels)})


def _named_channels(data: Any) -> frozenset[str]:
    if not isinstance(data, dict):
        raise BadRequest("data must be a JSON object")
    names = _list_of(data, "channels") + ([data["channel"]] if "channel" in data else [])
    if len(names) > MAX_NAMED:
        raise BadRequest("Too many channels in one message")
    if not all(isinstance(name, str) for name in names):
        raise BadRequest("Channel names must be strings")
    return parse_channels(names)


def _named_project(data: Json) -> str | None:
    name = data.get(PROJECT)
    if name is not None and not isinstance(name, str):
        raise BadRequest("project must be the id, alias or path of a project")
    return name


def _known_states(data: Json) -> Json:
    states = data.get(KNOWN, {})
    if not isinstance(states, dict) or not all(isinstance(one, str) for one in states.values()):
        raise BadRequest("known must be an object with the state of each channel as a string")
    return states


def _list_of(data: Json, key: str) -> list[Any]:
    value = data.get(key, [])
    if not isinstance(value, list):
        raise BadRequest(f"{key} must be an array of channel names")
    return value
