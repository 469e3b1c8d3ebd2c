"""Aggregation of learning records: the figures of each list, their order and their sources."""

from collections.abc import Iterable
from typing import Any

import pytest

from loki_web.services.learning.aggregation import (
    LessonsDict,
    fill_empty_lists,
    load_stored,
    summarize_totals,
)
from loki_web.services.learning.signal_index import (
    ERROR_PATTERN,
    SUCCESS_PATTERN,
    TOOL_EFFICIENCY,
    USER_PREFERENCE,
    Lesson,
    Record,
    Selection,
    SignalIndex,
)
from tests.support.places import Place

EMPTY: LessonsDict = {
    "preferences": [],
    "error_patterns": [],
    "success_patterns": [],
    "tool_efficiencies": [],
}


def summarize(kind: str, lessons: Iterable[Lesson], *confidences: float | None) -> LessonsDict:
    """Return the aggregation of lessons of one type, with the confidence of each."""
    index = SignalIndex()
    for number, lesson in enumerate(lessons):
        confidence = confidences[number] if confidences else None
        index.add(Record(number, kind, kind, "cli", confidence, lesson), number, 1)
    return summarize_totals(index, index.get_totals(Selection()))


def test_an_empty_index_gives_four_empty_lists() -> None:
    assert summarize("other", []) == EMPTY


@pytest.mark.parametrize(
    ("kind", "name", "lessons", "expected"),
    [
        (
            USER_PREFERENCE,
            "preferences",
            [Lesson("tabs", 4), Lesson("tabs", 8), Lesson("tabs", 4)],
            {"preference_key": "tabs", "preferred_value": 4, "frequency": 3},
        ),
        (  # equally frequent: the first by its JSON text
            USER_PREFERENCE,
            "preferences",
            [Lesson("tabs", "b"), Lesson("tabs", "a"), Lesson("tabs", "c")],
            {"preference_key": "tabs", "preferred_value": "a", "frequency": 3},
        ),
        (
            ERROR_PATTERN,
            "error_patterns",
            [Lesson("E1", resolved=True), Lesson("E1"), Lesson("E1"), Lesson("E1")],
            {"error_type": "E1", "resolution_rate": 0.25, "frequency": 4},
        ),
        (  # a duration that is unknown is not in the mean
            SUCCESS_PATTERN,
            "success_patterns",
            [Lesson("p", duration=1), Lesson("p", duration=3), Lesson("p")],
            {"pattern_name": "p", "avg_duration_seconds": 2, "frequency": 3},
        ),
        (
            SUCCESS_PATTERN,
            "success_patterns",
            [Lesson("p")],
            {"pattern_name": "p", "avg_duration_seconds": 0, "frequency": 1},
        ),
        (
            TOOL_EFFICIENCY,
            "tool_efficiencies",
            [
                Lesson("t", success=1, duration=5000, tokens=3),
                Lesson("t", success=0, duration=15_000, tokens=4),
            ],
            {
                "tool_name": "t",
                "efficiency_score": 0.7 * 0.5 + 0.3 / 2,
                "count": 2,
                "usage_count": 2,
                "avg_execution_time_ms": 10_000,
                "success_rate": 0.5,
                "total_tokens_used": 7,
            },
        ),
    ],
)
def test_records_of_one_subject_become_one_entry(
    kind: str, name: str, lessons: list[Lesson], expected: dict[str, Any]
) -> None:
    (entry,) = summarize(kind, lessons)[name]  # type: ignore[literal-required]
    assert entry == {**expected, "confidence": len(lessons) / 10}


@pytest.mark.parametrize(
    ("confidences", "expected"),
    [
        ([None], 0.1),
        ([None] * 10, 1.0),
        ([None] * 25, 1.0),
        ([0.5], 0.5),
        ([0.0, 1.0, None], 0.5),
    ],
)
def test_the_confidence_is_the_mean_of_the_stated_ones_else_a_share_by_number(
    confidences: list[float | None], expected: float
) -> None:
    lessons = [Lesson("E1")] * len(confidences)
    (entry,) = summarize(ERROR_PATTERN, lessons, *confidences)["error_patterns"]
    assert entry["confidence"] == expected


def test_lists_are_in_the_order_of_frequency_then_of_the_subject() -> None:
    lessons = [Lesson(subject) for subject in "bcabb"]
    entries = summarize(ERROR_PATTERN, lessons)["error_patterns"]
    assert [entry["error_type"] for entry in entries] == ["b", "a", "c"]


def test_tools_are_in_the_order_of_their_score() -> None:
    lessons = [Lesson("often", success=0)] * 3 + [Lesson("good", success=1)]
    entries = summarize(TOOL_EFFICIENCY, lessons)["tool_efficiencies"]
    assert [entry["tool_name"] for entry in entries] == ["good", "often"]


def test_only_empty_lists_are_filled() -> None:
    errors = summarize(ERROR_PATTERN, [Lesson("E1")])
    both = {**summarize(ERROR_PATTERN, [Lesson("E2")]), "success_patterns": [{"pattern_name": "p"}]}
    filled = fill_empty_lists(errors, lambda: both)  # type: ignore[arg-type,return-value]
    assert filled == {**errors, "success_patterns": [{"pattern_name": "p"}]}


def test_full_lists_need_no_others() -> None:
    full: Any = {name: [{}] for name in EMPTY}
    assert fill_empty_lists(full, lambda: pytest.fail("not needed")) == full


SERVER, ENGINE = "metrics/aggregation.json", "learning/aggregated/2.json"


@pytest.mark.parametrize(
    ("files", "error_types", "time"),
    [
        ({}, [], ""),
        ({SERVER: {"error_patterns": [{"error_type": "E1"}]}}, ["E1"], ""),
        (
            {
                SERVER: {"error_patterns": [{"error_type": "E1"}]},
                ENGINE: {"error_patterns": [{"error_type": "E2"}]},
            },
            ["E1"],
            "",
        ),
        (
            {
                SERVER: {"error_patterns": [], "aggregated_at": "2026-03-01T10:20:30Z"},
                ENGINE: {
                    "error_patterns": [{"error_type": "E2"}],
                    "timestamp": "2026-02-01T00:00:00Z",
                },
            },
            ["E2"],
            "2026-03-01T10:20:30Z",
        ),
        (
            {
                SERVER: "{",
                ENGINE: {
                    "error_patterns": [{"error_type": "E2"}],
                    "timestamp": "2026-02-01T00:00:00Z",
                },
            },
            ["E2"],
            "2026-02-01T00:00:00Z",
        ),
        (  # the newest file by name that has anything
            {
                ENGINE: {"error_patterns": [{"error_type": "E2"}]},
                "learning/aggregated/3.json": {},
                "learning/aggregated/1.json": {"error_patterns": [{"error_type": "E1"}]},
            },
            ["E2"],
            "",
        ),
        ({SERVER: {"error_patterns": [{"error_type": ""}, {}, 5, {"error_type": "E"}]}}, ["E"], ""),
    ],
)
def test_stored_lists_come_from_the_server_else_from_the_engine(
    place: Place, files: dict[str, Any], error_types: list[str], time: str
) -> None:
    for name, content in files.items():
        place.write(name, content)
    stored = load_stored(place.sources())
    assert [entry["error_type"] for entry in stored["error_patterns"]] == error_types
    assert stored["aggregated_at"] == time
