"""The learnings of all projects of this user (docs/files.md, section 15.4)."""

from typing import TypedDict

from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.store.coerce import Json, first_text
from loki_web.store.times import sort_key, tidy_time


class LearningDict(TypedDict):
    """What was learned in a project."""

    timestamp: str
    project: str
    category: str
    description: str


class LearningsDict(TypedDict):
    """The learnings of all projects by kind."""

    patterns: list[LearningDict]
    mistakes: list[LearningDict]
    successes: list[LearningDict]


def list_learnings(sources: Sources, limit: int) -> LearningsDict:
    """Return `patterns`, `mistakes` and `successes`, up to `limit` of each, newest first."""
    return {
        "patterns": _list_newest(sources, limit, "patterns.jsonl"),
        "mistakes": _list_newest(sources, limit, "mistakes.jsonl"),
        # One writer of the CLI misspells the name; both files contain successes.
        "successes": _list_newest(sources, limit, "successes.jsonl", "successs.jsonl"),
    }


def _list_newest(sources: Sources, limit: int, *names: str) -> list[LearningDict]:
    """Return the newest entries; skip headers and damaged ones, which have no description."""
    entries = [
        entry
        for name in names
        for entry in sources.user.stream(f"learnings/{name}").objects()
        if first_text(entry.get("description"))
    ]
    entries.sort(key=lambda entry: sort_key(entry.get("timestamp")), reverse=True)
    return [_build_learning(entry) for entry in entries[:limit]]


def _build_learning(entry: Json) -> LearningDict:
    return {
        "timestamp": tidy_time(entry.get("timestamp")),
        "project": redact(first_text(entry.get("project"))),
        "category": redact(first_text(entry.get("category"))),
        "description": redact(entry["description"]),
    }
