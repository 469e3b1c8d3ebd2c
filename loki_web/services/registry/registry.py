"""The projects of this user, in a file that the CLI writes too (`spec` 15.1).

The CLI takes no lock. What we change is read anew under ours, keeps what we do not know, and is
written by rename; a file that cannot be understood is left as it is.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from loki_web.errors import BadRequest, NotFound, StorageError
from loki_web.services.context import Sources
from loki_web.services.registry import discovery
from loki_web.services.registry import project as registry_project
from loki_web.services.registry.project import Project
from loki_web.store import scan
from loki_web.store.coerce import Json, as_dict
from loki_web.store.folder import Folder
from loki_web.store.times import isoformat
from loki_web.text import is_clean

_FILE = "dashboard/projects.json"
_SYSTEM_DIRECTORIES = tuple(map(Path, ("/boot", "/etc", "/proc", "/sys")))


def registered(src: Sources) -> list[Project]:
    """Every project of the registry, the most recently accessed first."""
    return _projects_in(as_dict(as_dict(src.user.document(_FILE)).get("projects")))


def listing(src: Sources, *, include_inactive: bool) -> list[Json]:
    """The entries; those whose directory is gone only where asked for."""
    return [
        project.answer()
        for project in registered(src)
        if include_inactive or project.status == registry_project.ACTIVE
    ]


def matching(among: list[Project], identifier: str) -> list[Project]:
    """The project of that id, else of that alias, else all that are registered under that path.

    More than one where the CLI and the server registered a path under ids of their own.
    """
    for project in among:
        if project.id == identifier:
            return [project]
    for project in among:
        if project.alias == identifier:
            return [project]
    root = scan.resolved(identifier)
    return [
        project
        for project in among
        if root is not None and (project.path == identifier or project.root == root)
    ]


def project(src: Sources, identifier: str) -> Json:
    """:raises NotFound: where no project goes by that id, alias or path."""
    return _first(registered(src), identifier).answer()


def health(src: Sources, identifier: str) -> Json:
    """What a project's directory holds, and whether a session is alive there.

    A project whose own path or alias ends in `/health` stands at the address that is otherwise
    the health of what comes before: there the answer is its entry, and its health is one
    `/health` further on.

    :raises NotFound: where no project goes by that id, alias or path.
    """
    found = registered(src)
    whole = matching(found, f"{identifier}/health")
    if whole:
        return whole[0].answer()
    return registry_project.health(src, _first(found, identifier))


def register(src: Sources, path: str, name: str | None, alias: str | None) -> Json:
    """The entry of a directory, made or brought up to date; a path has one, whatever its id.

    :param path: absolute; links are resolved.
    :param name: left out, the directory's own.
    :raises BadRequest: when the path is no directory or the alias is another project's.
    """
    root, now = _project_directory(path), src.now()
    with _changing(src.user) as entries:
        known = _projects_in(entries)
        held = _registration_of(root, alias, known) or _new_project(root, entries, now)
        _check_alias(alias, (project for project in known if project.id != held.id))
        given = {key: text for key, text in (("name", name), ("alias", alias)) if text}
        entries[held.id] = _refreshed(held, now) | given
    return Project(held.id, entries[held.id]).answer()


def remove(src: Sources, identifier: str) -> None:
    """Forget a project; nothing in its directory is touched. A path goes with all its entries.

    :raises NotFound: where no project goes by that id, alias or path.
    """
    with _changing(src.user) as entries:
        found = matching(_projects_in(entries), identifier)
        if not found:
            raise NotFound("Project not found")
        for project in found:
            del entries[project.id]


def access(src: Sources, identifier: str) -> Json:
    """Note that a project was used just now.

    :raises NotFound: where no project goes by that id, alias or path.
    """
    with _changing(src.user) as entries:
        found = _first(_projects_in(entries), identifier)
        entries[found.id] = {**found.entry, "last_accessed": isoformat(src.now())}
    return Project(found.id, entries[found.id]).answer()


def sync(src: Sources) -> Json:
    """Register what discovery finds and refresh what the entries say of their directories.

    :return: `added`; `updated`, the entries of directories that are there and that changed;
        `missing`, those whose directory is gone; `total`, all that are registered now.
    """
    discovered, now = discovery.roots(src), src.now()
    counts = {"added": 0, "updated": 0, "missing": 0}
    with _changing(src.user) as entries:
        known = _projects_in(entries)
        for project in known:
            counts["missing"] += project.status == registry_project.MISSING
            if _is_stale(project):
                counts["updated"] += project.exists
                entries[project.id] = _refreshed(project, now)
        roots = {project.root for project in known}
        for root in (root for root in discovered if root not in roots):
            project = _new_project(root, entries, now)
            entries[project.id] = _refreshed(project, now)
            counts["added"] += 1
        total = len(_projects_in(entries))
    return {**counts, "total": total}


def _projects_in(entries: Json) -> list[Project]:
    """The entries that name a directory, the most recently accessed first; whatever else is among
    them is left alone."""
    found = [
        Project(identity, held)
        for identity, held in entries.items()
        if isinstance(held, dict) and isinstance(held.get("path"), str) and held["path"]
    ]
    return sorted(found, key=lambda project: project.recency, reverse=True)


def _first(among: list[Project], identifier: str) -> Project:
    found = matching(among, identifier)
    if not found:
        raise NotFound("Project not found")
    return found[0]


@contextmanager
def _changing(user: Folder) -> Iterator[Json]:
    """The latest entries by id: what the block replaces in them is written when it ends well.

    :raises StorageError: when the file cannot be read, understood or written.
    """
    with user.locked(_FILE):
        content = user.document_for_update(_FILE)
        before = _entries_to_change(content)
        entries = dict(before)
        yield entries
        if entries != before:
            user.write_json(_FILE, {"version": "1.0", **as_dict(content), "projects": entries})


def _entries_to_change(content: Any) -> Json:
    entries = content.get("projects") if isinstance(content, dict) else content
    if isinstance(entries, dict):
        return entries
    if entries:
        raise StorageError("The registry has a form that is not known, so it was left as it is")
    return {}


def _project_directory(path: str) -> Path:
    root = scan.resolved(path)
    if root is None or not scan.is_directory(root):
        raise BadRequest("path: Must be the absolute path of a directory that exists.")
    if not is_clean(str(root)):
        raise BadRequest("path: Must not contain control characters.")
    if not root.name or any(root.is_relative_to(system) for system in _SYSTEM_DIRECTORIES):
        raise BadRequest("path: Must not be a directory of the operating system.")
    return root


def _registration_of(root: Path, alias: str | None, known: list[Project]) -> Project | None:
    """The entry of a path; where there are two, the one that has the alias already."""
    held = [project for project in known if project.root == root]
    named = [project for project in held if alias and project.alias == alias]
    return next(iter(named + held), None)


def _check_alias(alias: str | None, others: Iterable[Project]) -> None:
    if any(alias in (other.id, other.alias, other.path) for other in others if alias):
        raise BadRequest("alias: Is already in use for another project.")


def _new_project(root: Path, entries: Json, now: datetime) -> Project:
    """An entry under the server's form of id, longer where that is taken."""
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


def _refreshed(project: Project, now: datetime) -> Json:
    """The entry with what is true of its directory now."""
    return {
        **project.entry,
        "has_loki_dir": project.has_loki_dir,
        "status": project.status,
        "updated_at": isoformat(now),
    }


def _is_stale(project: Project) -> bool:
    said = project.entry.get("has_loki_dir"), project.entry.get("status", registry_project.ACTIVE)
    return said != (project.has_loki_dir, project.status)
