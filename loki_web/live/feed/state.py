"""The last state of each channel, and the messages for what changed since.

The token of a state is a hash of its content. Every process that reads the same files computes the
same token, so a client can resume at another worker, or after a restart.
"""

import hashlib
import time
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from loki_web.live.messages import Message
from loki_web.store.coerce import dicts_in
from loki_web.store.look import UNREPEATABLE, observe

Entry = Mapping[str, Any]  # such as a task

GONE_SECONDS = 3.0
_MAX_STATES = 256
_MAX_HISTORY_BYTES = 1024 * 1024


class Slice(Protocol):
    """The state of one channel.

    :ivar has_more: whether more can be read at once, without waiting for a change.
    """

    has_more: bool

    @property
    def token(self) -> str:
        """Identify the current state; empty before the first `refresh`."""

    def restore(self, value: Any) -> None:
        """Begin with a value that clients already have, before the first `refresh`."""

    def refresh(self) -> list[Message]:
        """Read again and return the messages for what changed since the last call."""

    def current(self) -> list[Message]:
        """Return the messages for a new subscriber."""

    def whole(self) -> list[Message]:
        """Return the messages that replace a state which is no longer available."""

    def since(self, token: str) -> list[Message] | None:
        """Return the messages since the state of a token; None if it is unknown or evicted."""


class ValueSlice:
    """A channel that sends its whole value when it changes.

    :param ignored: keys whose changes alone give no message.
    """

    has_more = False

    def __init__(
        self, message_type: str, read: Callable[[], Any], ignored: frozenset[str] = frozenset()
    ) -> None:
        self._type = message_type
        self._read = read
        self._ignored = ignored
        self._value: Any = None
        self.token = ""

    def restore(self, value: Any) -> None:
        """Begin with a value that clients already have."""
        self._value = value
        self.token = _hash(_serialize(self._lasting())).hex()

    def refresh(self) -> list[Message]:
        """Read the value; return it as a message if it has changed."""
        self._value = self._read()
        before, self.token = self.token, _hash(_serialize(self._lasting())).hex()
        return self.current() if before not in ("", self.token) else []

    def current(self) -> list[Message]:
        """Return the value as a message."""
        return [Message(self._type, self._value)]

    def whole(self) -> list[Message]:
        """Return the value as a message."""
        return self.current()

    def since(self, token: str) -> list[Message] | None:
        """Return the value as a message, unless the client has it."""
        return [] if token == self.token else self.current()

    def _lasting(self) -> Any:
        if not isinstance(self._value, dict):
            return self._value
        return {key: value for key, value in self._value.items() if key not in self._ignored}


# Old entry (None for a new one) and new entry: the type of the message to send, or None.
MessageType = Callable[[Entry | None, Entry], str | None]
# Old entries by id, and the new list: the ids of all entries that were moved.
MovedEntries = Callable[[Mapping[str, Entry], Sequence[Entry]], set[str]]


@dataclass(frozen=True)
class ListKind:
    """The rules by which changes of a list of entries become messages.

    :param message_type: returns the type of the message for a changed entry, or None.
    :param mark: returns the part of an entry that goes into the token of the list.
    :param removed_type: the type of the message for an entry that has gone.
    :param moved: returns the ids of entries that changed their order; each gives a message of the
        type `moved_type`.
    """

    message_type: MessageType
    mark: Callable[[Entry], Any]
    removed_type: str
    moved: MovedEntries = lambda former, entries: set()
    moved_type: str = ""


def send_new_entries(message_type: str, removed_type: str) -> ListKind:
    """Return the kind of a list that sends an entry when it is new or has gone."""
    return ListKind(
        lambda before, _: message_type if before is None else None,
        lambda entry: entry.get("id"),
        removed_type,
    )


def send_changed_entries(message_type: str, removed_type: str) -> ListKind:
    """Return the kind of a list that sends an entry when it is new, changes or has gone."""
    return ListKind(
        lambda before, after: message_type if before != after else None,
        lambda entry: entry,
        removed_type,
    )


def _task_event(before: Entry | None, after: Entry) -> str | None:
    """Return the type of the message for a change; `task_moved` covers all changes of a task.

    A position that changed only because other tasks came or went gives no message.
    """
    if before is None:
        return "task_created"
    if before["status"] != after["status"]:
        return "task_moved"
    is_same = before == after or _without_position(before) == _without_position(after)
    return None if is_same else "task_updated"


def _without_position(task: Entry) -> Entry:
    return {key: value for key, value in task.items() if key != "position"}


def _moved_tasks(former: Mapping[str, Entry], tasks: Sequence[Entry]) -> set[str]:
    """Return the ids of tasks reordered within their status: the smallest set that explains it."""
    if all(
        (before := former.get(task["id"])) is task
        or before is None
        or before["position"] == task["position"]
        for task in tasks
    ):
        return set()
    queues: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for task in tasks:
        before = former.get(task["id"])
        if before is not None and before["status"] == task["status"]:
            queues[task["status"]].append((before["position"], task["id"]))
    return {task_id for queue in queues.values() for task_id in _out_of_order(queue)}


def _out_of_order(queue: list[tuple[int, str]]) -> Iterable[str]:
    """Yield the ids of all that are not in a longest non-decreasing subsequence of positions."""
    positions = [position for position, _ in queue]
    if positions == sorted(positions):
        return
    ends: list[int] = []  # the lowest position at which a series of each length can end
    lengths = []
    for position in positions:
        length = bisect_right(ends, position)
        ends[length : length + 1] = [position]
        lengths.append(length + 1)
    next_length = len(ends)
    for length, (_, task_id) in zip(reversed(lengths), reversed(queue), strict=True):
        if length == next_length:
            next_length -= 1
        else:
            yield task_id


TASKS = ListKind(_task_event, _without_position, "task_removed", _moved_tasks, "task_moved")


class ListSlice:
    """A channel that sends the changed entries of a list, identified by `id`.

    A missing entry is reported as removed after GONE_SECONDS: the CLI moves a task between queue
    files by removing it from one before adding it to the other.
    """

    has_more = False

    def __init__(
        self,
        name: str,
        kind: ListKind,
        read: Callable[[], Sequence[Entry]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._kind = kind
        self._read = read
        self._clock = clock
        self._entries: Sequence[Entry] = ()
        self._by_id: dict[str, Entry] = {}
        self._marks: dict[str, bytes] = {}
        self._missing: dict[str, tuple[float, Entry]] = {}
        self._history = _History()
        self._etag = ""
        self.token = ""
        self._is_read = False

    def restore(self, value: Any) -> None:
        """Begin with entries that clients already have; malformed ones are skipped."""
        self._compare([entry for entry in dicts_in(value) if isinstance(entry.get("id"), str)])
        self._is_read = True

    def refresh(self) -> list[Message]:
        """Read the list; return a message for each entry that has changed."""
        entries = self._read()
        if self._is_read and entries == self._entries and not self._missing:
            return []
        messages = self._compare(entries)
        if not self._is_read:
            messages, self._is_read = [], True
        self._entries, self._etag = entries, ""
        if self._missing:
            observe(UNREPEATABLE)  # read again without a change: the entry may have to be removed
        before, self.token = self.token, self._identify()
        if messages or self.token != before:
            self._history.add(self.token, messages)
        return messages

    def current(self) -> list[Message]:
        """Return no messages: clients read the list from the API."""
        return []

    def whole(self) -> list[Message]:
        """Return the whole list as one message."""
        return [Message(self._name, self._entries)]

    def since(self, token: str) -> list[Message] | None:
        """Return the messages since a token; None if the token is unknown.

        :param token: one from the history, or the ETag that the API gives to the current list.
        """
        missed = self._history.since(token)
        return [] if missed is None and token == self._get_etag() else missed

    def _get_etag(self) -> str:
        """Return the ETag of a response with this list, as `web.answers` computes it."""
        if not self._etag:
            body = _serialize(self._entries) + b"\n"
            self._etag = hashlib.blake2b(body, digest_size=16).hexdigest()
        return self._etag

    def _identify(self) -> str:
        """Return the token of what clients have, with the entries not yet reported as removed."""
        missing = [key.encode() for key in self._missing]
        return _hash(b"".join([*self._marks.values(), *missing])).hex()

    def _compare(self, entries: Sequence[Entry]) -> list[Message]:
        now, former, moved = self._clock(), self._by_id, set[str]()
        messages = self._forget_gone(now)
        if self._have_same_order(entries):
            pairs = zip(self._entries, entries, strict=True)
            changed = [entry for before, entry in pairs if entry is not before]
            self._by_id = {**former, **{entry["id"]: entry for entry in changed}}
        else:
            moved = self._kind.moved(former, entries)
            changed = self._rearrange(entries, moved, now)
        for entry in changed:
            entry_id = entry["id"]
            before = former.get(entry_id) or self._missing.pop(entry_id, (now, None))[1]
            if entry_id in moved:
                message_type: str | None = self._kind.moved_type
            else:
                message_type = None if entry is before else self._kind.message_type(before, entry)
            if message_type:
                messages.append(Message(message_type, entry))
            if message_type or not self._marks[entry_id]:
                mark = self._kind.mark(self._by_id[entry_id])
                self._marks[entry_id] = _hash(_serialize(mark))
        return messages

    def _have_same_order(self, entries: Sequence[Entry]) -> bool:
        """Return whether the ids are those of the last list, in the same order."""
        return len(entries) == len(self._entries) == len(self._by_id) and all(
            entry is before or entry["id"] == before["id"]
            for before, entry in zip(self._entries, entries, strict=True)
        )

    def _rearrange(self, entries: Sequence[Entry], moved: set[str], now: float) -> list[Entry]:
        """Take over the ids and the order of the entries; return those that changed or moved.

        Entries that are not in the list any more are missing from now on. Of several entries with
        one id the last is kept.
        """
        former, marks = self._by_id, self._marks
        self._by_id = {entry["id"]: entry for entry in entries}
        self._marks = {entry_id: marks.get(entry_id, b"") for entry_id in self._by_id}
        for entry_id, entry in former.items():
            if entry_id not in self._by_id:
                self._missing[entry_id] = (now, entry)
        return [
            entry
            for entry in entries
            if former.get(entry["id"]) is not entry or entry["id"] in moved
        ]

    def _forget_gone(self, now: float) -> list[Message]:
        """Forget entries missing for GONE_SECONDS; return the messages that report it."""
        expired = [key for key, (at, _) in self._missing.items() if now - at >= GONE_SECONDS]
        return [Message(self._kind.removed_type, self._missing.pop(key)[1]) for key in expired]


class _History:
    """The last states and the messages that led to each, bounded in number and bytes."""

    def __init__(self) -> None:
        self._states: deque[tuple[str, list[Message], int]] = deque()
        self._bytes = 0

    def add(self, token: str, messages: list[Message]) -> None:
        size = sum(len(message.text) for message in messages)
        self._states.append((token, messages, size))
        self._bytes += size
        while len(self._states) > _MAX_STATES or (
            self._bytes > _MAX_HISTORY_BYTES and len(self._states) > 1
        ):
            self._bytes -= self._states.popleft()[2]

    def since(self, token: str) -> list[Message] | None:
        missed: list[Message] = []
        for former_token, messages, _ in reversed(self._states):
            if former_token == token:
                return missed
            missed = messages + missed
        return None


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=8).digest()


def _serialize(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
