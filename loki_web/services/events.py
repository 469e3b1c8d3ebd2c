"""The reader of `events.jsonl`: milestones of the session and the index of learning records."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import accumulate, pairwise
from typing import NamedTuple

import orjson

from loki_web.services.context import Sources
from loki_web.services.learning import records
from loki_web.services.learning.signal_index import Place, Record, SignalIndex
from loki_web.store import json_text
from loki_web.store.coerce import Json, as_count, as_dict
from loki_web.store.collection import BULK, Collection
from loki_web.store.derived import derived
from loki_web.store.entries import RELEASED
from loki_web.store.journal import Journal
from loki_web.store.look import observe
from loki_web.store.times import isoformat, parse_time

FILE = "events.jsonl"
_LENGTH_BYTES = 8


class Milestones(NamedTuple):
    """The latest session according to its events.

    :param started_at: when it began, None if its event has no time.
    :param iteration: the latest iteration that began in it, 0 for none.
    """

    started_at: datetime | None = None
    iteration: int = 0


class MilestoneReader:
    """The reader of the milestones, which needs few lines of the journal."""

    WORDS = (b"session_start", b"iteration_start")
    STAMP = "1"

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Reset the state for a new journal."""
        self.milestones = self._milestones_before = Milestones()

    def take(self, record: Json, offset: int, length: int) -> None:
        """Process a line of the journal; only starts of sessions and iterations count."""
        self._milestones_before = self.milestones
        kind = record.get("type")
        if kind == "session_start":
            self.milestones = Milestones(parse_time(record.get("timestamp")))
        elif kind == "iteration_start":
            number = as_count(as_dict(record.get("data")).get("iteration"))
            if number:
                self.milestones = self.milestones._replace(iteration=number)

    def take_back(self) -> None:
        """Undo the last `take`, whose line will be read again."""
        self.milestones = self._milestones_before

    def dump(self) -> bytes:
        """Return the state for the cache folder."""
        started, iteration = self.milestones
        return orjson.dumps([started and isoformat(started), iteration])

    def load(self, data: memoryview) -> None:
        """Restore a state that `dump` returned."""
        started, iteration = orjson.loads(data)
        self.milestones = Milestones(parse_time(started), iteration)


class IndexReader:
    """The reader of the index of all events. The index also has the signal files."""

    STAMP = "6"

    def __init__(self) -> None:
        self.index = SignalIndex()
        self.clear()

    def clear(self) -> None:
        """Reset the state for a new journal."""
        self.index.clear()
        self._last_row: int | None = None
        self._generation: int | None = None
        self._unstored_files = 0

    def take(self, record: Json, offset: int, length: int) -> None:
        """Add a line of the journal to the index.

        :param offset: where the line begins in the file.
        :param length: of the line, in bytes.
        """
        event = records.parse_event(record)
        self._last_row = None if event is None else self.index.add(event, offset, length)

    def take_back(self) -> None:
        """Undo the last `take`, whose line will be read again."""
        if self._last_row is not None:
            self.index.remove(self._last_row)

    def follow(self, files: Collection) -> bool:
        """Update the index with the signal files that have changed.

        :return: whether the state should be stored, because many have changed since it was.
        """
        changes = files.changes(self._generation)
        names = changes.names
        if names is None:
            names = self.index.compare_files(files.stamps())
        for name in sorted(names):  # as they are listed, which is compared after a restart
            entry = files.version(name)
            packed = entry and (files.value(name) if entry.value is RELEASED else entry.value)
            if entry is None or packed is None:
                self.index.remove_file(name)
            else:
                stamp = entry.stamp if files.is_settled(name) else 0
                self.index.put_file(name, records.unpack_signal(packed), stamp)
        if changes.names is None:
            files.release_values()
        self._generation = changes.generation
        self._unstored_files += len(names)
        return self._unstored_files >= max(BULK, len(self.index.files) // BULK)

    def dump(self) -> bytes:
        """Return the state for the cache folder."""
        self._unstored_files = 0
        tables, columns = self.index.dump()
        header = orjson.dumps([tables, [len(column) for column in columns]])
        return b"".join([len(header).to_bytes(_LENGTH_BYTES), header, *columns])

    def load(self, data: memoryview) -> None:
        """Restore a state that `dump` returned."""
        start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES])
        tables, sizes = orjson.loads(data[_LENGTH_BYTES:start])
        ends = list(accumulate(sizes, initial=start))
        self.index.load(tables, [data[start:end] for start, end in pairwise(ends)])


def get_milestones(sources: Sources) -> Milestones:
    """Return the start and iteration of the latest session in the events."""
    return _get_milestone_journal(sources).part(_get_journal_milestones)


def count_lines(sources: Sources) -> int:
    """Return the number of lines in the events, malformed ones included."""
    return _get_milestone_journal(sources).line_count()


@derived
def count_ever(sources: Sources) -> int:
    """Return how many events there ever were: the number never falls, as a file that is trimmed.

    Until the file is trimmed or replaced, it is the number of its lines.
    """
    journal = _get_milestone_journal(sources)
    observe(journal)  # not the number of its lines: another file can have as many
    return sources.event_total.update(journal)


@contextmanager
def open_index(sources: Sources) -> Iterator[SignalIndex]:
    """Yield the up-to-date index of all events and signals, locked while the block runs."""
    journal = _get_journal(sources)
    with journal.reading() as events:
        is_due = events.follow(_get_signal_files(sources))
        yield events.index
        if is_due:  # with the totals that were computed meanwhile
            journal.store()


def read_signals(sources: Sources) -> None:
    """Read the signal files, so that their records are stored."""
    observe(_get_signal_files(sources))


def read_records(sources: Sources, places: list[Place]) -> Iterator[tuple[Record, Json]]:
    """Yield the records at places of the index, each with its content.

    A record that has changed since the place was looked up is yielded as it is now, or skipped.
    """
    in_journal = [(place.offset, place.length) for place in places if place.file is None]
    lines = iter(_get_journal(sources).lines_at(in_journal) if in_journal else ())
    files = _get_signal_files(sources)
    for place in places:
        if place.file is None:
            content = _parse_object(next(lines, b""))
            record = records.parse_event(content)
        else:
            file = files.read(place.file)
            content = as_dict(file.value if file else None)
            record = records.parse_signal(content)
        if record:
            yield record, content


def _get_milestone_journal(sources: Sources) -> Journal[MilestoneReader]:
    return sources.project.journal(FILE, MilestoneReader)


def _get_journal(sources: Sources) -> Journal[IndexReader]:
    return sources.project.journal(FILE, IndexReader)


def _get_signal_files(sources: Sources) -> Collection:
    return sources.project.collection("learning/signals", digest=records.pack_signal)


def _get_journal_milestones(journal: Journal[MilestoneReader]) -> Milestones:
    return journal.reader.milestones


def _parse_object(line: bytes) -> Json:
    try:
        return as_dict(json_text.parse(line))
    except json_text.Damaged:
        return {}
