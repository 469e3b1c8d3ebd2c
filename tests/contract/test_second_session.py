"""The second session of a project, and `loki demo`: a copy never beats its newer source."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.children import Children, backdate
from tests.support.places import Place

YESTERDAY = 24 * 3600


def leave(path: Path) -> None:
    """Make a file one of the session before."""
    backdate(path, YESTERDAY)


def status(client: FlaskClient) -> Any:
    return client.get("/api/status").get_json()


LEFT = {
    "dashboard-state.json": {"iteration": 7, "phase": "REVIEW", "mode": "autonomous"},
    "council/state.json": {"last_track_iteration": 7},
    "queue/current-task.json": {"id": "iteration-7"},
    "queue/in-progress.json": [{"id": "iteration-7", "title": "Iteration 7"}],
    "events.jsonl": '{"type": "iteration_start", "data": {"iteration": 7}}\n',
}


@pytest.mark.parametrize(
    ("written", "iteration", "task"),
    [
        ({}, 7, "Iteration 7"),  # as long as the new session has written nothing
        ({"dashboard-state.json": {"iteration": 0}}, 0, ""),
        ({"council/state.json": {"last_track_iteration": 0}}, 0, ""),
        ({"queue/in-progress.json": [{"id": "iteration-1", "title": "It. 1"}]}, 1, "It. 1"),
        ({"queue/in-progress.json": []}, 0, ""),
        ({"queue/current-task.json": {"id": "iteration-2"}}, 2, ""),
        ({"events.jsonl": '{"type": "session_start"}\n'}, 0, ""),
    ],
)
def test_iteration_and_task_of_the_session_before_are_not_shown(
    place: Place, children: Children, written: dict[str, Any], iteration: int, task: str
) -> None:
    for name, content in LEFT.items():
        leave(place.write(name, content))
    place.write("loki.pid", f"{children.sleeper().pid}\n")
    for name, content in written.items():
        place.write(name, content)
    answer = status(place.client())
    assert (answer["iteration"], answer["current_task"]) == (iteration, task)


@pytest.mark.parametrize(
    ("older", "newer", "phase"),
    [
        ({"phase": "REVIEW"}, {"currentPhase": "TESTING"}, "TESTING"),
        ({"currentPhase": "TESTING"}, {"phase": "REVIEW"}, "REVIEW"),
        ({"phase": "REVIEW"}, {"currentPhase": ""}, "REVIEW"),
        ({"currentPhase": "TESTING"}, {"mode": "autonomous"}, "TESTING"),
    ],
)
def test_the_phase_is_that_of_the_file_written_later(
    place: Place, client: FlaskClient, older: Any, newer: Any, phase: str
) -> None:
    is_copy = "currentPhase" not in older
    names = ["dashboard-state.json", "state/orchestrator.json"]
    first, second = names if is_copy else names[::-1]
    leave(place.write(first, older))
    place.write(second, newer)
    assert status(client)["phase"] == phase


def test_the_mode_follows_the_pause_file(place: Place, children: Children) -> None:
    client = place.client()
    place.write("loki.pid", f"{children.sleeper().pid}\n")
    place.write("dashboard-state.json", {"mode": "autonomous"})
    place.write("PAUSE", "")
    assert (status(client)["status"], status(client)["mode"]) == ("paused", "paused")
    (place.loki / "PAUSE").unlink()
    assert (status(client)["status"], status(client)["mode"]) == ("autonomous", "autonomous")


def test_the_iteration_that_runs_is_not_done_though_an_older_one_has_its_id(
    place: Place, client: FlaskClient
) -> None:
    done = {"id": "iteration-1", "completedAt": "2026-03-01T09:00:00Z"}
    place.write("queue/in-progress.json", [{"id": "iteration-1", "startedAt": "2026-03-02T09:00Z"}])
    place.write("queue/completed.json", [done])
    (task,) = client.get("/api/tasks").get_json()
    assert task["status"] == "in_progress"


def use(iteration: int, at: str, usd: float, tokens: int = 100) -> dict[str, Any]:
    counts = {"input_tokens": tokens, "output_tokens": 0}
    return {"iteration": iteration, "timestamp": at, "cost_usd": usd, **counts}


FIRST = [use(1, "2026-03-01T09:00:00Z", 0.1), use(2, "2026-03-01T09:05:00Z", 0.125)]
SECOND = use(1, "2026-03-02T09:00:00Z", 0.22, 70)
LATER = {"timestamp": "2026-03-02T09:00:04Z"}  # the runner writes the file after the tracker
CODEX = use(1, "2026-03-02T09:00:00Z", 0.22, 0)


@pytest.mark.parametrize(
    ("files", "tracked", "usd", "iterations"),
    [
        (FIRST, FIRST, 0.225, [(1, 1), (1, 2)]),
        ([{**SECOND, **LATER}, FIRST[1]], [*FIRST, SECOND], 0.445, [(1, 1), (1, 2), (2, 1)]),
        ([FIRST[0]], [*FIRST, SECOND], 0.445, [(1, 1), (1, 2), (2, 1)]),
        ([SECOND, FIRST[1]], FIRST, 0.445, [(1, 1), (1, 2), (2, 1)]),
        ([CODEX], FIRST, 0.445, [(1, 1), (1, 2), (2, 1)]),
        ([CODEX], [], 0.22, [(1, 1)]),
        ([{"cost_usd": 0.3, "input_tokens": 5}], FIRST[:1], 0.3, [(1, 1)]),  # no time: the same
        ([], [*FIRST, SECOND], 0.445, [(1, 1), (1, 2), (2, 1)]),
    ],
)
def test_the_cost_of_each_session_counts_once(
    place: Place,
    client: FlaskClient,
    files: list[Any],
    tracked: list[Any],
    usd: float,
    iterations: list[tuple[int, int]],
) -> None:
    for record in files:
        number = record.get("iteration", 1)
        place.write(f"metrics/efficiency/iteration-{number}.json", record)
    place.write("context/tracking.json", {"per_iteration": tracked})
    answer = client.get("/api/cost").get_json()
    assert answer["estimated_cost_usd"] == usd
    assert client.get("/api/budget").get_json()["budget_used"] == usd
    listed = answer["by_iteration"]
    assert [(each["session"], each["iteration"]) for each in listed] == iterations
    assert listed[-1]["cumulative"] == usd


def test_reasons_of_votes_are_shown_without_secrets(place: Place, client: FlaskClient) -> None:
    votes = [
        {"member": 1, "role": "test_auditor", "vote": "CONTINUE", "reason": "No test for logout"},
        {"member": "x", "reason": "key sk-ant-api03-" + "a" * 95},
        "odd",
    ]
    place.write("council/votes/round-5.json", {"verdict": "CONTINUE", "votes": votes})
    (verdict,) = client.get("/api/council/verdicts").get_json()["verdicts"]
    assert verdict["votes"] == [
        {**votes[0], "member": "1"},  # type: ignore[dict-item]
        {"member": "x", "role": "", "vote": "", "reason": "key [redacted]"},
    ]


def test_events_of_the_runner_are_no_learning_signals(place: Place, client: FlaskClient) -> None:
    now = place.clock().isoformat()
    kinds = ["session_start", "iteration_start", "phase_change", "error_pattern"]
    lines = [f'{{"type": "{kind}", "timestamp": "{now}"}}\n' for kind in kinds]
    place.write("events.jsonl", "".join(lines))
    place.write("learning/signals/s.json", {"type": "tool_efficiency", "timestamp": now})
    answer = client.get("/api/learning/metrics").get_json()
    assert (answer["totalSignals"], answer["learningSignals"]) == (5, 2)


@pytest.mark.parametrize(
    ("entries", "shown"),
    [
        ([{"id": "task-0", "title": "A", "status": "completed"}], {"task-0": "done"}),
        ([{"id": "task-0", "title": "A", "status": "in_progress"}], {"task-0": "in_progress"}),
        ([{"id": "task-0", "title": "A", "status": "pending"}], {"task-0": "pending"}),
        ([{"id": "task-0", "status": "failed"}, {"status": "review"}], ["done", "review"]),
        ([{"id": "task-0", "status": "In Progress"}], {"task-0": "in_progress"}),
        ([{"id": "task-0", "status": " cancelled"}], {"task-0": "done"}),
        ([{"id": "task-0", "status": "active"}, {"status": "complete"}], ["done", "in_progress"]),
        ([{"id": "task-0", "status": "no word"}, "odd", [1]], {}),
    ],
)
def test_files_with_one_task_are_read(
    place: Place, client: FlaskClient, entries: list[Any], shown: Any
) -> None:
    for number, entry in enumerate(entries):
        place.write(f"queue/task-{number}.json", entry)
    tasks = client.get("/api/tasks").get_json()
    if isinstance(shown, list):
        assert sorted(task["status"] for task in tasks) == sorted(shown)
    else:
        assert {task["id"]: task["status"] for task in tasks} == shown


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ({}, (6, 2, "Write tests")),
        ({"queue/pending.json": [{"id": "a"}]}, (1, 2, "")),
        ({"state/agents.json": []}, (6, 0, "Write tests")),
    ],
    ids=["numbers alone", "a queue", "nobody is left"],
)
def test_numbers_of_the_demo_count_where_there_is_no_list(
    place: Place,
    children: Children,
    more: dict[str, Any],
    counts: tuple[int, int, str],
) -> None:
    place.variant("dashboard-state.demo.json", "dashboard-state.json")
    place.write(
        "dashboard-state.json",
        {**place.read("dashboard-state.json"), "current_task": "Write tests"},
    )
    for name, content in more.items():
        place.write(name, content)
    place.write("loki.pid", f"{children.sleeper().pid}\n")
    client = place.client()
    answer = status(client)
    assert (answer["pending_tasks"], answer["running_agents"], answer["current_task"]) == counts
    assert f"\nloki_agents_active {counts[1]:.1f}\n" in client.get("/metrics").text
    total = 10 if counts[1] else 0
    assert f"\nloki_agents_total {total:.1f}\n" in client.get("/metrics").text
