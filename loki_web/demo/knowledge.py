"""Memory of the demo session: episodes, patterns, skills, signals and their indexes."""

import random
from typing import Any

from loki_web.demo import clock, story
from loki_web.demo.writers import Writers, file_stamp, micros

_TIMELINE_ACTIONS = 50


class Knowledge:
    """Writes below `memory/` and `learning/`, as the memory engine and the runner do."""

    def __init__(self, write: Writers, chance: random.Random) -> None:
        self._write = write
        self._chance = chance
        self._actions: list[dict[str, Any]] = []
        self._patterns: list[dict[str, Any]] = []
        self._read_tokens = 0

    def begin(self) -> None:
        for name, steps in story.SKILLS:
            slug = name.lower().replace(" ", "-")
            skill = {
                "id": f"skill-{slug}",
                "name": name,
                "description": f"{name}, step by step",
                "prerequisites": [],
                "steps": steps,
                "common_errors": [],
                "exit_criteria": [],
                "importance": 0.5,
                "access_count": 0,
            }
            self._write.by_rename(f"memory/skills/{slug}.json", skill)
        self._save_indexes()

    def episode(self, task: dict[str, Any], agent: str, phase: str, succeeded: bool) -> None:
        """Write an episode for a finished task, in the folder of its day."""
        identity = f"ep-{clock.now():%Y-%m-%d}-{self._hex()}"
        files = self._chance.sample(story.FILES, 2)
        tokens = self._chance.randint(3_000, 15_000)
        goal = task["payload"]["action"]
        episode = {
            "id": identity,
            "task_id": task["id"],
            "timestamp": _doubled(),
            "duration_seconds": self._chance.randint(40, 400),
            "agent": agent,
            "context": {"phase": phase, "goal": goal, "files_involved": files},
            "action_log": [
                {"t": 0, "action": "read_file", "target": files[0], "result": "ok"},
                {"t": 30, "action": "write_file", "target": files[1], "result": "ok"},
                {"t": 80, "action": "run_test", "target": "pytest -q", "result": "passed"},
            ],
            "outcome": "success" if succeeded else "failure",
            "errors_encountered": [],
            "artifacts_produced": [],
            "git_commit": None,
            "tokens_used": tokens,
            "files_read": files[:1],
            "files_modified": files[1:],
            "importance": 0.5,
            "access_count": 0,
        }
        day = clock.now().strftime("%Y-%m-%d")
        self._write.by_rename(f"memory/episodic/{day}/task-{identity}.json", episode)
        action = {"timestamp": _doubled(), "action": goal, "outcome": episode["outcome"]}
        self._actions = [{**action, "topic_id": phase}, *self._actions][:_TIMELINE_ACTIONS]
        self._read_tokens += tokens // 10
        self._save_indexes()

    def pattern(self) -> None:
        """Write the next pattern of the story, until all are written."""
        if len(self._patterns) == len(story.PATTERNS):
            return
        words, category, confidence = story.PATTERNS[len(self._patterns)]
        entry = {
            "id": f"sem-{self._hex()}",
            "pattern": words,
            "category": category,
            "conditions": ["During ACT phase"],
            "correct_approach": words,
            "incorrect_approach": "",
            "confidence": confidence,
            "source_episodes": [],
            "usage_count": self._chance.randint(0, 5),
            "links": [],
            "importance": 0.5,
            "access_count": 0,
            "last_used": _doubled(),
        }
        self._patterns.append(entry)
        document = {"patterns": self._patterns, "version": "1.1.0", "last_updated": micros()}
        self._write.by_rename("memory/semantic/patterns.json", document)
        self._write.by_rename("memory/semantic/anti-patterns.json", {"anti_patterns": []})

    def signals(self, iteration: int, succeeded: bool, milliseconds: int) -> None:
        """Write the learning signals that the runner emits after an iteration."""
        outcome = "success" if succeeded else "failure"
        if succeeded:
            self._signal(
                "success_pattern", "iteration_complete", outcome,
                pattern_name="rarv_iteration", action_sequence=["reason", "act"],
                preconditions=[], postconditions=[], duration_seconds=milliseconds // 1000,
            )  # fmt: skip
        else:
            self._signal(
                "error_pattern", "iteration_failed", outcome, error_type="IterationFailure",
                error_message=f"Iteration {iteration} ended with exit code 1", resolution="",
                recovery_steps=[],
            )  # fmt: skip
        self._signal(
            "tool_efficiency", "provider_call", outcome, tool_name="claude",
            tokens_used=self._chance.randint(5_000, 30_000), execution_time_ms=milliseconds,
            success_rate=1.0 if succeeded else 0.0, alternative_tools=[],
        )  # fmt: skip

    def _signal(self, kind: str, action: str, outcome: str, **own: Any) -> None:
        identity = f"sig-{self._hex()}"
        common = {
            "id": identity,
            "type": kind,
            "source": "cli",
            "action": action,
            "context": {},
            "outcome": outcome,
            "confidence": 0.85,
            "timestamp": _doubled(),
            "metadata": {},
        }
        self._write.in_place(f"learning/signals/{file_stamp()}_{identity}.json", {**common, **own})
        payload = {"action": "learning_signal", "signal_id": identity, "signal_type": kind}
        bus = {"id": self._hex(), "type": "memory", "source": "cli", "timestamp": micros()}
        self._write.in_place(
            f"events/pending/{file_stamp()}_{bus['id']}.json",
            {**bus, "payload": {**payload, "outcome": outcome}, "version": "1.0"},
        )

    def _save_indexes(self) -> None:
        head = {"version": "1.1.0", "last_updated": micros()}
        topics = [
            {"id": phase.lower(), "summary": f"Work in {phase}", "relevance_score": 0.6,
             "last_accessed": micros(), "token_count": 120}
            for phase in sorted({str(action["topic_id"]) for action in self._actions})
        ]  # fmt: skip
        self._write.by_rename("memory/index.json", {**head, "topics": topics})
        timeline = {**head, "recent_actions": self._actions, "key_decisions": []}
        self._write.by_rename("memory/timeline.json", {**timeline, "active_context": {}})
        economics = {
            "session_id": "demo",
            "started_at": micros(),
            "ratio": 0.1,
            "savings_percent": 41.5,
            "metrics": {"discovery_tokens": 40 * len(topics), "read_tokens": self._read_tokens},
            "thresholds_triggered": [],
        }
        self._write.by_rename("memory/token_economics.json", economics)

    def _hex(self) -> str:
        return f"{self._chance.getrandbits(32):08x}"


def _doubled() -> str:
    """Return a UTC time with the doubled suffix `+00:00Z` that the memory engine writes."""
    return f"{micros()}Z"
