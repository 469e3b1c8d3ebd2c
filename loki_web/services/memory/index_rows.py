"""Rows of the search index: the searched fields of episodes, patterns and skills."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from loki_web.services.context import Sources
from loki_web.services.memory import episodes, patterns, skills
from loki_web.services.memory.common import join_texts
from loki_web.services.memory.query import normalize
from loki_web.store.coerce import as_dict, first_text
from loki_web.store.entries import Entry
from loki_web.store.files import Version, is_settled
from loki_web.store.search_index import Contents, Row

EPISODE, PATTERN, SKILL = "episode", "pattern", "skill"

# Type → fields of the title, of the labels and of the body, named as in answers.
_FIELDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    EPISODE: (
        ("goal",),
        ("id", "taskId", "agent", "phase", "outcome", "task_type"),
        (
            *("actionLog", "errors_encountered", "context.files_involved", "files_read"),
            *("files_modified", "artifacts_produced", "edit_summary", "surrounding_context"),
        ),
    ),
    PATTERN: (
        ("pattern",),
        ("id", "category"),
        ("conditions", "correctApproach", "incorrectApproach", "source_episodes"),
    ),
    SKILL: (
        ("name",),
        ("id",),
        (
            *("description", "steps", "prerequisites", "common_errors", "exitCriteria"),
            "example_usage",
        ),
    ),
}
_COLLECTIONS = {
    EPISODE: (episodes.get_collection, episodes.format_episode),
    SKILL: (skills.get_collection, skills.format_skill),
}


def get_title(kind: str, entry: Mapping[str, Any]) -> str:
    """Return the title of an entry: its first field, else its task id or id."""
    words = (join_texts(entry.get(name)) for name in _FIELDS[kind][0])
    return first_text(*words, entry.get("taskId"), default=entry["id"])


def list_fields(kind: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of the searched fields that are not empty."""
    for names in _FIELDS[kind]:
        for name in names:
            text = join_texts(_get_value(entry, name))
            if text:
                yield name, text


def get_contents(sources: Sources) -> Contents:
    """Return all entries of the memory for the search index.

    Paths of episodes and skills are prefixed with their type; the two pattern files keep theirs.
    """
    collections = {kind: of(sources) for kind, (of, _) in _COLLECTIONS.items()}
    generations = {
        kind: collection.changes(None).generation for kind, collection in collections.items()
    }
    places = (patterns.PATTERNS, patterns.ANTI_PATTERNS)
    documents = {place: latest for place in places if (latest := sources.project.version(place))}

    def list_versions() -> dict[str, str]:
        texts = {place: _format_version(version) for place, version in documents.items()}
        for kind, collection in collections.items():
            texts |= {
                f"{kind}/{path}": _format_version(stamp)
                for path, stamp in collection.versions().items()
            }
        return texts

    def get_version(path: str) -> str | None:
        kind, _, below = path.partition("/")
        collection = collections.get(kind)
        current = collection.version(below) if collection else documents.get(path)
        return _format_version(current) if current else None

    def list_changes(before: Any) -> set[str] | None:
        generations_before, documents_before = before
        paths = {place for place in places if documents.get(place) != documents_before.get(place)}
        for kind, collection in collections.items():
            names = collection.changes(generations_before[kind]).names
            if names is None:
                return None
            paths.update(f"{kind}/{path}" for path in names)
        return paths

    return Contents(
        (generations, documents),
        list_versions,
        get_version,
        list_changes,
        lambda path: _read_rows(sources, path),
    )


def _read_rows(sources: Sources, path: str) -> tuple[str, list[Row]] | None:
    if path in (patterns.PATTERNS, patterns.ANTI_PATTERNS):
        return _read_pattern_rows(sources, path)
    kind, _, below = path.partition("/")
    if kind not in _COLLECTIONS:
        return None
    of, answer = _COLLECTIONS[kind]
    content = of(sources).read(below)
    if content is None:
        return None
    version = _format_version(content.version) if content.is_settled else ""
    return version, [_make_row(kind, answer(below, as_dict(content.value)))]


def _read_pattern_rows(sources: Sources, place: str) -> tuple[str, list[Row]] | None:
    version = sources.project.version(place)
    if version is None:
        return None
    entries = patterns.list_in_file(sources, place)
    has_settled = is_settled(version, time.time_ns())
    return _format_version(version) if has_settled else "", [
        _make_row(PATTERN, entry) for _, entry in entries
    ]


def _make_row(kind: str, entry: Mapping[str, Any]) -> Row:
    columns = (
        normalize(" ".join(join_texts(_get_value(entry, name)) for name in names))
        for names in _FIELDS[kind]
    )
    return Row(kind, entry["id"], *columns)


def _get_value(entry: Mapping[str, Any], name: str) -> Any:
    value: Any = entry
    for key in name.split("."):
        value = as_dict(value).get(key)
    return value


def _format_version(version: Version | Entry) -> str:
    return str(version.stamp)
