"""The main routes by a straightforward server that reads and parses the files at each request.

`gunicorn -c gunicorn.conf.py benchmarks.plain:app` with LOKI_DIR. It keeps nothing between
requests, redacts nothing and believes what it reads.
"""

import glob
import json
import os
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

LOKI = os.environ.get("LOKI_DIR", ".loki")
_STATUSES = {"pending": "pending", "in-progress": "in_progress", "review": "review"}
_QUEUES = (*_STATUSES, "completed", "failed", "dead-letter")
ROUTES = (
    *("/health", "/api/status", "/api/tasks", "/api/logs", "/api/memory/summary"),
    *("/api/memory/patterns", "/api/memory/episodes", "/api/learning/metrics"),
    *("/api/learning/trends", "/api/learning/signals", "/api/cost", "/api/council/verdicts"),
    *("/api/agents", "/api/notifications", "/api/checkpoints", "/metrics"),
)

app = Flask("plain", static_folder=None)


def load(relative: str, default: Any) -> Any:
    try:
        with open(os.path.join(LOKI, relative), encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return default


def load_all(pattern: str) -> list[Any]:
    return [load(name, {}) for name in sorted(glob.glob(pattern, root_dir=LOKI, recursive=True))]


def load_lines(relative: str) -> list[Any]:
    with open(os.path.join(LOKI, relative), encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def limit(default: int) -> int:
    return request.args.get("limit", default, int)


def task_list() -> list[dict[str, Any]]:
    return [
        {"id": task["id"], "title": task["payload"]["action"],
         "description": task["payload"].get("description", ""),
         "status": _STATUSES.get(queue, "done"), "priority": task["priority"],
         "type": task["type"], "position": position}
        for queue in _QUEUES
        for position, task in enumerate(load(f"queue/{queue}.json", []))
    ]  # fmt: skip


def is_alive() -> bool:
    try:
        with open(os.path.join(LOKI, "loki.pid"), encoding="utf-8") as stream:
            os.kill(int(stream.read()), 0)
    except (OSError, ValueError):
        return False
    return True


def costs() -> dict[str, Any]:
    entries = load_all("metrics/efficiency/*.json")
    by_model: Counter[str] = Counter()
    for entry in entries:
        by_model[entry["model"]] += entry["cost_usd"]
    budget = load("metrics/budget.json", {})
    return {
        "total_input_tokens": sum(entry["input_tokens"] for entry in entries),
        "total_output_tokens": sum(entry["output_tokens"] for entry in entries),
        "estimated_cost_usd": round(sum(entry["cost_usd"] for entry in entries), 4),
        "by_model": by_model,
        "budget_limit": budget.get("limit"),
    }


def signals(days: int = 7) -> list[dict[str, Any]]:
    """The events and the signals of the last days, newest first."""
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    everything = load_lines("events.jsonl") + load_all("learning/signals/*.json")
    kept = [entry for entry in everything if entry["timestamp"] >= since]
    return sorted(kept, key=lambda entry: str(entry["timestamp"]), reverse=True)


@app.get("/health")
def health() -> ResponseReturnValue:
    return jsonify(status="healthy", service="loki-dashboard")


@app.get("/api/status")
def status() -> ResponseReturnValue:
    state, tasks = load("dashboard-state.json", {}), task_list()
    starts = [e for e in load_lines("events.jsonl") if e.get("type") == "iteration_start"]
    working = [task for task in tasks if task["status"] == "in_progress"]
    agents = load("state/agents.json", [])
    return jsonify(
        status=state.get("mode") if is_alive() else "stopped",
        version=state.get("version"),
        phase=load("state/orchestrator.json", {}).get("currentPhase"),
        iteration=starts[-1]["data"]["iteration"] if starts else 0,
        pending_tasks=sum(task["status"] == "pending" for task in tasks),
        running_agents=sum(agent["status"] == "running" for agent in agents),
        current_task=working[0]["title"] if working else "",
    )


@app.get("/api/tasks")
def tasks() -> ResponseReturnValue:
    return jsonify(task_list())


@app.get("/api/logs")
def logs() -> ResponseReturnValue:
    count = request.args.get("lines", 100, int)
    with open(os.path.join(LOKI, "logs/agent.log"), encoding="utf-8") as stream:
        lines = deque(stream, count)
    return jsonify([{"message": line.rstrip(), "level": "info", "timestamp": ""} for line in lines])


@app.get("/api/memory/summary")
def memory_summary() -> ResponseReturnValue:
    episodes = load_all("memory/episodic/**/*.json")
    patterns = load("memory/semantic/patterns.json", {})["patterns"]
    return jsonify(
        episodic={"count": len(episodes), "latestDate": max(e["timestamp"] for e in episodes)},
        semantic={"patterns": len(patterns)},
        procedural={"skills": len(load_all("memory/skills/*.json"))},
        tokenEconomics=load("memory/token_economics.json", {})["metrics"],
    )


@app.get("/api/memory/patterns")
def patterns() -> ResponseReturnValue:
    return jsonify(load("memory/semantic/patterns.json", {})["patterns"])


@app.get("/api/memory/episodes")
def episodes() -> ResponseReturnValue:
    episodes = load_all("memory/episodic/**/*.json")
    return jsonify(sorted(episodes, key=lambda e: str(e["timestamp"]), reverse=True)[: limit(50)])


@app.get("/api/learning/metrics")
def learning_metrics() -> ResponseReturnValue:
    entries = signals()
    return jsonify(
        totalSignals=len(entries),
        signalsByType=Counter(entry["type"] for entry in entries),
        signalsBySource=Counter(entry.get("source", "unknown") for entry in entries),
    )


@app.get("/api/learning/trends")
def learning_trends() -> ResponseReturnValue:
    hours = Counter(entry["timestamp"][:13] for entry in signals())
    points = [{"label": hour, "count": count} for hour, count in sorted(hours.items())]
    return jsonify(dataPoints=points, maxValue=max(hours.values(), default=0), period="7d")


@app.get("/api/learning/signals")
def learning_signals() -> ResponseReturnValue:
    return jsonify(signals()[: limit(50)])


@app.get("/api/cost")
def cost() -> ResponseReturnValue:
    return jsonify(costs())


@app.get("/api/council/verdicts")
def verdicts() -> ResponseReturnValue:
    details = []
    for name in sorted(os.listdir(os.path.join(LOKI, "council/votes")))[-limit(20) :]:
        if name.startswith("iteration-"):
            texts = {}
            for part in glob.glob(os.path.join(LOKI, "council/votes", name, "*")):
                with open(part, encoding="utf-8") as stream:
                    texts[os.path.basename(part)] = stream.read()
            details.append({"iteration": name[10:], "files": texts})
    verdicts = load("council/state.json", {})["verdicts"] + load_all("council/votes/*.json")
    return jsonify(verdicts=verdicts[-limit(20) :], details=details)


@app.get("/api/agents")
def agents() -> ResponseReturnValue:
    return jsonify(load("state/agents.json", []))


@app.get("/api/notifications")
def notifications() -> ResponseReturnValue:
    return jsonify(load("notifications/active.json", {})["notifications"][::-1][: limit(50)])


@app.get("/api/checkpoints")
def checkpoints() -> ResponseReturnValue:
    return jsonify(load_lines("state/checkpoints/index.jsonl")[::-1][: limit(20)])


@app.get("/metrics")
def metrics() -> ResponseReturnValue:
    counts = Counter(task["status"] for task in task_list())
    lines = [f'loki_tasks_total{{status="{name}"}} {count}' for name, count in counts.items()]
    lines.append(f"loki_cost_usd {costs()['estimated_cost_usd']}")
    lines.append(f"loki_events_total {len(load_lines('events.jsonl'))}")
    return "\n".join([*lines, ""]), {"Content-Type": "text/plain"}
