"""Which project a request is about, and which one is shown where it names none.

Only the project of this server and registered ones can be named: a name is looked up, and never
used as a path.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict

from loki_web.errors import BadRequest, Forbidden, NotFound
from loki_web.services.context import POLL, Sources, WritableSources
from loki_web.services.machines.names import SESSION, name_session
from loki_web.services.redaction import redact
from loki_web.services.registry import registry
from loki_web.services.registry.project import LOKI_DIR
from loki_web.services.session.liveness import get_liveness
from loki_web.store import scan
from loki_web.store.coerce import as_count
from loki_web.store.derived import derived
from loki_web.store.folder import Folder
from loki_web.store.look import Summary, observe
from loki_web.store.writable import WritableFolder

_FOCUS = "focus"  # in the cache folder, which all workers share
_MAX_EXACT = 64  # projects that are examined for each request
_SECONDS = 5.0  # after which others are examined again
_MAX_DUE = 20  # of them for one request
_QUIET_SECONDS = 30.0  # within which changes are noticed that the file system does not report


class FocusDict(TypedDict):
    """The project that is shown where a request names none; None if none was set."""

    project_dir: str | None
    loki_dir: str


@dataclass(frozen=True)
class KnownProject:
    """A project that can be named.

    :param id: None if it is not registered, as may be that of this server.
    :param name: redacted, as the alias.
    :param path: as in the registry.
    :param names: ids, aliases and paths; a directory may be registered twice.
    :param port: of the server that its session has asked for.
    :param root: its directory, with links resolved unless it is the one of this server.
    """

    id: str | None
    name: str
    path: str
    root: Path
    real: Path
    names: tuple[frozenset[str], ...]
    alias: str | None = None
    port: int | None = None


def find_root(sources: Sources, identifier: str) -> Path:
    """Return the directory of the project with this id, alias, path or session name.

    :raises NotFound: unless it is registered or that of this server.
    """
    root = _find_root(sources, identifier)
    if root is None:
        raise NotFound("Project not found")
    return root


@derived
def _find_root(sources: Sources, identifier: str) -> Path | None:
    projects = list_known(sources)
    for kind in range(3):
        for project in projects:
            if identifier in project.names[kind]:
                return project.root
    if SESSION.fullmatch(identifier):
        roots = (project.root for project in projects)
        return next((root for root in roots if name_session(sources, root) == identifier), None)
    real = scan.resolve(identifier)
    return next((project.root for project in projects if project.real == real), None)


def choose(sources: Sources) -> Sources:
    """Return the sources of the project that is shown where a request names none.

    That is the focus, if one is set; else the one of this server, unless its session does not run
    and exactly one registered project has one that does.

    :raises NotFound: when the sources are limited, and none of these projects is known.
    """
    if sources.is_pinned:
        return sources
    root = find_shown(sources)
    if root is None:
        raise NotFound("Project not found")
    return open_project(sources, root)


def find_shown(sources: Sources) -> Path | None:
    """Return the directory of the project that is shown where a request names none."""
    root: Path | None = observe(_get_choice(sources))
    return root


def open_project(sources: Sources, root: Path) -> Sources:
    """Return the sources of a known project, whose `.loki/` may have another name for this one."""
    return sources.unlimited if root == get_root(sources) else sources.at_project(root)


def get_root(sources: Sources) -> Path:
    """Return the directory of the project of these sources."""
    return sources.project.path.parent


def get_own_root(sources: Sources) -> Path:
    """Return the directory of the project of this server.

    :raises Forbidden: when the sources are limited to other projects.
    """
    root = get_root(sources)
    if root not in {each.root for each in list_known(sources)}:
        raise Forbidden("The token is limited to other projects. Name one of them.")
    return root


def list_known(sources: Sources) -> list[KnownProject]:
    """Return the project of this server, then the registered ones, most recently used first.

    One entry for each directory that may be seen.
    """
    projects: list[KnownProject] = observe(keep(sources, _read_known, sources.user))
    return projects


def get_focus(sources: Sources) -> FocusDict:
    """Return the project that is shown where a request names none."""
    focus = _find_focus(sources)
    root = focus or (find_shown(sources) if sources.limit is not None else get_root(sources))
    loki_dir = open_project(sources, root).project.path if root else ""
    return {"project_dir": str(focus) if focus else None, "loki_dir": str(loki_dir)}


def set_focus(sources: WritableSources, path: str) -> FocusDict:
    """Show the project in a directory from now on. Register it, as a session does at its start.

    :raises BadRequest: unless it is a directory with a `.loki/`, and may be registered.
    """
    real = scan.resolve(path)
    if real is None or not Folder(real, events=False).is_folder(LOKI_DIR):
        raise BadRequest("project_dir: Must be the absolute path of a project with a .loki folder.")
    if real not in {project.real for project in list_known(sources)}:
        registry.register_project(sources, str(real), None, None)
    root = find_root(sources, str(real))
    _get_shared_folder(sources).write_bytes(_FOCUS, str(root).encode(), mode=0o600)
    return get_focus(sources)


def clear_focus(sources: WritableSources) -> FocusDict:
    """Show the project of this server again, and return it."""
    forget_focus(sources)
    return get_focus(sources)


def forget_focus(sources: WritableSources) -> None:
    """Show the project of this server again."""
    _get_shared_folder(sources).remove(_FOCUS)


class _Late:
    """The states of projects of which only some are examined again each second, as an input."""

    is_notified = True  # not examined for each request

    def __init__(self, summaries: list[Summary]) -> None:
        self._summaries = summaries

    def examine(self) -> list[Any]:
        """Return the states, some of which are seconds old."""
        due = time.monotonic() - _SECONDS
        late = (
            each
            for each in self._summaries
            if each.get_last() is not None and each.examined_at < due
        )
        for summary in list(islice(late, _MAX_DUE)):
            summary.examine()
        return [
            each.examine() if each.get_last() is None else each.get_last()
            for each in self._summaries
        ]


class Watched:
    """Summaries of many projects, with a limit on the work for one request.

    :param compute: takes the sources of a project; its result is not None.
    """

    def __init__(self, sources: Sources, compute: Callable[[Sources], Any]) -> None:
        self._sources = sources
        self._compute = compute
        self._latest: tuple[list[Path], list[Summary], _Late] = [], [], _Late([])  # replaced whole

    def observe(self, projects: list[KnownProject]) -> list[Any]:
        """Return the state of each project; after the first 64, some are seconds old.

        The work for one request is limited, however many projects there are.
        """
        roots, (former_roots, summaries, late) = (
            [project.root for project in projects],
            self._latest,
        )
        if roots != former_roots:
            others = [open_project(self._sources, root) for root in roots]
            summaries = [keep(other, self._compute) for other in others]
            late = _Late(summaries[_MAX_EXACT:])
            self._latest = roots, summaries, late
        return [*map(observe, summaries[:_MAX_EXACT]), *observe(late)]


def keep(
    sources: Sources, compute: Callable[[Sources], Any], folder: Folder | None = None
) -> Summary:
    """Return a summary, which is kept with the sources.

    :param folder: in which its inputs are; by default that of the project.
    """
    count_events = (folder or sources.project).count_events
    summary: Summary = sources.values.get(
        (Summary, compute),
        lambda _: Summary(lambda: compute(sources), count_events, _QUIET_SECONDS),
    )
    return summary


@dataclass(frozen=True)
class _Choice:
    """Finds the project that is shown where a request names none."""

    sources: Sources
    others: Watched

    def find(self) -> Path | None:
        """Return its directory; None if no project may be seen."""
        own, focus = self.sources, _find_focus(self.sources)
        if focus is not None:
            return focus
        projects = list_known(own)
        roots = [project.root for project in projects]
        others = [project for project in projects if project.root != get_root(own)]
        if get_root(own) in roots and (not others or observe(keep(own.unlimited, _is_live))):
            return get_root(own)
        states = self.others.observe(others)
        live = [project for project, is_live in zip(others, states, strict=True) if is_live]
        return live[0].root if len(live) == 1 else next(iter(roots), None)


def _get_choice(sources: Sources) -> Summary:
    choice: Summary = sources.values.get(
        _Choice, lambda _: Summary(_Choice(sources, Watched(sources, _is_live)).find)
    )
    return choice


def _is_live(sources: Sources) -> bool:
    return get_liveness(sources).alive


def _read_known(sources: Sources) -> list[KnownProject]:
    own = get_root(sources)
    real = scan.resolve(str(own)) or own
    projects = {real: KnownProject(None, redact(own.name), str(own), own, real, _name(str(own)))}
    for project in registry.load_projects(sources):
        root = project.root
        if root is None:
            continue
        names = _name(project.path, project.id, project.alias)
        former = projects.get(root)
        if former is not None:
            names = tuple(map(frozenset.union, former.names, names))
        if former is not None and former.id is not None:
            projects[root] = replace(former, names=names)
            continue
        projects[root] = KnownProject(
            project.id,
            redact(project.name),
            project.path,
            own if root == real else root,
            root,
            names,
            project.alias and redact(project.alias),
            as_count(project.entry.get("port")) or None,
        )
    return [each for each in projects.values() if sources.allows(each.real)]


def _name(
    path: str, identity: str | None = None, alias: str | None = None
) -> tuple[frozenset[str], ...]:
    return tuple(frozenset({name} if name else ()) for name in (identity, alias, path))


def _find_focus(sources: Sources) -> Path | None:
    """Return the directory in focus; None if there is none, or it is not a known project."""
    text = observe(_get_focus_summary(sources))
    if not text:
        return None
    return next((each.root for each in list_known(sources) if str(each.root) == text), None)


def _get_focus_summary(sources: Sources) -> Summary:
    def create(_: Any) -> Summary:
        path = sources.cache_folder
        events = sources.settings.watch != POLL
        folder = Folder(path, events=events) if path else sources.user
        return Summary(
            lambda: path and folder.text(_FOCUS, limit=4096), folder.count_events, _QUIET_SECONDS
        )

    summary: Summary = sources.values.get(_FOCUS, create)
    return summary


def _get_shared_folder(sources: WritableSources) -> WritableFolder:
    if sources.cache_folder is None:
        raise BadRequest("There is no cache folder. Set LOKI_CACHE_DIR.")
    return WritableFolder(sources.cache_folder)
