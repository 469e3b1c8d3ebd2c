"""Semantic memory: what was learned, and what to avoid (`spec` 8.2 and 8.3).

Where two entries have the same id, the one with the newest time counts, then the first.
"""

from datetime import datetime
from typing import Any

from loki_web.errors import NotFound
from loki_web.services.ids import Identities, check_id
from loki_web.services.memory.common import latest_time, own_id, presentable, texts, words_of
from loki_web.store.coerce import Json, as_count, as_number, dicts_in, entries_under, first_text
from loki_web.store.derived import derived
from loki_web.store.folder import Folder

PATTERNS = "memory/semantic/patterns.json"
ANTI_PATTERNS = "memory/semantic/anti-patterns.json"
ANTI_PATTERN = "anti-pattern"
_ANTI_PATTERN_FORMS = {ANTI_PATTERN, "anti_pattern", "antipattern"}
_TIMES = ("updated_at", "last_used", "created_at")

Dated = tuple[datetime, Json]


@derived
def patterns(folder: Folder) -> list[Json]:
    """All patterns and anti-patterns, the latter by their category, in the order of their files."""
    known: dict[str, Dated] = {}
    for place in (PATTERNS, ANTI_PATTERNS):
        for instant, entry in in_file(folder, place):
            twin = known.get(entry["id"])
            if twin is None or instant > twin[0]:
                known[entry["id"]] = instant, entry
    return [entry for _, entry in known.values()]


def pattern(folder: Folder, identifier: str) -> Json:
    """:raises NotFound: when there is no pattern of that id.
    :raises BadRequest: when it cannot be an id.
    """
    check_id(identifier, "pattern_id")
    for entry in patterns(folder):
        if entry["id"] == identifier:
            return entry
    raise NotFound("Pattern not found")


@derived
def in_file(folder: Folder, place: str) -> list[Dated]:
    """The entries of one of the two files, each with its time; shared, not to be changed."""
    make = _patterns if place == PATTERNS else _anti_patterns
    return make(folder.document(place))


def is_anti_pattern(entry: Json) -> bool:
    return entry.get("category") == ANTI_PATTERN


def _patterns(content: Any) -> list[Dated]:
    return _answers(entries_under(content, "patterns") or [])


def _anti_patterns(content: Any) -> list[Dated]:
    entries = entries_under(content, "anti_patterns") or []
    if isinstance(content, dict):
        entries = [*entries, *dicts_in(content.get("patterns"))]
    return _answers([{**entry, "category": ANTI_PATTERN} for entry in entries])


def _answers(entries: list[Json]) -> list[Dated]:
    identities = Identities("pattern")
    return [
        (latest_time(entry, *_TIMES), _answer(entry, identities))
        for entry in entries
        if own_id(entry) or _text(entry)
    ]


def _answer(stored: Json, identities: Identities) -> Json:
    entry: Json = presentable(stored)
    category = first_text(entry.get("category")).strip()
    correct = first_text(
        entry.get("correct_approach"), entry.get("correctApproach"), entry.get("prevention")
    )
    incorrect = first_text(
        entry.get("incorrect_approach"), entry.get("incorrectApproach"), entry.get("what_fails")
    )
    return {
        **entry,
        "id": identities.assign(own_id(entry), words_of({**entry, "id": ""})),
        "pattern": _text(entry),
        "category": ANTI_PATTERN if category.lower() in _ANTI_PATTERN_FORMS else category,
        "conditions": texts(entry.get("conditions")) or texts(entry.get("why")),
        "confidence": as_number(entry.get("confidence")) or 0,
        "source_episodes": texts(entry.get("source_episodes")),
        "links": dicts_in(entry.get("links")),
        "usageCount": as_count(entry.get("usage_count", entry.get("usageCount"))),
        "correctApproach": correct,
        "incorrectApproach": incorrect,
    }


def _text(entry: Json) -> str:
    return first_text(entry.get("pattern"), entry.get("what_fails"), entry.get("description"))
