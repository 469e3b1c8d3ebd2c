"""GET /api/registry/projects: every form of the registry file."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import registered
from tests.support.places import Place, snapshot
from tests.support.registered import PROJECTS

Ask = Callable[[str], Any]
FIELDS = {
    "id": str,
    "path": str,
    "name": str,
    "alias": str | None,
    "registered_at": str,
    "updated_at": str,
    "last_accessed": str | None,
    "has_loki_dir": bool,
    "status": str,
}


def test_recorded_projects_have_the_documented_fields(ask: Ask) -> None:
    answer = ask(PROJECTS)
    assert answer
    for entry in answer:
        assert all(isinstance(entry[key], kind) for key, kind in FIELDS.items())


def test_no_registry_is_an_empty_list(client: FlaskClient) -> None:
    assert client.get(PROJECTS).get_json() == []


def test_the_most_recently_accessed_comes_first_by_instant(
    place: Place, client: FlaskClient
) -> None:
    times = {
        "never": None,
        "old": "2026-02-20T09:12:50.335424+00:00",
        "late": "2026-02-20T11:00:00+01:00",
        "latest": "2026-02-20T10:00:01Z",
        "damaged": 5,
    }
    places = {name: registered.directory(place, name) for name in times}
    registered.register(
        place, *(registered.entry(places[name], last_accessed=times[name]) for name in times)
    )
    assert registered.names(client)[:3] == ["latest", "late", "old"]


def test_a_doubled_suffix_leaves_as_one(place: Place, client: FlaskClient) -> None:
    path = registered.directory(place, "a")
    doubled = "2026-02-20T09:12:50.335424+00:00Z"
    registered.register(place, registered.entry(path, last_accessed=doubled, updated_at=doubled))
    (entry,) = client.get(PROJECTS).get_json()
    assert {entry["last_accessed"], entry["updated_at"]} == {doubled[:-1]}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["here"]),
        ("?include_inactive=false", ["here"]),
        ("?include_inactive=true", ["here", "gone"]),
    ],
)
def test_projects_whose_directory_is_gone_are_listed_on_request(
    place: Place, client: FlaskClient, query: str, names: list[str]
) -> None:
    here = registered.directory(place, "here")
    accessed = "2026-02-20T09:00:00Z"
    registered.register(
        place,
        registered.entry(here, last_accessed=accessed, status="missing"),
        registered.entry(place.home / "gone", has_loki_dir=True),
    )
    before = snapshot(place.home)
    assert registered.names(client, query) == names
    entries = client.get(f"{PROJECTS}?include_inactive=true").get_json()
    said = [(entry["status"], entry["has_loki_dir"]) for entry in entries]
    assert said == [("active", True), ("missing", False)]
    assert snapshot(place.home) == before


@pytest.mark.parametrize("value", ["maybe", "", "1", "true&include_inactive=true"])
def test_a_bad_flag_is_refused(client: FlaskClient, value: str) -> None:
    assert client.get(f"{PROJECTS}?include_inactive={value}").status_code == 400


SHAPES = [
    "[]",
    "{}",
    '{"projects": []}',
    '{"projects": null}',
    '{"projects": {"a": 5}}',
    '{"projects": {"a": {}, "b": {"path": 5}, "c": {"path": ""}, "d": [], "e": null}}',
]


@pytest.mark.parametrize("content", SHAPES)
def test_wrong_shapes_read_as_empty_and_take_a_registration(
    place: Place, client: FlaskClient, content: str
) -> None:
    place.write_home(registered.FILE, content)
    path = registered.directory(place, "fresh")
    assert client.get(PROJECTS).get_json() == []
    assert client.get(f"{PROJECTS}/a").status_code == 404
    assert client.delete(f"{PROJECTS}/a").status_code == 404
    assert client.get("/api/registry/tasks").get_json() == []
    assert client.post(PROJECTS, json={"path": str(path)}).status_code == 201
    assert registered.names(client) == ["fresh"]
    value = json.loads(content)
    kept = value.get("projects") if isinstance(value, dict) else None
    assert dict(kept or {}).items() <= registered.held(place).items()


@pytest.mark.parametrize(
    "content", [b'{"version": "1.0", "projects": {"a": {"id"', b"", b"5", b'{"projects": [1]}']
)
def test_a_registry_that_cannot_be_understood_is_left_as_it_is(
    place: Place, client: FlaskClient, content: bytes
) -> None:
    path = registered.directory(place, "projects/fresh")
    file = place.write_home(registered.FILE, content)
    assert client.get(PROJECTS).get_json() == []
    answers = [
        client.post(PROJECTS, json={"path": str(path)}),
        client.delete(f"{PROJECTS}/a"),
        client.post(f"{PROJECTS}/a/access"),
        client.post("/api/registry/sync"),
    ]
    for answer in answers:
        assert answer.status_code == 500
        assert str(place.home) not in answer.get_json()["detail"]
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 5, "alias": 5, "registered_at": [], "last_accessed": {}, "status": 7},
        {"name": " ", "alias": "", "registered_at": "soon", "last_accessed": True},
        {"id": "other"},
    ],
)
def test_odd_fields_become_documented_ones(
    place: Place, client: FlaskClient, fields: dict[str, Any]
) -> None:
    path = registered.directory(place, "odd")
    held = {"key": {**registered.entry(path), **fields}}
    place.write_home(registered.FILE, {"projects": held})
    (entry,) = client.get(PROJECTS).get_json()
    assert all(isinstance(entry[key], kind) for key, kind in FIELDS.items())
    assert (entry["id"], entry["name"], entry["alias"]) == ("key", "odd", None)
    assert client.get(f"{PROJECTS}/key").get_json() == entry


def test_a_bare_entry_is_enough(place: Place, client: FlaskClient) -> None:
    place.write_home(registered.FILE, {"projects": {"k": {"path": str(place.home)}}})
    (entry,) = client.get(PROJECTS).get_json()
    assert entry["status"] == "active"
    assert set(FIELDS) <= set(entry)


@pytest.mark.parametrize("path", ["relative", "../..", "~", "/a\x00b", "/" + "x" * 5000, "\ud800"])
def test_a_hostile_stored_path_is_a_missing_project(
    place: Place, client: FlaskClient, path: str
) -> None:
    place.write_home(registered.FILE, {"projects": {"k": {"path": path}}})
    (entry,) = client.get(f"{PROJECTS}?include_inactive=true").get_json()
    assert (entry["status"], entry["has_loki_dir"]) == ("missing", False)
    assert client.get(f"{PROJECTS}/k/health").get_json()["status"] == "missing"
    assert client.get("/api/registry/tasks").get_json() == []
