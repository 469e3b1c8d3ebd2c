"""The demo session: iterations of agents, from hours ago until it is stopped."""

import os
import random
import threading
import time
from typing import Any

from loki_web.demo import clock, story
from loki_web.demo.agents import Agents
from loki_web.demo.costs import Costs
from loki_web.demo.council import Council
from loki_web.demo.knowledge import Knowledge
from loki_web.demo.places import Places
from loki_web.demo.queues import Queues
from loki_web.demo.signal_event import SignalEvent
from loki_web.demo.writers import Writers, micros, real_time, seconds

_STEP_SECONDS = 3.0
_STEPS = 5  # per iteration
_MONITOR_SECONDS = 2.0
_PAST_HOURS = 3.0
_PAST_STEP_SECONDS = 50.0
_CHECKPOINT_EVERY = 4  # iterations


class Stopped(Exception):
    """The session was stopped."""


class Session:
    """Simulates the runner.

    :param speed: factor of the usual pace.
    :param seed: of the random numbers; the same seed gives the same session.
    """

    def __init__(self, places: Places, speed: float, seed: int) -> None:
        clock.rewind(_PAST_HOURS)
        self._write = Writers(places.loki)
        self._places = places
        self._speed = speed
        self._chance = random.Random(seed)
        self._started = seconds()
        self._phase = story.PHASES[0]
        self._ended = threading.Event()
        self.stop_requested = SignalEvent()
        self._queues = Queues(self._write)
        self._agents = Agents(Writers(places.project))
        self._council = Council(self._write, self._chance)
        self._costs = Costs(self._write, self._chance)
        self._knowledge = Knowledge(self._write, self._chance)

    def play(self) -> None:
        """Play the session, the hours until the present at once, until it is stopped."""
        self._begin()
        iteration = 1
        monitor = threading.Thread(target=self._monitor, daemon=True)
        monitor.start()
        try:
            while True:
                self._iterate(iteration)
                iteration += 1
        except Stopped:
            self._say("WARN", "The session was stopped. Start the demo again for another one.")
        finally:
            self._end(iteration, monitor)

    def _begin(self) -> None:
        self._write.touch("session.lock")
        self._orchestrate()
        self._write.in_place("loki.pid", f"{os.getpid()}\n")
        label = {"pid": os.getpid(), "label": "status-monitor", "started": real_time()}
        self._write.in_place(
            f"pids/{os.getpid()}.json", {**label, "ppid": os.getppid(), "extra": ""}
        )
        for part in (self._council, self._costs, self._knowledge):
            part.begin()
        self._event("session_start", provider="claude", prd="./prd.md", pid=os.getpid())
        self._agents.start()
        self._queues.plan()

    def _iterate(self, number: int) -> None:
        self._obey()
        began = clock.now()
        self._costs.start_iteration()
        self._autonomy("running", number)
        self._queues.start_iteration(number)
        self._event("iteration_start", iteration=number, provider="claude", prd="./prd.md")
        self._log(f"=== Session started at {clock.now():%a %b %d %H:%M:%S} UTC ===")
        done, failed = self._work(number)
        milliseconds = int((clock.now() - began).total_seconds() * 1000)
        succeeded = not failed
        self._queues.end_iteration(number, 0 if succeeded else 1)
        word = "completed" if succeeded else "failed"
        self._event("iteration_complete", iteration=number, status=word, exitCode=int(failed))
        self._costs.end_iteration(number, self._phase, succeeded, milliseconds)
        self._knowledge.signals(number, succeeded, milliseconds)
        self._council.track(number, files_changed=done * 2, done_signals=number // 3)
        is_done = not self._queues.lists["pending"]
        self._council.meet(number, work_is_done=is_done)
        if is_done:
            self._queues.plan()
        if number % _CHECKPOINT_EVERY == 0:
            self._checkpoint(number, f"after iteration {number}")

    def _work(self, number: int) -> tuple[int, bool]:
        """Move a few tasks through the queues; return how many are done and whether one failed."""
        self._change_phase(story.PHASES[min(number - 1, len(story.PHASES) - 1)])
        done, failed = 0, False
        for _ in range(2):
            waiting = self._queues.lists["pending"]
            if not waiting:
                break
            agent = self._agents.ready(str(waiting[0]["type"]))
            task = self._queues.claim(agent)
            if task is None:
                break
            title = str(task["payload"]["action"])
            self._agents.works_on(agent, title)
            for _ in range(_STEPS):
                self._pass_time()
                self._chatter(title)
            failed = self._chance.random() < 0.08
            if failed:
                self._queues.fail(task, "Tests failed")
                self._say("ERROR", f"{title}: tests failed")
            else:
                self._queues.review(task)
                self._pass_time()
                self._queues.complete(task)
                done += 1
            self._agents.finished(agent, title)
            self._knowledge.episode(task, agent, "ACT", not failed)
        self._knowledge.pattern()
        return done, failed

    def _end(self, iteration: int, monitor: threading.Thread) -> None:
        self._agents.end()
        self._autonomy("stopped", 0)
        self._event("session_end", result="stopped", provider="claude")
        self._checkpoint(iteration, "end of the session")
        self._ended.set()
        monitor.join()
        self._save_state("stopped")
        for name in ("STOP", "PAUSE", "PAUSED.md", "loki.pid", f"pids/{os.getpid()}.json"):
            self._write.remove(name)

    def _obey(self) -> None:
        """Obey the control files between two steps, as the runner does."""
        if self._write.exists("PAUSE"):
            self._write.in_place("PAUSED.md", "Remove the PAUSE file to go on.\n")
            while self._write.exists("PAUSE") and not self._wants_to_stop():
                time.sleep(0.1)
            self._write.remove("PAUSED.md")
        if self._wants_to_stop():
            raise Stopped

    def _wants_to_stop(self) -> bool:
        return self._write.exists("STOP") or self.stop_requested.is_set()

    def _pass_time(self) -> None:
        if clock.is_past():
            clock.skip(_PAST_STEP_SECONDS)
            return
        self.stop_requested.wait(_STEP_SECONDS / self._speed)
        self._obey()

    def _change_phase(self, phase: str) -> None:
        if phase != self._phase:
            before, self._phase = self._phase, phase
            self._orchestrate()
            self._say("INFO", f"Phase changed: {before} -> {phase}")
            self._event("phase_change", **{"from": before, "to": phase, "iteration": 0})

    def _orchestrate(self) -> None:
        self._write.in_place(
            "state/orchestrator.json",
            {"version": "5.49.4", "currentPhase": self._phase, "startedAt": self._started,
             "agents": {}, "metrics": {"tasksCompleted": 0, "tasksFailed": 0, "retries": 0}},
        )  # fmt: skip

    def _autonomy(self, status: str, retries: int) -> None:
        self._write.in_place(
            "autonomy-state.json",
            {"retryCount": retries, "status": status, "lastExitCode": 0, "lastRun": seconds(),
             "prdPath": "./prd.md", "pid": os.getpid(), "maxRetries": 50, "baseWait": 5},
        )  # fmt: skip

    def _chatter(self, title: str) -> None:
        text = self._chance.choice((*story.SENTENCES, f"Working on: {title}"))
        content: dict[str, Any] = {"type": "text", "text": text}
        if self._chance.random() < 0.4:
            command = {"command": self._chance.choice(story.COMMANDS)}
            content = {"type": "tool_use", "id": "toolu_demo", "name": "Bash", "input": command}
        message = {"role": "assistant", "content": [content]}
        self._log({"type": "assistant", "message": message, "session_id": "demo"})

    def _say(self, level: str, text: str) -> None:
        colour = {"INFO": "0;32", "WARN": "1;33", "ERROR": "0;31"}[level]
        self._log(f"\x1b[{colour}m[{level}]\x1b[0m {text}")

    def _log(self, line: Any) -> None:
        self._write.line("logs/agent.log", line)
        self._write.line(f"logs/autonomy-{clock.now():%Y%m%d}.log", line)

    def _event(self, kind: str, **data: Any) -> None:
        self._write.line("events.jsonl", {"timestamp": seconds(), "type": kind, "data": data})

    def _checkpoint(self, iteration: int, about: str) -> None:
        identity = f"cp-{iteration}-{int(clock.now().timestamp())}"
        folder = f"state/checkpoints/{identity}"
        head = {"id": identity, "timestamp": seconds(), "iteration": iteration}
        head |= {"task_id": "session", "task_description": about}
        more = {"git_sha": "no-git", "git_branch": ""}
        for queue in ("pending", "completed"):
            self._write.in_place(f"{folder}/queue/{queue}.json", self._queues.lists[queue])
        self._write.in_place(f"{folder}/metadata.json", {**head, **more, "provider": "claude"})
        line = {"id": identity, "ts": seconds(), "iter": iteration, "task": about}
        self._write.line("state/checkpoints/index.jsonl", {**line, "sha": "no-git"})

    def _monitor(self) -> None:
        """Merge the agents and rewrite the state file, as the runner's background loop does."""
        while not self._ended.wait(_MONITOR_SECONDS / self._speed):
            paused = self._write.exists("PAUSE")
            self._save_state("paused" if paused else "autonomous")

    def _save_state(self, mode: str) -> None:
        agents = self._agents.joined()
        self._write.by_rename("state/agents.json", agents)
        lists = self._queues.lists
        self._write.by_rename(
            "dashboard-state.json",
            {"timestamp": seconds(), "version": "5.49.4",
             "project": {"name": "harbour", "path": str(self._places.project)}, "mode": mode,
             "provider": "claude", "phase": self._phase, "complexity": "standard", "iteration": 0,
             "startedAt": self._started,
             "rarv": {"currentStep": 0, "stages": ["reason", "act", "reflect", "verify"]},
             "tasks": {"pending": lists["pending"], "inProgress": lists["in-progress"],
                       "review": lists["review"], "completed": lists["completed"],
                       "failed": lists["failed"]},
             "agents": agents, "council": self._council.state, "qualityGates": None,
             "metrics": {"tasksCompleted": 0, "tasksFailed": 0, "cpuUsage": 20, "memoryUsage": 8,
                         "resourceStatus": "ok", "updated": micros()}},
        )  # fmt: skip
