"""A session that has grown: hundreds of iterations, tasks, alerts and signals."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.places import Place

ITERATIONS = 500
TASKS = 60
ALERTS = 120
SPENT_BEFORE = 12_340.0  # by earlier sessions, of which no iteration is left
COST_USD = 0.01


def grow(place: Place, pid: int) -> Place:
    """Write a session of many iterations that runs as the process of a pid."""
    start = datetime.now(UTC) - timedelta(hours=12)
    place.write("loki.pid", f"{pid}\n")
    lines = []
    for number in range(1, ITERATIONS + 1):
        moment = _at(start, number)
        seconds = int(start.timestamp()) + number * 60
        lines.append(f"{seconds}|{number}|{number % 30}|0|{number % 3}\n")
        record = {"iteration": number, "timestamp": moment, "cost_usd": COST_USD, "model": "opus"}
        used = {"input_tokens": number % 90 * 1000, "output_tokens": 500, "phase": "QA"}
        place.write(f"metrics/efficiency/iteration-{number}.json", {**record, **used})
    place.write("council/convergence.log", "".join(lines))
    spent = SPENT_BEFORE + ITERATIONS * COST_USD
    place.write("metrics/budget.json", {"limit": 25_000, "budget_used": spent})
    place.write("queue/pending.json", [task(number) for number in range(TASKS)])
    ended = [{**task(100 + number), "completedAt": _at(start, number)} for number in (2, 1, 4, 3)]
    place.write("queue/completed.json", [*ended, task(90), task(91)])
    place.write("queue/failed.json", [task(80), task(81)])
    _vote(place, start, range(5, ITERATIONS, 5))
    agents = [{"id": f"a-{status}", "status": status} for status in ("running", "completed")]
    place.write("state/agents.json", agents)
    place.write("notifications/active.json", {"notifications": list(map(_alert, range(ALERTS)))})
    place.write(
        "context/tracking.json",
        {"current": {"total_tokens": 9000, "input_tokens": 2000, "cache_read_tokens": 1000}},
    )
    for number in range(40):
        place.write(f"learning/signals/s-{number}.json", _signal(number))
    economy = {"metrics": {"discovery_tokens": 1000, "read_tokens": 2000}, "savings_percent": 50}
    place.write("memory/token_economics.json", economy)
    place.write("memory/episodic/2026-11-20/task-1.json", {"id": "e-1", "goal": "Ship"})
    return place


def _vote(place: Place, start: datetime, iterations: range) -> None:
    """Let a council of two vote after these iterations."""
    verdict = {"approve": 1, "reject": 1, "result": "REJECTED"}
    verdicts = [{"iteration": n, "timestamp": _at(start, n), **verdict} for n in iterations]
    place.write("council/state.json", {"enabled": True, "verdicts": verdicts})
    for number in iterations:
        for member, vote in (("member-1", "APPROVE"), ("member-2", "REJECT")):
            file = f"council/votes/iteration-{number}/{member}.txt"
            place.write(file, f"VOTE:{vote}\nREASON: none\n")


def task(number: int) -> dict[str, Any]:
    return {"id": f"t-{number:03}", "title": f"Task {number:03}", "priority": "high"}


def _at(start: datetime, minutes: int) -> str:
    return (start + timedelta(minutes=minutes)).isoformat()


def _alert(number: int) -> dict[str, Any]:
    message = {"id": f"n-{number}", "severity": "info", "message": f"Message {number}"}
    return {**message, "timestamp": "2026-11-24T10:00:00Z", "acknowledged": False}


def _signal(number: int) -> dict[str, Any]:
    moment = (datetime.now(UTC) - timedelta(minutes=number)).isoformat()
    return {
        "id": f"s-{number}",
        "type": "success_pattern",
        "pattern_name": f"Pattern {number}",
        "source": "cli",
        "outcome": "success",
        "timestamp": moment,
    }
