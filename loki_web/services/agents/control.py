"""End, pause and resume one agent (docs/files.md, sections 5.1 and 13)."""

from typing import Any

from loki_web.errors import NotFound
from loki_web.services.agents import records
from loki_web.services.agents.records import AGENTS_FILE, Agent
from loki_web.services.context import Sources, WritableSources
from loki_web.services.ids import check_id
from loki_web.services.session import processes, signal_files, state
from loki_web.services.types import SuccessDict


def kill_agent(sources: WritableSources, agent_id: str) -> SuccessDict:
    """Send SIGTERM to the agent's own process and record the status `terminated`.

    An id that several records share addresses all of them.

    :return: `success` is False when no signal was sent; the record then stays as it is.
    :raises NotFound: when no record has the id, or no record with the id has its own process.
    """
    addressed = _find_known(sources, agent_id)
    if not any(agent.pid for agent in addressed):
        raise NotFound(f"Agent {agent_id} has no process of its own")
    signalled = (
        _terminate_recorded(sources, agent_id)
        if records.get_listed_entries(sources.project.document(AGENTS_FILE))
        else _terminate(sources, addressed, "dashboard-state.json")
    )
    if not signalled:
        return {
            "success": False,
            "message": f"Agent {agent_id} was not signalled: its process has ended or is "
            "not certainly the one that was recorded",
        }
    return {"success": True, "message": f"Agent {agent_id} terminated"}


def pause_agent(sources: WritableSources, agent_id: str) -> SuccessDict:
    """Write the pause signal of an agent.

    :raises NotFound: when no record has the id.
    """
    _find_known(sources, agent_id)
    signal_files.write_signal_file(sources, records.get_pause_marker(agent_id))
    return {"success": True, "message": f"Pause signal sent to agent {agent_id}"}


def resume_agent(sources: WritableSources, agent_id: str) -> SuccessDict:
    """Remove every pause signal of an agent.

    The runner clears the records, so a signal without a record is enough.

    :raises NotFound: when neither a record nor a signal has the id.
    """
    signal = records.get_pause_marker(check_id(agent_id, "agent_id"))
    names = {signal}
    if not sources.project.exists(signal):
        for agent in _find_known(sources, agent_id):
            names.update(agent.list_pause_markers())
    for name in sorted(names):
        sources.project.remove(name)
    return {"success": True, "message": f"Resume signal sent to agent {agent_id}"}


def _find_known(sources: Sources, agent_id: str) -> list[Agent]:
    check_id(agent_id, "agent_id")
    agents = records.find_agents(records.list_agents(sources), agent_id)
    if not agents:
        raise NotFound(f"Agent {agent_id} not found")
    return agents


def _terminate_recorded(sources: WritableSources, agent_id: str) -> bool:
    """Signal and write under one lock, based on the latest content of the list."""
    with sources.project.locked(AGENTS_FILE):
        content = sources.project.document_for_update(AGENTS_FILE)
        agents = records.identify_agents(records.get_listed_entries(content), session_lives=True)
        signalled = _terminate(sources, records.find_agents(agents, agent_id), AGENTS_FILE)
        if signalled:
            sources.project.write_json(AGENTS_FILE, _mark_terminated(content, signalled))
    return bool(signalled)


def _terminate(sources: Sources, addressed: list[Agent], source: str) -> list[Agent]:
    """Send SIGTERM to agents whose process is certainly the recorded one; return these agents."""
    version = sources.project.version(source)
    if version is None:
        return []
    runner = state.get_liveness(sources).pid
    return [
        agent
        for agent in addressed
        if agent.pid != runner
        and processes.terminate(
            agent.pid,
            written_at=version.mtime,
            recorded_start=agent.started.timestamp() if agent.started else None,
        )
    ]


def _mark_terminated(content: Any, ended: list[Agent]) -> Any:
    """Return the list in its form on disk, changing only the status of these agents."""
    if isinstance(content, dict):
        return {**content, "agents": _mark_terminated(content["agents"], ended)}
    return [
        {**entry, "status": "terminated"} if any(entry is agent.entry for agent in ended) else entry
        for entry in content
    ]
