"""Ending, pausing and resuming one agent."""

from datetime import datetime
from typing import Any

from loki_web.errors import NotFound
from loki_web.services.agents import records
from loki_web.services.agents.records import AGENTS_FILE, Agent
from loki_web.services.context import Sources
from loki_web.services.ids import check_id
from loki_web.services.session import processes, signal_files, state
from loki_web.store.coerce import Json
from loki_web.store.folder import Folder


def kill_agent(src: Sources, agent_id: str) -> Json:
    """Send SIGTERM to the agent's own process and write down that it was ended.

    An id that several records share means all of them. Nothing is written when nothing was
    signalled, and the answer then says so.

    :raises NotFound: when no record has the id, or none of them a process of its own.
    """
    folder, now = src.project, src.now()
    addressed = _known(folder, agent_id, now)
    if not any(agent.pid for agent in addressed):
        raise NotFound(f"Agent {agent_id} has no process of its own")
    signalled = (
        _kill_recorded(folder, agent_id, now)
        if records.get_listed_entries(folder.document(AGENTS_FILE))
        else _signal(folder, addressed, now, "dashboard-state.json")
    )
    if not signalled:
        return {
            "success": False,
            "message": f"Agent {agent_id} was not signalled: its process has ended or is "
            "not certainly the one that was recorded",
        }
    return {"success": True, "message": f"Agent {agent_id} terminated"}


def pause_agent(src: Sources, agent_id: str) -> Json:
    """Leave the pause signal of an agent.

    :raises NotFound: when no record has the id; then nothing is written.
    """
    now = src.now()
    _known(src.project, agent_id, now)
    signal_files.write_signal_file(src.project, records.get_pause_marker(agent_id), now)
    return {"success": True, "message": f"Pause signal sent to agent {agent_id}"}


def resume_agent(src: Sources, agent_id: str) -> Json:
    """Remove every pause signal that concerns an agent.

    A signal can outlive its agent's record, which the runner clears, so a signal is enough.

    :raises NotFound: when there is neither a record of the id nor a signal.
    """
    marker = records.get_pause_marker(check_id(agent_id, "agent_id"))
    names = {marker}
    if not src.project.exists(marker):
        for agent in _known(src.project, agent_id, src.now()):
            names.update(agent.marker_names())
    for name in sorted(names):
        src.project.remove(name)
    return {"success": True, "message": f"Resume signal sent to agent {agent_id}"}


def _known(folder: Folder, agent_id: str, now: datetime) -> list[Agent]:
    check_id(agent_id, "agent_id")
    found = records.find_agents(records.list_agents(folder, now), agent_id)
    if not found:
        raise NotFound(f"Agent {agent_id} not found")
    return found


def _kill_recorded(folder: Folder, agent_id: str, now: datetime) -> bool:
    """Signal and write under one lock, by the latest content of the list."""
    with folder.locked(AGENTS_FILE):
        content = folder.document_for_update(AGENTS_FILE)
        known = records.identify_agents(records.get_listed_entries(content), session_lives=True)
        signalled = _signal(folder, records.find_agents(known, agent_id), now, AGENTS_FILE)
        if signalled:
            folder.write_json(AGENTS_FILE, _with_ended(content, signalled))
    return bool(signalled)


def _signal(folder: Folder, addressed: list[Agent], now: datetime, source: str) -> list[Agent]:
    """Those whose process was certainly the recorded one and got the signal."""
    written = folder.version(source)
    if written is None:
        return []
    runner = state.get_liveness(folder, now).pid
    return [
        agent
        for agent in addressed
        if agent.pid != runner
        and processes.terminate(
            agent.pid,
            written_at=written.mtime,
            recorded_start=agent.started.timestamp() if agent.started else None,
        )
    ]


def _with_ended(content: Any, ended: list[Agent]) -> Any:
    """The list in its own form, with the status of these agents changed and nothing else."""
    if isinstance(content, dict):
        return {**content, "agents": _with_ended(content["agents"], ended)}
    return [
        {**entry, "status": "terminated"} if any(entry is agent.entry for agent in ended) else entry
        for entry in content
    ]
