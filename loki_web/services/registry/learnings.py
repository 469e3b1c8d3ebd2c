"""The learnings of all projects of this user (docs/files.md, section 15.4)."""

from typing import TypedDict

from loki_web.services.context import Sources
from loki_web.services.fleet import selection
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
    allowed = _list_names(sources)
    entries = [
        entry
        for name in names
        for entry in sources.user.stream(f"learnings/{name}").objects()
        if first_text(entry.get("description")) and (allowed is None or _project(entry) in allowed)
    ]
    entries.sort(key=lambda entry: sort_key(entry.get("timestamp")), reverse=True)
    return [_build_learning(entry) for entry in entries[:limit]]


def _list_names(sources: Sources) -> frozenset[str] | None:
    """Return the names and paths of the projects that may be seen; None for all.

    Without those that another project has too.
    """
    if sources.limit is None:
        return None
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for each in selection.list_known(sources.unlimited):
        names[sources.allows(each.real)] |= {each.root.name, each.name, each.path, str(each.real)}
    return frozenset(names[True] - names[False])


def _project(entry: Json) -> str:
    return first_text(entry.get("project"))


def _build_learning(entry: Json) -> LearningDict:
    return {
        "timestamp": tidy_time(entry.get("timestamp")),
        "project": redact(_project(entry)),
        "category": redact(first_text(entry.get("category"))),
        "description": redact(entry["description"]),
    }
