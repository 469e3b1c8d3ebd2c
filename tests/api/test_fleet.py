"""`?project=`, /api/fleet, /api/running-projects and /api/focus: several projects on one server."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.support import accounts
from tests.support.children import Children
from tests.support.places import Place
from tests.support.registered import add_project, entry, held, register
from tests.support.waiting import wait_until

SHOWN = "X-Loki-Project"


def shown(client: FlaskClient, query: str = "") -> str:
    response = client.get(f"/api/tasks{query}")
    assert response.status_code == 200
    return response.headers[SHOWN].rpartition("/")[2]


@pytest.fixture
def other(place: Place) -> Place:
    project = add_project(place, "über")
    second = entry(project.loki.parent, id="other id")  # as the CLI adds it
    register(place, *held(place).values(), second)
    return project


@pytest.mark.parametrize("repeated", [1, 2, 3])  # computed, cached, sent without Flask
@pytest.mark.parametrize(
    "name",
    [
        lambda other: "id-über",
        lambda other: "other id",
        lambda other: "alias of über",
        lambda other: str(other.loki.parent),
        lambda other: f"{other.loki.parent}/../über",
    ],
    ids=["id", "id of another entry", "alias", "path", "another spelling of the path"],
)
def test_a_registered_project_can_be_named(
    client: FlaskClient, other: Place, name: Callable[[Place], str], repeated: int
) -> None:
    for _ in range(repeated):
        response = client.get("/api/tasks", query_string={"project": name(other)})
        assert [task["id"] for task in response.get_json()] == ["über"]
        assert response.headers[SHOWN] == quote(str(other.loki.parent))
    assert shown(client) == "demo"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", ["unknown", "/", "/etc", "..", "\0", "x" * 5000, "../new"])
def test_an_unknown_project_is_not_found(
    place: Place, client: FlaskClient, name: str, method: str
) -> None:
    add_project(place, "new", is_registered=False)
    path = "/api/status" if method == "get" else "/api/control/pause"
    response = getattr(client, method)(path, query_string={"project": name})
    assert (response.status_code, list(response.get_json())) == (404, ["detail"])
    assert SHOWN not in response.headers


def test_a_server_in_a_linked_folder_is_one_project(place: Place, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(place.loki.parent)
    linked = Place(place.home, tmp_path / "link" / ".loki")
    client = linked.client()
    root = str(place.loki.parent)
    register(place, entry(root, id="registered"))
    for query in ("", "?project=registered", f"?project={root}", f"?project={tmp_path}/link"):
        assert shown(client, query) == "link"
    assert client.post("/api/focus", json={"project_dir": root}).status_code == 200
    assert (shown(client), client.get("/api/fleet").get_json()["total"]) == ("link", 1)


def test_no_state_folder_is_made_in_another_project(client: FlaskClient, other: Place) -> None:
    shutil.rmtree(other.loki)
    for path in ("/api/control/pause", "/api/checkpoints"):
        assert client.post(f"{path}?project=id-über").status_code == 409
    assert client.get("/api/status?project=id-über").get_json()["status"] == "stopped"
    assert not other.loki.exists()


def test_a_removed_project_cannot_be_named_any_longer(client: FlaskClient, other: Place) -> None:
    query = "?project=id-%C3%BCber"
    assert client.get(f"/api/status{query}").status_code == 200
    for name in ("id-über", "other id"):
        assert client.delete(f"/api/registry/projects/{name}").status_code == 204
    assert client.get(f"/api/status{query}").status_code == 404


@pytest.mark.parametrize(
    ("query", "changed"), [("", "demo"), ("?project=id-über", "über"), ("?project={own}", "demo")]
)
def test_a_change_is_made_in_the_named_project_alone(
    place: Place, client: FlaskClient, other: Place, children: Children, query: str, changed: str
) -> None:
    other.write("loki.pid", f"{children.sleeper().pid}\n")  # so that it is shown
    assert shown(client).endswith(quote("über"))
    response = client.post(f"/api/control/pause{query.format(own=place.loki.parent)}")
    assert response.status_code == 200
    paused = {each.loki.parent.name for each in (place, other) if (each.loki / "PAUSE").exists()}
    assert paused == {changed}
    (log,) = (place.home / ".loki/dashboard/audit").glob("*.jsonl")
    named = json.loads(log.read_text().splitlines()[-1])["details"].get("project", "/demo")
    assert named.rpartition("/")[2] == changed


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        ([], "demo"),
        (["one"], "one"),
        (["demo"], "demo"),
        (["demo", "one"], "demo"),
        (["one", "two"], "demo"),
        (["two"], "two"),
    ],
)
def test_the_only_project_that_runs_is_shown(
    place: Place, client: FlaskClient, children: Children, live: list[str], expected: str
) -> None:
    projects = {"demo": place, **{name: add_project(place, name) for name in ("one", "two")}}
    assert shown(client) == "demo"
    for name in live:
        projects[name].write("loki.pid", f"{children.sleeper().pid}\n")
    assert shown(client) == expected
    for name in live:
        (projects[name].loki / "loki.pid").unlink()
    assert shown(client) == "demo"


def test_the_scope_of_control_is_needed_for_each_project(place: Place, other: Place) -> None:
    client = place.client(LOKI_ENTERPRISE_AUTH="true")
    accounts.store(place, accounts.entry("reader", "read"))
    reader = accounts.bearer("reader")
    query = "?project=id-über"
    assert client.get(f"/api/status{query}").status_code == 401
    assert client.get(f"/api/status{query}", headers=reader).status_code == 200
    assert client.post(f"/api/control/pause{query}", headers=reader).status_code == 403
    for path in ("/api/fleet", "/api/running-projects", "/api/focus"):
        assert client.get(path).status_code == 401
    body = {"project_dir": str(other.loki.parent)}
    assert client.post("/api/focus", headers=reader, json=body).status_code == 403
    assert not (other.loki / "PAUSE").exists()


def test_the_fleet_follows_each_project(
    place: Place, client: FlaskClient, other: Place, children: Children
) -> None:
    def fleet() -> dict[str, Any]:
        answer = client.get("/api/fleet").get_json()
        assert answer["total"] == len(answer["projects"])
        return {each["name"]: each for each in answer["projects"]}

    assert [fleet()[name]["status"] for name in ("demo", "über")] == ["stopped", "stopped"]
    assert fleet()["demo"]["is_shown"]
    other.write("loki.pid", f"{children.sleeper().pid}\n")
    other.write("metrics/budget.json", {"limit": 2})
    other.write("metrics/efficiency/iteration-3.json", {"cost_usd": 1.5, "input_tokens": 1})
    other.write("notifications/active.json", {"notifications": [{"id": "a"}, {"id": "b"}]})
    first, *_ = client.get("/api/fleet").get_json()["projects"]
    expected = {
        "id": "id-über",
        "name": "über",
        "alias": "alias of über",
        "registered": True,
        "is_server_project": False,
        "is_shown": True,
        "status": "autonomous",
        "phase": "ÜBER",
        "iteration": 3,
        "cost_usd": 1.5,
        "budget_limit": 2.0,
        "budget_remaining": 0.5,
        "open_alerts": 2,
        "liveness": "process",
    }
    assert {key: first[key] for key in expected} == expected
    for number in range(4, 7):  # in a folder that is watched already
        other.write(f"metrics/efficiency/iteration-{number}.json", {"cost_usd": 1})
        assert fleet()["über"]["cost_usd"] == number - 1.5
    other.write("PAUSE", "")
    assert fleet()["über"]["status"] == "paused"
    add_project(place, "found", is_registered=False)  # below ~/projects
    found = place.client()
    wait_until(lambda: b'"found"' in found.get("/api/fleet").data, "the search of projects")
    assert found.get("/api/status?project=found").status_code == 404


def test_a_newer_runner_sets_the_focus(
    place: Place, client: FlaskClient, other: Place, children: Children
) -> None:
    assert client.get("/api/focus").get_json() == {
        "project_dir": None, "loki_dir": str(place.loki),
    }  # fmt: skip
    new = add_project(place, "new", is_registered=False)
    place.write("loki.pid", f"{children.sleeper().pid}\n")
    for project in (other, new):
        root = str(project.loki.parent)
        answer = {"project_dir": root, "loki_dir": str(project.loki)}
        assert client.post("/api/focus", json={"project_dir": root}).get_json() == answer
        assert place.client().get("/api/focus").get_json() == answer  # of another worker
        assert shown(client) == quote(project.loki.parent.name)
        running = client.get("/api/running-projects").get_json()
        assert running["active_project_dir"] == root
        active = [each["path"] for each in running["projects"] if each["is_active"]]
        assert active == [root]
    assert client.delete("/api/focus").get_json()["project_dir"] is None
    assert shown(client) == "demo"


@pytest.mark.parametrize(
    "body", [{}, {"project_dir": ""}, {"project_dir": 5}, {"project_dir": "."}]
)
def test_the_focus_is_the_folder_of_a_project(client: FlaskClient, body: Any) -> None:
    assert client.post("/api/focus", json=body).status_code == 400
    assert client.post("/api/focus", json={"project_dir": "/etc"}).status_code == 400
    assert client.get("/api/focus").get_json()["project_dir"] is None


def test_each_route_of_a_project_documents_the_parameter(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    having = {
        path
        for path, item in paths.items()
        for operation in item.values()
        if isinstance(operation, dict)
        and any(each.get("name") == "project" for each in operation.get("parameters", ()))
    }
    without = (
        *("/api/registry", "/api/enterprise", "/api/fleet", "/api/focus", "/api/running"),
        *("/api/secrets", "/api/auth", "/api/events"),
    )
    expected = {each for each in paths if each.startswith("/api/")} | {"/metrics"}
    assert having == {each for each in expected if not each.startswith(without)}
