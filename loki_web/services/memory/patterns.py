"""Semantic memory: patterns and anti-patterns (docs/files.md, sections 8.2 and 8.3).

If two entries have the same id, the one with the newest time is used, then the first.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Any, TypedDict, TypeVar, cast

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
_PLACES = (PATTERNS, ANTI_PATTERNS)
_TIMES = ("updated_at", "last_used", "created_at")
T = TypeVar("T")


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
    dated = (entry for place in _PLACES for entry in list_in_file(sources, place))
    return _choose_latest((entry["id"], instant, entry) for instant, entry in dated)


@derived
def count_patterns(sources: Sources) -> tuple[int, int]:
    """Return how many patterns and anti-patterns there are, without formatting them."""
    entries = (_read_entries(sources.project.document(place), place) for place in _PLACES)
    are_anti_patterns = _choose_latest(chain.from_iterable(map(_classify, entries)))
    return are_anti_patterns.count(False), are_anti_patterns.count(True)


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
    entries = _read_entries(sources.project.document(place), place)
    identities = Identities("pattern")
    return [
        (get_latest_time(entry, *_TIMES), _format_pattern(entry, identities)) for entry in entries
    ]


def _choose_latest(dated: Iterable[tuple[str, datetime, T]]) -> list[T]:
    """Return of each id what has the newest time, else the first."""
    by_id: dict[str, tuple[datetime, T]] = {}
    for identity, instant, entry in dated:
        other = by_id.get(identity)
        if other is None or instant > other[0]:
            by_id[identity] = instant, entry
    return [entry for _, entry in by_id.values()]


def _classify(entries: list[Json]) -> Iterator[tuple[str, datetime, bool]]:
    """Yield the id and the time of each entry, and whether it is an anti-pattern."""
    identities = Identities("pattern")
    for entry in entries:
        identity = get_own_id(entry) or _format_pattern(entry, identities)["id"]
        is_anti_pattern = _get_category(entry) == ANTI_PATTERN
        yield identity, get_latest_time(entry, *_TIMES), is_anti_pattern


def _read_entries(content: Any, place: str) -> list[Json]:
    """Return the entries of one of the two files that have an id or a text."""
    if place == PATTERNS:
        entries = entries_under(content, "patterns") or []
    else:
        entries = entries_under(content, "anti_patterns") or []
        if isinstance(content, dict):
            entries = [*entries, *dicts_in(content.get("patterns"))]
        entries = [{**entry, "category": ANTI_PATTERN} for entry in entries]
    return [entry for entry in entries if get_own_id(entry) or _get_text(entry)]


def _format_pattern(stored: Json, identities: Identities) -> PatternDict:
    entry: Json = clean_value(stored)
    correct = first_text(
        entry.get("correct_approach"), entry.get("correctApproach"), entry.get("prevention")
    )
    incorrect = first_text(
        entry.get("incorrect_approach"), entry.get("incorrectApproach"), entry.get("what_fails")
    )
    documented: PatternDict = {
        "id": identities.assign(get_own_id(entry), join_texts({**entry, "id": ""})),
        "pattern": _get_text(entry),
        "category": _get_category(entry),
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


def _get_category(entry: Json) -> str:
    category = first_text(entry.get("category")).strip()
    return ANTI_PATTERN if category.lower() in _ANTI_PATTERN_FORMS else category


def _get_text(entry: Json) -> str:
    return first_text(entry.get("pattern"), entry.get("what_fails"), entry.get("description"))
