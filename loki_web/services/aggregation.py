"""What the signals say when they are put together (`spec` 9.2, 9.3)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import Any

from loki_web.services import signals
from loki_web.services.redaction import redact, redact_within
from loki_web.services.signals import (
    ERROR_PATTERN,
    SUCCESS_PATTERN,
    TOOL_EFFICIENCY,
    USER_PREFERENCE,
    Lesson,
    Record,
    Selection,
)
from loki_web.services.sources import Sources
from loki_web.store import json_text
from loki_web.store.folder import Folder
from loki_web.store.shapes import Json, as_count, as_dict, dicts_in, first_amount, first_text
from loki_web.store.times import isoformat, tidy_time

_FILE = "metrics/aggregation.json"
_ENGINE_FOLDER = "learning/aggregated"
_NEWEST = 20  # files of the engine that are tried, should the latest be damaged
_ENOUGH = 10  # records of one subject that make certain where none tells its confidence


def aggregate(src: Sources) -> Json:
    """Put all signals and events together, store that and answer it.

    :raises StorageError: when it cannot be written.
    """
    made = of_records(signals.chosen(src.project, Selection()))
    made["aggregated_at"] = isoformat(src.now())
    with src.project.locked(_FILE):
        stored = as_dict(src.project.document(_FILE))
        src.project.write_json(_FILE, {**stored, **made})
    return made


def latest(src: Sources) -> Json:
    """The latest aggregation: each list as it was stored by the server, where it stored none by
    the learning engine, else from the signals; with the number of signals of each type."""
    records = signals.chosen(src.project, Selection())
    types = Counter(record.type for record in records)
    found = stored(src.project)
    if not all(found[name] for name in _LISTS):
        computed = of_records(records)
        found.update({name: found[name] or computed[name] for name in _LISTS})
    return {
        **found,
        "signal_counts": {
            "success_patterns": types[SUCCESS_PATTERN],
            "tool_efficiency": types[TOOL_EFFICIENCY],
            "error_patterns": types[ERROR_PATTERN],
            "user_preferences": types[USER_PREFERENCE],
        },
    }


def stored(folder: Folder) -> Json:
    """The four lists as they are on disk, and in `aggregated_at` when they were made or `""`."""
    own, engine = as_dict(folder.document(_FILE)), _of_engine(folder)
    found: Json = {name: _typed(own, name) or _typed(engine, name) for name in _LISTS}
    made_at = tidy_time(own.get("aggregated_at")) or tidy_time(engine.get("timestamp"))
    return {**found, "aggregated_at": made_at}


def of_records(records: Iterable[Record]) -> Json:
    """The four lists, most frequent first and tools by their score."""
    groups: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.lesson:
            groups[record.type][record.lesson.subject].append(record)
    return {
        name: sorted(
            (_entry(kind, subject, group) for subject, group in groups[kind].items()),
            key=lambda entry: (-entry[rank], entry[signals.SUBJECTS[kind]]),
        )
        for name, (kind, rank, _) in _LISTS.items()
    }


def _entry(kind: str, subject: str, group: list[Record]) -> Json:
    lessons = [record.lesson for record in group if record.lesson]
    return {
        signals.SUBJECTS[kind]: subject,
        **_FIGURES[kind](lessons),
        "confidence": _confidence(group),
    }


def _confidence(group: list[Record]) -> float:
    """The mean of what the records tell; without that, the more records the surer."""
    told = [record.confidence for record in group if record.confidence is not None]
    return round(fmean(told), 10) if told else min(1.0, len(group) / _ENOUGH)


def _preference_figures(lessons: list[Lesson]) -> Json:
    texts = [json_text.dump_line(lesson.value) for lesson in lessons]
    most_often = Counter(texts).most_common(1)[0][0]
    return {
        "preferred_value": lessons[texts.index(most_often)].value,
        "frequency": len(lessons),
    }


def _error_figures(lessons: list[Lesson]) -> Json:
    return {
        "resolution_rate": fmean(lesson.resolved for lesson in lessons),
        "frequency": len(lessons),
    }


def _success_figures(lessons: list[Lesson]) -> Json:
    return {"avg_duration_seconds": _mean_duration(lessons), "frequency": len(lessons)}


def _tool_figures(lessons: list[Lesson]) -> Json:
    rates = [lesson.success for lesson in lessons if lesson.success is not None]
    success_rate, milliseconds = fmean(rates) if rates else 0.0, _mean_duration(lessons)
    return {
        "efficiency_score": 0.7 * success_rate + 0.3 / (1 + milliseconds / 10_000),
        "count": len(lessons),
        "usage_count": len(lessons),
        "avg_execution_time_ms": milliseconds,
        "success_rate": success_rate,
        "total_tokens_used": sum(lesson.tokens for lesson in lessons),
    }


_FIGURES: dict[str, Callable[[list[Lesson]], Json]] = {
    USER_PREFERENCE: _preference_figures,
    ERROR_PATTERN: _error_figures,
    SUCCESS_PATTERN: _success_figures,
    TOOL_EFFICIENCY: _tool_figures,
}


def _mean_duration(lessons: list[Lesson]) -> float:
    told = [lesson.duration for lesson in lessons if lesson.duration is not None]
    return fmean(told) if told else 0.0


def _of_engine(folder: Folder) -> Json:
    """The newest file of the learning engine, by its name, that holds something."""
    names = folder.file_names(_ENGINE_FOLDER, ".json")
    for name in names[: -_NEWEST - 1 : -1]:
        found = as_dict(folder.document(f"{_ENGINE_FOLDER}/{name}"))
        if found:
            return found
    return {}


def _typed(source: Json, name: str) -> list[Json]:
    """One of the lists of a file, entries without a subject left out."""
    kind, _, typed = _LISTS[name]
    subject = signals.SUBJECTS[kind]
    return [
        {
            subject: redact(entry[subject]),
            **typed(entry),
            "confidence": min(1.0, _number(entry, "confidence")),
        }
        for entry in dicts_in(source.get(name))
        if first_text(entry.get(subject))
    ]


def _number(entry: Json, *names: str) -> float:
    return first_amount(*(entry.get(name) for name in names)) or 0.0


def _preference(entry: Json) -> Json:
    value: Any = redact_within(entry.get("preferred_value"))
    return {"preferred_value": value, "frequency": as_count(entry.get("frequency"))}


def _error(entry: Json) -> Json:
    return {
        "resolution_rate": _number(entry, "resolution_rate"),
        "frequency": as_count(entry.get("frequency")),
    }


def _success(entry: Json) -> Json:
    return {
        "avg_duration_seconds": _number(entry, "avg_duration_seconds"),
        "frequency": as_count(entry.get("frequency")),
    }


def _tool(entry: Json) -> Json:
    count = int(_number(entry, "count", "usage_count"))
    return {
        "efficiency_score": _number(entry, "efficiency_score"),
        "count": count,
        "usage_count": count,
        "avg_execution_time_ms": _number(entry, "avg_execution_time_ms"),
        "success_rate": _number(entry, "success_rate"),
        "total_tokens_used": as_count(entry.get("total_tokens_used")),
    }


# Name in an aggregation → type of record, what it is ranked by, how a stored entry is read.
_LISTS: dict[str, tuple[str, str, Callable[[Json], Json]]] = {
    "preferences": (USER_PREFERENCE, "frequency", _preference),
    "error_patterns": (ERROR_PATTERN, "frequency", _error),
    "success_patterns": (SUCCESS_PATTERN, "frequency", _success),
    "tool_efficiencies": (TOOL_EFFICIENCY, "efficiency_score", _tool),
}
