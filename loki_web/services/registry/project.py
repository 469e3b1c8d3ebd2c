"""A registered project: its entry and the state of its directory (docs/files.md, section 15.1)."""

import os
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypedDict

from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.services.session.liveness import get_liveness
from loki_web.store import scan
from loki_web.store.coerce import Json, first_text
from loki_web.store.folder import Folder
from loki_web.store.times import sort_key, tidy_time

ACTIVE, IDLE, UNINITIALIZED, MISSING = "active", "idle", "uninitialized", "missing"
LOKI_DIR = ".loki"
_PRD_FILES = ("PRD.md", "prd.md", "docs/PRD.md")
_SESSION_STATE = ".loki/state/session.json"
_STATE_FILES = (
    _SESSION_STATE,
    ".loki/state/orchestrator.json",
    ".loki/dashboard-state.json",
    ".loki/session.json",
)


class ProjectDict(TypedDict):
    """An entry of the registry, with the current state of its directory."""

    id: str
    path: str
    name: str
    alias: str | None
    registered_at: str
    updated_at: str
    last_accessed: str | None
    has_loki_dir: bool
    status: str


class ChecksDict(TypedDict):
    """What exists of a project."""

    path_exists: bool
    loki_dir_exists: bool
    state_exists: bool
    prd_exists: bool


class HealthDict(TypedDict):
    """The health of a project."""

    status: str
    checks: ChecksDict


class Project:
    """One entry of the registry.

    :param identity: the key of the entry, unique in the registry.
    :param entry: its value; `path` must be a string.
    """

    def __init__(self, identity: str, entry: Json) -> None:
        self.id = identity
        self.entry = entry
        self.path: str = entry["path"]
        self.alias = first_text(entry.get("alias")) or None

    @cached_property
    def root(self) -> Path | None:
        """The path with links resolved; None when it is not an absolute path."""
        return scan.resolve(self.path)

    @cached_property
    def exists(self) -> bool:
        """True when the directory exists."""
        return self.root is not None and scan.is_directory(self.root)

    @cached_property
    def has_loki_dir(self) -> bool:
        """True when the directory contains a `.loki/`."""
        return self.root is not None and has_loki_dir(self.root)

    @property
    def status(self) -> str:
        """`active` when the directory exists, else `missing`."""
        return ACTIVE if self.exists else MISSING

    @property
    def name(self) -> str:
        """The name in the entry, else that of the directory."""
        return first_text(self.entry.get("name"), os.path.basename(self.path), self.path)

    @property
    def recency(self) -> tuple[datetime, datetime]:
        """A sort key: greater for the project that was used later."""
        return sort_key(self.entry.get("last_accessed")), sort_key(self.entry.get("registered_at"))

    def describe(self) -> ProjectDict:
        """Return the documented entry, with the current `status` and `has_loki_dir`."""
        return {
            "id": self.id,
            "path": self.path,
            "name": redact(self.name),
            "alias": self.alias and redact(self.alias),
            "registered_at": tidy_time(self.entry.get("registered_at")),
            "updated_at": tidy_time(self.entry.get("updated_at")),
            "last_accessed": tidy_time(self.entry.get("last_accessed")) or None,
            "has_loki_dir": self.has_loki_dir,
            "status": self.status,
        }


def has_loki_dir(root: Path) -> bool:
    """Return True for a `.loki/` inside the project; a link out of the project is not followed."""
    return scan.is_directory(root, LOKI_DIR)


def has_state(root: Path) -> bool:
    """Return True when a session has written its state."""
    return _has_any((_SESSION_STATE,), root)


def has_prd(root: Path) -> bool:
    """Return True when the project has a product requirements document."""
    return _has_any(_PRD_FILES, root)


@lru_cache(maxsize=1024)
def _get_folder(root: Path) -> Folder:
    """Return the project's folder; it is kept for the next request, with its caches."""
    return Folder(root)


def check_health(sources: Sources, project: Project) -> HealthDict:
    """Return the health of a project: `status` and `checks`.

    The status is `active` while a session is alive, `idle` without one, `uninitialized` without a
    `.loki/`, and `missing` without a directory.
    """
    root = project.root
    exists = root is not None and project.exists
    return {
        "status": _get_health_status(sources, project),
        "checks": {
            "path_exists": exists,
            "loki_dir_exists": exists and project.has_loki_dir,
            "state_exists": root is not None and _has_any(_STATE_FILES, root),
            "prd_exists": root is not None and has_prd(root),
        },
    }


def _get_health_status(sources: Sources, project: Project) -> str:
    if project.root is None or not project.exists:
        return MISSING
    if not project.has_loki_dir:
        return UNINITIALIZED
    alive = get_liveness(sources.at_project(project.root)).alive
    return ACTIVE if alive else IDLE


def _has_any(relatives: tuple[str, ...], root: Path) -> bool:
    folder = _get_folder(root)
    return any(folder.version(relative) for relative in relatives)
