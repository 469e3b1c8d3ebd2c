"""A project beside the one that is served: what its registry entry says, and what is true of its
directory now (`spec` 15.1)."""

import os
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path

from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.services.session import state
from loki_web.store import scan
from loki_web.store.coerce import Json, first_text
from loki_web.store.folder import Folder
from loki_web.store.times import sort_key, tidy_time

ACTIVE, IDLE, UNINITIALIZED, MISSING = "active", "idle", "uninitialized", "missing"
LOKI_DIR = ".loki"
_PRD_FILES = ("PRD.md", "prd.md", "docs/PRD.md")
_STATE_MARK = ".loki/state/session.json"
_STATE_FILES = (
    _STATE_MARK,
    ".loki/state/orchestrator.json",
    ".loki/dashboard-state.json",
    ".loki/session.json",
)


class Project:
    """One entry of the registry.

    :param identity: the key of the entry, unique in the registry.
    :param entry: the entry; its `path` is a string.
    """

    def __init__(self, identity: str, entry: Json) -> None:
        self.id = identity
        self.entry = entry
        self.path: str = entry["path"]
        self.alias = first_text(entry.get("alias")) or None

    @cached_property
    def root(self) -> Path | None:
        """The path without links; None where it is no absolute path."""
        return scan.resolved(self.path)

    @cached_property
    def exists(self) -> bool:
        return self.root is not None and scan.is_directory(self.root)

    @cached_property
    def has_loki_dir(self) -> bool:
        return self.root is not None and has_loki_dir(self.root)

    @property
    def status(self) -> str:
        """`active` or `missing`, as the registry has it."""
        return ACTIVE if self.exists else MISSING

    @property
    def name(self) -> str:
        return first_text(self.entry.get("name"), os.path.basename(self.path), self.path)

    @property
    def recency(self) -> tuple[datetime, datetime]:
        """Greater for the project that was used later."""
        return sort_key(self.entry.get("last_accessed")), sort_key(self.entry.get("registered_at"))

    def answer(self) -> Json:
        """The documented entry, its status and `has_loki_dir` as they are now."""
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
    """True for a `.loki/` inside the project; a link out of the project is not looked at."""
    return _folder(root).is_folder(LOKI_DIR)


def has_state(root: Path) -> bool:
    return _has_one_of((_STATE_MARK,), root)


def has_prd(root: Path) -> bool:
    return _has_one_of(_PRD_FILES, root)


@lru_cache(maxsize=1024)
def _folder(root: Path) -> Folder:
    """The project's own folder, with what is known of it since the last request."""
    return Folder(root)


def check_health(src: Sources, project: Project) -> Json:
    """`active` while a session is alive there, `idle` without one, `uninitialized` without
    `.loki/`, `missing` without a directory."""
    root = project.root
    exists = root is not None and project.exists
    return {
        "status": _health_word(src, project),
        "checks": {
            "path_exists": exists,
            "loki_dir_exists": exists and project.has_loki_dir,
            "state_exists": root is not None and _has_one_of(_STATE_FILES, root),
            "prd_exists": root is not None and has_prd(root),
        },
    }


def _health_word(src: Sources, project: Project) -> str:
    if project.root is None or not project.exists:
        return MISSING
    if not project.has_loki_dir:
        return UNINITIALIZED
    alive = state.get_liveness(src.project_at(project.root), src.now()).alive
    return ACTIVE if alive else IDLE


def _has_one_of(relatives: tuple[str, ...], root: Path) -> bool:
    folder = _folder(root)
    return any(folder.version(relative) for relative in relatives)
