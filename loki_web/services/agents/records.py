"""The agents in `state/agents.json` or in the state file (docs/files.md, section 5.1)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from loki_web.services.context import Sources
from loki_web.services.ids import Identities, is_identifier
from loki_web.services.redaction import redact
from loki_web.services.session import liveness, processes, state
from loki_web.services.session.liveness import KnownBy, Record
from loki_web.store.coerce import Json, as_count, entries_in, first_text
from loki_web.store.derived import derived, refreshed
from loki_web.store.times import parse_time, tidy_time

AGENTS_FILE = "state/agents.json"
ACTIVE_WORDS = frozenset({"active", "running"})
_START_KEYS = ("spawned_at", "started", "started_at", "startedAt")
_SUFFIX_LENGTH = 6
_SIGNALS = "signals"


class AgentDict(TypedDict):
    """An agent. Texts are redacted; times are in ISO 8601, None if unknown."""

    id: str
    type: str
    status: str
    task: str
    pid: int | None
    alive: bool
    liveness: NotRequired[str]
    raw_status: NotRequired[str]
    name: NotRequired[str]
    model: NotRequired[str]
    tool_id: NotRequired[str]
    tool_count: NotRequired[int]
    pause_requested: NotRequired[bool]
    started_at: NotRequired[str | None]
    heartbeat: NotRequired[str | None]
    completed_at: NotRequired[str | None]


@dataclass(frozen=True)
class Agent:
    """One agent record.

    :param identity: unique among the agents of one list.
    :param written_id: the id in the record; several records may share it.
    :param pid: the agent's own process; None for most agents, which run inside the AI program.
    :param known_by: what tells whether it is alive, see `liveness`.
    """

    identity: str
    written_id: str
    entry: Json
    pid: int | None
    alive: bool = False
    known_by: KnownBy = liveness.UNKNOWN

    @property
    def word(self) -> str:
        """The status as it is in the record."""
        return first_text(self.entry.get("status"), default="unknown").strip()

    @property
    def status(self) -> str:
        """The status in lower case; `active` becomes `running`."""
        word = self.word.lower()
        return "running" if word in ACTIVE_WORDS else word

    @property
    def started(self) -> datetime | None:
        """Return when the agent started; None if that is unknown."""
        moments = (parse_time(self.entry.get(key)) for key in _START_KEYS)
        return next((moment for moment in moments if moment), None)

    def recorded(self, file: str, written_at: float) -> Record | None:
        """Return the record of its process in a list; None if it has no process of its own."""
        if not self.pid:
            return None
        started = self.started
        timestamp = started.timestamp() if started else None
        return Record(self.identity, file, self.pid, written_at, timestamp)

    def list_pause_markers(self) -> list[str]:
        """Return the pause signals of this agent, relative to `.loki/`."""
        ids = {self.identity, self.written_id}
        return [get_pause_marker(identity) for identity in sorted(ids) if is_identifier(identity)]


def get_pause_marker(identity: str) -> str:
    """Return the path of the signal file that tells an agent to pause."""
    return f"{_SIGNALS}/PAUSE_AGENT_{identity}"


def list_agents(sources: Sources) -> list[Agent]:
    """Return all agents in the order of the file.

    The list in the state file is a copy: it is used only if it was written after an empty
    `state/agents.json`, or if there is none.
    """
    session = liveness.get_liveness(sources)
    return _read_agents(sources, session.alive, session.known_by)


@derived
def _read_agents(sources: Sources, session_lives: bool, known_by: KnownBy) -> list[Agent]:
    file, entries = AGENTS_FILE, get_listed_entries(sources.project.document(AGENTS_FILE))
    if not entries and not sources.project.is_newer(AGENTS_FILE, state.DASHBOARD_FILE):
        file = state.DASHBOARD_FILE
        entries = get_listed_entries(state.read_dashboard_state(sources, "agents"))
    version = sources.project.version(file)
    written_at = version.mtime if version else 0.0
    agents = []
    for agent in identify_agents(entries):
        record, is_active = agent.recorded(file, written_at), agent.status == "running"
        is_comparable = record is None or not (session_lives and known_by == liveness.HEARTBEAT)
        if record and liveness.is_live(verdict := liveness.judge(sources, record)):
            agents.append(replace(agent, alive=True, known_by=liveness.PROCESS))
        elif record and (is_comparable or verdict == "ended"):
            agents.append(replace(agent, known_by=liveness.PROCESS))
        else:
            agents.append(replace(agent, alive=session_lives and is_active, known_by=known_by))
    return agents


def get_listed_entries(value: Any) -> list[Json]:
    """Return the records of an agent list or map by id, which is bare or under `agents`."""
    return entries_in(value, "agents", ("id", "agent_id", "name", "status"))


def identify_agents(entries: list[Json]) -> list[Agent]:
    """Return the records as agents with unique ids, without looking at their processes.

    The CLI shortens tool call ids to agent ids, so several records may share one. Each of these
    gets a suffix that does not change when the others are removed.
    """
    identities = Identities("agent")
    written_ids = [
        identities.assign(_get_written_id(entry), _get_type(entry), _get_task(entry))
        for entry in entries
    ]
    counts = Counter(written_ids)
    ids: set[str] = set()
    agents = []
    for entry, identity in zip(entries, written_ids, strict=True):
        suffix = _get_suffix(entry) if counts[identity] > 1 else ""
        unique = _make_unique(ids, f"{identity}-{suffix}" if suffix else identity)
        ids.add(unique)
        agents.append(Agent(unique, identity, entry, processes.parse_pid(entry.get("pid"))))
    return agents


def find_agents(agents: Iterable[Agent], agent_id: str) -> list[Agent]:
    """Return the agent with that unique id, else all agents whose record has that id."""
    candidates = list(agents)
    return [agent for agent in candidates if agent.identity == agent_id] or [
        agent for agent in candidates if agent.written_id == agent_id
    ]


def describe_agents(sources: Sources) -> list[AgentDict]:
    """Return the documented fields of all agents, and further ones from their records."""
    signals = {f"{_SIGNALS}/{name}" for name in sources.project.all_names(_SIGNALS)}
    return [
        {**fields, "pause_requested": not signals.isdisjoint(agent.list_pause_markers())}
        for agent, fields in _describe_agents(sources)
    ]


@refreshed
def _describe_agents(
    sources: Sources, before: list[tuple[Agent, AgentDict]] | None
) -> list[tuple[Agent, AgentDict]]:
    """Return the agents, each with its fields; those of an agent that is as before are reused."""
    former = {agent.identity: (agent, fields) for agent, fields in before or ()}
    return [
        same
        if (same := former.get(agent.identity)) and same[0] == agent
        else (agent, _describe(agent))
        for agent in list_agents(sources)
    ]


def count_running(sources: Sources) -> int:
    """Count the live agents: by their own process or, without one, by that of the session."""
    return count_alive(sources, list_agents(sources))


def count_alive(sources: Sources, agents: list[Agent]) -> int:
    """Return how many of the listed agents are alive.

    Without a list the number in the state file counts while the session lives: `loki demo`.
    """
    return max(sum(agent.alive for agent in agents), _read_count(sources, agents, "running_agents"))


def count_all(sources: Sources, agents: list[Agent]) -> int:
    """Return how many agents there are: the listed ones, else as many as the state file counts."""
    total = max(len(agents), _read_count(sources, agents, "total_agents"))
    return max(total, count_alive(sources, agents))


def count_by_status(sources: Sources) -> dict[str, int]:
    """Return the number of agents for each status in the list, see `Agent.status`."""
    session = liveness.get_liveness(sources)
    return _count_by_status(sources, session.alive, session.known_by)


@derived
def _count_by_status(sources: Sources, session_lives: bool, known_by: KnownBy) -> dict[str, int]:
    agents = _read_agents(sources, session_lives, known_by)
    return dict(Counter(agent.status for agent in agents))


def _read_count(sources: Sources, agents: list[Agent], name: str) -> int:
    """Return a number in the state file; 0 with a list of agents, or if the session is over."""
    if agents or sources.project.exists(AGENTS_FILE) or not liveness.get_liveness(sources).alive:
        return 0
    return as_count(state.read_dashboard_state(sources, name))


def _describe(agent: Agent) -> AgentDict:
    """Return the fields by the record alone: a pause is requested by files beside it."""
    entry = agent.entry
    return {
        "id": redact(agent.identity),
        "type": redact(_get_type(entry)),
        "status": agent.status,
        "task": redact(_get_task(entry)),
        "pid": agent.pid,
        "alive": agent.alive,
        "liveness": agent.known_by,
        "raw_status": redact(agent.word),
        "name": redact(first_text(entry.get("name"), default=agent.identity)),
        "model": redact(first_text(entry.get("model"))),
        "tool_id": redact(first_text(entry.get("tool_id"))),
        "tool_count": as_count(entry.get("tool_count")),
        "pause_requested": False,
        "started_at": _get_time(entry, *_START_KEYS),
        "heartbeat": _get_time(entry, "heartbeat"),
        "completed_at": _get_time(entry, "completed_at"),
    }


def _get_time(entry: Json, *names: str) -> str | None:
    moments = (tidy_time(entry.get(name)) for name in names)
    return next((moment for moment in moments if moment), None)


def _get_written_id(entry: Json) -> Any:
    candidates = (entry.get(key) for key in ("id", "agent_id", "name"))
    return next((value for value in candidates if _is_usable(value)), None)


def _is_usable(value: Any) -> bool:
    return bool(value.strip()) if isinstance(value, str) else type(value) is int


def _get_type(entry: Json) -> str:
    return first_text(entry.get("type"), entry.get("agent_type"), default="unknown")


def _get_task(entry: Json) -> str:
    return first_text(entry.get("task"), entry.get("current_task"))


def _get_suffix(entry: Json) -> str:
    tail = first_text(entry.get("tool_id"))[-_SUFFIX_LENGTH:]
    if is_identifier(tail):
        return tail
    pid = processes.parse_pid(entry.get("pid"))
    return str(pid) if pid else ""


def _make_unique(ids: set[str], identity: str) -> str:
    number, unique = 2, identity
    while unique in ids:
        unique = f"{identity}-{number}"
        number += 1
    return unique
