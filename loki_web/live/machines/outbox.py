"""Write the entries and states of a session to its stream, in order and each entry once."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

from loki_web.live.machines.entries import (
    MOST_BYTES,
    MOST_ENTRIES,
    NO_ID,
    Entry,
    Id,
    State,
    format_id,
    parse_id,
    write_entry,
    write_state,
)
from loki_web.live.messages import Batch, Message
from loki_web.services.machines import keys

_MOST_ENTRY_BYTES = 256 * 1024  # of an entry with more than one message
_MOST_TOGETHER = 500  # in one transaction
_KEPT_SECONDS = 24 * 60 * 60


class Outbox:
    """The entries and states of one session; used by one thread.

    :param written: the entries that are in the stream.
    :param last_of: the last entry of each channel, which may not be in the stream any more.
    :ivar has_lost: set when states have to be written again.
    """

    def __init__(
        self,
        session: str,
        written: Iterable[Entry] = (),
        last_of: Mapping[str, Id] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stream, self._state = keys.events(session), keys.state(session)
        self._clock = clock
        self._waiting: deque[Entry] = deque()
        self._waiting_bytes = 0
        self._written = deque(written)  # kept, because Redis may lose them
        self._written_bytes = sum(entry.size for entry in self._written)
        self._last = self._written[-1].id if self._written else NO_ID
        self._last_of = {
            **(last_of or {}),
            **{entry.channel: entry.id for entry in self._written},
        }
        self._states: dict[str, State] = {}
        self._is_sure = True  # whether the end of the stream is what was written last
        self.has_lost = False
        if not self._written:
            self.lose()

    @property
    def waiting(self) -> int:
        """Return how many entries wait for Redis."""
        return len(self._waiting)

    def add(self, batch: Batch) -> None:
        """Append the messages of a change, in entries of limited size."""
        part: list[Message] = []
        size = 0
        for message in batch.messages:
            if part and size + len(message.text) > _MOST_ENTRY_BYTES:
                self._append(batch.topic.channel, "", part, size)
                part, size = [], 0
            part.append(message)
            size += len(message.text)
        self._append(batch.topic.channel, batch.token, part, size)
        # Twice as much may wait for Redis as is in a stream.
        if self._waiting_bytes > 2 * MOST_BYTES or len(self._waiting) > 2 * MOST_ENTRIES:
            self._waiting.clear()
            self.lose()

    def lose(self) -> None:
        """Let readers notice that entries are missing."""
        self._last = self._next_id()
        self._waiting_bytes = sum(entry.size for entry in self._waiting)
        self._append("", "", [], 0)
        self.has_lost = True

    def doubt(self) -> None:
        """Find out at the next `flush` what is in the stream: Redis may have lost some of it."""
        self._is_sure = False

    def put_state(self, channel: str, token: str, messages: tuple[Message, ...]) -> None:
        """Replace the state of a channel, as it is after the last appended entry."""
        last = self._last_of.setdefault(channel, self._last)
        self._states[channel] = State(self._last, last, token, messages)

    def flush(self, client: Any) -> bool:
        """Write what waits, and return whether something did.

        When it raises, call it again later: then it finds out first what is in the stream.
        """
        if self._is_sure and not (self._waiting or self._states):
            return False
        if not self._is_sure:
            self._compare(client)
        self._is_sure = False
        entries = [self._waiting[n] for n in range(min(len(self._waiting), _MOST_TOGETHER))]
        states = {} if len(entries) < len(self._waiting) else dict(self._states)
        with client.pipeline() as together:
            for entry in entries:
                together.xadd(self._stream, write_entry(entry), id=format_id(entry.id))
            for channel, state in states.items():
                together.hset(self._state, channel, write_state(state))
            self._note_written(entries)
            if self._written:
                together.xtrim(self._stream, minid=format_id(self._written[0].id))
            together.expire(self._stream, _KEPT_SECONDS)
            together.expire(self._state, _KEPT_SECONDS)
            together.execute()
        self._is_sure = True
        for channel, state in states.items():
            if self._states.get(channel) is state:
                del self._states[channel]
        return True

    def _append(self, channel: str, token: str, messages: list[Message], size: int) -> None:
        before, self._last = self._last, self._next_id()
        self._last_of[channel] = self._last
        entry = Entry(self._last, before, channel, token, tuple(messages), size)
        self._waiting.append(entry)
        self._waiting_bytes += size

    def _next_id(self) -> Id:
        return max((int(self._clock() * 1000), 0), (self._last[0], self._last[1] + 1))

    def _compare(self, client: Any) -> None:
        """Find out which entries are in the stream, and let those wait that are not.

        Redis takes no id that is not greater than all before, also of entries that were deleted.
        """
        end = None
        if client.exists(self._stream):
            end = parse_id(client.xinfo_stream(self._stream)["last-generated-id"].decode())
        end = end or NO_ID
        every = {entry.id: entry for entry in chain(self._written, self._waiting)}
        entries = [every[entry_id] for entry_id in sorted(every)]
        self._written = deque(entry for entry in entries if entry.id <= end)
        self._waiting = deque(entry for entry in entries[-MOST_ENTRIES:] if entry.id > end)
        self._written_bytes = sum(entry.size for entry in self._written)
        self._waiting_bytes = sum(entry.size for entry in self._waiting)
        self.has_lost = True

    def _note_written(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._waiting.popleft()
            self._waiting_bytes -= entry.size
            self._written.append(entry)
            self._written_bytes += entry.size
        while len(self._written) > MOST_ENTRIES or self._written_bytes > MOST_BYTES:
            self._written_bytes -= self._written.popleft().size
