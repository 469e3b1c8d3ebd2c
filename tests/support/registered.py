"""Registries and projects for tests."""

import hashlib
import json
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from tests.support.places import Place, write

PROJECTS = "/api/registry/projects"
FILE = "dashboard/projects.json"


def directory(place: Place, relative: str, *, loki: bool = True) -> Path:
    """A project's directory below HOME, with an empty `.loki/` or without."""
    made = place.home / relative
    (made / ".loki" if loki else made).mkdir(parents=True)
    return made


def entry(path: Path | str, **fields: Any) -> dict[str, Any]:
    """What the CLI writes for a project."""
    identity = hashlib.md5(str(path).encode(), usedforsecurity=False).hexdigest()[:12]
    return {
        "id": identity,
        "path": str(path),
        "name": Path(path).name,
        "alias": None,
        "registered_at": "2026-02-20T09:01:01.549432+00:00",
        "updated_at": "2026-02-20T09:01:01.549432+00:00",
        "last_accessed": None,
        "has_loki_dir": False,
        "status": "active",
        **fields,
    }


def register(place: Place, *entries: dict[str, Any]) -> Path:
    """Write a registry with these entries."""
    held = {each["id"]: each for each in entries}
    return place.write_home(FILE, {"version": "1.0", "projects": held})


def add_project(place: Place, name: str, *, is_registered: bool = True) -> Place:
    """Add a project beside the one of the server, with a task that has its name."""
    other = Place(place.home, place.loki.parent.parent / name / ".loki")
    other.write("queue/pending.json", [{"id": name}])
    other.write("dashboard-state.json", {"phase": name.upper(), "mode": "autonomous"})
    if is_registered:
        fields = {"id": f"id-{name}", "alias": f"alias of {name}"}
        before = held(place).values() if file(place).exists() else ()
        register(place, *before, entry(other.loki.parent, **fields))
    return other


def queue(project: Path, *titles: str) -> None:
    """Give a project pending tasks."""
    entries = [{"id": title.lower(), "title": title} for title in titles]
    write(project / ".loki" / "queue" / "pending.json", entries)


def file(place: Place) -> Path:
    return place.home / ".loki" / FILE


def held(place: Place) -> dict[str, Any]:
    """The entries on disk."""
    entries: dict[str, Any] = json.loads(file(place).read_text())["projects"]
    return entries


def names(client: FlaskClient, query: str = "") -> list[str]:
    """The names in the list, in its order."""
    return [entry["name"] for entry in client.get(PROJECTS + query).get_json()]
