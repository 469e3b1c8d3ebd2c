"""The agents of a session, as `state/agents.json` or the state file lists them (`spec` 5.1)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loki_web.services.ids import Identities, is_identifier
from loki_web.services.redaction import redact
from loki_web.services.session import processes, state
from loki_web.store.coerce import Json, as_count, as_list, dicts_in, first_text
from loki_web.store.derived import derived
from loki_web.store.folder import Folder
from loki_web.store.times import parse_time, tidy_time

AGENTS_FILE = "state/agents.json"
ACTIVE_WORDS = frozenset({"active", "running"})
_START_KEYS = ("spawned_at", "started", "started_at", "startedAt")
_TIMES = {"started_at": _START_KEYS, "heartbeat": ("heartbeat",), "completed_at": ("completed_at",)}
_DISTINCTION_LENGTH = 6


@dataclass(frozen=True)
class Agent:
    """One record.

    :param identity: unique among the agents of one list.
    :param written_id: the id in the record, which several may share.
    :param pid: of a process of its own; most agents live inside that of the AI program.
    """

    identity: str
    written_id: str
    entry: Json
    pid: int | None
    alive: bool

    @property
    def word(self) -> str:
        """The status as it is written."""
        return first_text(self.entry.get("status"), default="unknown").strip()

    @property
    def status(self) -> str:
        """The status in the reference's words."""
        word = self.word.lower()
        return "running" if word in ACTIVE_WORDS else word

    @property
    def started(self) -> datetime | None:
        moments = (parse_time(self.entry.get(key)) for key in _START_KEYS)
        return next((moment for moment in moments if moment), None)

    def marker_names(self) -> list[str]:
        """The pause signals that concern it."""
        ids = {self.identity, self.written_id}
        return [get_pause_marker(identity) for identity in sorted(ids) if is_identifier(identity)]


def get_pause_marker(identity: str) -> str:
    """The file that asks an agent to pause."""
    return f"signals/PAUSE_AGENT_{identity}"


def list_agents(folder: Folder, now: datetime) -> list[Agent]:
    """All agents in the order in which they are listed.

    The runner empties its list every few seconds, so the state file's stands in for it.
    """
    return _agents(folder, state.get_liveness(folder, now).alive)


@derived
def _agents(folder: Folder, session_lives: bool) -> list[Agent]:
    listed = get_listed_entries(folder.document(AGENTS_FILE))
    return identify_agents(
        listed or get_listed_entries(state.get_dashboard_state(folder).get("agents")),
        session_lives=session_lives,
    )


def get_listed_entries(value: Any) -> list[Json]:
    """The records of an agent list in either form, bare or wrapped."""
    return dicts_in(as_list(value.get("agents") if isinstance(value, dict) else value))


def identify_agents(entries: list[Json], *, session_lives: bool) -> list[Agent]:
    """The records as agents with ids of their own.

    Ids are cut from tool call ids, so several records may share one: all of these get an ending
    that tells them apart and stays when the others go.
    """
    made = Identities("agent")
    written = [made.assign(_written_id(entry), _type(entry), _task(entry)) for entry in entries]
    shared = Counter(written)
    taken: set[str] = set()
    found = []
    for entry, identity in zip(entries, written, strict=True):
        ending = _distinction(entry) if shared[identity] > 1 else ""
        unique = _not_in(taken, f"{identity}-{ending}" if ending else identity)
        taken.add(unique)
        pid = processes.parse_pid(entry.get("pid"))
        word = first_text(entry.get("status")).strip().lower()
        lives = processes.is_alive(pid) if pid else session_lives and word in ACTIVE_WORDS
        found.append(Agent(unique, identity, entry, pid, lives))
    return found


def find_agents(found: Iterable[Agent], asked: str) -> list[Agent]:
    """Those an id means: the one that has it, else all whose record has it."""
    known = list(found)
    return [agent for agent in known if agent.identity == asked] or [
        agent for agent in known if agent.written_id == asked
    ]


def describe_agents(folder: Folder, now: datetime) -> list[Json]:
    """The documented fields of all agents, and what else is known of them."""
    return [_answer(folder, agent) for agent in list_agents(folder, now)]


def count_running(folder: Folder, now: datetime) -> int:
    """How many agents live: by their own process or, without one, as part of a live session."""
    return sum(agent.alive for agent in list_agents(folder, now))


def _answer(folder: Folder, agent: Agent) -> Json:
    entry = agent.entry
    answer: Json = {
        "id": redact(agent.identity),
        "type": redact(_type(entry)),
        "status": agent.status,
        "task": redact(_task(entry)),
        "pid": agent.pid,
        "alive": agent.alive,
        "raw_status": redact(agent.word),
        "name": redact(first_text(entry.get("name"), default=agent.identity)),
        "model": redact(first_text(entry.get("model"))),
        "tool_id": redact(first_text(entry.get("tool_id"))),
        "tool_count": as_count(entry.get("tool_count")),
        "pause_requested": any(folder.exists(name) for name in agent.marker_names()),
    }
    for key, names in _TIMES.items():
        moments = (tidy_time(entry.get(name)) for name in names)
        answer[key] = next((moment for moment in moments if moment), None)
    return answer


def _written_id(entry: Json) -> Any:
    candidates = (entry.get(key) for key in ("id", "agent_id", "name"))
    return next((value for value in candidates if _is_usable(value)), None)


def _is_usable(value: Any) -> bool:
    return bool(value.strip()) if isinstance(value, str) else type(value) is int


def _type(entry: Json) -> str:
    return first_text(entry.get("type"), entry.get("agent_type"), default="unknown")


def _task(entry: Json) -> str:
    return first_text(entry.get("task"), entry.get("current_task"))


def _distinction(entry: Json) -> str:
    tail = first_text(entry.get("tool_id"))[-_DISTINCTION_LENGTH:]
    if is_identifier(tail):
        return tail
    pid = processes.parse_pid(entry.get("pid"))
    return str(pid) if pid else ""


def _not_in(taken: set[str], identity: str) -> str:
    number, unique = 2, identity
    while unique in taken:
        unique = f"{identity}-{number}"
        number += 1
    return unique
