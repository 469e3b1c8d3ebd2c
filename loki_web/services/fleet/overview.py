"""List all projects with what their sessions are doing, and those that newer runners ask for."""

import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NotRequired, TypedDict

from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.cost.budget import compute_budget
from loki_web.services.cost.usage import get_spend
from loki_web.services.fleet import selection
from loki_web.services.fleet.selection import KnownProject, Watched
from loki_web.services.notifications.notifications import count_unacknowledged
from loki_web.services.redaction import redact
from loki_web.services.registry import discovery
from loki_web.services.session import liveness, state
from loki_web.store.times import isoformat

MISSING = "missing"
_MOST_RUNNING = 50  # entries of running-projects
_SEARCH_SECONDS = 300.0  # between two searches for projects that are not registered


class _StateDict(TypedDict):
    """The state of a project's session. Amounts are USD; times are in ISO 8601.

    :ivar liveness: what tells whether it is alive, see `session.liveness`.
    :ivar machine: where its files are, if several machines are one.
    """

    status: str
    phase: str
    iteration: int
    cost_usd: float
    budget_limit: float | None
    budget_remaining: float | None
    budget_exceeded: bool
    open_alerts: int
    running_agents: int
    last_change: str | None
    liveness: NotRequired[str]
    machine: NotRequired[str]


class FleetProjectDict(_StateDict):
    """A project and the state of its session.

    :ivar id: None if it is not registered.
    :ivar is_server_project: whether it is the one that the server was started for.
    :ivar is_shown: whether it is the one that is shown where a request names none.
    """

    id: str | None
    name: str
    alias: str | None
    path: str
    registered: bool
    is_server_project: bool
    is_shown: bool


class FleetDict(TypedDict):
    """All projects, running ones first, then those that changed last."""

    projects: list[FleetProjectDict]
    total: int
    running: int
    total_cost_usd: float


class RunningProjectDict(TypedDict):
    """A registered project, as newer runners ask for it."""

    id: str
    name: str
    path: str
    port: int | None
    status: str
    running: bool
    is_active: bool


class RunningProjectsDict(TypedDict):
    """Registered projects, and the one in focus."""

    projects: list[RunningProjectDict]
    active_project_dir: str | None


def get_fleet(sources: Sources) -> FleetDict:
    """Return all registered and discovered projects, and the one of this server.

    The cost of a call does not grow with the histories of the projects: of each one a summary is
    kept until its files change.
    """
    return sum_up([each for _, each in _list_all(sources)])


def sum_up(projects: Iterable[FleetProjectDict]) -> FleetDict:
    """Return projects in the order of the fleet, with their sums."""
    projects = sort_projects(projects)
    return {
        "projects": projects,
        "total": len(projects),
        "running": sum(_is_running(each["status"]) for each in projects),
        "total_cost_usd": round(sum(each["cost_usd"] for each in projects), 6),
    }


def sort_projects(projects: Iterable[FleetProjectDict]) -> list[FleetProjectDict]:
    """Return running projects first, then those that changed last."""
    return sorted(projects, key=_get_rank, reverse=True)


def _get_rank(project: FleetProjectDict) -> tuple[bool, str]:
    return _is_running(project["status"]), project["last_change"] or ""


def _list_all(sources: Sources) -> list[tuple[KnownProject, FleetProjectDict]]:
    """Return the projects with their descriptions, running ones first."""
    projects = [*selection.list_known(sources)]
    roots = {project.real for project in projects}
    search = _get_search(sources.unlimited)
    others = [root for root in search.get_roots() if root not in roots and sources.allows(root)]
    projects += [
        KnownProject(None, redact(root.name), str(root), root, root, ()) for root in others
    ]
    shown = selection.find_shown(sources)
    watched: Watched = sources.values.get(Watched, lambda _: Watched(sources, _read_state))
    states: list[_StateDict] = watched.observe(projects)
    own = selection.get_root(sources)
    pairs = [
        (project, _describe(project, session_state, own, shown))
        for project, session_state in zip(projects, states, strict=True)
    ]
    pairs.sort(key=lambda pair: _get_rank(pair[1]), reverse=True)
    return pairs


def list_by_activity(sources: Sources) -> list[KnownProject]:
    """Return the projects that can be named, running ones first, then those that changed last."""
    own = selection.get_root(sources)
    return [
        project
        for project, _ in _list_all(sources)
        if project.id is not None or project.root == own
    ]


def list_running(sources: Sources) -> RunningProjectsDict:
    """Return the registered projects whose folder exists, running ones first; at most 50."""
    focus = selection.get_focus(sources)["project_dir"]
    projects: list[RunningProjectDict] = [
        {
            "id": each["id"],
            "name": each["name"],
            "path": each["path"],
            "port": project.port,
            "status": each["status"],
            "running": _is_running(each["status"]),
            "is_active": str(project.root) == focus,
        }
        for project, each in _list_all(sources)
        if each["id"] is not None
    ]
    pinned = [each for each in projects if _is_pinned(each)]
    others = [each for each in projects if not _is_pinned(each) and each["status"] != MISSING]
    room = max(0, _MOST_RUNNING - len(pinned))
    return {"projects": pinned + others[:room], "active_project_dir": focus}


def _describe(
    project: KnownProject, session_state: _StateDict, own: Path, shown: Path | None
) -> FleetProjectDict:
    return {
        "id": project.id,
        "name": project.name,
        "alias": project.alias,
        "path": project.path,
        "registered": project.id is not None,
        "is_server_project": project.root == own,
        "is_shown": project.root == shown,
        **session_state,
    }


def _is_pinned(project: RunningProjectDict) -> bool:
    return project["running"] or project["is_active"]


def _is_running(status: str) -> bool:
    return status not in (state.STOPPED, MISSING)


def _read_state(sources: Sources) -> _StateDict:
    """Return what the session of a project is doing; nothing in it depends on the clock."""
    spent = get_spend(sources).cost_usd
    budget = compute_budget(sources, spent)
    is_missing = not sources.project.is_folder("")
    beat = liveness.get_beat(sources)
    changed = datetime.fromtimestamp(beat, UTC) if beat else None
    return {
        "status": MISSING if is_missing else state.get_status_word(sources),
        "phase": state.get_phase(sources),
        "iteration": state.get_iteration(sources),
        "cost_usd": spent,
        "budget_limit": budget.limit,
        "budget_remaining": budget.remaining,
        "budget_exceeded": budget.exceeded,
        "open_alerts": count_unacknowledged(sources),
        "running_agents": records.count_running(sources),
        "last_change": isoformat(changed) if changed else None,
        "liveness": liveness.get_liveness(sources).known_by,
    }


class _Search:
    """The projects that are found in the usual source folders, by a thread of its own."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._roots: list[Path] = []
        self._due = 0.0
        self._lock = threading.Lock()

    def get_roots(self) -> list[Path]:
        """Return what the last search has found, and start another one if that is long ago."""
        with self._lock:
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + _SEARCH_SECONDS
                threading.Thread(target=self._search, name="fleet-search", daemon=True).start()
        return self._roots

    def _search(self) -> None:
        self._roots = discovery.find_roots(self._sources)


def _get_search(sources: Sources) -> _Search:
    search: _Search = sources.values.get(_Search, lambda _: _Search(sources))
    return search
