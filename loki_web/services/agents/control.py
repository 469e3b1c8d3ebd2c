"""End, pause and resume one agent (docs/files.md, sections 5.1 and 13)."""

from typing import Any, NotRequired

from loki_web.errors import NotFound, StorageError
from loki_web.services.agents import records
from loki_web.services.agents.records import AGENTS_FILE, Agent
from loki_web.services.context import Sources, WritableSources
from loki_web.services.ids import check_id
from loki_web.services.session import liveness, signal_files, state
from loki_web.services.types import SuccessDict
from loki_web.store.coerce import entries_by_id
from loki_web.store.process import ancestors


class KilledDict(SuccessDict):
    """The answer to a kill.

    :ivar recorded: False if the list could not be written.
    :ivar liveness: if no signal was sent, what tells whether the agent is alive.
    """

    recorded: NotRequired[bool]
    liveness: NotRequired[str]


def kill_agent(sources: WritableSources, agent_id: str) -> KilledDict:
    """Send SIGTERM to the agent's own process and record the status `terminated`.

    An id that several records share addresses all of them. The signal is sent even if the list
    cannot be written.

    :return: `success` is False when no signal was sent; the record then stays as it is.
    :raises NotFound: when no record has the id, or no record with the id has its own process.
    """
    addressed = _find_known(sources, agent_id)
    if not any(agent.pid for agent in addressed):
        raise NotFound(f"Agent {agent_id} has no process of its own")
    if records.get_listed_entries(sources.project.document(AGENTS_FILE)):
        signalled, reasons, is_recorded = _terminate_recorded(sources, agent_id, addressed)
    else:
        signalled, reasons = _terminate(sources, addressed, state.DASHBOARD_FILE)
        is_recorded = False
    if not signalled:
        return {
            "success": False,
            "message": f"Agent {agent_id} was not signalled: {'; '.join(reasons)}",
            "liveness": addressed[0].known_by,
        }
    answer: KilledDict = {"success": True, "message": f"Agent {agent_id} terminated"}
    if not is_recorded:
        answer["recorded"] = False
    return answer


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


def _terminate_recorded(
    sources: WritableSources, agent_id: str, addressed: list[Agent]
) -> tuple[list[Agent], list[str], bool]:
    """Signal and write under one lock, based on the latest content of the list.

    Without the lock, the agents that were addressed by the request are signalled.

    :return: the agents that were signalled, why others were not, and whether the list was written.
    """
    signalled: list[Agent] | None = None
    reasons: list[str] = []
    try:
        with sources.project.locked(AGENTS_FILE):
            content = sources.project.document_for_update(AGENTS_FILE)
            agents = records.identify_agents(records.get_listed_entries(content))
            latest = records.find_agents(agents, agent_id)
            signalled, reasons = _terminate(sources, latest, AGENTS_FILE)
            if signalled:
                sources.project.write_json(AGENTS_FILE, _mark_terminated(content, signalled))
    except StorageError:
        if signalled is None:
            signalled, reasons = _terminate(sources, addressed, AGENTS_FILE)
        return signalled, reasons, False
    return signalled, reasons, True


def _terminate(
    sources: Sources, addressed: list[Agent], file: str
) -> tuple[list[Agent], list[str]]:
    """Send SIGTERM to agents whose process is proven to be the recorded one.

    :return: the agents that were signalled, and why others were not.
    """
    signalled: list[Agent] = []
    reasons: list[str] = []
    version = sources.project.version(file)
    sessions = {record.pid for record in liveness.list_records(sources)}
    spared = sessions.union(*map(ancestors, sessions))
    for agent in addressed:
        record = agent.recorded(file, version.mtime) if version else None
        if record is None:
            continue
        if record.pid in spared:
            reason: str | None = f"process {record.pid} is that of the session"
        else:
            reason = liveness.terminate(sources, record, sessions)
        if reason is None:
            signalled.append(agent)
        else:
            reasons.append(reason)
    return signalled, reasons or ["it has no process of its own any more"]


def _mark_terminated(content: Any, ended: list[Agent]) -> Any:
    """Return the list in its form on disk, changing only the status of these agents."""
    if isinstance(content, list):
        return [_mark(entry, entry, ended) for entry in content]
    if "agents" in content:
        return {**content, "agents": _mark_terminated(content["agents"], ended)}
    if records.get_listed_entries(content) == [content]:
        return _mark(content, content, ended)
    marked = {key: _mark(content[key], entry, ended) for key, entry in entries_by_id(content)}
    return {**content, **marked}


def _mark(record: Any, entry: Any, ended: list[Agent]) -> Any:
    """Return a record as it is on disk, marked if its entry is that of one of these agents."""
    has_ended = any(entry == agent.entry for agent in ended)
    return {**record, "status": "terminated"} if has_ended else record
