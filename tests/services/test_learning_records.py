"""Learning records from events and signal files, of each type and in each form."""

from typing import Any

import pytest

from loki_web.services.learning.records import (
    get_success,
    pack_signal,
    parse_event,
    parse_signal,
    unpack_signal,
)
from loki_web.services.learning.signal_index import Lesson
from loki_web.store.times import UNKNOWN_TIME

TIME = 1_772_360_430_000_000
TIMESTAMP = "2026-03-01T10:20:30Z"


@pytest.mark.parametrize(
    ("event", "names"),
    [
        ({"type": "build"}, ("build", "build", "unknown")),
        ({"event": "build", "source": "cli"}, ("build", "build", "cli")),
        ({"type": " ", "event": "build"}, ("build", "build", "unknown")),
        ({"type": "build", "data": {"source": "mcp"}}, ("build", "build", "mcp")),
        ({"type": "build", "source": ["x"], "data": 5}, ("build", "build", "unknown")),
        # A learning signal is of the type that it stands for.
        (
            {"type": "learning_signal", "data": {"signal_type": "error"}},
            ("error_pattern", "learning_signal", "unknown"),
        ),
        (
            {"type": "learning_signal", "signal_type": "tool_usage", "data": {"signal_type": "x"}},
            ("tool_efficiency", "learning_signal", "unknown"),
        ),
        (
            {"type": "learning_signal", "signal_type": "new kind"},
            ("new kind", "learning_signal", "unknown"),
        ),
        ({"type": "learning_signal"}, ("learning_signal", "learning_signal", "unknown")),
    ],
)
def test_an_event_has_a_type_and_a_source(event: Any, names: tuple[str, str, str]) -> None:
    record = parse_event(event)
    assert record is not None
    assert (record.type, record.written_type, record.source) == names


@pytest.mark.parametrize("content", [{}, {"type": 5}, {"type": ""}, {"data": {"type": "x"}}])
def test_without_a_type_there_is_no_record(content: Any) -> None:
    assert parse_event(content) is None
    assert parse_signal(content) is None
    assert pack_signal(content) is None


@pytest.mark.parametrize(
    ("fields", "lesson"),
    [
        (
            {"type": "user_preference", "preference_key": "tabs", "preference_value": [4]},
            Lesson("tabs", value=[4]),
        ),
        (
            {"type": "error_pattern", "error_type": "E1", "resolution": "restart"},
            Lesson("E1", resolved=True),
        ),
        ({"type": "error_pattern", "action": "build", "resolution": " "}, Lesson("build")),
        ({"type": "error_pattern", "error_type": 5}, Lesson("unknown")),
        (
            {"type": "success_pattern", "pattern_name": "p", "duration_ms": 1500},
            Lesson("p", duration=1.5),
        ),
        (
            {
                "type": "success_pattern",
                "pattern_name": "p",
                "duration_ms": 9,
                "duration_seconds": 2,
            },
            Lesson("p", duration=2),
        ),
        (
            {"type": "tool_efficiency", "tool_name": "t", "duration_ms": "30", "tokens_used": 7},
            Lesson("t", duration=30, tokens=7),
        ),
        (
            {
                "type": "tool_efficiency",
                "tool_name": "t",
                "execution_time_ms": 5,
                "duration_ms": 9,
                "success": True,
            },
            Lesson("t", success=1.0, duration=5),
        ),
        ({"type": "other", "error_type": "E1"}, None),
    ],
)
def test_a_lesson_has_the_figures_of_its_type(fields: Any, lesson: Lesson | None) -> None:
    in_data = {"type": fields["type"], "data": {**fields, "type": "ignored"}}
    for content in (fields, in_data):
        for record in (parse_event(content), parse_signal(content)):
            assert record is not None
            assert record.lesson == lesson


@pytest.mark.parametrize(
    ("kind", "field", "lesson"),
    [
        ("user_preference", {"preference_value": 4}, Lesson("unknown", value=4)),
        ("error_pattern", {"resolution": "restart"}, Lesson("unknown", resolved=True)),
        ("success_pattern", {"duration_seconds": 2}, Lesson("unknown", duration=2)),
        ("success_pattern", {"duration_ms": 1500}, Lesson("unknown", duration=1.5)),
        ("tool_efficiency", {"outcome": "failure"}, Lesson("unknown", success=0)),
        ("tool_efficiency", {"success": True}, Lesson("unknown", success=1)),
        ("tool_efficiency", {"success_rate": 0.5}, Lesson("unknown", success=0.5)),
        ("tool_efficiency", {"tokens_used": 7}, Lesson("unknown", tokens=7)),
        ("tool_efficiency", {"execution_time_ms": 5}, Lesson("unknown", duration=5)),
        ("tool_efficiency", {"duration_ms": 9}, Lesson("unknown", duration=9)),
    ],
)
def test_a_field_counts_at_the_top_level_as_in_data(kind: str, field: Any, lesson: Lesson) -> None:
    for content in ({**field, "data": {}}, {**field, "data": {"detail": "x"}}, {"data": field}):
        record = parse_event({"type": kind, **content})
        assert record is not None
        assert record.lesson == lesson


def test_fields_at_the_top_level_count_more_than_those_in_data() -> None:
    fields = {"error_type": "E1", "resolution": "", "confidence": 0.5}
    data = {"error_type": "E2", "resolution": "restart", "confidence": 1}
    record = parse_event({"type": "error_pattern", **fields, "data": data})
    assert record is not None
    assert (record.lesson, record.confidence) == (Lesson("E1"), 0.5)


@pytest.mark.parametrize(
    ("content", "rate"),
    [
        ({}, None),
        ({"success": True}, 1.0),
        ({"success": False}, 0.0),
        ({"success": "yes"}, None),
        ({"success_rate": 0.25}, 0.25),
        ({"success_rate": 25}, None),
        ({"outcome": "failure", "success": True, "success_rate": 1}, 0.0),
        ({"outcome": "success", "success": False}, 1.0),
        ({"outcome": "partial", "success_rate": 0.5}, 0.5),
    ],
)
def test_the_outcome_counts_more_than_the_rate(content: Any, rate: float | None) -> None:
    assert get_success(content) == rate


@pytest.mark.parametrize(
    ("fields", "time", "confidence"),
    [
        ({}, UNKNOWN_TIME, None),
        ({"timestamp": TIMESTAMP, "confidence": 0.5}, TIME, 0.5),
        ({"timestamp": "yesterday", "confidence": 2}, UNKNOWN_TIME, None),
        ({"timestamp": TIMESTAMP, "confidence": 2, "data": {"confidence": 1}}, TIME, 1),
    ],
)
def test_time_and_confidence_are_unknown_unless_they_are_sound(
    fields: Any, time: int, confidence: float | None
) -> None:
    for record in (parse_event({"type": "x", **fields}), parse_signal({"type": "x", **fields})):
        assert record is not None
        assert (record.time, record.confidence) == (time, confidence)


def test_names_and_values_are_redacted_and_names_are_cut() -> None:
    secret = "ghp_" + "a1B2" * 9
    record = parse_event(
        {
            "type": "user_preference",
            "source": secret,
            "preference_key": "k" * 500,
            "preference_value": {"note": secret},
        }
    )
    assert record is not None
    assert record.lesson is not None
    assert len(record.lesson.subject) == 200
    assert secret not in str(record)


@pytest.mark.parametrize(
    "signal",
    [
        {"type": "x"},
        {"type": "error_pattern", "timestamp": TIMESTAMP, "confidence": 0.5, "resolution": "r"},
        {"type": "user_preference", "preference_key": "é", "preference_value": {"a": [1, None]}},
    ],
)
def test_a_packed_signal_is_unpacked_as_it_was(signal: Any) -> None:
    packed = pack_signal(signal)
    assert packed is not None
    assert unpack_signal(packed) == parse_signal(signal)
