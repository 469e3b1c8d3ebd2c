"""Formatting of learning records for clients: all stored fields, documented ones typed."""

from collections.abc import Callable
from typing import Any, TypedDict, cast

from loki_web.services.learning.records import SUBJECTS, get_success
from loki_web.services.learning.signal_index import (
    ERROR_PATTERN,
    SUCCESS_PATTERN,
    TOOL_EFFICIENCY,
    USER_PREFERENCE,
    Record,
)
from loki_web.services.redaction import redact_within
from loki_web.store.coerce import Json, as_count, as_dict, as_list, first_amount, first_text
from loki_web.store.times import tidy_time


def _amount(value: Any) -> int | float:
    return first_amount(value, 0) or 0


_FIELDS: dict[str, dict[str, Callable[[Any], Any]]] = {
    USER_PREFERENCE: {"alternatives_rejected": as_list},
    ERROR_PATTERN: {
        "error_message": first_text,
        "resolution": first_text,
        "recovery_steps": as_list,
    },
    SUCCESS_PATTERN: {
        "action_sequence": as_list,
        "preconditions": as_list,
        "postconditions": as_list,
    },
    TOOL_EFFICIENCY: {"tokens_used": as_count, "alternative_tools": as_list},
    "workflow_pattern": {
        "workflow_name": first_text,
        "steps": as_list,
        "parallel_steps": as_list,
        "branching_conditions": as_dict,
        "total_duration_seconds": _amount,
    },
    "context_relevance": {
        "query": first_text,
        "retrieved_context_ids": as_list,
        "relevant_ids": as_list,
        "irrelevant_ids": as_list,
        "precision": _amount,
        "recall": _amount,
    },
}

LEARNING_TYPES = frozenset(_FIELDS)


class SignalDict(TypedDict):
    """The documented fields of a record; further ones are as in its file, redacted.

    :ivar confidence: from 0 to 1, None if the record has none.
    """

    id: str
    type: str
    source: str
    action: str
    outcome: str
    confidence: float | None
    timestamp: str


class PreferenceSignalDict(SignalDict):
    """A preference of the user."""

    preference_key: str
    preference_value: Any
    alternatives_rejected: list[Any]


class ErrorSignalDict(SignalDict):
    """An error and how it was resolved."""

    error_type: str
    error_message: str
    resolution: str
    recovery_steps: list[Any]


class SuccessSignalDict(SignalDict):
    """A success and how it was reached."""

    pattern_name: str
    action_sequence: list[Any]
    preconditions: list[Any]
    postconditions: list[Any]
    duration_seconds: float


class ToolSignalDict(SignalDict):
    """A use of a tool."""

    tool_name: str
    tokens_used: int
    execution_time_ms: float
    success_rate: float
    alternative_tools: list[Any]


def format_record(record: Record, content: Json) -> SignalDict:
    """Return a record for clients, redacted and with a time in ISO 8601.

    The learning fields of events are copied from `data` to the top level. `event_type` is the type
    as written, if `type` differs from it.

    :param content: the whole event or signal.
    """
    content = redact_within(content)
    data = as_dict(content.get("data"))
    both = {**data, **content}
    documented: SignalDict = {
        "id": first_text(content.get("id")),
        "type": record.type,
        "source": record.source,
        "action": first_text(content.get("action"), data.get("action")),
        "outcome": _get_outcome(both),
        "confidence": record.confidence,
        "timestamp": tidy_time(content.get("timestamp")),
    }
    entry: Json = {**content, **documented}
    if record.written_type != record.type:
        entry["event_type"] = record.written_type
    for name, typed in _FIELDS.get(record.type, {}).items():
        entry[name] = typed(both.get(name))
    return cast(SignalDict, {**entry, **_format_lesson(record, both)})


def _format_lesson(record: Record, both: Json) -> Json:
    lesson = record.lesson
    if lesson is None:
        return {}
    fields: Json = {SUBJECTS[record.type]: lesson.subject}
    if record.type == USER_PREFERENCE:
        fields["preference_value"] = lesson.value
    elif record.type == SUCCESS_PATTERN:
        fields["duration_seconds"] = lesson.duration or 0
    elif record.type == TOOL_EFFICIENCY:
        fields["execution_time_ms"] = lesson.duration or 0
        rate = get_success({"success_rate": both.get("success_rate")})
        fields["success_rate"] = rate if rate is not None else lesson.success or 0
    return fields


def _get_outcome(both: Json) -> str:
    flag = both.get("success")
    outcome = None
    if isinstance(flag, bool):
        outcome = "success" if flag else "failure"
    return first_text(both.get("outcome"), outcome, default="unknown")
