"""Parsing of events and signal files into learning records.

Both count alike in all learning endpoints (docs/files.md, sections 9.1 and 18). The type of a
`learning_signal` event derives from its `signal_type`, so that counts, filters and lists agree.
"""

import sys
from typing import Any, NamedTuple

import orjson

from loki_web.services.learning.signal_index import (
    ERROR_PATTERN,
    SUCCESS_PATTERN,
    TOOL_EFFICIENCY,
    USER_PREFERENCE,
    Lesson,
    Record,
)
from loki_web.services.redaction import redact_name, redact_within
from loki_web.store import json_text
from loki_web.store.coerce import Json, as_amount, as_count, as_dict, first_amount, first_text
from loki_web.store.times import UNKNOWN_TIME, microseconds_of

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
_MAX_CACHED = 4096
_MAX_CACHED_LENGTH = 1000  # characters of all fields in one key of the cache
_NO_DATA: Json = {}
_NO_CONFIDENCE = None, None


class _Names(NamedTuple):
    """The type, the type as written, and the source of a record."""

    type: str
    written_type: str
    source: str


_cached_names: dict[tuple[Any, ...], _Names | None] = {}


def parse_event(event: Json) -> Record | None:
    """Return the record of a line of `events.jsonl`, None if it has no type."""
    get, data, word, source = event.get, event.get("data"), None, None
    if isinstance(data, dict):
        word, source = data.get("signal_type"), data.get("source")
    else:
        data = _NO_DATA
    names = _get_names((get("type"), get("event"), get("signal_type"), word, get("source"), source))
    return _make_record(event, data, names) if names else None


def parse_signal(signal: Any) -> Record | None:
    """Return the record of a signal file's content, None if it has no type."""
    content = as_dict(signal)
    data = as_dict(content.get("data"))
    names = _get_names(
        (content.get("type"), None, None, None, content.get("source"), data.get("source"))
    )
    return _make_record(content, data, names) if names else None


def pack_signal(signal: Any) -> str | None:
    """Return the record of a signal file as compact JSON, None if it has no type."""
    record = parse_signal(signal)
    return json_text.compact([*record[:5], record.lesson and [*record.lesson]]) if record else None


def unpack_signal(text: str) -> Record:
    """Return the record that `pack_signal` has packed."""
    when, kind, written_type, source, confidence, lesson = orjson.loads(text)
    names = (sys.intern(kind), sys.intern(written_type), sys.intern(source))
    return Record._make((when, *names, confidence, lesson and Lesson._make(lesson)))


def _get_names(fields: tuple[Any, ...]) -> _Names | None:
    """Return the names for a record's fields, from a cache: most records repeat earlier ones."""
    try:
        return _cached_names[fields]
    except KeyError:
        names = _derive_names(*fields)
        if len(_cached_names) >= _MAX_CACHED:
            _cached_names.clear()
        if sum(len(field) for field in fields if isinstance(field, str)) <= _MAX_CACHED_LENGTH:
            _cached_names[fields] = names
        return names
    except TypeError:  # lists and objects are not hashable
        return _derive_names(*fields)


def _derive_names(
    kind: Any, event: Any, word: Any, word_in_data: Any, source: Any, source_in_data: Any
) -> _Names | None:
    written_type = kind = first_text(kind, event)
    if written_type == _LEARNING_EVENT:
        word = first_text(word, word_in_data, default=written_type)
        kind = _TYPE_OF_LEARNING_EVENT.get(word, word)
    return _make_names(kind, written_type, source, source_in_data) if kind else None


def _make_names(kind: str, written_type: str, *sources: Any) -> _Names:
    return _Names(
        redact_name(kind[:_MAX_NAME]),
        redact_name(written_type[:_MAX_NAME]),
        redact_name(first_text(*sources, default="unknown")[:_MAX_NAME]),
    )


def _make_record(content: Json, data: Json, names: _Names) -> Record:
    kind, written_type, source = names
    confidences = content.get("confidence"), data.get("confidence")
    fields = (
        microseconds_of(content.get("timestamp"), UNKNOWN_TIME),
        kind,
        written_type,
        source,
        None if confidences == _NO_CONFIDENCE else _first_share(*confidences),
        _make_lesson(kind, content, data) if kind in SUBJECTS else None,
    )
    return tuple.__new__(Record, fields)  # twice as fast as `Record(...)`, for each of many lines


def _make_lesson(kind: str, content: Json, data: Json) -> Lesson:
    key = SUBJECTS[kind]
    text = content.get(key) or data.get(key)
    if not (isinstance(text, str) and text.strip()):
        text = first_text(content.get(key), data.get(key)) or first_text(
            content.get("action"), data.get("action"), default="unknown"
        )
    value, is_resolved, success, duration, tokens = None, False, None, None, 0
    both = {**data, **content}  # fields are at the top level or in `data`
    if kind == USER_PREFERENCE:
        value = redact_within(both.get("preference_value"))
    elif kind == ERROR_PATTERN:
        is_resolved = bool(first_text(both.get("resolution")))
    elif kind == SUCCESS_PATTERN:
        milliseconds = as_amount(both.get("duration_ms"))
        seconds = None if milliseconds is None else milliseconds / 1000
        duration = first_amount(both.get("duration_seconds"), seconds)
    else:
        success, tokens = get_success(both), as_count(both.get("tokens_used"))
        duration = first_amount(both.get("execution_time_ms"), both.get("duration_ms"))
    fields = redact_name(text[:_MAX_NAME]), value, is_resolved, success, duration, tokens
    return tuple.__new__(Lesson, fields)


def get_success(content: Json) -> float | None:
    """Return 1 for success, 0 for failure, else the success rate (0 to 1) or None.

    The outcome takes precedence: the CLI also writes a rate of 1 for failed iterations.
    """
    outcome, flag = content.get("outcome"), content.get("success")
    if outcome in ("success", "failure"):
        return float(outcome == "success")
    return float(flag) if isinstance(flag, bool) else _first_share(content.get("success_rate"))


def _first_share(*candidates: Any) -> float | None:
    """Return the first number from 0 to 1, None if there is none."""
    for candidate in candidates:
        if candidate is None:
            continue
        number = as_amount(candidate)
        if number is not None and number <= 1:
            return number
    return None
