"""Agents of the demo: real processes that sleep, so that they can be paused and killed."""

import subprocess
from typing import Any

from loki_web.demo import story
from loki_web.demo.writers import Writers, micros, real_time


class Agents:
    """Agents with a file each in `.agent/sub-agents/`, which a monitor merges into one."""

    def __init__(self, project: Writers) -> None:
        self._project = project
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._entries: dict[str, dict[str, Any]] = {}

    def start(self) -> None:
        for kind, name in story.AGENTS:
            self._start(f"agent-{kind}", kind, name)

    def ready(self, kind: str) -> str:
        """Return the agent of a kind; restart it if it was killed."""
        identity = f"agent-{kind}"
        if self._processes[identity].poll() is not None:
            self._start(identity, kind, self._entries[identity]["name"])
        return identity

    def works_on(self, identity: str, task: str, status: str = "running") -> None:
        entry = self._entries[identity]
        self._save(identity, {**entry, "task": task, "status": status, "heartbeat": micros()})

    def finished(self, identity: str, task: str) -> None:
        entry = self._entries[identity]
        done = [*entry["tasks_completed"], task]
        self._save(identity, {**entry, "task": "", "status": "idle", "tasks_completed": done})

    def joined(self) -> list[dict[str, Any]]:
        """Write `state/agents.json`, as the runner's monitor does."""
        return [self._entries[identity] for identity in sorted(self._entries)]

    def end(self) -> None:
        for identity, process in self._processes.items():
            process.terminate()
            process.wait()
            done = {"status": "completed", "task": "", "completed_at": micros()}
            self._save(identity, {**self._entries[identity], **done})

    def _start(self, identity: str, kind: str, name: str) -> None:
        process = subprocess.Popen(
            ["sleep", "86400"],  # noqa: S607
            stdin=subprocess.DEVNULL,
            cwd=self._project.folder,
        )
        self._processes[identity] = process
        entry = {
            "id": identity,
            "name": name,
            "type": kind,
            "model": "sonnet",
            "status": "idle",
            "task": "",
            "pid": process.pid,
            "started": real_time(),
            "heartbeat": micros(),
        }
        self._save(identity, {**entry, "tasks_completed": []})

    def _save(self, identity: str, entry: dict[str, Any]) -> None:
        self._entries[identity] = entry
        self._project.in_place(f".agent/sub-agents/{identity}.json", entry)
