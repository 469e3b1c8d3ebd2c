"""Semantic memory: patterns and anti-patterns (docs/files.md, sections 8.2 and 8.3).

If two entries have the same id, the one with the newest time is used, then the first.
"""

from datetime import datetime
from typing import Any, TypedDict, cast

from loki_web.errors import NotFound
from loki_web.services.context import Sources
from loki_web.services.ids import Identities, check_id
from loki_web.services.memory.common import (
    as_texts,
    clean_value,
    get_latest_time,
    get_own_id,
    join_texts,
)
from loki_web.store.coerce import Json, as_count, as_number, dicts_in, entries_under, first_text
from loki_web.store.derived import derived

PATTERNS = "memory/semantic/patterns.json"
ANTI_PATTERNS = "memory/semantic/anti-patterns.json"
ANTI_PATTERN = "anti-pattern"
_ANTI_PATTERN_FORMS = {ANTI_PATTERN, "anti_pattern", "antipattern"}
_TIMES = ("updated_at", "last_used", "created_at")


class PatternDict(TypedDict):
    """The documented fields of a pattern; further ones are as in its file, redacted."""

    id: str
    pattern: str
    category: str
    confidence: float
    usageCount: int
    conditions: list[str]
    correctApproach: str
    incorrectApproach: str


Dated = tuple[datetime, PatternDict]


@derived
def list_patterns(sources: Sources) -> list[PatternDict]:
    """Return all patterns, then the anti-patterns (category `anti-pattern`), in file order."""
    by_id: dict[str, Dated] = {}
    for place in (PATTERNS, ANTI_PATTERNS):
        for instant, entry in list_in_file(sources, place):
            other = by_id.get(entry["id"])
            if other is None or instant > other[0]:
                by_id[entry["id"]] = instant, entry
    return [entry for _, entry in by_id.values()]


def get_pattern(sources: Sources, identifier: str) -> PatternDict:
    """Return the pattern or anti-pattern with an id.

    :raises NotFound: when there is no such pattern.
    :raises BadRequest: when the id is malformed.
    """
    check_id(identifier, "pattern_id")
    for entry in list_patterns(sources):
        if entry["id"] == identifier:
            return entry
    raise NotFound("Pattern not found")


@derived
def list_in_file(sources: Sources, place: str) -> list[Dated]:
    """Return the entries of one of the two files, each with its time.

    The entries are shared and must not be changed.

    :param place: PATTERNS or ANTI_PATTERNS.
    """
    read = _read_patterns if place == PATTERNS else _read_anti_patterns
    return read(sources.project.document(place))


def is_anti_pattern(entry: PatternDict) -> bool:
    """Return whether an entry's category is `anti-pattern`."""
    return entry["category"] == ANTI_PATTERN


def _read_patterns(content: Any) -> list[Dated]:
    return _format_patterns(entries_under(content, "patterns") or [])


def _read_anti_patterns(content: Any) -> list[Dated]:
    entries = entries_under(content, "anti_patterns") or []
    if isinstance(content, dict):
        entries = [*entries, *dicts_in(content.get("patterns"))]
    return _format_patterns([{**entry, "category": ANTI_PATTERN} for entry in entries])


def _format_patterns(entries: list[Json]) -> list[Dated]:
    identities = Identities("pattern")
    return [
        (get_latest_time(entry, *_TIMES), _format_pattern(entry, identities))
        for entry in entries
        if get_own_id(entry) or _get_text(entry)
    ]


def _format_pattern(stored: Json, identities: Identities) -> PatternDict:
    entry: Json = clean_value(stored)
    category = first_text(entry.get("category")).strip()
    correct = first_text(
        entry.get("correct_approach"), entry.get("correctApproach"), entry.get("prevention")
    )
    incorrect = first_text(
        entry.get("incorrect_approach"), entry.get("incorrectApproach"), entry.get("what_fails")
    )
    documented: PatternDict = {
        "id": identities.assign(get_own_id(entry), join_texts({**entry, "id": ""})),
        "pattern": _get_text(entry),
        "category": ANTI_PATTERN if category.lower() in _ANTI_PATTERN_FORMS else category,
        "conditions": as_texts(entry.get("conditions")) or as_texts(entry.get("why")),
        "confidence": as_number(entry.get("confidence")) or 0,
        "usageCount": as_count(entry.get("usage_count", entry.get("usageCount"))),
        "correctApproach": correct,
        "incorrectApproach": incorrect,
    }
    lists = {
        "source_episodes": as_texts(entry.get("source_episodes")),
        "links": dicts_in(entry.get("links")),
    }
    return cast(PatternDict, {**entry, **lists, **documented})


def _get_text(entry: Json) -> str:
    return first_text(entry.get("pattern"), entry.get("what_fails"), entry.get("description"))
