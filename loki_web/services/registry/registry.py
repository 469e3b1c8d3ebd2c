"""The registry of this user's projects (docs/files.md, section 15.1).

The CLI writes the file too, without a lock. Each change reads it again under our lock, keeps
unknown fields and replaces the file by a rename. A file of an unknown form is never changed.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

from loki_web.errors import BadRequest, NotFound, StorageError
from loki_web.services.context import Sources, WritableSources
from loki_web.services.registry import discovery
from loki_web.services.registry import project as registry_project
from loki_web.services.registry.project import HealthDict, Project, ProjectDict
from loki_web.store import scan
from loki_web.store.coerce import Json, as_dict
from loki_web.store.times import isoformat
from loki_web.text import is_clean

_FILE = "dashboard/projects.json"
_SYSTEM_DIRECTORIES = tuple(map(Path, ("/boot", "/dev", "/etc", "/proc", "/run", "/sys")))
_TOO_WIDE = frozenset(map(Path, ("/", "/home", "/opt", "/root", "/usr", "/var")))
_HOME_OF_ROOT = Path("/root")


def load_projects(sources: Sources) -> list[Project]:
    """Return the projects of the registry that may be seen, the most recently accessed first."""
    projects = _parse_projects(as_dict(as_dict(sources.user.document(_FILE)).get("projects")))
    return [project for project in projects if sources.allows(project.root)]


def list_projects(sources: Sources, *, include_inactive: bool) -> list[ProjectDict]:
    """Return the entries, the most recently accessed first.

    :param include_inactive: include projects whose directory does not exist.
    """
    projects = [project.describe() for project in load_projects(sources)]
    return select_projects(projects, include_inactive=include_inactive)


def select_projects(projects: list[ProjectDict], *, include_inactive: bool) -> list[ProjectDict]:
    """Return those of a list of projects that `list_projects` returns."""
    return [
        project
        for project in projects
        if include_inactive or project["status"] == registry_project.ACTIVE
    ]


def find_projects(projects: list[Project], identifier: str) -> list[Project]:
    """Return the project with that id, else with that alias, else all with that path.

    A path can have several entries, because the CLI and the server create different ids for it.
    """
    for project in projects:
        if project.id == identifier:
            return [project]
    for project in projects:
        if project.alias == identifier:
            return [project]
    root = scan.resolve(identifier)
    return [
        project
        for project in projects
        if root is not None and (project.path == identifier or project.root == root)
    ]


def get_project(sources: Sources, identifier: str) -> ProjectDict:
    """Return the entry of one project.

    :raises NotFound: when no project has that id, alias or path.
    """
    return _find_first(load_projects(sources), identifier).describe()


def get_health(sources: Sources, identifier: str) -> HealthDict | ProjectDict:
    """Return the health of a project.

    The path or alias of a project may itself end in `/health`. Its URL is then also the health URL
    of the identifier before that ending; return the entry of that project in this case. Its health
    is at the URL with one more `/health`.

    :raises NotFound: when no project has that id, alias or path.
    """
    projects = load_projects(sources)
    named_health = find_projects(projects, f"{identifier}/health")
    if named_health:
        return named_health[0].describe()
    return registry_project.check_health(sources, _find_first(projects, identifier))


def register_project(
    sources: WritableSources, path: str, name: str | None, alias: str | None
) -> ProjectDict:
    """Add a directory to the registry, or update its entry; return the entry.

    :param path: absolute; links are resolved.
    :param name: None keeps the name of an existing entry; a new one gets the directory's name.
    :param alias: None keeps the alias of an existing entry.
    :raises BadRequest: when the path is not a directory, belongs to the operating system, or the
        alias is in use by another project.
    """
    root, now = _check_directory(path, sources.settings.home), sources.now()
    with _change(sources) as entries:
        projects = _parse_projects(entries)
        project = _find_registration(root, alias, projects) or _create_project(root, entries, now)
        _check_alias(alias, (other for other in projects if other.id != project.id))
        names = {key: text for key, text in (("name", name), ("alias", alias)) if text}
        entries[project.id] = _refresh(project, now) | names
    return Project(project.id, entries[project.id]).describe()


def remove_project(sources: WritableSources, identifier: str) -> None:
    """Remove a project from the registry, with all entries of its path if it is named by path.

    Its directory is not changed.

    :raises NotFound: when no project has that id, alias or path.
    """
    with _change(sources) as entries:
        projects = find_projects(_parse_projects(entries), identifier)
        if not projects:
            raise NotFound("Project not found")
        for project in projects:
            del entries[project.id]


def record_access(sources: WritableSources, identifier: str) -> ProjectDict:
    """Set the access time of a project to now; return its entry.

    :raises NotFound: when no project has that id, alias or path.
    """
    with _change(sources) as entries:
        project = _find_first(_parse_projects(entries), identifier)
        entries[project.id] = {**project.entry, "last_accessed": isoformat(sources.now())}
    return Project(project.id, entries[project.id]).describe()


class SyncedDict(TypedDict):
    """How many entries of the registry a synchronization changed, and how many there are."""

    added: int
    updated: int
    missing: int
    total: int


def sync_projects(sources: WritableSources) -> SyncedDict:
    """Register the projects that discovery finds and refresh the existing entries.

    :return: the number of entries: `added`, `updated` (changed ones whose directory exists),
        `missing` (without a directory) and `total`.
    """
    discovered, now = discovery.find_roots(sources), sources.now()
    counts: SyncedDict = {"added": 0, "updated": 0, "missing": 0, "total": 0}
    with _change(sources) as entries:
        projects = _parse_projects(entries)
        for project in projects:
            counts["missing"] += project.status == registry_project.MISSING
            if _is_stale(project):
                counts["updated"] += project.exists
                entries[project.id] = _refresh(project, now)
        roots = {project.root for project in projects}
        for root in (root for root in discovered if root not in roots):
            project = _create_project(root, entries, now)
            entries[project.id] = _refresh(project, now)
            counts["added"] += 1
        counts["total"] = len(_parse_projects(entries))
    return counts


def _parse_projects(entries: Json) -> list[Project]:
    """Return the entries with a path, the most recently accessed first; others are skipped."""
    projects = [
        Project(identity, entry)
        for identity, entry in entries.items()
        if isinstance(entry, dict) and isinstance(entry.get("path"), str) and entry["path"]
    ]
    return sorted(projects, key=lambda project: project.recency, reverse=True)


def _find_first(projects: list[Project], identifier: str) -> Project:
    matches = find_projects(projects, identifier)
    if not matches:
        raise NotFound("Project not found")
    return matches[0]


@contextmanager
def _change(sources: WritableSources) -> Iterator[Json]:
    """Yield the latest entries by id; write them after the block unless it raises.

    :raises StorageError: when the file cannot be read or written, or has an unknown form.
    """
    with sources.user.locked(_FILE):
        content = sources.user.document_for_update(_FILE)
        before = _get_entries(content)
        entries = dict(before)
        yield entries
        if entries != before:
            sources.user.write_json(
                _FILE, {"version": "1.0", **as_dict(content), "projects": entries}
            )


def _get_entries(content: Any) -> Json:
    entries = content.get("projects") if isinstance(content, dict) else content
    if isinstance(entries, dict):
        return entries
    if entries:
        raise StorageError("The registry has an unknown form and was not changed")
    return {}


def _check_directory(path: str, home: Path) -> Path:
    """Return the directory of a project, with its links resolved.

    The error is the same for each reason, so that it does not reveal which paths exist.
    """
    root = scan.resolve(path)
    if root is None or _belongs_to_system(root, home) or not scan.is_directory(root):
        raise BadRequest(
            "path: Must be the absolute path of an existing directory, not of a system directory."
        )
    if not is_clean(str(root)):
        raise BadRequest("path: Must not contain control characters.")
    return root


def _belongs_to_system(root: Path, home: Path) -> bool:
    if root.is_relative_to(_HOME_OF_ROOT) and not home.is_relative_to(_HOME_OF_ROOT):
        return True
    return root in _TOO_WIDE or any(map(root.is_relative_to, _SYSTEM_DIRECTORIES))


def _find_registration(root: Path, alias: str | None, projects: list[Project]) -> Project | None:
    """Return the entry of a path; if there are several, prefer the one with that alias."""
    entries = [project for project in projects if project.root == root]
    matches = [project for project in entries if alias and project.alias == alias]
    return next(iter(matches + entries), None)


def _check_alias(alias: str | None, others: Iterable[Project]) -> None:
    if any(alias in (other.id, other.alias, other.path) for other in others if alias):
        raise BadRequest("alias: Is already in use by another project.")


def _create_project(root: Path, entries: Json, now: datetime) -> Project:
    """Return a new entry. Its id is the start of the path's SHA-256: 12 digits, more if in use."""
    digest = hashlib.sha256(str(root).encode()).hexdigest()
    identity = next(digest[:size] for size in range(12, 65) if digest[:size] not in entries)
    entry = {
        "id": identity,
        "path": str(root),
        "name": root.name,
        "alias": None,
        "registered_at": isoformat(now),
        "updated_at": isoformat(now),
        "last_accessed": None,
    }
    return Project(identity, entry)


def _refresh(project: Project, now: datetime) -> Json:
    """Return the entry with the current state of its directory."""
    return {
        **project.entry,
        "has_loki_dir": project.has_loki_dir,
        "status": project.status,
        "updated_at": isoformat(now),
    }


def _is_stale(project: Project) -> bool:
    entry_state = (
        project.entry.get("has_loki_dir"),
        project.entry.get("status", registry_project.ACTIVE),
    )
    return entry_state != (project.has_loki_dir, project.status)
