"""GET /api/registry/tasks: the tasks of all projects in one list."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import registered
from tests.support.places import Place, snapshot, write

TASKS = "/api/registry/tasks"


@pytest.fixture
def projects(place: Place) -> dict[str, Path]:
    """Register three projects, each with one task of its name."""
    directories = {name: registered.directory(place, name) for name in ("one", "two", "three")}
    for name, path in directories.items():
        registered.queue(path, name.title())
    registered.register(
        place,
        *(registered.entry(path, alias=f"{name}-alias") for name, path in directories.items()),
    )
    return directories


def _titles(client: FlaskClient, query: str = "") -> set[str]:
    return {task["title"] for task in client.get(TASKS + query).get_json()}


def test_recorded_tasks_have_their_project(ask: Callable[[str], Any], session: Place) -> None:
    tasks = ask(TASKS)
    documented = {"id", "title", "description", "status", "priority", "type", "position"}
    marks = {"_project_id", "_project_name", "_project_path"}
    assert all(documented | marks <= set(task) for task in tasks)
    own = [task for task in tasks if task["_project_path"] == str(session.loki.parent)]
    assert [task["id"] for task in own] == [task["id"] for task in ask("/api/tasks")]
    assert {(task["id"], task["status"]) for task in tasks if "notes" in task["_project_path"]} == {
        ("n-1", "pending"),
        ("n-2", "in_progress"),
    }


def test_a_path_that_is_registered_twice_has_its_tasks_once(ask: Callable[[str], Any]) -> None:
    keys = [(task["_project_path"], task["id"]) for task in ask(TASKS)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("", {"One", "Two", "Three"}),
        ("?project_ids=", {"One", "Two", "Three"}),
        ("?project_ids=one-alias,two-alias", {"One", "Two"}),
        ("?project_ids= one-alias ,,one-alias", {"One"}),
        ("?project_ids=nobody", set()),
        ("?project_ids=nobody,three-alias", {"Three"}),
    ],
)
def test_projects_can_be_chosen(
    client: FlaskClient, projects: dict[str, Path], query: str, titles: set[str]
) -> None:
    assert _titles(client, query) == titles


def test_projects_can_be_chosen_by_id_and_path(
    client: FlaskClient, projects: dict[str, Path]
) -> None:
    identity = registered.entry(projects["two"])["id"]
    assert _titles(client, f"?project_ids={identity},{projects['one']}") == {"One", "Two"}


def test_a_repeated_parameter_is_refused(client: FlaskClient) -> None:
    assert client.get(f"{TASKS}?project_ids=a&project_ids=b").status_code == 400


def test_a_project_that_is_gone_has_no_tasks(
    place: Place, client: FlaskClient, projects: dict[str, Path]
) -> None:
    projects["one"].rename(place.home / "moved")
    assert _titles(client) == {"Two", "Three"}


def test_links_out_of_a_project_are_not_followed(
    place: Place, client: FlaskClient, projects: dict[str, Path]
) -> None:
    secret = write(place.home / "secret.json", [{"id": "s", "title": "Secret"}])
    queue = projects["one"] / ".loki" / "queue" / "pending.json"
    queue.unlink()
    queue.symlink_to(secret)
    (projects["two"] / ".loki").rename(place.home / "outside")
    (projects["two"] / ".loki").symlink_to(place.home / "outside")
    assert _titles(client) == {"Three"}


@pytest.mark.parametrize(
    "store", ["state/tasks.json", "state/task-queue.json", "queue/failed.json"]
)
@pytest.mark.parametrize(
    "content",
    [
        *("[]", '{"tasks": 5}', "[1]", "5", "null", '"x"', b"\xff\xfe\x00", "", '{"tasks": [{"id"'),
        *('{"tasks": [null, [], 1]}', "[" * 100_000, '{"tasks": {"a": 1}}'),
    ],
)
def test_broken_projects_do_not_hide_the_others(
    client: FlaskClient, projects: dict[str, Path], store: str, content: str | bytes
) -> None:
    for name in ("one", "two"):
        write(projects[name] / ".loki" / store, content)
    assert _titles(client) == {"One", "Two", "Three"}


def test_odd_entries_get_documented_fields(client: FlaskClient, projects: dict[str, Path]) -> None:
    entries = [{}, {"id": 7, "priority": 10, "status": []}, {"payload": "Words"}, {"status": "x"}]
    write(projects["one"] / ".loki/state/tasks.json", {"tasks": entries})
    tasks = client.get(f"{TASKS}?project_ids=one-alias").get_json()
    assert len({task["id"] for task in tasks}) == len(tasks) == 5
    assert all(isinstance(task["title"], str) and task["title"] for task in tasks)
    assert {task["status"] for task in tasks} == {"pending"}
    assert [task["position"] for task in tasks] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("word", "status", "failed"),
    [
        ("pending", "pending", False),
        ("in-progress", "in_progress", False),
        ("IN_PROGRESS", "in_progress", False),
        ("review", "review", False),
        ("done", "done", False),
        ("completed", "done", False),
        ("failed", "done", True),
        ("In progress", "in_progress", False),
        ("in review", "review", False),
        ("dead-letter", "done", True),
        ("blocked", "pending", False),
        ("anything", "pending", False),
    ],
)
def test_words_for_the_status(
    client: FlaskClient, projects: dict[str, Path], word: str, status: str, failed: bool
) -> None:
    held = {"tasks": [{"id": "task-0001", "title": "T", "status": word}], "version": 1}
    write(projects["one"] / ".loki/state/task-queue.json", held)
    tasks = client.get(f"{TASKS}?project_ids=one-alias").get_json()
    (task,) = [task for task in tasks if task["id"] == "task-0001"]
    assert (task["status"], task["failed"]) == (status, failed)


def test_the_queues_know_better_than_the_other_stores(
    client: FlaskClient, projects: dict[str, Path]
) -> None:
    write(projects["one"] / ".loki/state/tasks.json", [{"id": "one", "title": "Old"}])
    assert _titles(client, "?project_ids=one-alias") == {"One"}


def test_secrets_are_taken_out(client: FlaskClient, projects: dict[str, Path]) -> None:
    key = "sk-ant-abcdefghijklmnopqrstuvwxyz"
    write(projects["one"] / ".loki/state/tasks.json", [{"title": f"Use {key}"}])
    assert key not in client.get(TASKS).get_data(as_text=True)


def test_reading_writes_nothing(
    place: Place, client: FlaskClient, projects: dict[str, Path]
) -> None:
    before = snapshot(place.home)
    assert client.get(TASKS).status_code == 200
    assert snapshot(place.home) == before
