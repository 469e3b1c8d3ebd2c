"""The status of the session, for `/api/status` and the live feed."""

from loki_web.services import tasks
from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.services.session import state
from loki_web.services.session.liveness import get_liveness
from loki_web.store.coerce import Json, first_text
from loki_web.store.times import isoformat


def get_status(sources: Sources) -> Json:
    """Return the documented status, and the fields that clients of the old server read.

    `uptime_seconds` is the server's, `session_uptime_seconds` the session's.
    """
    now, liveness = sources.now(), get_liveness(sources)
    return {
        "status": state.get_status_word(sources),
        "version": state.get_version(sources),
        "uptime_seconds": round(max(0.0, now.timestamp() - sources.started_at), 3),
        "active_sessions": len(liveness.sessions),
        "running_agents": records.count_running(sources),
        "pending_tasks": tasks.count_tasks(sources)[tasks.PENDING],
        "database_connected": not sources.project.is_gone(),
        "phase": state.get_phase(sources),
        "iteration": state.get_iteration(sources),
        "complexity": state.get_complexity(sources),
        "mode": redact(first_text(state.get_dashboard_state(sources).get("mode")))
        if liveness.alive
        else "",
        "provider": state.get_provider(sources),
        "current_task": tasks.get_current_task(sources),
        "session_uptime_seconds": round(state.get_uptime_seconds(sources), 3),
        "pid": liveness.pid,
        "liveness": liveness.known_by,
        "stale": liveness.is_stale,
        "sessions": [
            {"session_id": redact(session), "pid": pid} for session, pid in liveness.sessions
        ],
        "timestamp": isoformat(now),
    }
