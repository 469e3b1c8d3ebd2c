"""GET /api/status: liveness, status and progress of the session."""

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.children import Children, backdate
from tests.support.places import Place

DOCUMENTED: dict[str, Any] = {
    "status": str,
    "version": str,
    "uptime_seconds": (int, float),
    "active_sessions": int,
    "running_agents": int,
    "pending_tasks": int,
    "database_connected": bool,
    "phase": str,
    "iteration": int,
    "complexity": str,
    "mode": str,
    "provider": str,
    "current_task": str,
}
PIDS = ("live", "dead", "zombie", "-1", "0", "garbage", "own", "missing")
SESSIONS = ("none", "fresh", "stale", "stopped", "broken", "live pid", "dead pid", "own pid")


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


@pytest.fixture
def pid_of(children: Children) -> Callable[[str], str]:
    created: dict[str, Callable[[], int | str]] = {
        "live": lambda: children.sleeper().pid,
        "dead": children.dead,
        "zombie": children.zombie,
        "own": os.getpid,
    }
    return lambda kind: str(created[kind]() if kind in created else kind)


def session_file(kind: str, pid_of: Callable[[str], str]) -> Any:
    shapes: dict[str, Callable[[], Any]] = {
        "fresh": lambda: {"status": "running", "startedAt": ago(hours=5)},
        "stale": lambda: {"status": "running", "startedAt": ago(hours=7)},
        "stopped": lambda: {"status": "stopped", "startedAt": ago(hours=1)},
        "broken": lambda: '{"status": "running", ',
        "live pid": lambda: {"status": "running", "pid": pid_of("live"), "started": ago(seconds=9)},
        "dead pid": lambda: {"status": "running", "pid": pid_of("dead"), "started": ago(hours=1)},
        "own pid": lambda: {"status": "running", "pid": pid_of("own"), "started": ago(hours=1)},
    }
    return shapes[kind]()


@pytest.mark.parametrize("pid", PIDS)
@pytest.mark.parametrize("session", SESSIONS)
def test_status_by_pid_session_file_and_markers(
    place: Place, client: FlaskClient, pid_of: Callable[[str], str], pid: str, session: str
) -> None:
    if pid != "missing":
        place.write("loki.pid", f"{pid_of(pid)}\n")
    if session != "none":
        place.write("session.json", session_file(session, pid_of))
    alive = pid == "live" or session in ("fresh", "live pid")
    for paused, stopping in itertools.product((False, True), repeat=2):
        for name, wanted in (("PAUSE", paused), ("STOP", stopping)):
            (place.loki / name).unlink(missing_ok=True)
            if wanted:
                place.write(name, "")
        answer = client.get("/api/status").get_json()
        assert answer["status"] == ("stopped" if not alive else "paused" if paused else "running")
        assert answer["active_sessions"] == int(alive)
        gauge = {"stopped": "0", "paused": "2"}.get(answer["status"], "1")
        metrics = client.get("/metrics").get_data(as_text=True)
        assert f"\nloki_session_status {gauge}" in metrics.replace(".0\n", "\n")


@pytest.mark.parametrize(
    ("start", "alive"),
    [
        ({"startedAt": ago(hours=1)}, True),
        ({"started": ago(hours=7)}, False),
        ({"start_time": datetime.now(UTC).timestamp() - 60}, True),
        ({"startTime": str(int(datetime.now(UTC).timestamp() - 60))}, True),
        ({"startedAt": ago(days=-30)}, False),
        ({"startedAt": "nonsense"}, True),
        ({}, True),
        ({"pid": None}, True),
        ({"pid": 0}, True),
        ({"pid": ""}, True),
        ({"pid": "0", "started": ago(hours=7)}, False),
        ({"pid": "abc"}, False),
        ({"pid": True}, False),
    ],
)
def test_a_session_file_is_believed_for_six_hours(
    place: Place, client: FlaskClient, start: dict[str, Any], alive: bool
) -> None:
    place.write("session.json", {"status": "running", **start})
    assert client.get("/api/status").get_json()["active_sessions"] == int(alive)


def test_a_session_file_without_a_start_is_as_old_as_it_is(
    place: Place, client: FlaskClient
) -> None:
    backdate(place.write("session.json", {"status": "running"}), 7 * 3600)
    assert client.get("/api/status").get_json()["status"] == "stopped"


@pytest.mark.parametrize(
    ("mode", "status", "shown"),
    [
        ("autonomous", "autonomous", "autonomous"),
        ("paused", "running", "paused"),
        ("demo", "running", "demo"),
        (None, "running", ""),
        (["a"], "running", ""),
    ],
)
def test_the_mode_counts_only_while_the_session_lives(
    place: Place, client: FlaskClient, children: Children, mode: Any, status: str, shown: str
) -> None:
    place.write("dashboard-state.json", {"mode": mode})
    answer = client.get("/api/status").get_json()
    assert (answer["status"], answer["mode"]) == ("stopped", "")
    place.write("loki.pid", f"{children.sleeper().pid}\n")
    answer = client.get("/api/status").get_json()
    assert (answer["status"], answer["mode"]) == (status, shown)


def event(kind: str, iteration: Any = None) -> str:
    data = {} if iteration is None else {"iteration": iteration}
    return json.dumps({"timestamp": ago(minutes=1), "type": kind, "data": data}) + "\n"


@pytest.mark.parametrize(
    ("files", "iteration"),
    [
        ({}, 0),
        ({"dashboard-state.json": {"iteration": 0, "currentIteration": 4}}, 4),
        ({"dashboard-state.json": {"iteration": "7"}}, 7),
        ({"dashboard-state.json": {"iteration": -3}}, 0),
        ({"queue/current-task.json": {"id": "iteration-3"}}, 3),
        ({"queue/in-progress.json": [{"id": "todo-1"}, {"id": "iteration-6"}]}, 6),
        ({"queue/in-progress.json": {"tasks": [{"id": "iteration-6"}]}}, 6),
        ({"queue/in-progress.json": {"iteration-6": {"title": "t"}, "n": None}}, 6),
        ({"queue/in-progress.json": {"tasks": {"iteration-6": {}}}}, 6),
        ({"queue/in-progress.json": {"id": "iteration-6", "title": "t"}}, 6),
        ({"queue/in-progress.json": [{"id": "iteration-6x"}, 5, None]}, 0),
        ({"council/state.json": {"last_track_iteration": 8}}, 8),
        ({"autonomy-state.json": {"status": "running", "iterationCount": 3}}, 3),
        ({"autonomy-state.json": {"iterationCount": None, "retryCount": 7}}, 0),
        ({"metrics/efficiency/iteration-9.json": {"iteration": 9}}, 9),
        ({"metrics/efficiency/summary-99.json": {"iteration": 99}}, 0),
        ({"events.jsonl": event("iteration_start", 5)}, 5),
        ({"events.jsonl": event("iteration_start", 5) + event("iteration_start", "x")}, 5),
        ({"events.jsonl": event("iteration_start", 5) + event("session_start")}, 0),
        ({"events.jsonl": event("session_start") + event("iteration_start", 2)}, 2),
        (
            {
                "dashboard-state.json": {"iteration": 0},
                "council/state.json": {"last_track_iteration": 11},
                "events.jsonl": event("iteration_start", 12),
            },
            12,
        ),
    ],
)
def test_the_iteration_is_the_greatest_in_any_file(
    place: Place, client: FlaskClient, files: dict[str, Any], iteration: int
) -> None:
    for name, content in files.items():
        place.write(name, content)
    assert client.get("/api/status").get_json()["iteration"] == iteration


def test_files_of_an_earlier_session_do_not_count_as_iterations(
    place: Place, client: FlaskClient, children: Children
) -> None:
    backdate(place.write("metrics/efficiency/iteration-40.json", {"iteration": 40}), 7200)
    place.write("loki.pid", f"{children.sleeper().pid}\n")
    place.write("metrics/efficiency/iteration-2.json", {"iteration": 2})
    assert client.get("/api/status").get_json()["iteration"] == 2


@pytest.mark.parametrize(("age", "iteration"), [(0, 4), (7200, 2)])
def test_a_session_with_a_folder_counts_its_iterations_there(
    place: Place, client: FlaskClient, children: Children, age: float, iteration: int
) -> None:
    place.write("sessions/a/loki.pid", f"{children.sleeper().pid}\n")
    counted = {"status": "running", "iterationCount": 4}
    backdate(place.write("sessions/a/autonomy-state.json", counted), age)
    place.write("sessions/over/autonomy-state.json", {"iterationCount": 50})
    place.write("events.jsonl", event("iteration_start", 2))
    assert client.get("/api/status").get_json()["iteration"] == iteration


@pytest.mark.parametrize("kind", ["loki.pid", "sessions/a/loki.pid", "pids", "session.json"])
def test_an_earlier_session_does_not_count_wherever_the_one_that_runs_is_recorded(
    place: Place, client: FlaskClient, children: Children, kind: str
) -> None:
    """The crash of the one before has left its pid file."""
    for name in ("queue/in-progress.json", "queue/current-task.json"):
        backdate(place.write(name, [{"id": "iteration-40", "title": "Old"}]), 7200)
    backdate(place.write("metrics/efficiency/iteration-41.json", {"iteration": 41}), 7200)
    backdate(place.write("loki.pid", "4990001\n"), 9000)
    runner = children.sleeper()
    started = datetime.now(UTC).timestamp() - 1
    if kind == "pids":
        entry = {"kind": "runner", "started": started}
        place.write(f"pids/{runner.pid}.json", entry)
    elif kind == "session.json":
        place.write(kind, {"status": "running", "startedAt": started, "pid": None})
    else:
        place.write(kind, f"{runner.pid}\n")
    place.write("events.jsonl", event("iteration_start", 2))
    answer = client.get("/api/status").get_json()
    assert (answer["active_sessions"], answer["iteration"]) == (1, 2)
    assert answer["current_task"] == ""


@pytest.mark.parametrize("content", ["[1,2]", '"x"', "5", "null", "{", "", "NaN", "[" * 100_000])
@pytest.mark.parametrize(
    "name", ["dashboard-state.json", "session.json", "council/state.json", "state/agents.json"]
)
def test_damaged_files_leave_the_documented_shape(
    place: Place, client: FlaskClient, name: str, content: str
) -> None:
    place.write(name, content)
    response = client.get("/api/status")
    assert response.status_code == 200
    answer = response.get_json()
    assert all(isinstance(answer[key], kind) for key, kind in DOCUMENTED.items())
    assert (answer["status"], answer["iteration"]) == ("stopped", 0)


def test_odd_values_do_not_change_the_types(place: Place, client: FlaskClient) -> None:
    odd = {"phase": 5, "complexity": [], "version": {}, "mode": 1, "iteration": {}, "provider": 0}
    place.write("dashboard-state.json", odd)
    answer = client.get("/api/status").get_json()
    assert all(isinstance(answer[key], kind) for key, kind in DOCUMENTED.items())


@pytest.mark.parametrize(
    ("recorded", "name"),
    [
        ({"name": "Shop"}, "Shop"),
        ({"name": "key sk-ant-api03-" + "a" * 95}, "key [redacted]"),
        *((odd, "demo") for odd in ({"name": " "}, {"name": 7}, {}, "Shop", None)),
    ],
)
def test_the_project_is_named_by_its_state_file_or_its_folder(
    place: Place, client: FlaskClient, recorded: Any, name: str
) -> None:
    place.write("dashboard-state.json", {"project": recorded})
    answer = client.get("/api/status").get_json()
    assert (answer["project"], answer["project_path"]) == (name, str(place.loki.parent))


def test_status_and_metrics_have_the_same_uptime(place: Place, children: Children) -> None:
    later = replace(place, now=datetime.now(UTC) + timedelta(seconds=100))
    client = later.client()
    place.write("dashboard-state.json", {"startedAt": ago(hours=20)})
    assert client.get("/api/status").get_json()["session_uptime_seconds"] == 0
    place.write("loki.pid", f"{children.sleeper().pid}\n")
    uptime = client.get("/api/status").get_json()["session_uptime_seconds"]
    assert 60 <= uptime <= 100
    assert f"\nloki_uptime_seconds {uptime}\n" in client.get("/metrics").get_data(as_text=True)


def test_the_recorded_session_is_stopped_until_its_runner_lives(
    session: Place, children: Children
) -> None:
    client = session.client()
    assert client.get("/api/status").get_json()["status"] == "stopped"
    session.write("loki.pid", f"{children.sleeper().pid}\n")
    answer = client.get("/api/status").get_json()
    mode = session.read("dashboard-state.json")["mode"]
    assert (answer["status"], answer["mode"]) == (mode, mode)
    assert answer["iteration"] > session.read("dashboard-state.json")["iteration"]
