"""POST /api/registry/projects: validation, and the data that stays unchanged."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import registered
from tests.support.places import Place
from tests.support.registered import PROJECTS


def test_registering_makes_an_entry_that_lasts(place: Place, client: FlaskClient) -> None:
    path = registered.directory(place, "demo app")
    answer = client.post(PROJECTS, json={"path": str(path), "name": " Demo ", "alias": " d "})
    entry = answer.get_json()
    assert answer.status_code == 201
    assert (entry["name"], entry["alias"], entry["path"]) == ("Demo", "d", str(path))
    assert (entry["status"], entry["has_loki_dir"]) == ("active", True)
    assert place.client().get(PROJECTS).get_json() == [entry]
    assert registered.held(place)[entry["id"]] == entry


@pytest.mark.parametrize("body", [{}, {"name": None, "alias": None}, {"name": "", "alias": "  "}])
def test_the_name_is_that_of_the_directory_by_default(
    place: Place, client: FlaskClient, body: dict[str, Any]
) -> None:
    path = registered.directory(place, "own", loki=False)
    entry = client.post(PROJECTS, json={"path": str(path), **body}).get_json()
    assert (entry["name"], entry["alias"], entry["has_loki_dir"]) == ("own", None, False)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "~",
        "~/x",
        ".",
        "relative",
        "/a\x00b",
        "/nowhere/at/all",
        "/",
        "/etc",
        "/root",
        "/root/x",
        "/dev",
        "/dev/shm",
        "/proc/self",
        "/home",
        5,
        None,
    ],
)
def test_a_path_that_is_no_project_directory_is_refused(
    place: Place, client: FlaskClient, path: Any
) -> None:
    answer = client.post(PROJECTS, json={"path": path})
    assert answer.status_code == 400
    assert isinstance(answer.get_json()["detail"], str)
    assert not registered.file(place).exists()


def test_a_file_is_no_project(place: Place, client: FlaskClient) -> None:
    path = place.write("a.txt", "x")
    assert client.post(PROJECTS, json={"path": str(path)}).status_code == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a\x1b[31mb"},
        {"name": "a\r\nb"},
        {"name": "a\u009bb"},
        {"name": "x" * 256},
        {"name": 5},
        {"alias": "a\x00"},
        {"alias": "x" * 256},
        {"alias": "/srv/p"},
        {"alias": ".."},
        {"alias": ["a"]},
        {"more": 1},
    ],
)
def test_a_bad_name_or_alias_is_refused(
    place: Place, client: FlaskClient, fields: dict[str, Any]
) -> None:
    path = registered.directory(place, "a")
    assert client.post(PROJECTS, json={"path": str(path), **fields}).status_code == 400
    assert client.get(PROJECTS).get_json() == []


@pytest.mark.parametrize("body", ["", "null", "[]", "5", '"x"', "{", b"\xff"])
def test_a_body_that_is_no_object_is_refused(client: FlaskClient, body: str | bytes) -> None:
    answer = client.post(PROJECTS, data=body, content_type="application/json")
    assert answer.status_code == 400


def test_a_directory_with_control_characters_in_its_name_is_refused(
    place: Place, client: FlaskClient
) -> None:
    path = registered.directory(place, "a\nb")
    assert client.post(PROJECTS, json={"path": str(path)}).status_code == 400


def test_a_path_that_the_cli_registered_keeps_its_id_and_what_we_do_not_know(
    place: Place, client: FlaskClient
) -> None:
    path = registered.directory(place, "a")
    held = registered.entry(path, alias="old", colour="blue")
    place.write_home(
        registered.FILE, {"version": "1.7", "projects": {held["id"]: held}, "more": [1]}
    )
    answer = client.post(PROJECTS, json={"path": f"{path}/", "name": "New"})
    assert answer.status_code == 201
    content = json.loads(registered.file(place).read_text())
    assert (content["version"], content["more"]) == ("1.7", [1])
    (entry,) = content["projects"].values()
    assert (entry["id"], entry["alias"], entry["colour"]) == (held["id"], "old", "blue")
    assert (entry["name"], entry["has_loki_dir"]) == ("New", True)
    assert entry["updated_at"] > held["updated_at"]


def test_a_link_to_a_registered_directory_is_the_same_project(
    place: Place, client: FlaskClient
) -> None:
    path = registered.directory(place, "real")
    link = place.home / "link"
    link.symlink_to(path)
    first = client.post(PROJECTS, json={"path": str(link)}).get_json()
    second = client.post(PROJECTS, json={"path": str(path)}).get_json()
    assert first["path"] == str(path)
    assert first["id"] == second["id"]
    assert client.get(f"{PROJECTS}/{link}").get_json()["id"] == first["id"]


def test_a_directory_inside_another_whose_path_is_a_prefix_is_a_project_of_its_own(
    place: Place, client: FlaskClient
) -> None:
    for name in ("app", "app2", "app/inner"):
        path = registered.directory(place, name)
        assert client.post(PROJECTS, json={"path": str(path)}).status_code == 201
    assert len(client.get(PROJECTS).get_json()) == 3


def test_an_alias_belongs_to_one_project(place: Place, client: FlaskClient) -> None:
    a, b = (registered.directory(place, name) for name in "ab")
    first = client.post(PROJECTS, json={"path": str(a), "alias": "one"}).get_json()
    for taken in ("one", first["id"]):
        answer = client.post(PROJECTS, json={"path": str(b), "alias": taken})
        assert answer.status_code == 400
    assert client.post(PROJECTS, json={"path": str(a), "alias": "one"}).status_code == 201
    assert registered.names(client) == ["a"]
