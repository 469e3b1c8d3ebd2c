"""The learnings of all projects of this user (docs/files.md, section 15.4)."""

from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.store.coerce import Json, first_text
from loki_web.store.times import sort_key, tidy_time

# One writer of the CLI misspells the name; both files contain successes.
_FILES = {
    "patterns": ("patterns.jsonl",),
    "mistakes": ("mistakes.jsonl",),
    "successes": ("successes.jsonl", "successs.jsonl"),
}


def list_learnings(sources: Sources, limit: int) -> Json:
    """Return `patterns`, `mistakes` and `successes`, up to `limit` of each, newest first."""
    return {
        kind: [_build_learning(entry) for entry in _read_newest(sources, names, limit)]
        for kind, names in _FILES.items()
    }


def _read_newest(sources: Sources, names: tuple[str, ...], limit: int) -> list[Json]:
    """Return the newest entries; skip headers and damaged ones, which have no description."""
    entries = [
        entry
        for name in names
        for entry in sources.user.stream(f"learnings/{name}").objects()
        if first_text(entry.get("description"))
    ]
    entries.sort(key=lambda entry: sort_key(entry.get("timestamp")), reverse=True)
    return entries[:limit]


def _build_learning(entry: Json) -> Json:
    return {
        "timestamp": tidy_time(entry.get("timestamp")),
        "project": redact(first_text(entry.get("project"))),
        "category": redact(first_text(entry.get("category"))),
        "description": redact(entry["description"]),
    }
