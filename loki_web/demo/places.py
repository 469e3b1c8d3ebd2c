"""Folders of the demo: a home, a project with its `.loki/`, and a second project."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from loki_web.demo import story
from loki_web.demo.writers import Writers, micros, seconds

_QUEUES = ("pending", "in-progress", "completed", "failed", "dead-letter")


@dataclass(frozen=True)
class Places:
    home: Path
    project: Path

    @property
    def loki(self) -> Path:
        return self.project / ".loki"


def places_in(folder: Path) -> Places:
    return Places(folder / "home", folder / "home" / "projects" / "harbour")


def prepare(folder: Path) -> Places:
    """Create the folders and the files that exist when a session starts."""
    places = places_in(folder)
    write = Writers(places.loki)
    for queue in _QUEUES:
        write.in_place(f"queue/{queue}.json", [])
    write.in_place("queue/current-task.json", {})
    write.in_place("state/provider", "claude\n")
    Writers(places.project).in_place("prd.md", story.PRD)
    Writers(places.home / "projects" / "lighthouse").in_place(
        ".loki/queue/pending.json",
        {"tasks": [{"id": "task-001", "title": "Map of all lighthouses", "priority": 9}]},
    )
    _register(places)
    _learnings(Writers(places.home / ".loki"))
    return places


def _register(places: Places) -> None:
    """Register the projects as the CLI does: an id is the first 12 digits of the path's MD5."""
    entries = {}
    for name in ("harbour", "lighthouse"):
        path = str(places.home / "projects" / name)
        identity = hashlib.md5(path.encode(), usedforsecurity=False).hexdigest()[:12]
        entries[identity] = {
            "id": identity,
            "path": path,
            "name": name,
            "alias": None,
            "registered_at": micros(),
            "updated_at": micros(),
            "last_accessed": None,
            "has_loki_dir": True,
            "status": "active",
        }
    registry = {"version": "1.0", "projects": entries}
    Writers(places.home / ".loki").in_place("dashboard/projects.json", registry)


def _learnings(write: Writers) -> None:
    for kind, lesson in story.LESSONS.items():
        name = f"learnings/{kind}.jsonl"
        write.line(name, {"version": "1.0", "created": seconds()})
        entry = {"timestamp": seconds(), "project": "harbour", "category": "demo"}
        write.line(name, {**entry, "description": lesson})
