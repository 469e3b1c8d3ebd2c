"""GET /api/tasks: queue files and state file, in all their forms, as one list."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.places import Place

Ask = Callable[[str], Any]


def test_recorded_tasks_have_the_documented_fields(ask: Ask) -> None:
    tasks = ask("/api/tasks")
    documented = {"id", "title", "description", "status", "priority", "type", "position"}
    assert tasks
    assert all(documented <= set(task) for task in tasks)
    assert len({task["id"] for task in tasks}) == len(tasks)


@pytest.mark.parametrize("status", ["pending", "in_progress", "done"])
def test_status_filters(ask: Ask, status: str) -> None:
    everything = ask("/api/tasks")
    chosen = ask(f"/api/tasks?status={status}")
    assert chosen == [task for task in everything if task["status"] == status]


def test_an_unknown_status_matches_nothing(ask: Ask) -> None:
    assert ask("/api/tasks?status=bogus") == []


def test_pending_tasks_of_the_status_are_the_pending_tasks(ask: Ask) -> None:
    assert ask("/api/status")["pending_tasks"] == len(ask("/api/tasks?status=pending"))


@pytest.mark.parametrize("wrapped", [False, True])
def test_bare_and_wrapped_queues(place: Place, client: FlaskClient, wrapped: bool) -> None:
    entries = [{"id": "a", "title": "First"}, {"payload": "Do this\nthen that"}]
    place.write("queue/pending.json", {"tasks": entries} if wrapped else entries)
    tasks = client.get("/api/tasks").get_json()
    assert [task["title"] for task in tasks] == ["First", "Do this"]
    assert [task["position"] for task in tasks] == [0, 1]


def test_an_id_in_several_queues_is_one_task_and_failure_wins(
    place: Place, client: FlaskClient
) -> None:
    for queue in ("in-progress", "completed", "failed"):
        place.write(f"queue/{queue}.json", [{"id": "i1", "title": queue}])
    (task,) = client.get("/api/tasks").get_json()
    assert (task["status"], task["failed"]) == ("done", True)
