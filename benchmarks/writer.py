"""What the runner and its agents do to the files of a session while it runs.

    python -m benchmarks.writer /tmp/sessions/L [SPEED]

Changes a generated session at the pace of the real programs until SIGTERM: log lines several times
a second, the agent list with each tool call, the state file every two seconds, queues when a task
moves, and everything that belongs to an iteration every half minute. The session is made again
before its next use.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.records import Record, seconds
from benchmarks.sessions import Session, dashboard_state
from loki_web.demo.signal_event import SignalEvent
from loki_web.demo.writers import Writers

_QUEUES = ("pending", "in-progress", "review", "completed", "failed")


class Writer:
    """Plays the runner on a session of any size.

    :param speed: how many times faster than at the usual pace.
    """

    def __init__(self, session: Session, speed: float = 1.0) -> None:
        session.discard()
        self.ended = SignalEvent()
        self._loki = session.loki
        self._write = Writers(session.loki)
        self._chance = random.Random(1)
        self._queues = {name: self._read(f"queue/{name}.json") for name in _QUEUES}
        self._agents: list[Record] = self._read("state/agents.json")
        self._tracked: list[Record] = self._read("context/tracking.json")["per_iteration"]
        self._council: Record = self._read("council/state.json")
        self._spent = float(self._read("metrics/budget.json")["budget_used"])
        self._iteration = len(os.listdir(session.loki / "metrics/efficiency"))
        self._periods: dict[Callable[[], None], float] = {
            self._log: 0.25 / speed,
            self._save_state: 2.0 / speed,
            self._call_tool: 3.0 / speed,
            self._move_task: 6.0 / speed,
            self._iterate: 30.0 / speed,
        }

    def run(self) -> None:
        """Write until `ended` is set."""
        self._write.in_place("loki.pid", f"{os.getpid()}\n")
        began = time.monotonic()
        due = {work: began + period / 2 for work, period in self._periods.items()}
        while True:
            work = min(due, key=due.__getitem__)
            if self.ended.wait(max(0.0, due[work] - time.monotonic())):
                break
            work()
            due[work] += self._periods[work]
        self._write.remove("loki.pid")

    def write_each_once(self) -> None:
        """Make every kind of change once, at once."""
        for work in self._periods:
            work()

    def _read(self, relative: str) -> Any:
        return self._write.read(relative, None)

    def _log(self) -> None:
        now = time.time()
        line = records.log_line(self._chance, now)
        self._write.line("logs/agent.log", line)
        day = seconds(now)[:10].replace("-", "")
        self._write.line(f"logs/autonomy-{day}.log", line)

    def _event(self, line: str) -> None:
        self._write.line("events.jsonl", line)

    def _save_state(self) -> None:
        """The monitor: agents joined, the state file written anew."""
        self._write.by_rename("state/agents.json", self._agents)
        state = dashboard_state(self._loki, self._queues, self._agents, time.time())
        self._write.by_rename("dashboard-state.json", records.pretty(state).decode())

    def _call_tool(self) -> None:
        """The stream reader: what the first agent does now, and now and then an event."""
        now = time.time()
        first = {**self._agents[0], "task": records.title(self._chance)}
        self._agents[0] = {**first, "heartbeat": records.micros(now)}
        self._write.in_place("state/agents.json", self._agents)
        self._event(records.event(self._chance, now, self._iteration))

    def _move_task(self) -> None:
        """The first pending task is worked on, the first of those that were is done."""
        now = seconds(time.time())
        pending, working = self._queues["pending"], self._queues["in-progress"]
        if working:
            done = {**working.pop(0), "completedAt": now}
            self._queues["completed"].append(done)
            self._save("completed", "in-progress")
        if pending:
            claimed = {**pending.pop(0), "claimedBy": "agent-001", "claimedAt": now}
            working.append(claimed)
            self._save("in-progress", "pending")
        else:  # planned again, so that there is always something to move
            pending.append({**self._queues["completed"].pop(0), "claimedAt": None})
            self._save("pending", "completed")

    def _save(self, *names: str) -> None:
        for name in names:
            self._write.in_place(f"queue/{name}.json", records.pretty(self._queues[name]).decode())

    def _iterate(self) -> None:
        """An iteration ends and the next one starts."""
        now, chance = time.time(), self._chance
        number = self._iteration = self._iteration + 1
        entry = records.efficiency(chance, number, now)
        self._spent += entry["cost_usd"]
        self._write.in_place(f"metrics/efficiency/iteration-{number}.json", entry)
        limits = {"limit": 5_000.0, "budget_limit": 5_000.0, "exceeded": False}
        budget = {**limits, "budget_used": round(self._spent, 4)}
        self._write.in_place("metrics/budget.json", budget)
        self._tracked.append(records.tracked(chance, number, now))
        tracking = records.tracking(self._tracked, now)
        self._write.by_rename("context/tracking.json", tracking)
        for _ in range(2):
            learned = records.signal(chance, now)
            self._write.in_place(f"learning/signals/{records.signal_name(learned)}", learned)
            bus = records.bus_event(chance, now, learned)
            name = f"events/pending/{records.file_stamp(now)}_{bus['id']}.json"
            self._write.in_place(name, bus)
        episode = records.episode(chance, now)
        self._write.by_rename(f"memory/episodic/{records.episode_name(episode)}", episode)
        self._council |= {"last_track_iteration": number, "files_changed": number % 4}
        self._write.in_place("council/state.json", self._council)
        kept = (self._loki / "council/convergence.log").read_text().splitlines()[-6:]
        lines = [*kept, f"{int(now)}|{number}|{number % 4}|0|1", ""]
        self._write.by_rename("council/convergence.log", "\n".join(lines))
        data = {"iteration": number, "provider": "claude"}
        done = {**data, "status": entry["status"], "exitCode": 0}
        for kind, about in (("iteration_complete", done), ("iteration_start", data)):
            record = {"timestamp": seconds(now), "type": kind, "data": about}
            self._event(records.compact(record))


def main(folder: str, speed: str = "1") -> None:
    writer = Writer(Session(Path(folder).absolute()), float(speed))
    signal.signal(signal.SIGTERM, lambda *_: writer.ended.set())
    writer.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
