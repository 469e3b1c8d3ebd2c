"""The processes of a session: runner, server, agents and helpers (docs/files.md, section 5)."""

from datetime import datetime
from typing import NotRequired, TypedDict

from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.services.session import liveness, processes, state
from loki_web.store.coerce import first_text
from loki_web.store.times import isoformat, parse_time, tidy_time

_SERVER_PID_FILE = "dashboard/dashboard.pid"
_ALIVE, _DEAD = "alive", "dead"


class ProcessDict(TypedDict):
    """A process; the pid is None if no file names one."""

    pid: int | None
    alive: bool
    liveness: NotRequired[str]


class AgentProcessDict(TypedDict):
    """An agent with a process of its own.

    :ivar status: that of the agent by its record.
    :ivar state: `alive` or `dead`, that of its process.
    """

    pid: int
    status: str
    id: NotRequired[str]
    state: NotRequired[str]
    liveness: NotRequired[str]
    heartbeat_age_seconds: NotRequired[float | None]


class LifeDict(TypedDict):
    """The status of the session, and whether it is alive."""

    status: str
    alive: bool
    liveness: NotRequired[str]
    stale: NotRequired[bool]


class HelperDict(TypedDict):
    """A helper process that the runner registered."""

    pid: int
    label: str
    started: str | None
    parent_pid: int | None
    extra: str
    alive: bool
    liveness: NotRequired[str]


class ProcessesDict(TypedDict):
    """The processes of the session."""

    main_process: ProcessDict
    dashboard: ProcessDict
    agents: list[AgentProcessDict]
    session: NotRequired[LifeDict]
    registered_processes: NotRequired[list[HelperDict]]
    watchdog_enabled: NotRequired[bool]
    checked_at: NotRequired[str]


def get_processes(sources: Sources) -> ProcessesDict:
    """Return the expected processes, and for each whether it is alive and how that is known."""
    now = sources.now()
    session = liveness.get_liveness(sources)
    return {
        "main_process": _get_main_process(sources, session),
        "dashboard": _get_server(sources),
        "agents": [
            _describe_agent(agent, agent.pid, now)
            for agent in records.list_agents(sources)
            if agent.pid
        ],
        "session": {
            "status": state.get_status_word(sources),
            "alive": session.alive,
            "liveness": session.known_by,
            "stale": session.is_stale,
        },
        "registered_processes": _list_helpers(sources),
        "watchdog_enabled": sources.settings.watchdog,
        "checked_at": isoformat(now),
    }


def _get_main_process(sources: Sources, session: liveness.Liveness) -> ProcessDict:
    """Return the live runner, else the pid in a pid file that a dead one left behind.

    A runner that this server cannot see is alive while its heartbeat is; its pid is another one's
    here.
    """
    files = {name: liveness.read_pid_file(sources, name) for name in liveness.PID_FILES}
    name, pid = next(((name, pid) for name, pid in files.items() if pid), (None, None))
    record = liveness.make_record(sources, name, pid) if name else None
    is_unseen = session.alive and record and _may_be_unseen(sources, record)
    alive = session.pid is not None or bool(is_unseen)
    return {"pid": session.pid or pid, "alive": alive, "liveness": session.known_by}


def _may_be_unseen(sources: Sources, record: liveness.Record) -> bool:
    return liveness.may_run_elsewhere(sources, record, liveness.judge(sources, record))


def _get_server(sources: Sources) -> ProcessDict:
    pid = liveness.read_pid_file(sources, _SERVER_PID_FILE)
    record = liveness.make_record(sources, _SERVER_PID_FILE, pid)
    alive = record is None or liveness.is_live(liveness.judge(sources, record))
    return {"pid": pid or processes.get_server_pid(), "alive": alive, "liveness": liveness.PROCESS}


def _describe_agent(agent: records.Agent, pid: int, now: datetime) -> AgentProcessDict:
    heartbeat = parse_time(agent.entry.get("heartbeat"))
    age = max(0.0, (now - heartbeat).total_seconds()) if heartbeat else None
    return {
        "pid": pid,
        "status": agent.status,
        "id": redact(agent.identity),
        "state": _ALIVE if agent.alive else _DEAD,
        "liveness": agent.known_by,
        "heartbeat_age_seconds": age if age is None else round(age, 3),
    }


def _list_helpers(sources: Sources) -> list[HelperDict]:
    """Return the helper processes in `pids/`."""
    return [
        {
            "pid": record.pid,
            "label": redact(first_text(entry.get("label"))),
            "started": tidy_time(entry.get("started")) or None,
            "parent_pid": processes.parse_pid(entry.get("ppid")),
            "extra": redact(first_text(entry.get("extra"))),
            "alive": liveness.is_live(liveness.judge(sources, record)),
            "liveness": liveness.PROCESS,
        }
        for record, entry in liveness.list_registered(sources, least=2)
        if entry
    ]
