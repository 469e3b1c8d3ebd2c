"""Sessions of three sizes, in the file formats of the CLI.

    python -m benchmarks.sessions L /tmp/sessions

S is a session's first hour, M a project after weeks, L one that nobody ever cleaned up. The same
day and seed give the same bytes. A session is made once a day and kept: its times have to lie
within the ranges that the server is asked for. Lists that the API limits are at least as long at S
as the default limit, so that answers of S and L can be compared.
"""

import argparse
import hashlib
import itertools
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.records import Record, compact, micros, pretty, seconds

WHERE = Path("/tmp/loki-web-sessions")  # noqa: S108 - where benchmarks keep them
_DAY = 86_400
_SEED = 10
_STAMP = "stamp.json"
_SOURCES = (Path(__file__), Path(records.__file__))
_LINE_POOL = 5_000  # distinct log lines
_LONG_LINE = 200_000  # characters of the one line that a tool result can be
_QUEUES = {
    "pending": 0.4,
    "in-progress": 0.05,
    "review": 0.05,
    "completed": 0.4,
    "failed": 0.1,
}


@dataclass(frozen=True)
class Size:
    """How much of everything there is.

    :param days: over which it is spread, up to the last midnight.
    :param iterations: efficiency files.
    :param tracked: entries of the context tracking file.
    :param votes: of the council, of each kind.
    """

    days: int
    events: int
    tasks: int
    episodes: int
    signals: int
    iterations: int
    log_lines: int
    agents: int
    notifications: int
    checkpoints: int
    votes: int
    patterns: int
    skills: int
    tracked: int
    projects: int
    audit: int


SIZES = {
    "S": Size(
        days=7, events=200, tasks=20, episodes=60, signals=150, iterations=20, log_lines=1_000,
        agents=4, notifications=50, checkpoints=20, votes=20, patterns=6, skills=4, tracked=10,
        projects=3, audit=100,
    ),
    "M": Size(
        days=28, events=20_000, tasks=500, episodes=2_000, signals=2_000, iterations=500,
        log_lines=100_000, agents=30, notifications=80, checkpoints=50, votes=50, patterns=50,
        skills=20, tracked=60, projects=20, audit=2_000,
    ),
    "L": Size(
        days=28, events=200_000, tasks=5_000, episodes=20_000, signals=20_000, iterations=5_000,
        log_lines=1_000_000, agents=300, notifications=300, checkpoints=200, votes=200,
        patterns=300, skills=100, tracked=300, projects=200, audit=20_000,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Session:
    """Where a generated session is: its HOME and, below that, its `.loki/`."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def loki(self) -> Path:
        return self.home / "projects" / "harbour" / ".loki"

    def discard(self) -> None:
        """Have the session made again next time: something has changed its files."""
        (self.folder / _STAMP).unlink(missing_ok=True)


def session(name: str, where: Path, *, now: float | None = None) -> Session:
    """Return the session of a size below `where`; make it if it is not there.

    :param name: a key of SIZES.
    :param now: the time by which the last midnight is found; that of the clock when left out.
    """
    size = SIZES[name]
    ends = int((time.time() if now is None else now) // _DAY * _DAY)
    created = Session(where.absolute() / name)
    stamp = _stamp(size, ends)
    try:
        if (created.folder / _STAMP).read_text() == stamp:
            return created
    except OSError:
        pass
    shutil.rmtree(created.folder, ignore_errors=True)
    _Maker(created, size, ends).make()
    (created.folder / _STAMP).write_text(stamp)
    return created


def _stamp(size: Size, ends: int) -> str:
    code = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()
    return json.dumps({"size": asdict(size), "seed": _SEED, "ends": ends, "code": code})


class _Maker:
    """Writes every file of a session once."""

    def __init__(self, session: Session, size: Size, ends: int) -> None:
        self._loki = session.loki
        self._home = session.home
        self._size = size
        self._ends = ends
        self._chance = random.Random(_SEED)

    def make(self) -> None:
        for write in (
            *(self._state, self._events, self._logs, self._memory, self._signals, self._costs),
            *(self._council, self._checkpoints, self._alerts, self._registry, self._audit),
        ):
            write()

    def _times(self, count: int) -> Iterator[float]:
        """Evenly spread times with some jitter, oldest first."""
        step = self._size.days * _DAY / count
        for place in range(count):
            yield self._ends - (count - place - self._chance.random() * 0.9) * step

    def _write(self, relative: str, content: Any) -> None:
        _write(self._loki / relative, content)

    def _state(self) -> None:
        """The queues, the agents and the state file with its copies of both."""
        chance, size = self._chance, self._size
        tasks = iter([records.task(chance, n, t) for n, t in _numbered(self._times(size.tasks))])
        queues = {name: [*itertools.islice(tasks, round(size.tasks * share))]
                  for name, share in _QUEUES.items()}  # fmt: skip
        for name, entries in queues.items():
            for entry in entries if name != "pending" else ():
                entry |= {"claimedBy": "agent-001", "claimedAt": entry["createdAt"]}
            if name in ("completed", "failed"):
                for entry in entries:
                    entry["completedAt"] = entry["createdAt"]
            self._write(f"queue/{name}.json", entries)
        self._write("queue/dead-letter.json", [])
        self._write("queue/current-task.json", {})
        agents = [records.agent(chance, n, t) for n, t in _numbered(self._times(size.agents))]
        self._write("state/agents.json", agents)
        self._write("state/provider", "claude\n")
        started = seconds(self._ends - size.days * _DAY)
        orchestrator = {"version": "5.49.4", "currentPhase": "DEVELOPMENT", "startedAt": started}
        counts = {"tasksCompleted": len(queues["completed"]), "tasksFailed": 0, "retries": 0}
        self._write("state/orchestrator.json", {**orchestrator, "agents": {}, "metrics": counts})
        self._write(
            "autonomy-state.json",
            {"retryCount": 0, "status": "running", "lastExitCode": 0, "prdPath": "./prd.md",
             "lastRun": seconds(self._ends), "pid": None, "maxRetries": 50, "baseWait": 5},
        )  # fmt: skip
        self._write("session.lock", "")
        self._write("dashboard-state.json", dashboard_state(self._loki, queues, agents, self._ends))

    def _events(self) -> None:
        per_iteration = max(1, self._size.events // self._size.iterations)
        with open(self._loki / "events.jsonl", "w", encoding="utf-8") as stream:
            for number, when in _numbered(self._times(self._size.events)):
                iteration = number // per_iteration
                stream.write(records.event(self._chance, when, iteration) + "\n")

    def _logs(self) -> None:
        """The live view with all lines, and the end of them in the file of the day."""
        chance, count = self._chance, self._size.log_lines
        pool = [
            records.log_line(chance, when) + "\n"
            for when in self._times(min(count, _LINE_POOL))
        ]  # fmt: skip
        result = {"type": "tool_result", "content": "line of a long file " * (_LONG_LINE // 20)}
        message = {"type": "user", "message": {"role": "user", "content": [result]}}
        logs = self._loki / "logs"
        logs.mkdir(parents=True)
        with open(logs / "agent.log", "w", encoding="utf-8") as stream:
            for left in range(count, 0, -1_000):
                if left == count // 2000 * 1000:
                    stream.write(compact(message) + "\n")
                block = "".join(chance.choices(pool, k=min(left, 1_000)))
                stream.write(block)
        day = seconds(self._ends)[:10].replace("-", "")
        _write(logs / f"autonomy-{day}.log", block)

    def _memory(self) -> None:
        chance, size = self._chance, self._size
        latest: list[Record] = []
        for when in self._times(size.episodes):
            entry = records.episode(chance, when)
            self._write(f"memory/episodic/{records.episode_name(entry)}", entry)
            latest = [entry, *latest][:50]
        head = {"version": "1.1.0", "last_updated": micros(self._ends)}
        patterns = [records.pattern(chance, when) for when in self._times(size.patterns)]
        self._write("memory/semantic/patterns.json", {"patterns": patterns, **head})
        self._write("memory/semantic/anti-patterns.json", {"anti_patterns": []})
        for number in range(size.skills):
            skill = records.skill(chance, number)
            self._write(f"memory/skills/{skill['id'].removeprefix('skill-')}.json", skill)
        topics = [
            {"id": phase.lower(), "summary": f"Work in {phase}", "relevance_score": 0.6,
             "last_accessed": micros(self._ends), "token_count": 120}
            for phase in records.PHASES
        ]  # fmt: skip
        self._write("memory/index.json", {**head, "topics": topics})
        actions = [
            {"timestamp": entry["timestamp"], "action": entry["context"]["goal"],
             "outcome": entry["outcome"], "topic_id": "development"}
            for entry in latest
        ]  # fmt: skip
        timeline = {**head, "recent_actions": actions, "key_decisions": [], "active_context": {}}
        self._write("memory/timeline.json", timeline)
        tokens = {"discovery_tokens": 720, "read_tokens": 41_000}
        economics = {"session_id": "bench", "started_at": micros(self._ends), "metrics": tokens}
        self._write(
            "memory/token_economics.json",
            {**economics, "ratio": 0.1, "savings_percent": 41.5, "thresholds_triggered": []},
        )

    def _signals(self) -> None:
        """The learning signals, and what the event bus says about the latest of them."""
        for number, when in _numbered(self._times(self._size.signals)):
            entry = records.signal(self._chance, when)
            self._write(f"learning/signals/{records.signal_name(entry)}", entry)
            if number > self._size.signals - 50:
                bus = records.bus_event(self._chance, when, entry)
                name = f"events/pending/{records.file_stamp(when)}_{bus['id']}.json"
                self._write(name, bus)

    def _costs(self) -> None:
        chance, size = self._chance, self._size
        spent = 0.0
        for number, when in _numbered(self._times(size.iterations)):
            entry = records.efficiency(chance, number, when)
            spent += entry["cost_usd"]
            self._write(f"metrics/efficiency/iteration-{number}.json", entry)
        limits = {"limit": 5_000.0, "budget_limit": 5_000.0, "budget_used": round(spent, 4)}
        self._write("metrics/budget.json", {**limits, "exceeded": False})
        models = {
            name: {"input": given, "output": taken, "label": name.title(), "provider": "claude"}
            for name, given, taken in (("opus", 5, 25), ("sonnet", 3, 15), ("haiku", 1, 5))
        }
        head = {"provider": "claude", "updated": seconds(self._ends)[:10], "source": "static"}
        self._write("pricing.json", {**head, "models": models})
        entries = [records.tracked(chance, n, t) for n, t in _numbered(self._times(size.tracked))]
        self._write("context/tracking.json", records.tracking(entries, self._ends))

    def _council(self) -> None:
        verdicts = []
        for number, when in _numbered(self._times(self._size.votes)):
            iteration = number * 5
            round_ = records.vote_round(iteration, when)
            self._write(f"council/votes/round-{iteration}.json", round_)
            folder = f"council/votes/iteration-{iteration}"
            evidence = "# Evidence\n\n" + records.text(self._chance, 20) + "\n"
            self._write(f"{folder}/evidence.md", evidence)
            for member in (1, 2, 3):
                vote = f"VOTE:REJECT\nREASON: {records.text(self._chance)}\n"
                self._write(f"{folder}/member-{member}.txt", vote)
            votes = {"approve": 1, "reject": 2, "result": "REJECTED"}
            verdicts.append({"iteration": iteration, "timestamp": seconds(when), **votes})
        state = {
            "initialized": True,
            "enabled": True,
            "total_votes": 3 * len(verdicts),
            "approve_votes": len(verdicts),
            "reject_votes": 2 * len(verdicts),
            "last_check_iteration": verdicts[-1]["iteration"],
            "consecutive_no_change": 0,
            "done_signals": 2,
            "convergence_history": [],
            "verdicts": verdicts,
            "last_track_iteration": verdicts[-1]["iteration"],
            "files_changed": 3,
        }
        self._write("council/state.json", state)
        lines = [f"{self._ends - 600 + n * 60}|{n}|{n % 4}|0|1\n" for n in range(1, 8)]
        self._write("council/convergence.log", "".join(lines))
        self._write("council/report.md", "# Completion Council Report\n\nNot approved yet.\n")

    def _checkpoints(self) -> None:
        lines = []
        for number, when in _numbered(self._times(self._size.checkpoints)):
            line, metadata = records.checkpoint(self._chance, number, when)
            folder = f"state/checkpoints/{line['id']}"
            self._write(f"{folder}/metadata.json", metadata)
            self._write(f"{folder}/queue/pending.json", [])
            self._write(f"{folder}/state/orchestrator.json", {"currentPhase": metadata["phase"]})
            lines.append(compact(line) + "\n")
        self._write("state/checkpoints/index.jsonl", "".join(lines))

    def _alerts(self) -> None:
        entries = [
            records.notification(self._chance, number, when)
            for number, when in _numbered(self._times(self._size.notifications))
        ]
        self._write("notifications/active.json", records.notifications(entries))
        trigger = {"id": "context-90pct", "type": "context_threshold", "threshold_pct": 90}
        shown = {"severity": "critical", "message": "Context window at {pct}% capacity"}
        document = {"triggers": [{**trigger, "enabled": True, **shown}]}
        self._write("notifications/triggers.json", document)

    def _registry(self) -> None:
        """The registered projects with a few tasks each, and what was learned over all of them."""
        entries = {}
        for number in range(self._size.projects):
            name = f"project-{number:03}" if number else "harbour"
            path = self._home / "projects" / name
            _write(path / "prd.md", "# A small shop for ship models\n")
            if number:
                tasks = [records.task(self._chance, n, self._ends) for n in range(1, 4)]
                _write(path / ".loki" / "queue" / "pending.json", {"tasks": tasks})
            identity = hashlib.md5(str(path).encode(), usedforsecurity=False).hexdigest()[:12]
            entries[identity] = {
                "id": identity,
                "path": str(path),
                "name": name,
                "alias": None,
                "registered_at": micros(self._ends),
                "updated_at": micros(self._ends),
                "last_accessed": None,
                "has_loki_dir": True,
                "status": "active",
            }
        loki = self._home / ".loki"
        _write(loki / "dashboard/projects.json", {"version": "1.0", "projects": entries})
        for kind in ("patterns", "mistakes", "successes"):
            lines: list[Record] = [{"version": "1.0", "created": seconds(self._ends)}]
            for when in self._times(self._size.projects * 5):
                entry = {"timestamp": seconds(when), "project": "harbour", "category": "session"}
                lines.append({**entry, "description": records.text(self._chance)})
            text = "".join(compact(line) + "\n" for line in lines)
            _write(loki / "learnings" / f"{kind}.jsonl", text)

    def _audit(self) -> None:
        """The audit log with its chain of hashes."""
        previous = "0" * 64
        days: dict[str, list[str]] = {}
        for when in self._times(self._size.audit):
            entry: Record = {
                "timestamp": micros(when),
                "action": self._chance.choice(("create", "delete", "stop", "kill")),
                "resource_type": self._chance.choice(("token", "session", "agent")),
                "resource_id": records.identity(self._chance),
                "user_id": None,
                "token_id": None,
                "ip_address": "127.0.0.1",
                "user_agent": "curl/8.5",
                "success": self._chance.random() < 0.9,
                "error": None,
                "details": {},
            }
            text = previous + json.dumps(entry, sort_keys=True)
            previous = entry["_integrity_hash"] = hashlib.sha256(text.encode()).hexdigest()
            days.setdefault(entry["timestamp"][:10], []).append(json.dumps(entry) + "\n")
        for day, lines in days.items():
            _write(self._home / f".loki/dashboard/audit/audit-{day}.jsonl", "".join(lines))


def dashboard_state(
    loki: Path, queues: dict[str, list[Record]], agents: list[Record], when: float
) -> Record:
    """The content of `dashboard-state.json`: copies of what the monitor of the runner finds."""
    return {
        "timestamp": seconds(when),
        "version": "5.49.4",
        "project": {"name": loki.parent.name, "path": str(loki.parent)},
        "mode": "autonomous",
        "provider": "claude",
        "phase": "DEVELOPMENT",
        "complexity": "standard",
        "iteration": 0,
        "startedAt": seconds(when - 3_600),
        "rarv": {"currentStep": 0, "stages": ["reason", "act", "reflect", "verify"]},
        "tasks": {"inProgress" if name == "in-progress" else name: entries
                  for name, entries in queues.items()},
        "agents": agents,
        "metrics": {"tasksCompleted": 0, "tasksFailed": 0, "cpuUsage": 20, "memoryUsage": 8,
                    "resourceStatus": "ok"},
        "qualityGates": None,
        "council": {"enabled": True},
    }  # fmt: skip


def _numbered(times: Iterator[float]) -> Iterator[tuple[int, float]]:
    return enumerate(times, start=1)


def _write(path: Path, content: Any) -> None:
    """Write a text as it is, anything else as JSON; folders are made on the way."""
    data = content.encode() if isinstance(content, str) else pretty(content)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with open(descriptor, "wb", buffering=0) as stream:
        stream.write(data)


def main() -> None:
    parser = argparse.ArgumentParser(description="Create a session of a size, unless it exists.")
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("where", type=Path)
    options = parser.parse_args()
    created = session(options.size, options.where)
    sys.stdout.write(f"HOME={created.home}\nLOKI_DIR={created.loki}\n")


if __name__ == "__main__":
    main()
