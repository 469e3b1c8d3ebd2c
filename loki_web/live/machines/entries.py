"""Entries of a stream, and their ids: milliseconds since 1970 and a number."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from loki_web.live.messages import Message
from loki_web.live.protocol import CHANNELS
from loki_web.services.machines import keys
from loki_web.store.coerce import as_dict, dicts_in, first_text

Id = tuple[int, int]
NO_ID: Id = (0, 0)
MOST_ENTRIES = 5000  # of a stream
MOST_BYTES = 8 * 1024 * 1024  # of a stream
_ID = re.compile(r"(\d{1,15})-(\d{1,9})", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """The messages of one change.

    :param before: the id of the entry before it.
    :param channel: empty for an entry that only tells that others were lost.
    :param token: of the channel's state after it, as a server with the files knows it.
    """

    id: Id
    before: Id
    channel: str = ""
    token: str = ""
    messages: tuple[Message, ...] = ()
    size: int = 0


@dataclass(frozen=True)
class State:
    """The state of a channel.

    :param at: the last entry that it includes, of whatever channel.
    :param last: the last entry of this channel.
    :param token: as in `Entry`.
    :param messages: those that replace an older state.
    """

    at: Id
    last: Id
    token: str
    messages: tuple[Message, ...]


def fold(state: State, entries: Iterable[Entry]) -> Any:
    """Return the value of a channel after the entries that followed a state of it.

    :return: a list of entries, or the value; None if the channel has none, as the log.
    """
    value = state.messages[0].data if state.messages else None
    for message in (message for entry in entries for message in entry.messages):
        if message.type == state.messages[0].type or not isinstance(value, list):
            value = message.data
            continue
        removed_id = as_dict(message.data).get("id")
        others = [each for each in dicts_in(value) if each.get("id") != removed_id]
        is_removed = message.type.endswith("_removed")
        value = others if is_removed else [*others, message.data]
    return value


def format_id(entry_id: Id) -> str:
    """Return an id as Redis has it."""
    return f"{entry_id[0]}-{entry_id[1]}"


def parse_id(text: str) -> Id | None:
    """Return an id from its text, None for another text."""
    match = _ID.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def write_entry(entry: Entry) -> dict[str, str | bytes]:
    """Return the fields of an entry in Redis."""
    messages = b"[%b]" % b",".join(message.text for message in entry.messages)
    return {
        "before": format_id(entry.before),
        "channel": entry.channel,
        "token": entry.token,
        "messages": messages,
    }


def read_entry(raw: tuple[bytes, Mapping[bytes, bytes]]) -> Entry:
    """Return an entry from Redis; one that is malformed has no messages and follows none."""
    name, fields = raw
    entry_id = parse_id(name.decode()) or NO_ID
    before = parse_id(fields.get(b"before", b"").decode(errors="replace"))
    channel = fields.get(b"channel", b"").decode(errors="replace")
    messages = _parse(fields.get(b"messages", b""))
    if before is None or messages is None or channel not in (*CHANNELS, ""):
        return Entry(entry_id, NO_ID)
    size = len(fields[b"messages"])
    token = fields.get(b"token", b"").decode(errors="replace")
    return Entry(entry_id, before, channel, token, messages, size)


def write_state(state: State) -> bytes:
    """Return a state as it is in Redis."""
    return orjson.dumps(
        {
            "at": format_id(state.at),
            "last": format_id(state.last),
            "token": state.token,
            "messages": [{"type": each.type, "data": each.data} for each in state.messages],
        },
        option=orjson.OPT_NON_STR_KEYS,
    )


def read_state(raw: bytes) -> State | None:
    """Return a state from Redis, None if it is malformed."""
    try:
        content: Any = as_dict(orjson.loads(raw))
    except orjson.JSONDecodeError:
        return None
    at, last = (parse_id(first_text(content.get(key))) for key in ("at", "last"))
    if at is None or last is None:
        return None
    return State(at, last, first_text(content.get("token")), _messages(content.get("messages")))


def load_entries(session: str, client: Any) -> list[Entry]:
    """Return the entries of a session's stream, with a client of Redis."""
    return list(map(read_entry, client.xrange(keys.events(session), count=2 * MOST_ENTRIES)))


def load_states(session: str, client: Any) -> dict[str, State]:
    """Return the states of a session's channels, with a client of Redis."""
    raw: dict[bytes, bytes] = client.hgetall(keys.state(session))
    states = {name.decode(errors="replace"): read_state(text) for name, text in raw.items()}
    return {name: state for name, state in states.items() if state}


def _parse(raw: bytes) -> tuple[Message, ...] | None:
    try:
        return _messages(orjson.loads(raw))
    except orjson.JSONDecodeError:
        return None


def _messages(value: Any) -> tuple[Message, ...]:
    return tuple(
        Message(each["type"], each.get("data"))
        for each in dicts_in(value)
        if isinstance(each.get("type"), str)
    )
