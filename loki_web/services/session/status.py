"""The status of the session, for `/api/status` and the live feed."""

from typing import NotRequired, TypedDict

from loki_web.services import tasks
from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.cost import efficiency
from loki_web.services.redaction import redact
from loki_web.services.session import state
from loki_web.services.session.liveness import get_liveness
from loki_web.store.derived import derived
from loki_web.store.times import isoformat

_DOCUMENTS = (
    *(f"queue/{name}.json" for name in tasks.QUEUES),
    *("dashboard-state.json", "session.json", "pricing.json", "context/tracking.json"),
    *("metrics/budget.json", "council/state.json", "notifications/active.json"),
    *("state/agents.json", "memory/index.json", "memory/timeline.json"),
)


class LiveSessionDict(TypedDict):
    """A live session; the pid is None if its process cannot be seen from here."""

    session_id: str
    pid: int | None


class StatusDict(TypedDict):
    """The answer of `/api/status`. Times are in seconds."""

    status: str
    version: str
    uptime_seconds: float
    active_sessions: int
    running_agents: int
    pending_tasks: int
    database_connected: bool
    phase: str
    iteration: int
    complexity: str
    mode: str
    provider: str
    current_task: str
    project: NotRequired[str]
    project_path: NotRequired[str]
    is_server_project: NotRequired[bool]
    session_uptime_seconds: NotRequired[float]
    pid: NotRequired[int | None]
    timestamp: NotRequired[str]
    too_large_files: NotRequired[list[str]]
    liveness: NotRequired[str]
    stale: NotRequired[bool]
    sessions: NotRequired[list[LiveSessionDict]]


class LiveDict(TypedDict):
    """The answer of `/health/live`."""

    status: str


class HealthDict(TypedDict):
    """The answer of `/health`."""

    status: str
    service: str


def get_health() -> HealthDict:
    """Return that the server answers; nothing is examined."""
    return {"status": "healthy", "service": "loki-dashboard"}


def get_live() -> LiveDict:
    """Return that the process answers."""
    return {"status": "live"}


def get_status(sources: Sources) -> StatusDict:
    """Return the documented status, and the fields that clients of the old server read.

    `uptime_seconds` is the server's, `session_uptime_seconds` the session's.
    """
    now, liveness = sources.now(), get_liveness(sources)
    return {
        "status": state.get_status_word(sources),
        "project": state.get_project_name(sources),
        "project_path": str(state.get_project_path(sources)),
        "is_server_project": sources.project.path == sources.settings.loki_dir,
        "version": state.get_version(sources),
        "uptime_seconds": round(max(0.0, now.timestamp() - sources.started_at), 3),
        "active_sessions": len(liveness.sessions),
        "running_agents": records.count_running(sources),
        "pending_tasks": tasks.count_tasks(sources)[tasks.PENDING],
        "database_connected": not sources.project.is_gone(),
        "phase": state.get_phase(sources),
        "iteration": state.get_iteration(sources),
        "complexity": state.get_complexity(sources),
        "mode": state.get_mode(sources),
        "provider": state.get_provider(sources),
        "current_task": tasks.get_current_task(sources),
        "session_uptime_seconds": round(state.get_uptime_seconds(sources), 3),
        "pid": liveness.pid,
        "too_large_files": _list_too_large(sources),
        "liveness": liveness.known_by,
        "stale": liveness.is_stale,
        "sessions": [
            {"session_id": redact(session), "pid": pid} for session, pid in liveness.sessions
        ],
        "timestamp": isoformat(now),
    }


@derived
def count_unusable(sources: Sources) -> int:
    """Return how many documents and records of iterations are damaged or too large."""
    documents = (
        name
        for name in _DOCUMENTS
        if sources.project.version(name) and not sources.project.has_document(name)
    )
    return sum(1 for _ in documents) + efficiency.get_collection(sources).count_unusable()


@derived
def _list_too_large(sources: Sources) -> list[str]:
    """Return the documents that are not read, and so count as empty, because of their size."""
    return [name for name in _DOCUMENTS if sources.project.is_too_large(name)]
