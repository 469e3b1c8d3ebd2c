"""The processes of a session: runner, server, agents and helpers (docs/files.md, section 5)."""

from datetime import datetime

from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.services.session import liveness, processes, state
from loki_web.store.coerce import Json, as_dict, first_text
from loki_web.store.times import isoformat, parse_time, tidy_time

_SERVER_PID_FILE = "dashboard/dashboard.pid"
_ALIVE, _DEAD = "alive", "dead"


def get_processes(sources: Sources) -> Json:
    """Return the expected processes, and for each whether it is alive and how that is known."""
    now = sources.now()
    found = liveness.get_liveness(sources)
    return {
        "main_process": _get_main_process(sources, found),
        "dashboard": _get_server(sources),
        "agents": [
            _describe_agent(agent, now) for agent in records.list_agents(sources) if agent.pid
        ],
        "session": {
            "status": state.get_status_word(sources),
            "alive": found.alive,
            "liveness": found.known_by,
            "stale": found.is_stale,
        },
        "registered_processes": _list_helpers(sources),
        "watchdog_enabled": sources.settings.watchdog,
        "checked_at": isoformat(now),
    }


def _get_main_process(sources: Sources, found: liveness.Liveness) -> Json:
    """Return the live runner, else the pid in a pid file that a dead one left behind.

    A runner that this server cannot see is alive while its heartbeat is; its pid is another one's
    here.
    """
    recorded = (liveness.read_pid_file(sources, name) for name in liveness.PID_FILES)
    pid = found.pid or next((pid for pid in recorded if pid), None)
    is_unseen = found.alive and found.pid is None and pid is not None
    return {"pid": pid, "alive": found.pid is not None or is_unseen, "liveness": found.known_by}


def _get_server(sources: Sources) -> Json:
    pid = liveness.read_pid_file(sources, _SERVER_PID_FILE)
    record = liveness.make_record(sources, _SERVER_PID_FILE, pid)
    alive = record is None or liveness.is_live(liveness.judge(sources, record))
    return {"pid": pid or processes.get_server_pid(), "alive": alive, "liveness": liveness.PROCESS}


def _describe_agent(agent: records.Agent, now: datetime) -> Json:
    """:return: `state` is that of the process, `status` that of the agent by its record."""
    heartbeat = parse_time(agent.entry.get("heartbeat"))
    age = max(0.0, (now - heartbeat).total_seconds()) if heartbeat else None
    return {
        "pid": agent.pid,
        "status": agent.status,
        "id": redact(agent.identity),
        "state": _ALIVE if agent.alive else _DEAD,
        "liveness": agent.known_by,
        "heartbeat_age_seconds": age if age is None else round(age, 3),
    }


def _list_helpers(sources: Sources) -> list[Json]:
    """Return the helper processes in `pids/`; files whose name is not a pid are skipped."""
    helpers = []
    for name, content in sources.project.collection("pids").items():
        pid, entry = processes.parse_pid(name.removesuffix(".json")), as_dict(content)
        started = parse_time(entry.get("started"))
        record = liveness.make_record(sources, f"pids/{name}", pid, started)
        if record is None or not entry:
            continue
        helpers.append(
            {
                "pid": pid,
                "label": redact(first_text(entry.get("label"))),
                "started": tidy_time(entry.get("started")) or None,
                "parent_pid": processes.parse_pid(entry.get("ppid")),
                "extra": redact(first_text(entry.get("extra"))),
                "alive": liveness.is_live(liveness.judge(sources, record)),
                "liveness": liveness.PROCESS,
            }
        )
    return helpers
