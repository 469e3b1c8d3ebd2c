"""Council of the demo: convergence after each iteration, votes, and the final report."""

import random
from typing import Any

from loki_web.demo import clock
from loki_web.demo.writers import Writers, seconds

REQUESTED = "signals/COUNCIL_REVIEW_REQUESTED"
_ROLES = ("requirements_verifier", "test_auditor", "devils_advocate")
_KEPT_LINES = 7
_EVERY = 3


class Council:
    def __init__(self, write: Writers, chance: random.Random) -> None:
        self._write = write
        self._chance = chance
        self._lines: list[str] = []
        self.state: dict[str, Any] = {
            "initialized": True,
            "enabled": True,
            "total_votes": 0,
            "approve_votes": 0,
            "reject_votes": 0,
            "last_check_iteration": 0,
            "consecutive_no_change": 0,
            "done_signals": 0,
            "convergence_history": [],
            "verdicts": [],
        }

    def begin(self) -> None:
        self._save()

    def track(self, iteration: int, files_changed: int, done_signals: int) -> None:
        """Append to the convergence log, which keeps its newest lines, and update the state."""
        streak = self.state["consecutive_no_change"] + 1 if not files_changed else 0
        self._lines = [
            *self._lines,
            f"{int(clock.now().timestamp())}|{iteration}|{files_changed}|{streak}|{done_signals}",
        ][-_KEPT_LINES:]
        self._write.by_rename("council/convergence.log", "\n".join([*self._lines, ""]))
        self.state |= {"consecutive_no_change": streak, "done_signals": done_signals}
        self.state |= {"last_track_iteration": iteration, "files_changed": files_changed}
        self._save()

    def meet(self, iteration: int, work_is_done: bool) -> None:
        """Vote every few iterations; review the work when it is done or when somebody asks."""
        if iteration % _EVERY == 0:
            self._round(iteration)
        if work_is_done or self._write.exists(REQUESTED):
            self._write.remove(REQUESTED)
            self._review(iteration, work_is_done)

    def _round(self, number: int) -> None:
        votes = [self._vote() for _ in _ROLES]
        complete = votes.count("COMPLETE")
        members = [
            {"member": place, "role": role, "vote": vote, "reason": ""}
            for place, (role, vote) in enumerate(zip(_ROLES, votes, strict=True), start=1)
        ]
        self._write.in_place(
            f"council/votes/round-{number}.json",
            {"round": number, "timestamp": seconds(), "complete_votes": complete,
             "continue_votes": len(votes) - complete, "total_members": len(votes), "threshold": 2,
             "verdict": "COMPLETE" if complete >= 2 else "CONTINUE", "votes": members},
        )  # fmt: skip

    def _review(self, iteration: int, work_is_done: bool) -> None:
        votes = [self._vote() for _ in _ROLES]
        approve = min(1, votes.count("COMPLETE"))  # never enough: the session goes on
        folder = f"council/votes/iteration-{iteration}"
        self._write.in_place(f"{folder}/evidence.md", f"# Evidence\n\nIteration {iteration}\n")
        reason = "The next part has to be planned" if work_is_done else "There are tasks left"
        for place in range(1, len(votes) + 1):
            word = "APPROVE" if place <= approve else "REJECT"
            self._write.in_place(f"{folder}/member-{place}.txt", f"VOTE:{word}\nREASON: {reason}\n")
        self.state["total_votes"] += len(votes)
        self.state["approve_votes"] += approve
        self.state["reject_votes"] += len(votes) - approve
        self.state["last_check_iteration"] = iteration
        verdict = {"iteration": iteration, "timestamp": seconds(), "approve": approve}
        self.state["verdicts"].append(
            {**verdict, "reject": len(votes) - approve, "result": "REJECTED"}
        )
        self._save()

    def _vote(self) -> str:
        return "COMPLETE" if self._chance.random() < 0.15 else "CONTINUE"

    def _save(self) -> None:
        self._write.in_place("council/state.json", self.state)
