"""The tasks of the demo and their way through the queue files."""

from typing import Any

from loki_web.demo import story
from loki_web.demo.writers import Writers, seconds

Task = dict[str, Any]
_KEPT_COMPLETED = 50


class Queues:
    """Rewrites queue files in place, as agents and the runner do.

    A moving task is added to its new file before it is removed from the old one.
    """

    def __init__(self, write: Writers) -> None:
        self._write = write
        self._planned = 0
        self.lists: dict[str, list[Task]] = {
            name: [] for name in ("pending", "in-progress", "review", "completed", "failed")
        }

    def plan(self) -> None:
        """Fill the queue from the requirements; later with what follows from them."""
        part = story.PARTS[min(self._planned // len(story.TASKS), len(story.PARTS) - 1)]
        for title, kind, priority in story.TASKS:
            self._planned += 1
            task = {
                "id": f"task-{self._planned:03}",
                "type": kind,
                "priority": priority,
                "payload": {
                    "action": part.format(title),
                    "description": f"{part.format(title)}, with tests",
                },
                "createdAt": seconds(),
                "claimedBy": None,
                "claimedAt": None,
                "timeout": 3600,
                "retries": 0,
                "maxRetries": 3,
            }
            self.lists["pending"].append(task)
        self._save("pending")

    def claim(self, agent: str) -> Task | None:
        """Move the next pending task to in progress, and return it."""
        if not self.lists["pending"]:
            return None
        task = {**self.lists["pending"][0], "claimedBy": agent, "claimedAt": seconds()}
        self._move(task, "pending", "in-progress")
        return task

    def review(self, task: Task) -> None:
        self._move(task, "in-progress", "review")

    def complete(self, task: Task) -> None:
        self._move({**task, "completedAt": seconds()}, "review", "completed")

    def fail(self, task: Task, error: str) -> None:
        self._move({**task, "lastError": error, "completedAt": seconds()}, "in-progress", "failed")

    def start_iteration(self, number: int) -> None:
        entry = {
            "id": f"iteration-{number}",
            "type": "iteration",
            "title": f"Iteration {number}",
            "description": "PRD: ./prd.md",
            "status": "in_progress",
            "priority": "medium",
            "startedAt": seconds(),
            "provider": "claude",
        }
        self.lists["in-progress"].append(entry)
        self._save("in-progress")
        self._write.in_place("queue/current-task.json", entry)

    def end_iteration(self, number: int, exit_code: int) -> None:
        queue = "completed" if exit_code == 0 else "failed"
        entry = {
            "id": f"iteration-{number}",
            "type": "iteration",
            "title": f"Iteration {number}",
            "status": queue,
            "completedAt": seconds(),
            "exitCode": exit_code,
            "provider": "claude",
        }
        self._move(entry, "in-progress", queue)
        self._write.in_place("queue/current-task.json", {})

    def _move(self, task: Task, source: str, target: str) -> None:
        others = [other for other in self.lists[source] if other["id"] != task["id"]]
        self.lists[target] = [*self.lists[target], task][-_KEPT_COMPLETED:]
        self._save(target)
        self.lists[source] = others
        self._save(source)

    def _save(self, name: str) -> None:
        self._write.in_place(f"queue/{name}.json", self.lists[name])
