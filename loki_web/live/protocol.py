"""What a client may say on a socket: `ping`, `subscribe` and `unsubscribe`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from loki_web.errors import BadRequest
from loki_web.live.messages import Message
from loki_web.store.coerce import Json
from loki_web.store.json_text import Damaged, parse_strict

PING, SUBSCRIBE, UNSUBSCRIBE = "ping", "subscribe", "unsubscribe"
TASKS, PROJECTS, STATUS, AGENTS, LOGS = "tasks", "projects", "status", "agents", "logs"
NOTIFICATIONS, COST, COUNCIL, CHECKPOINTS = "notifications", "cost", "council", "checkpoints"
CHANNELS = (
    *(TASKS, PROJECTS, STATUS, AGENTS, LOGS),
    *(NOTIFICATIONS, COST, COUNCIL, CHECKPOINTS),
)
BROADCASTS = frozenset({TASKS, PROJECTS})  # what somebody gets who never subscribed
MAX_NAMED = 100

PONG = Message("pong")
_KNOWN = ", ".join(CHANNELS)


@dataclass(frozen=True)
class Command:
    """:param channels: those that were named; where none was, the documented broadcasts to
    subscribe to, or all to unsubscribe from.
    :param data: what the client sent under `data`, for the confirmation.
    """

    type: str
    channels: frozenset[str] = frozenset()
    data: Any = None

    @property
    def confirmation(self) -> Message:
        return Message(f"{self.type}d", self.data)


def command_in(text: str) -> Command:
    """What a text message asks for.

    :raises BadRequest: with a sentence for the client, when it asks for nothing that is known.
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
    return Command(kind, _named_in(data) or unnamed, data)


def channels_named(names: Iterable[str]) -> frozenset[str]:
    """:raises BadRequest: when one of them is no channel."""
    wanted = frozenset(names)
    if not wanted <= set(CHANNELS):
        raise BadRequest(f"There are only these channels: {_KNOWN}")
    return wanted


def error(detail: str) -> Message:
    return Message("error", {"detail": detail})


def connected(channels: frozenset[str]) -> Message:
    return Message("connected", {"message": "Connected to Loki Web", "channels": sorted(channels)})


def _named_in(data: Any) -> frozenset[str]:
    if not isinstance(data, dict):
        raise BadRequest("data must be a JSON object")
    names = _list_of(data, "channels") + ([data["channel"]] if "channel" in data else [])
    if len(names) > MAX_NAMED:
        raise BadRequest("Too many channels are named at once")
    if not all(isinstance(name, str) for name in names):
        raise BadRequest("A channel is named by a string")
    return channels_named(names)


def _list_of(data: Json, key: str) -> list[Any]:
    value = data.get(key, [])
    if not isinstance(value, list):
        raise BadRequest(f"{key} must be an array of names")
    return value
