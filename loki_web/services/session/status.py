"""What `/api/status` says, put together from the services that know."""

from loki_web.services import tasks
from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.services.session import state
from loki_web.store.coerce import Json, first_text
from loki_web.store.times import isoformat


def status(src: Sources) -> Json:
    """The documented status and, beyond it, what clients of the old server look for."""
    project, now = src.project, src.now()
    alive = state.liveness(project, now)
    return {
        "status": state.status_word(project, now),
        "version": state.version(src),
        "uptime_seconds": round(max(0.0, now.timestamp() - src.started_at), 3),
        "active_sessions": int(alive.alive),
        "running_agents": records.running_count(project, now),
        "pending_tasks": tasks.counts(project)[tasks.PENDING],
        "database_connected": True,
        "phase": state.phase(project),
        "iteration": state.iteration(project),
        "complexity": state.complexity(project),
        "mode": redact(first_text(state.state(project).get("mode"))) if alive.alive else "",
        "provider": state.provider(project),
        "current_task": tasks.current_task(project),
        "session_uptime_seconds": round(state.session_uptime_seconds(project, now), 3),
        "pid": alive.pid,
        "timestamp": isoformat(now),
    }
