"""A token that is limited to projects: what it opens, and that nothing of the others is seen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import websocket
from flask import Flask
from flask.testing import FlaskClient

from loki_web.auth import tokens
from loki_web.auth.authenticator import Authenticator
from loki_web.errors import BadRequest
from tests.live.clients import Client, Stream, told
from tests.support import accounts
from tests.support.accounts import bearer, entry, store
from tests.support.places import Place
from tests.support.registered import add_project, held, register
from tests.support.registered import entry as registered
from tests.support.routes import Route, routes
from tests.support.servers import serving
from tests.support.waiting import wait_until

AUTH: Any = {"LOKI_ENTERPRISE_AUTH": "true", "LOKI_ENTERPRISE_AUDIT": "true"}
SECRET = "top-secret-acquisition"  # in each text of the projects that must not be seen
PUBLIC = (
    *("/", "/health", "/health/live", "/health/ready", "/openapi.json", "/asyncapi.json"),
    *("/docs", "/favicon.ico", "/api/enterprise/status", "/api/auth/info"),
)
# Of all projects; a limited token sees its own. Every other route that is not about one project is
# refused, also one that comes later.
LISTS = {
    *("/api/fleet", "/api/running-projects", "/api/focus", "/api/events", "/metrics"),
    *("/api/registry/projects", "/api/registry/projects/<anything:identifier>"),
    *("/api/registry/projects/<anything:identifier>/health", "/api/registry/discover"),
    *("/api/registry/tasks", "/api/registry/learnings"),
}
READS = ("/api/memory/retrieve", "/api/memory/consolidate")  # with POST
SIGN_IN = "/api/auth/session"
REFUSED = ("/api/enterprise/", "/api/secrets/", "/api/registry/", "/api/focus")


def is_open(route: Route) -> bool:
    if not route.changes and (
        route.rule in PUBLIC or route.rule.startswith(("/assets/", "/docs/"))
    ):
        return True
    if route.rule in LISTS:
        return not route.changes
    return route.rule.startswith("/api/") and not route.rule.startswith(REFUSED)


@pytest.fixture
def seen(place: Place) -> Place:
    """A project that the token may see, beside the one of the server and another one."""
    hidden = add_project(place, SECRET)
    for each in (place, hidden):
        each.write("queue/pending.json", [{"id": SECRET, "title": SECRET}])
        each.write("state/agents.json", [{"agent_id": SECRET, "name": SECRET}])
        each.write("notifications/active.json", {"notifications": [{"id": "x", "message": SECRET}]})
        each.write("logs/agent.log", f"{SECRET}\n")
        each.write("dashboard-state.json", {"phase": SECRET, "project": {"name": SECRET}})
    add_project(place, f"{SECRET}-found", is_registered=False)
    project = add_project(place, "seen")
    lines = [
        {"project": name, "description": f"lesson of {name}", "timestamp": "2026-01-01T00:00:00Z"}
        for name in ("seen", SECRET, str(project.loki.parent), "demo", "")
    ]
    path = place.write_home("learnings/patterns.jsonl", "")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    root = str(project.loki.parent)
    store(
        place,
        entry("limited", "*", projects=[root]),
        entry("reader", "read", projects=[root]),
        entry("server", "*", projects=[str(place.loki.parent)]),
        entry("none", "*", projects=[]),
        entry("odd", "*", projects={"all": True}),
        entry("gone", "*", projects=["/nowhere"]),
        entry("admin", "*"),
    )
    return project


@pytest.fixture
def app(place: Place, seen: Place) -> Flask:
    return place.app(**AUTH)


@pytest.fixture
def ask(app: Flask) -> Callable[..., Any]:
    def get(path: str, who: str = "limited", **options: Any) -> Any:
        response = app.test_client().get(path, headers=bearer(who), **options)
        assert response.status_code == 200, (path, response.get_data(as_text=True))
        return response.get_json()

    return get


@pytest.mark.slow
@pytest.mark.parametrize("who", ["limited", "none", "odd", "gone"])
def test_every_route_opens_what_is_limited_alone(app: Flask, place: Place, who: str) -> None:
    """The administrator asks first, so that every answer is kept that could be given away."""
    client = app.test_client()
    assert SECRET in client.get("/api/fleet", headers=bearer("admin")).get_data(as_text=True)
    for route in routes(app):
        if route.changes and who == "limited":
            continue
        for _ in range(0 if route.changes else 2):
            client.get(route.path, headers=bearer("admin"))
        for query in ("", f"?project={SECRET}", "?project=*", "?project=id-seen"):
            path = route.path + query
            response = client.open(path, method=route.method, headers=bearer(who))
            text = f"{response.headers} {response.get_data(as_text=True)}"
            assert SECRET not in text.replace(path, ""), path
            assert str(place.loki) not in text, path
            if route.rule.startswith(("/assets/", "/docs/")) or route.rule in PUBLIC:
                continue
            if route.rule == SIGN_IN:
                continue
            assert response.status_code != 401
            if not is_open(route):
                assert response.status_code == 403, path
            elif who != "limited" and route.changes:
                assert response.status_code in (400, 403, 404), path


@pytest.mark.slow
def test_no_route_changes_what_may_not_be_seen(app: Flask, place: Place, seen: Place) -> None:
    client, before = app.test_client(), sorted(place.loki.rglob("*"))
    hidden = Place(place.home, seen.loki.parent.parent / SECRET / ".loki")
    names = [f"id-{SECRET}", f"alias of {SECRET}", str(hidden.loki.parent), str(place.loki.parent)]
    for route in (each for each in routes(app) if each.changes and each.rule != SIGN_IN):
        for name in ("", *names):
            response = client.open(
                route.path,
                method=route.method,
                headers=bearer("limited"),
                query_string={"project": name} if name else {},
                json={},
            )
            if not name and route.rule in READS:
                continue
            refused = (400, 403, 404)
            assert response.status_code in refused, (route, name)
    assert sorted(place.loki.rglob("*")) == before
    assert not (hidden.loki / "PAUSE").exists()
    paused = client.post("/api/control/pause?project=id-seen", headers=bearer("limited"))
    assert (paused.status_code, (seen.loki / "PAUSE").exists()) == (200, True)
    body = {"project_dir": str(hidden.loki.parent)}
    focus = client.post("/api/focus", headers=bearer("limited"), json=body)
    assert focus.status_code == 403
    reader = client.post("/api/control/pause?project=id-seen", headers=bearer("reader"))
    assert reader.status_code == 403


def test_lists_have_what_may_be_seen(ask: Callable[..., Any], app: Flask, seen: Place) -> None:
    root = str(seen.loki.parent)
    wait_until(lambda: ask("/api/fleet", "admin")["total"] == 4, "the search of projects")
    for _ in range(2):  # computed, and kept
        assert [each["path"] for each in ask("/api/fleet")["projects"]] == [root]
        assert [each["path"] for each in ask("/api/running-projects")["projects"]] == [root]
        assert [each["path"] for each in ask("/api/registry/projects")] == [root]
        assert [each["path"] for each in ask("/api/registry/discover")] == [root]
        assert [each["id"] for each in ask("/api/registry/tasks")] == ["seen"]
        assert [each["id"] for each in ask("/api/tasks")] == ["seen"]
        patterns = ask("/api/registry/learnings")["patterns"]
        assert {each["project"] for each in patterns} == {"seen", root}
        assert ask("/api/focus")["loki_dir"] == str(seen.loki)
    assert len(ask("/api/registry/projects", "admin")) == 2
    assert ask("/api/fleet", "none")["total"] == 0


def test_a_kept_answer_of_one_is_not_that_of_another(ask: Callable[..., Any]) -> None:
    for _ in range(3):
        assert [each["id"] for each in ask("/api/tasks", "admin")] == [SECRET]
        assert [each["id"] for each in ask("/api/tasks", "limited")] == ["seen"]
        assert [each["id"] for each in ask("/api/tasks", "server")] == [SECRET]


def test_a_sign_in_has_the_limit_of_its_token(app: Flask) -> None:
    client = app.test_client()
    assert client.post(SIGN_IN, headers=bearer("limited")).status_code == 201
    assert [each["id"] for each in client.get("/api/tasks").get_json()] == ["seen"]
    assert client.get("/api/enterprise/tokens").status_code == 403


def test_metrics_are_those_of_what_may_be_seen(app: Flask) -> None:
    client = app.test_client()

    def scrape(query: str, who: str) -> str:
        return client.get(f"/metrics{query}", headers=bearer(who)).get_data(as_text=True)

    assert 'loki_tasks_total{status="pending"} 1.0' in scrape("", "limited")
    every = scrape("?project=*", "limited")
    assert 'loki_iteration_current{project="seen",project_id="id-seen"}' in every
    assert "loki_projects 1.0" in every
    assert SECRET in scrape("?project=*", "admin")


@pytest.mark.slow
def test_the_live_feed_tells_of_what_may_be_seen(place: Place, seen: Place) -> None:
    token = f"?token={accounts.raw('limited')}"
    with serving(place, **AUTH) as server:
        client = Client(server.host, f"/ws{token}")
        named = Client(server.host, f"/ws{token}&project=id-seen")
        assert [each.hear()["type"] for each in (client, named)] == ["connected"] * 2
        stream = Stream(server.host, f"/api/events{token}&channels=tasks,projects")
        assert stream.hear()["type"] == "connected"
        for name in (f"id-{SECRET}", "id-unknown", str(place.loki.parent)):
            command = {"type": "subscribe", "data": {"channels": ["tasks"], "project": name}}
            assert client.ask(command) == {
                "type": "error",
                "data": {"detail": "Project not found"},
            }
            refused = server.get("/api/events", params={"project": name}, headers=bearer("limited"))
            assert refused.status_code == 404
            with pytest.raises(websocket.WebSocketBadStatusException) as not_found:
                Client(server.host, f"/ws{token}&project={quote(name)}")
            assert not_found.value.status_code == 404
        new = registered(place.home / "projects" / f"{SECRET}-found")
        register(place, *held(place).values(), new)
        place.write("queue/pending.json", [{"id": SECRET}, {"id": "more"}])
        seen.write("queue/pending.json", [{"id": "seen"}, {"id": "new"}])
        everyone = (client, named, stream)
        assert told([each.hear() for each in everyone]) == [("task_created", "new")] * 3
        assert client.hear_rest("tasks", "projects", "status") == []
        assert client.hear()["data"]["phase"] == "SEEN"
        for each in everyone:
            each.close()


@pytest.mark.parametrize("now", [[], ["/other"], None, "all"])
def test_a_connection_ends_when_the_limit_changes(place: Place, seen: Place, now: Any) -> None:
    checker = Authenticator(place.sources(**AUTH))
    holder = checker.authenticate(accounts.raw("limited"))
    assert holder is not None
    assert "read" in checker.get_current_scopes(holder)
    more = {} if now is None else {"projects": now}
    store(place, entry("limited", "*", **more))
    assert checker.get_current_scopes(holder) == frozenset()


@pytest.mark.parametrize(
    "name", [lambda _: "id-seen", lambda _: "alias of seen", lambda root: str(root)]
)
def test_a_project_is_named_in_any_way(
    place: Place, seen: Place, app: Flask, name: Callable[[Path], str]
) -> None:
    root = str(seen.loki.parent)
    client, named = app.test_client(), name(seen.loki.parent)
    body = {"name": "new", "projects": [named]}
    created = client.post("/api/enterprise/tokens", headers=bearer("admin"), json=body)
    assert created.get_json()["projects"] == [root]
    listed = client.get("/api/enterprise/tokens", headers=bearer("admin")).get_json()
    assert [each["projects"] for each in listed if each["name"] == "new"] == [[root]]
    rotated = tokens.rotate(place.sources(), "new")
    assert rotated["projects"] == [root]
    checker = Authenticator(place.sources(**AUTH))
    for raw in (rotated["token"], created.get_json()["token"]):
        holder = checker.authenticate(raw)
        assert holder is not None
        assert holder.projects == frozenset({root})


@pytest.mark.parametrize("projects", [["unknown"], ["id-seen", ""], [], ["alpha:3bc4ad811b0e"]])
def test_an_unknown_project_makes_no_token(
    place: Place, seen: Place, app: Flask, projects: list[str]
) -> None:
    client: FlaskClient = app.test_client()
    body = {"name": "new", "projects": projects}
    assert (
        client.post("/api/enterprise/tokens", headers=bearer("admin"), json=body).status_code == 400
    )
    with pytest.raises(BadRequest):
        tokens.create(place.sources(), "new", projects=projects)
    assert "new" not in [each["name"] for each in tokens.list_tokens(place.sources())]
