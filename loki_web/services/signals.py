"""What is learned from: the events and the signal files of a session as one stream of records.

Both count everywhere in the same way (`spec` 9.1, 18). A `learning_signal` event is a record of the
type that its `signal_type` stands for, so that counts, filters and lists agree on it.
"""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from loki_web.services.redaction import redact, redact_within
from loki_web.store import json_text
from loki_web.store.folder import Folder
from loki_web.store.shapes import Json, as_amount, as_count, as_dict, first_amount, first_text
from loki_web.store.times import UNKNOWN, parse_time

USER_PREFERENCE, ERROR_PATTERN = "user_preference", "error_pattern"
SUCCESS_PATTERN, TOOL_EFFICIENCY = "success_pattern", "tool_efficiency"
SUBJECTS = {
    USER_PREFERENCE: "preference_key",
    ERROR_PATTERN: "error_type",
    SUCCESS_PATTERN: "pattern_name",
    TOOL_EFFICIENCY: "tool_name",
}
_LEARNING_EVENT = "learning_signal"
_TYPE_OF_LEARNING_EVENT = {
    "preference": USER_PREFERENCE,
    "error": ERROR_PATTERN,
    "success": SUCCESS_PATTERN,
    "tool_usage": TOOL_EFFICIENCY,
}
_MAX_NAME = 200
_time_of = attrgetter("time")


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a record of one of the four types says, to be put together with others.

    :param subject: the preference, error, pattern or tool that it is about.
    :param success: how far it went well, 0 to 1; None where that is not told.
    :param duration: seconds for a pattern, milliseconds for a tool.
    """

    subject: str
    value: Any = None
    resolved: bool = False
    success: float | None = None
    duration: float | None = None
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """An event or a signal.

    :param time: UNKNOWN, which is before all others, where the record tells none.
    :param written_type: the type as it stands in the file.
    :param confidence: 0 to 1, or None.
    :param text: the JSON text of the whole record; to hold that is cheaper than its content.
    """

    time: datetime
    type: str
    written_type: str
    source: str
    confidence: float | None
    lesson: Lesson | None
    text: bytes

    def content(self) -> Json:
        return as_dict(json_text.parse(self.text))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records are wanted; None wants all.

    :param since: records of unknown time are wanted whatever it is.
    :param type: a type, or a type as events write it.
    """

    since: datetime | None = None
    type: str | None = None
    source: str | None = None

    def wants(self, record: Record) -> bool:
        return (self.type is None or self.type in (record.type, record.written_type)) and (
            self.source is None or self.source == record.source
        )


def newest_first(folder: Folder, selection: Selection) -> Iterator[Record]:
    """The records wanted; those of unknown time last."""
    records = sorted(_since(folder, selection.since), key=_time_of)
    return filter(selection.wants, reversed(records))


def chosen(folder: Folder, selection: Selection) -> list[Record]:
    """The records wanted, in no certain order."""
    records = _since(folder, selection.since)
    if selection.type is None and selection.source is None:
        return records
    return list(filter(selection.wants, records))


def _since(folder: Folder, since: datetime | None) -> list[Record]:
    """From both sources, each in the order of time."""
    events = folder.journal("events.jsonl").window(record_of_event).derived(_by_time)
    files = folder.collection("learning/signals", digest=record_of_signal).derived(_files_by_time)
    if since is None:
        return events + files
    wanted: list[Record] = []
    for records in (events, files):
        known = bisect_right(records, UNKNOWN, key=_time_of)
        wanted += records[:known]
        wanted += records[bisect_left(records, since, lo=known, key=_time_of) :]
    return wanted


def _by_time(records: list[Record]) -> list[Record]:
    return sorted(records, key=_time_of)


def _files_by_time(found: list[tuple[str, Any]]) -> list[Record]:
    return _by_time([record for _, record in found])


def record_of_event(event: Json, line: bytes) -> Record | None:
    """The record that a line of `events.jsonl` is; None for one that does not say what it is."""
    data = as_dict(event.get("data"))
    written = first_text(event.get("type"), event.get("event"))
    kind = written
    if written == _LEARNING_EVENT:
        word = first_text(event.get("signal_type"), data.get("signal_type"), default=written)
        kind = _TYPE_OF_LEARNING_EVENT.get(word, word)
    return _record(event, data, kind, written, line) if kind else None


def record_of_signal(signal: Any) -> Record | None:
    """The record that a signal file is; None for what is no signal."""
    content = as_dict(signal)
    kind = first_text(content.get("type"))
    if not kind:
        return None
    return _record(content, as_dict(content.get("data")), kind, kind, json_text.dump_line(content))


def _record(content: Json, data: Json, kind: str, written: str, text: bytes) -> Record:
    return Record(
        parse_time(content.get("timestamp")) or UNKNOWN,
        _name(kind),
        _name(written),
        _name(first_text(content.get("source"), data.get("source"), default="unknown")),
        _share(content.get("confidence"), data.get("confidence")),
        _lesson(kind, content, data) if kind in SUBJECTS else None,
        text,
    )


def _lesson(kind: str, content: Json, data: Json) -> Lesson:
    both = {**data, **content}  # fields stand at the top or below `data`
    key = SUBJECTS[kind]
    subject = _name(
        first_text(
            content.get(key),
            data.get(key),
            content.get("action"),
            data.get("action"),
            default="unknown",
        )
    )
    if kind == USER_PREFERENCE:
        return Lesson(subject, value=redact_within(both.get("preference_value")))
    if kind == ERROR_PATTERN:
        return Lesson(subject, resolved=bool(first_text(both.get("resolution"))))
    milliseconds = as_amount(both.get("duration_ms"))
    if kind == SUCCESS_PATTERN:
        seconds = None if milliseconds is None else milliseconds / 1000
        return Lesson(subject, duration=first_amount(both.get("duration_seconds"), seconds))
    return Lesson(
        subject,
        success=success_of(both),
        duration=first_amount(both.get("execution_time_ms"), milliseconds),
        tokens=as_count(both.get("tokens_used")),
    )


def success_of(content: Json) -> float | None:
    """1 for success, 0 for failure, a rate between them where only that is told.

    The outcome goes first: the CLI writes a rate of 1 for iterations that failed, too.
    """
    outcome, flag = content.get("outcome"), content.get("success")
    if outcome in ("success", "failure"):
        return float(outcome == "success")
    return float(flag) if isinstance(flag, bool) else _share(content.get("success_rate"))


def _share(*candidates: Any) -> float | None:
    """The first number from 0 to 1."""
    for candidate in candidates:
        number = as_amount(candidate)
        if number is not None and number <= 1:
            return number
    return None


def _name(text: str) -> str:
    return _shown_name(text[:_MAX_NAME])


@lru_cache(maxsize=4096)
def _shown_name(text: str) -> str:
    """Few names are in many records, so that each is redacted and held once."""
    return sys.intern(redact(text))
