"""GET /api/tasks: every form of the queue files and the state file, in one list."""

import codecs
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from loki_web.store.inputs import MAX_DOCUMENT_BYTES
from tests.support.children import backdate
from tests.support.places import Place
from tests.support.waiting import wait_until

Ask = Callable[[str], Any]


def test_recorded_tasks_have_the_documented_fields(ask: Ask) -> None:
    tasks = ask("/api/tasks")
    documented = {"id", "title", "description", "status", "priority", "type", "position"}
    assert tasks
    assert all(documented <= set(task) for task in tasks)
    assert len({task["id"] for task in tasks}) == len(tasks)


@pytest.mark.parametrize("status", ["pending", "in_progress", "done"])
def test_tasks_are_filtered_by_status(ask: Ask, status: str) -> None:
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


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_map_by_id(place: Place, client: FlaskClient, wrapped: bool) -> None:
    entries = {"t1": {"title": "First"}, "t2": {"id": "own", "title": "Second"}, "t3": {}}
    place.write("queue/pending.json", {"tasks": entries} if wrapped else entries)
    tasks = client.get("/api/tasks").get_json()
    assert [(task["id"], task["title"]) for task in tasks] == [
        *(("t1", "First"), ("own", "Second"), ("t3", "Task")),
    ]
    assert client.get("/api/status").get_json()["pending_tasks"] == 3


@pytest.mark.parametrize(
    "content",
    [
        {"t1": {"title": "First"}, "t2": None},
        {"version": "1.0", "updated": 5, "t1": {"title": "First"}},
        {"tasks": {"t1": {"title": "First"}, "t2": "text", "t3": []}},
        {"tasks": {"t1": {"title": "First", "id": None}}},
        {"id": "t1", "title": "First", "payload": {"title": "Other"}, "dependencies": []},
    ],
)
def test_a_malformed_task_does_not_hide_the_others(
    place: Place, client: FlaskClient, content: Any
) -> None:
    place.write("queue/pending.json", content)
    (task,) = client.get("/api/tasks").get_json()
    assert (task["id"], task["title"]) == ("t1", "First")


@pytest.mark.parametrize("content", [{}, {"tasks": {}}, {"tasks": 5}, {"a": 1}, {"a": {}, "b": []}])
def test_an_object_that_is_no_map_of_tasks_has_no_tasks(
    place: Place, client: FlaskClient, content: Any
) -> None:
    place.write("queue/pending.json", content)
    assert client.get("/api/tasks").get_json() == []


@pytest.mark.parametrize("form", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_a_queue_in_another_encoding(place: Place, client: FlaskClient, form: str) -> None:
    mark = codecs.BOM_UTF16_BE if form == "utf-16-be" else b""
    place.write("queue/pending.json", mark + '[{"id": "a", "title": "\u00c4"}]'.encode(form))
    (task,) = client.get("/api/tasks").get_json()
    assert (task["id"], task["title"]) == ("a", "\u00c4")


def test_a_queue_that_is_too_large_is_named(
    place: Place, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    place.write("queue/completed.json", [{"id": "a"}])
    with place.write("queue/pending.json", "[").open("r+") as stream:
        stream.truncate(MAX_DOCUMENT_BYTES + 1)
    assert [task["id"] for task in client.get("/api/tasks").get_json()] == ["a"]
    assert client.get("/api/status").get_json()["too_large_files"] == ["queue/pending.json"]
    wait_until(lambda: client.get("/api/tasks") and caplog.messages, "a line in the log")
    assert set(caplog.messages) == {"skipped file queue/pending.json: it is too large"}
    place.write("queue/pending.json", [])
    assert client.get("/api/status").get_json()["too_large_files"] == []


def test_an_id_in_several_queues_is_one_task_and_failure_wins(
    place: Place, client: FlaskClient
) -> None:
    for queue in ("in-progress", "completed", "failed"):
        place.write(f"queue/{queue}.json", [{"id": "i1", "title": queue}])
    (task,) = client.get("/api/tasks").get_json()
    assert (task["status"], task["failed"]) == ("done", True)


NEW, OLD = "2026-02-20T09:00:00Z", "2026-02-19T09:00:00Z"


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        # Yesterday's session completed an iteration of the same number as the one that runs.
        (("completed", {"completedAt": OLD}), ("in-progress", {"startedAt": NEW}), "in_progress"),
        (("in-progress", {"startedAt": NEW}), ("completed", {"completedAt": OLD}), "in_progress"),
        (("in-progress", {"startedAt": OLD}), ("completed", {"completedAt": NEW}), "done"),
        (("in-progress", {"claimedAt": NEW}), ("failed", {"completedAt": OLD}), "in_progress"),
        (("completed", {}), ("in-progress", {"startedAt": NEW}), "in_progress"),
        # A task that was put back keeps the time at which it was created.
        (("failed", {"completedAt": NEW}), ("pending", {"createdAt": OLD}), "pending"),
        (("pending", {"createdAt": OLD}), ("failed", {"completedAt": NEW}), "done"),
        (("pending", {"created_at": NEW}), ("completed", {"completedAt": OLD}), "pending"),
        (("pending", {"createdAt": OLD}), ("review", {"createdAt": OLD}), "review"),
        (("review", {"createdAt": OLD}), ("pending", {"createdAt": OLD}), "pending"),
        (("pending", {"createdAt": NEW}), ("review", {"createdAt": OLD}), "pending"),
        (("in-progress", {}), ("completed", {}), "done"),
        (("completed", {}), ("in-progress", {}), "in_progress"),
    ],
)
def test_the_later_entry_of_an_id_counts(
    place: Place, client: FlaskClient, first: Any, second: Any, status: str
) -> None:
    for age, (queue, entry) in ((60, first), (0, second)):
        backdate(place.write(f"queue/{queue}.json", [{"id": "iteration-1", **entry}]), age)
    (task,) = client.get("/api/tasks").get_json()
    assert task["status"] == status


@pytest.mark.parametrize(("age_of_queue", "age_of_copy", "listed"), [(0, 5, []), (5, 0, ["gone"])])
def test_a_copy_does_not_bring_back_what_left_its_newer_source(
    place: Place, client: FlaskClient, age_of_queue: float, age_of_copy: float, listed: list[str]
) -> None:
    state = {"tasks": {"pending": [{"id": "gone"}]}, "agents": [{"id": "gone", "status": "done"}]}
    backdate(place.write("dashboard-state.json", state), age_of_copy)
    for name in ("queue/pending.json", "state/agents.json"):
        backdate(place.write(name, []), age_of_queue)
    assert [task["id"] for task in client.get("/api/tasks").get_json()] == listed
    assert [agent["id"] for agent in client.get("/api/agents").get_json()] == listed


@pytest.mark.parametrize("nothing", [None, "", "soon", {}, True])
def test_a_time_under_a_second_name_is_found_where_the_first_has_none(
    place: Place, client: FlaskClient, nothing: Any
) -> None:
    entry = {"startedAt": nothing, "claimedAt": NEW, "created_at": nothing, "createdAt": OLD}
    place.write("queue/in-progress.json", [{"id": "a", **entry}])
    (task,) = client.get("/api/tasks").get_json()
    assert (task["started_at"], task["created_at"]) == (NEW, OLD)


def test_ids_are_unique_whatever_repeats_them(place: Place, client: FlaskClient) -> None:
    state = {
        "pending": [{"id": "a"}, {"id": "only"}, {"id": "a"}],
        "completed": [{"id": "b"}],
        "inProgress": [{"id": "b"}],
    }
    place.write("dashboard-state.json", {"tasks": state})
    place.write("queue/in-progress.json", [{"id": "a"}, {"id": "a"}])
    place.write("queue/dead-letter.json", [{"id": "a"}])
    tasks = client.get("/api/tasks").get_json()
    by_id = {task["id"]: (task["status"], task["failed"]) for task in tasks}
    assert len(by_id) == len(tasks)
    assert by_id == {"a": ("done", True), "b": ("done", False), "only": ("pending", False)}


def test_a_number_is_an_id(place: Place, client: FlaskClient) -> None:
    place.write("queue/pending.json", [{"id": 7}, {"id": "7"}, {"id": 0}])
    assert [task["id"] for task in client.get("/api/tasks").get_json()] == ["7", "0"]


def test_entries_without_an_id_are_all_there_under_ids_that_stay(
    place: Place, client: FlaskClient
) -> None:
    unnamed = [{"title": "x"}, {"title": "x"}, {"id": ""}, {"id": None}, {"id": []}, {"id": True}]
    for queue in ("pending", "failed", "completed"):
        place.write(f"queue/{queue}.json", unnamed)
    before = [task["id"] for task in client.get("/api/tasks").get_json()]
    assert len(set(before)) == 18
    place.write("queue/pending.json", [*unnamed, {"title": "one more"}])
    after = [task["id"] for task in client.get("/api/tasks").get_json()]
    assert set(before) < set(after)
    assert [task["id"] for task in place.client().get("/api/tasks").get_json()] == after


@pytest.mark.parametrize(
    "odd", [None, 5, "x", [], {}, {"tasks": 5}, {"tasks": {"a": 1}}, {"tasks": [1, None, "x"]}]
)
def test_odd_queues_leave_the_others(place: Place, client: FlaskClient, odd: Any) -> None:
    place.write("queue/pending.json", odd)
    place.write("queue/review.json", ["x", None, {"id": "sound", "priority": [1], "type": {}}, 5])
    (task,) = client.get("/api/tasks").get_json()
    assert (task["id"], task["status"]) == ("sound", "review")
    assert (task["priority"], task["type"]) == ("medium", "task")


def test_a_restart_has_the_tasks_of_before_and_what_changed_meanwhile(place: Place) -> None:
    entries = [{"id": f"t{n}", "title": f"Task {n}"} for n in range(200)]
    place.write("queue/pending.json", entries)
    before = place.client().get("/api/tasks").get_json()
    assert place.client().get("/api/tasks").get_json() == before
    place.write("queue/review.json", [{**entries[0], "title": "Other"}])
    place.write("queue/pending.json", entries[2:])
    after = place.client().get("/api/tasks").get_json()
    shifted = [{**task, "position": number} for number, task in enumerate(before[2:])]
    reviewed = {**before[0], "title": "Other", "status": "review", "queue": "review"}
    assert after == [*shifted, reviewed]
