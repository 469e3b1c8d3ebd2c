"""Aggregations of learning records (docs/files.md, sections 9.2 and 9.3)."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypedDict, cast

from loki_web.services import events
from loki_web.services.context import Sources, WritableSources
from loki_web.services.learning import records
from loki_web.services.learning.signal_index import (
    ERROR_PATTERN,
    SUCCESS_PATTERN,
    TOOL_EFFICIENCY,
    USER_PREFERENCE,
    Cell,
    Group,
    Selection,
    SignalIndex,
)
from loki_web.services.redaction import redact, redact_within
from loki_web.store import json_text
from loki_web.store.coerce import Json, as_count, as_dict, dicts_in, first_amount, first_text
from loki_web.store.times import isoformat, tidy_time

_FILE = "metrics/aggregation.json"
_ENGINE_FOLDER = "learning/aggregated"
_MAX_ENGINE_FILES = 20  # how many files of the engine are tried if the latest are malformed
_CERTAIN_COUNT = 10  # records of one subject for confidence 1, if no record states its confidence


class PreferenceDict(TypedDict):
    """A preference of the user; `preferred_value` is the most frequent JSON value."""

    preference_key: str
    preferred_value: Any
    frequency: int
    confidence: float


class ErrorPatternDict(TypedDict):
    """A type of error, and the share of it that was resolved, from 0 to 1."""

    error_type: str
    resolution_rate: float
    frequency: int
    confidence: float


class SuccessPatternDict(TypedDict):
    """A pattern of successful work."""

    pattern_name: str
    avg_duration_seconds: float
    frequency: int
    confidence: float


class ToolEfficiencyDict(TypedDict):
    """The use of a tool; score and success rate are from 0 to 1."""

    tool_name: str
    efficiency_score: float
    count: int
    usage_count: int
    avg_execution_time_ms: float
    success_rate: float
    total_tokens_used: int
    confidence: float


class LessonsDict(TypedDict):
    """The four lists of an aggregation."""

    preferences: list[PreferenceDict]
    error_patterns: list[ErrorPatternDict]
    success_patterns: list[SuccessPatternDict]
    tool_efficiencies: list[ToolEfficiencyDict]


class AggregationDict(LessonsDict):
    """The four lists and the time at which they were made, `""` if unknown."""

    aggregated_at: str


class SignalCountsDict(TypedDict):
    """The number of signals of each type."""

    success_patterns: int
    tool_efficiency: int
    error_patterns: int
    user_preferences: int


class LatestAggregationDict(AggregationDict):
    """An aggregation and the number of signals of each type."""

    signal_counts: SignalCountsDict


def aggregate(sources: WritableSources) -> AggregationDict:
    """Aggregate all signals and events, store the result and return it.

    :raises StorageError: when it cannot be written.
    """
    with events.open_index(sources) as index:
        lessons = summarize_totals(index, index.get_totals(Selection()))
    aggregation: AggregationDict = {**lessons, "aggregated_at": isoformat(sources.now())}
    with sources.project.locked(_FILE):
        content = as_dict(sources.project.document(_FILE))
        sources.project.write_json(_FILE, {**content, **aggregation})
    return aggregation


def get_latest(sources: Sources) -> LatestAggregationDict:
    """Return the latest aggregation, with the number of signals of each type.

    Each list is the one that the server stored, else that of the learning engine, else computed
    from the signals.
    """
    aggregation = load_stored(sources)
    types: Counter[str] = Counter()
    with events.open_index(sources) as index:
        totals = index.get_totals(Selection())
        for group, cell in totals:
            types[group.type] += cell.count
        computed = fill_empty_lists(aggregation, lambda: summarize_totals(index, totals))
    return {
        **computed,
        "aggregated_at": aggregation["aggregated_at"],
        "signal_counts": {
            "success_patterns": types[SUCCESS_PATTERN],
            "tool_efficiency": types[TOOL_EFFICIENCY],
            "error_patterns": types[ERROR_PATTERN],
            "user_preferences": types[USER_PREFERENCE],
        },
    }


def load_stored(sources: Sources) -> AggregationDict:
    """Return the four lists on disk, and their time in `aggregated_at` (`""` if unknown)."""
    own, engine = as_dict(sources.project.document(_FILE)), _load_engine_file(sources)
    lists = {name: _read_list(own, name) or _read_list(engine, name) for name in _LISTS}
    aggregated_at = tidy_time(own.get("aggregated_at")) or tidy_time(engine.get("timestamp"))
    return cast(AggregationDict, {**lists, "aggregated_at": aggregated_at})


def fill_empty_lists(
    lessons: LessonsDict | AggregationDict, get_others: Callable[[], LessonsDict | AggregationDict]
) -> LessonsDict:
    """Return the four lists, empty ones replaced by those of another aggregation.

    :param get_others: called only if a list is empty.
    """
    others = lessons if all(lessons[name] for name in _LISTS) else get_others()
    return {
        "preferences": lessons["preferences"] or others["preferences"],
        "error_patterns": lessons["error_patterns"] or others["error_patterns"],
        "success_patterns": lessons["success_patterns"] or others["success_patterns"],
        "tool_efficiencies": lessons["tool_efficiencies"] or others["tool_efficiencies"],
    }


def summarize_totals(index: SignalIndex, totals: Iterable[tuple[Group, Cell]]) -> LessonsDict:
    """Return the four lists, most frequent first and tools by their score."""
    subjects: dict[str, dict[str, Cell]] = {kind: {} for kind in records.SUBJECTS}
    for group, cell in totals:
        if group.subject is not None:
            subjects[group.type].setdefault(group.subject, Cell()).merge(cell)
    lists = {
        name: sorted(
            (_format_entry(index, kind, subject, cell) for subject, cell in subjects[kind].items()),
            key=lambda entry: (-entry[rank], entry[records.SUBJECTS[kind]]),
        )
        for name, (kind, rank, _) in _LISTS.items()
    }
    return cast(LessonsDict, lists)


def _format_entry(index: SignalIndex, kind: str, subject: str, cell: Cell) -> Json:
    if kind == USER_PREFERENCE:
        figures = {"preferred_value": _find_most_frequent(index, cell), "frequency": cell.count}
    else:
        figures = _FIGURES[kind](cell)
    return {records.SUBJECTS[kind]: subject, **figures, "confidence": _compute_confidence(cell)}


def _compute_confidence(cell: Cell) -> float:
    """Return the mean of the records' confidences; without any, a share by their number."""
    mean = cell.confidence.mean()
    return min(1.0, cell.count / _CERTAIN_COUNT) if mean is None else round(mean, 10)


def _find_most_frequent(index: SignalIndex, cell: Cell) -> Any:
    """Return the most frequent value; of several the first by text, so that all workers agree."""
    most = max(cell.values.values())
    number = min(
        (value for value, count in cell.values.items() if count == most), key=index.get_value_text
    )
    return json_text.parse(index.get_value_text(number).encode())


def _compute_error_figures(cell: Cell) -> Json:
    return {"resolution_rate": cell.resolved / cell.count, "frequency": cell.count}


def _compute_success_figures(cell: Cell) -> Json:
    return {"avg_duration_seconds": cell.duration.mean() or 0.0, "frequency": cell.count}


def _compute_tool_figures(cell: Cell) -> Json:
    success_rate, milliseconds = cell.success.mean() or 0.0, cell.duration.mean() or 0.0
    return {
        "efficiency_score": 0.7 * success_rate + 0.3 / (1 + milliseconds / 10_000),
        "count": cell.count,
        "usage_count": cell.count,
        "avg_execution_time_ms": milliseconds,
        "success_rate": success_rate,
        "total_tokens_used": cell.tokens,
    }


_FIGURES: dict[str, Callable[[Cell], Json]] = {
    ERROR_PATTERN: _compute_error_figures,
    SUCCESS_PATTERN: _compute_success_figures,
    TOOL_EFFICIENCY: _compute_tool_figures,
}


def _load_engine_file(sources: Sources) -> Json:
    """Return the newest file of the learning engine, by name, that is not empty or malformed."""
    names = sources.project.file_names(_ENGINE_FOLDER, ".json")
    for name in names[: -_MAX_ENGINE_FILES - 1 : -1]:
        content = as_dict(sources.project.document(f"{_ENGINE_FOLDER}/{name}"))
        if content:
            return content
    return {}


def _read_list(source: Json, name: "_ListName") -> list[Json]:
    """Return one of the lists of a file; entries without a subject are skipped."""
    kind, _, typed = _LISTS[name]
    subject = records.SUBJECTS[kind]
    return [
        {
            subject: redact(entry[subject]),
            **typed(entry),
            "confidence": min(1.0, _get_number(entry, "confidence")),
        }
        for entry in dicts_in(source.get(name))
        if first_text(entry.get(subject))
    ]


def _get_number(entry: Json, *names: str) -> float:
    return first_amount(*(entry.get(name) for name in names)) or 0.0


def _read_preference(entry: Json) -> Json:
    value: Any = redact_within(entry.get("preferred_value"))
    return {"preferred_value": value, "frequency": as_count(entry.get("frequency"))}


def _read_error(entry: Json) -> Json:
    return {
        "resolution_rate": _get_number(entry, "resolution_rate"),
        "frequency": as_count(entry.get("frequency")),
    }


def _read_success(entry: Json) -> Json:
    return {
        "avg_duration_seconds": _get_number(entry, "avg_duration_seconds"),
        "frequency": as_count(entry.get("frequency")),
    }


def _read_tool(entry: Json) -> Json:
    count = int(_get_number(entry, "count", "usage_count"))
    return {
        "efficiency_score": _get_number(entry, "efficiency_score"),
        "count": count,
        "usage_count": count,
        "avg_execution_time_ms": _get_number(entry, "avg_execution_time_ms"),
        "success_rate": _get_number(entry, "success_rate"),
        "total_tokens_used": as_count(entry.get("total_tokens_used")),
    }


_ListName = Literal["preferences", "error_patterns", "success_patterns", "tool_efficiencies"]
# Name in an aggregation → type of record, sort key, reader of a stored entry.
_LISTS: dict[_ListName, tuple[str, str, Callable[[Json], Json]]] = {
    "preferences": (USER_PREFERENCE, "frequency", _read_preference),
    "error_patterns": (ERROR_PATTERN, "frequency", _read_error),
    "success_patterns": (SUCCESS_PATTERN, "frequency", _read_success),
    "tool_efficiencies": (TOOL_EFFICIENCY, "efficiency_score", _read_tool),
}
