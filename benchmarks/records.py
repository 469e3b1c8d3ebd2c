"""The records of a session, each in the form in which its program writes it.

The generator and the writer share them. Every function takes the source of chance, so that the
same seed gives the same bytes.
"""

import random
from datetime import UTC, datetime
from typing import Any

import orjson

Record = dict[str, Any]

PHASES = ("BOOTSTRAP", "ARCHITECTURE", "DEVELOPMENT", "TESTING", "REVIEW", "DEPLOYMENT")
ROLES = ("requirements_verifier", "test_auditor", "devils_advocate")
_KINDS = ("eng-backend", "eng-frontend", "eng-database", "eng-qa", "ops-devops", "review-code")
_PRIORITIES = ("critical", "high", "medium", "low")
_SOURCES = ("cli", "api", "vscode", "mcp", "memory", "dashboard")
_FILES = ("src/models.py", "src/basket.py", "src/orders.py", "web/list.ts", "tests/test_orders.py")
_COMMANDS = ("pytest -q", "npm test -- list", "git diff --stat", "ruff check src")
_SUBJECTS = ("basket", "checkout form", "order state", "stock page", "search index", "price list")
_VERBS = ("Validate", "Refactor", "Add", "Document", "Test", "Speed up", "Simplify", "Review")
_SENTENCES = (
    "Reading the requirements again before the order states change.",
    "The filter has to keep its place in the address, so that a list can be shared.",
    "Tests pass; the slow query of the product list is next.",
    "The stock must not go below zero when two orders meet: using a row lock.",
    "Validation moved into one place, the form and the API agree now.",
    "The mail is sent after the transaction, otherwise a rollback would not be seen by the user.",
)
_FIRST_PID = 4_990_000  # above the kernel's limit: no such process


def compact(value: Any) -> str:
    """Return a record as a line of a JSONL file, without the line end."""
    return orjson.dumps(value).decode()


def pretty(value: Any) -> bytes:
    """A JSON file as the Python writers leave it."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def seconds(when: float) -> str:
    """A time as the shell writers put it."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micros(when: float) -> str:
    """A time as the Python writers put it."""
    return datetime.fromtimestamp(when, UTC).isoformat()


def doubled(when: float) -> str:
    """A time with the doubled suffix of the memory engine and the learning signals."""
    return f"{micros(when)}Z"


def file_stamp(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H-%M-%S")


def identity(chance: random.Random) -> str:
    """Eight hexadecimal digits."""
    return f"{chance.getrandbits(32):08x}"


def title(chance: random.Random) -> str:
    return f"{chance.choice(_VERBS)} the {chance.choice(_SUBJECTS)}"


def text(chance: random.Random, sentences: int = 1) -> str:
    return " ".join(chance.choice(_SENTENCES) for _ in range(sentences))


def secret(chance: random.Random) -> str:
    """Words with something in them that the server has to redact."""
    value = f"{chance.getrandbits(128):032x}"
    forms = (f"sk-{value}", f"password={value}", f"Authorization: Bearer {value}9")
    return chance.choice((*forms, f"postgres://shop:{value}@db/shop"))


def event(chance: random.Random, when: float, iteration: int) -> str:
    """A line of `events.jsonl`."""
    kind = chance.choices(
        ("iteration_start", "iteration_complete", "phase_change", "council_vote", "file_access",
         "learning_signal", "error_pattern", "tool_efficiency", "session_pause"),
        (14, 14, 6, 6, 15, 30, 6, 6, 3),
    )[0]  # fmt: skip
    head = {"timestamp": seconds(when), "type": kind}
    if kind == "file_access":  # the simple form: data is a text, with blanks between
        words = text(chance, 3) if chance.random() < 0.98 else secret(chance)
        return f'{{"timestamp": "{seconds(when)}", "type": "{kind}", "data": "{words}"}}'
    return compact({**head, "data": _event_data(chance, kind, iteration)})


def _event_data(chance: random.Random, kind: str, iteration: int) -> Record:
    if kind == "iteration_start":
        return {"iteration": iteration, "provider": "claude", "prd": "./prd.md"}
    if kind == "iteration_complete":
        status = {"iteration": iteration, "status": "completed", "exitCode": 0}
        return {**status, "provider": "claude", "summary": text(chance, 3)}
    if kind == "phase_change":
        return {"from": chance.choice(PHASES), "to": chance.choice(PHASES), "iteration": 0}
    if kind == "council_vote":
        votes = {"iteration": iteration, "approve": 1, "reject": 2, "threshold": 2}
        return {**votes, "result": "REJECTED"}
    if kind == "session_pause":
        return {"pid": None}
    own = {
        "signal_type": chance.choice(("preference", "error", "success", "tool_usage")),
        "source": chance.choice(_SOURCES),
        "preference_key": chance.choice(("language", "tests", "style")),
        "error_type": chance.choice(("TypeError", "TimeoutError", "IterationFailure")),
        "tool_name": chance.choice(("Bash", "Edit", "Read")),
        "duration_ms": chance.randint(100, 90_000),
        "success": chance.random() < 0.8,
    }
    return {**own, "detail": text(chance, 2)}


def log_line(chance: random.Random, when: float) -> str:
    """A line of `logs/agent.log`: most of them carry no time, a few in a hundred a secret."""
    kind = chance.random()
    if kind < 0.02:
        return f"Connecting with {secret(chance)}"
    if kind < 0.35:
        level, color = chance.choice((("INFO", "0;32"), ("WARN", "1;33"), ("ERROR", "0;31")))
        return f"\x1b[{color}m[{level}]\x1b[0m {text(chance)}"
    if kind < 0.6:
        said: Record = {"type": "text", "text": text(chance)}
        if chance.random() < 0.4:
            command = {"command": chance.choice(_COMMANDS)}
            said = {"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": command}
        message = {"role": "assistant", "content": [said]}
        return compact({"type": "assistant", "message": message, "session_id": "bench"})
    if kind < 0.7:
        result = {"type": "tool_result", "tool_use_id": "toolu_01", "content": text(chance, 3)}
        return compact({"type": "user", "message": {"role": "user", "content": [result]}})
    if kind < 0.75:
        return f"[{seconds(when)[:-1]}] [INFO] {text(chance)}"
    if kind < 0.77:
        return f"=== Session started at {datetime.fromtimestamp(when, UTC):%a %b %d %H:%M:%S} ==="
    return f"{chance.choice(_FILES)}:{chance.randint(1, 400)}: {chance.choice(_COMMANDS)} ok"


def task(chance: random.Random, number: int, when: float) -> Record:
    """An entry of a queue file, pending; the queue that it is in adds to it."""
    action = f"{title(chance)} ({number})"
    return {
        "id": f"task-{number:05}",
        "type": chance.choice(_KINDS),
        "priority": chance.choice(_PRIORITIES),
        "payload": {"action": action, "description": f"{action}. {text(chance)}"},
        "createdAt": seconds(when),
        "claimedBy": None,
        "claimedAt": None,
        "timeout": 3600,
        "retries": 0,
        "maxRetries": 3,
    }


def agent(chance: random.Random, number: int, when: float) -> Record:
    """An entry of `state/agents.json`, as the monitor joins it from the sub-agents' files."""
    return {
        "id": f"agent-{number:03}",
        "name": f"Agent {number}",
        "type": chance.choice(_KINDS),
        "model": "sonnet",
        "status": "running" if number % 3 else "completed",
        "task": title(chance),
        "pid": _FIRST_PID + number if number % 2 else None,
        "started": micros(when),
        "heartbeat": micros(when),
        "tasks_completed": [title(chance)],
    }


def episode(chance: random.Random, when: float) -> Record:
    day = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d")
    files = chance.sample(_FILES, 2)
    return {
        "id": f"ep-{day}-{identity(chance)}",
        "task_id": f"task-{chance.randint(1, 5_000):05}",
        "timestamp": doubled(when),
        "duration_seconds": chance.randint(40, 400),
        "agent": f"agent-{chance.randint(1, 300):03}",
        "context": {"phase": "ACT", "goal": title(chance), "files_involved": files},
        "action_log": [
            {"t": 0, "action": "read_file", "target": files[0], "result": "ok"},
            {"t": 30, "action": "write_file", "target": files[1], "result": text(chance)},
            {"t": 80, "action": "run_test", "target": "pytest -q", "result": "passed"},
        ],
        "outcome": chance.choice(("success", "success", "failure", "partial")),
        "errors_encountered": [],
        "artifacts_produced": [],
        "git_commit": None,
        "tokens_used": chance.randint(3_000, 15_000),
        "files_read": files[:1],
        "files_modified": files[1:],
        "importance": 0.5,
        "access_count": 0,
    }


def signal(chance: random.Random, when: float) -> Record:
    kind, own = chance.choice(_signals(chance))
    return {
        "id": f"sig-{identity(chance)}",
        "type": kind,
        "source": chance.choice(_SOURCES),
        "action": "iteration_complete",
        "context": {},
        "outcome": chance.choice(("success", "failure", "partial")),
        "confidence": round(chance.uniform(0.5, 1.0), 2),
        "timestamp": doubled(when),
        "metadata": {},
        **own,
    }


def _signals(chance: random.Random) -> tuple[tuple[str, Record], ...]:
    return (
        ("user_preference", {"preference_key": chance.choice(("language", "tests")),
                             "preference_value": "python", "alternatives_rejected": []}),
        ("error_pattern", {"error_type": "IterationFailure", "error_message": text(chance),
                           "resolution": "", "recovery_steps": ["run the tests again"]}),
        ("success_pattern", {"pattern_name": "rarv_iteration", "action_sequence": ["reason", "act"],
                             "preconditions": [], "postconditions": [],
                             "duration_seconds": chance.randint(20, 300)}),
        ("tool_efficiency", {"tool_name": "claude", "tokens_used": chance.randint(5_000, 30_000),
                             "execution_time_ms": chance.randint(900, 90_000),
                             "success_rate": 1.0, "alternative_tools": []}),
    )  # fmt: skip


def signal_name(entry: Record) -> str:
    """The name of a signal's file, without its folder."""
    when = str(entry["timestamp"])[:19].replace(":", "-")
    return f"{when}_{entry['id']}.json"


def episode_name(entry: Record) -> str:
    """The name of an episode's file below `memory/episodic/`."""
    return f"{entry['timestamp'][:10]}/task-{entry['id']}.json"


def bus_event(chance: random.Random, when: float, entry: Record) -> Record:
    """Return the entry of `events/pending/` for a signal."""
    payload = {"action": "learning_signal", "signal_id": entry["id"], "signal_type": entry["type"]}
    head = {"id": identity(chance), "type": "memory", "source": "cli", "timestamp": micros(when)}
    return {**head, "payload": {**payload, "outcome": entry["outcome"]}, "version": "1.0"}


def efficiency(chance: random.Random, number: int, when: float) -> Record:
    return {
        "iteration": number,
        "model": chance.choice(("sonnet", "opus", "haiku")),
        "phase": chance.choice(PHASES),
        "duration_ms": chance.randint(20_000, 90_000),
        "provider": "claude",
        "status": "completed" if chance.random() < 0.95 else "failed",
        "input_tokens": chance.randint(4_000, 16_000),
        "output_tokens": chance.randint(1_500, 7_000),
        "cost_usd": round(chance.uniform(0.01, 0.3), 4),
        "timestamp": seconds(when),
    }


def tracked(chance: random.Random, number: int, when: float) -> Record:
    """An entry of `context/tracking.json` → `per_iteration`."""
    return {
        "iteration": number,
        "input_tokens": chance.randint(4_000, 16_000),
        "output_tokens": chance.randint(1_500, 7_000),
        "cache_read_tokens": chance.randint(20_000, 60_000),
        "cache_creation_tokens": chance.randint(1_000, 8_000),
        "cost_usd": round(chance.uniform(0.01, 0.3), 4),
        "timestamp": micros(when),
        "compacted": number % 9 == 0,
    }


def tracking(entries: list[Record], when: float) -> Record:
    cost = round(sum(entry["cost_usd"] for entry in entries), 4)
    last = {key: entries[-1][key] for key in list(entries[-1])[1:5]}
    used = {"total_tokens": 84_500, "context_window_pct": 42.25, "estimated_cost_usd": cost}
    return {
        "session_id": "bench",
        "provider": "claude",
        "updated_at": micros(when),
        "current": {**last, **used},
        "compactions": [
            {"at_iteration": entry["iteration"], "timestamp": entry["timestamp"],
             "tokens_before": 190_000, "line": 18}
            for entry in entries if entry["compacted"]
        ],
        "per_iteration": entries,
        "totals": {
            "total_input": sum(entry["input_tokens"] for entry in entries),
            "total_output": sum(entry["output_tokens"] for entry in entries),
            "total_cost_usd": cost,
            "compaction_count": sum(entry["compacted"] for entry in entries),
            "iterations_tracked": len(entries),
        },
    }  # fmt: skip


def notification(chance: random.Random, number: int, when: float) -> Record:
    share = round(chance.uniform(80, 99), 1)
    return {
        "id": f"notif-{int(when)}-context-90pct-{number}",
        "trigger_id": "context-90pct",
        "severity": chance.choice(("critical", "warning", "info")),
        "message": f"Context window at {share}% capacity",
        "timestamp": micros(when),
        "iteration": number,
        "acknowledged": number % 2 == 0,
        "data": {"context_pct": share},
    }


def notifications(entries: list[Record]) -> Record:
    waiting = [entry for entry in entries if not entry["acknowledged"]]
    summary = {"total": len(entries), "unacknowledged": len(waiting)}
    for severity in ("critical", "warning", "info"):
        summary[severity] = sum(entry["severity"] == severity for entry in waiting)
    return {"notifications": entries, "summary": summary}


def pattern(chance: random.Random, when: float) -> Record:
    return {
        "id": f"sem-{identity(chance)}",
        "pattern": text(chance),
        "category": chance.choice(("implementation", "reliability", "anti-pattern")),
        "conditions": ["During ACT phase"],
        "correct_approach": text(chance),
        "incorrect_approach": "",
        "confidence": round(chance.uniform(0.5, 1.0), 2),
        "source_episodes": [],
        "usage_count": chance.randint(0, 9),
        "links": [],
        "importance": 0.5,
        "access_count": 0,
        "last_used": doubled(when),
    }


def skill(chance: random.Random, number: int) -> Record:
    name = f"{title(chance)} {number}"
    slug = name.lower().replace(" ", "-")
    return {
        "id": f"skill-{slug}",
        "name": name,
        "description": text(chance),
        "prerequisites": [],
        "steps": [title(chance) for _ in range(4)],
        "common_errors": [],
        "exit_criteria": [],
        "importance": 0.5,
        "access_count": 0,
    }


def vote_round(number: int, when: float) -> Record:
    """The content of `council/votes/round-<n>.json`."""
    votes = [
        {"member": place, "role": role, "vote": "CONTINUE", "reason": ""}
        for place, role in enumerate(ROLES, start=1)
    ]
    counts = {"complete_votes": 0, "continue_votes": 3, "total_members": 3, "threshold": 2}
    head = {"round": number, "timestamp": seconds(when)}
    return {**head, **counts, "verdict": "CONTINUE", "votes": votes}


def checkpoint(chance: random.Random, number: int, when: float) -> tuple[Record, Record]:
    """A line of the index and the `metadata.json` that belongs to it, as the runner writes them."""
    name, sha = f"cp-{number}-{int(when)}", f"{chance.getrandbits(160):040x}"
    words = title(chance)
    line = {"id": name, "ts": seconds(when), "iter": number, "task": words, "sha": sha}
    metadata = {
        "id": name,
        "timestamp": seconds(when),
        "iteration": number,
        "task_id": f"task-{number:05}",
        "task_description": words,
        "git_sha": sha,
        "git_branch": "main",
        "provider": "claude",
        "phase": chance.choice(PHASES),
    }
    return line, metadata
