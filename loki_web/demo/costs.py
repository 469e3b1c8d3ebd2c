"""Cost of the demo session: efficiency files, budget, context tracking and their alerts."""

import random
from typing import Any

from loki_web.demo import clock, story
from loki_web.demo.writers import Writers, micros, seconds

_WINDOW = 200_000
_LIMIT = 40.0
_MODELS = (("opus", 5, 25), ("sonnet", 3, 15), ("haiku", 1, 5))


class Costs:
    """Grows the numbers as in a real session, and compacts the context when it is nearly full."""

    def __init__(self, write: Writers, chance: random.Random) -> None:
        self._write = write
        self._chance = chance
        self._spent = 0.0
        self._used = 20_000
        self._per_iteration: list[dict[str, Any]] = []
        self._compactions: list[dict[str, Any]] = []

    def begin(self) -> None:
        models = {
            name: {"input": given, "output": taken, "label": name.title(), "provider": "claude"}
            for name, given, taken in _MODELS
        }
        head = {"provider": "claude", "updated": seconds()[:10], "source": "static"}
        self._write.in_place("pricing.json", {**head, "models": models})
        self._write.in_place("notifications/triggers.json", {"triggers": list(story.TRIGGERS)})
        self._save_budget(created_at=seconds())

    def start_iteration(self) -> None:
        """Update the budget before an iteration, as the runner does: it lags by one iteration."""
        self._save_budget(exceeded=self._spent >= _LIMIT)

    def end_iteration(self, number: int, phase: str, succeeded: bool, milliseconds: int) -> None:
        input_tokens = self._chance.randint(4_000, 16_000)
        output_tokens = self._chance.randint(1_500, 7_000)
        cached = self._chance.randint(20_000, 60_000)
        cost = round((input_tokens * 3 + output_tokens * 15 + cached * 0.3) / 1e6, 4)
        self._spent += cost
        self._used += self._chance.randint(12_000, 40_000)
        compacted = self._used > _WINDOW * 0.95
        if compacted:
            at = {"at_iteration": number, "timestamp": micros(), "tokens_before": self._used}
            self._compactions.append({**at, "line": number * 4})
            self._used = 35_000
        tokens = {"input_tokens": input_tokens, "output_tokens": output_tokens}
        cache = {"cache_read_tokens": cached, "cache_creation_tokens": input_tokens // 2}
        self._per_iteration.append(
            {"iteration": number, **tokens, **cache, "cost_usd": cost, "timestamp": micros(),
             "compacted": compacted}
        )  # fmt: skip
        self._track(tokens, cache)
        self._write.in_place(
            f"metrics/efficiency/iteration-{number}.json",
            {"iteration": number, "model": "sonnet", "phase": phase,
             "duration_ms": milliseconds, "provider": "claude",
             "status": "completed" if succeeded else "failed", **tokens, "cost_usd": cost,
             "timestamp": seconds()},
        )  # fmt: skip
        self._alert(number)

    def _track(self, tokens: dict[str, int], cache: dict[str, int]) -> None:
        share = round(100 * self._used / _WINDOW, 2)
        current = {**tokens, **cache, "total_tokens": self._used, "context_window_pct": share}
        totals = {
            "total_input": sum(entry["input_tokens"] for entry in self._per_iteration),
            "total_output": sum(entry["output_tokens"] for entry in self._per_iteration),
            "total_cost_usd": round(self._spent, 4),
            "compaction_count": len(self._compactions),
            "iterations_tracked": len(self._per_iteration),
        }
        self._write.by_rename(
            "context/tracking.json",
            {"session_id": "demo", "provider": "claude", "updated_at": micros(),
             "current": {**current, "estimated_cost_usd": round(self._spent, 4)},
             "compactions": self._compactions, "per_iteration": self._per_iteration,
             "totals": totals},
        )  # fmt: skip

    def _alert(self, number: int) -> None:
        share = 100 * self._used / _WINDOW
        if share < 80:
            return
        active = self._write.read("notifications/active.json", {"notifications": []})
        listed = active["notifications"]
        trigger = "context-90pct"
        if any(entry["iteration"] == number for entry in listed):
            return
        listed.append(
            {"id": f"notif-{int(clock.now().timestamp())}-{trigger}", "trigger_id": trigger,
             "severity": "critical", "message": f"Context window at {share:.1f}% capacity",
             "timestamp": micros(), "iteration": number, "acknowledged": False,
             "data": {"context_pct": round(share, 2)}}
        )  # fmt: skip
        waiting = [entry for entry in listed if not entry["acknowledged"]]
        summary = {"total": len(listed), "unacknowledged": len(waiting)}
        for severity in ("critical", "warning", "info"):
            summary[severity] = sum(1 for entry in waiting if entry["severity"] == severity)
        self._write.by_rename(
            "notifications/active.json", {"notifications": listed[-100:], "summary": summary}
        )

    def _save_budget(self, **more: Any) -> None:
        limits = {"limit": _LIMIT, "budget_limit": _LIMIT}
        self._write.in_place(
            "metrics/budget.json", {**limits, "budget_used": round(self._spent, 4), **more}
        )
