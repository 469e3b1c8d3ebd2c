"""`dashboard/webhooks.json` in `.loki/`: what was sent, and what waits (docs/files.md, section 16).

Whoever sends holds its lock, so that each message is sent by one worker of one server.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from loki_web.errors import StorageError
from loki_web.services.context import Sources, WritableSources
from loki_web.store.coerce import Json, as_count, as_dict, first_text, texts_in
from loki_web.store.times import isoformat, parse_time

EXTENSION = "loki_web.webhooks"
FILE = "dashboard/webhooks.json"
MAX_WAITING = 500  # more are lost, the oldest first
_MAX_SEEN = 5000
_MAX_AGE = timedelta(hours=24)
_LONGEST_PAUSE = timedelta(minutes=5)


class State(NamedTuple):
    """How the sending goes.

    :ivar is_failing: whether the last attempt failed, or none can be made.
    """

    is_failing: bool
    waiting: int
    sent: int
    lost: int


class Ledger:
    """The content of the file.

    :ivar seen: the ids of all messages that were sent, wait or are older than the file.
    :ivar waiting: since when each message waits, by id.
    :ivar live: the start of the session that was last seen alive.
    :ivar failures: how many attempts have failed since the last success.
    """

    def __init__(self, content: Json) -> None:
        self.is_new = not content
        self.seen = dict.fromkeys(texts_in(content.get("seen")))
        self.waiting = {
            key: first_text(since) for key, since in as_dict(content.get("waiting")).items()
        }
        self.live = first_text(content.get("live"))
        self.failures = as_count(content.get("failures"))
        self.next_try = parse_time(content.get("next_try_at"))
        self.sent, self.lost = as_count(content.get("sent")), as_count(content.get("lost"))

    @classmethod
    def read(cls, sources: Sources) -> Self:
        """Return the present content, for those who do not change it."""
        return cls(as_dict(sources.project.strict_document(FILE)))

    def is_due(self, now: datetime) -> bool:
        """Return whether there is a message that should be sent now.

        A next attempt that is later than any pause was noted when the clock was wrong.
        """
        pause = self.next_try - now if self.next_try else timedelta()
        return bool(self.waiting) and not timedelta() < pause <= _LONGEST_PAUSE

    def note(self, keys: Collection[str], now: datetime) -> None:
        """Let new messages wait; those that are there when the file is created count as sent."""
        new = [key for key in keys if key not in self.seen]
        if not self.is_new:
            self.waiting |= dict.fromkeys(new, isoformat(now))
        # What is still in the files comes last: it must not be forgotten, and sent again.
        present = dict.fromkeys(keys)
        self.seen = {key: None for key in self.seen if key not in present} | present
        self.is_new = False
        for key in list(self.seen)[: max(0, len(self.seen) - max(_MAX_SEEN, 2 * len(keys)))]:
            del self.seen[key]
        for key in list(self.waiting)[: max(0, len(self.waiting) - MAX_WAITING)]:
            self.lose(key)

    def succeed(self, key: str) -> None:
        """Note that a message was delivered."""
        del self.waiting[key]
        self.sent += 1
        self.failures, self.next_try = 0, None

    def lose(self, key: str) -> None:
        """Give a message up."""
        del self.waiting[key]
        self.lost += 1

    def fail(self, now: datetime) -> None:
        """Note that an attempt has failed: wait longer each time, and give up what is too old."""
        self.failures += 1
        self.next_try = now + min(_LONGEST_PAUSE, timedelta(seconds=2 ** min(self.failures, 10)))
        for key, since in list(self.waiting.items()):
            begun = parse_time(since)
            if begun is None or now - begun > _MAX_AGE:
                self.lose(key)

    def format(self) -> Json:
        """Return the content of the file."""
        return {
            "version": "1.0",
            "seen": list(self.seen),
            "waiting": self.waiting,
            "live": self.live,
            "failures": self.failures,
            "next_try_at": isoformat(self.next_try) if self.next_try else None,
            "sent": self.sent,
            "lost": self.lost,
        }


@contextmanager
def opened(sources: WritableSources) -> Iterator[Ledger]:
    """Lock the file and yield its content, which `write` stores.

    :raises StorageError: when another process has the lock, or the file cannot be created.
    """
    with sources.project.locked(FILE, seconds=0.0):
        content = None
        with suppress(StorageError):  # damaged: begin anew
            content = sources.project.document_for_update(FILE)
        yield Ledger(as_dict(content))


def write(sources: WritableSources, ledger: Ledger) -> None:
    """Store the ledger.

    :raises StorageError: when it cannot be written.
    """
    sources.project.write_json(FILE, ledger.format(), mode=0o600)


def can_be_written(sources: WritableSources) -> bool:
    """Return whether the file can probably be written; nothing is sent otherwise."""
    return sources.project.can_append(FILE)


class LedgerState:
    """An input that tells how the sending goes: see `State`."""

    is_notified = True

    def __init__(self, sources: WritableSources) -> None:
        self._sources = sources

    def examine(self) -> State:
        """Return the present state."""
        ledger = Ledger.read(self._sources)
        is_failing = ledger.failures > 0 or not can_be_written(self._sources)
        return State(is_failing, len(ledger.waiting), ledger.sent, ledger.lost)
