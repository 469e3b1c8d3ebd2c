"""/api/registry/projects/{identifier}: read and change a project by id, alias or path."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.support import registered
from tests.support.places import Place
from tests.support.registered import PROJECTS

Ask = Callable[[str], Any]


@pytest.mark.parametrize("suffix", ["", "/health", "/access"])
@pytest.mark.parametrize("form", ["id", "alias", "path", "encoded", "wholly encoded"])
def test_a_project_is_found_by_id_alias_and_path(
    place: Place, client: FlaskClient, form: str, suffix: str
) -> None:
    path = registered.directory(place, "work/my app")
    entry = client.post(PROJECTS, json={"path": str(path), "alias": "mine"}).get_json()
    identifier = {
        "id": entry["id"],
        "alias": "mine",
        "path": quote(str(path)),
        "encoded": quote(str(path), safe=""),
        "wholly encoded": "".join(f"%{byte:02x}" for byte in str(path).encode()),
    }[form]
    method = "POST" if suffix == "/access" else "GET"
    answer = client.open(f"{PROJECTS}/{identifier}{suffix}", method=method)
    assert answer.status_code == 200
    told = answer.get_json()
    assert told["status"] == "idle" if suffix == "/health" else told["id"] == entry["id"]


@pytest.mark.parametrize(
    "identifier",
    [
        *("nobody", "..", "..%2f..%2fetc", "a%0A", "a%00", "%2e%2e", ".", "a" * 5000, "%C3%A4"),
        *("/", "//", "/etc", "%2Fetc%2Fpasswd", "/a%00b", "%FF", "/a" * 2000),
    ],
)
@pytest.mark.parametrize(
    ("method", "suffix"), [("GET", ""), ("DELETE", ""), ("GET", "/health"), ("POST", "/access")]
)
def test_an_identifier_of_no_project_is_not_found(
    place: Place, client: FlaskClient, identifier: str, method: str, suffix: str
) -> None:
    registered.register(place, registered.entry(registered.directory(place, "a")))
    answer = client.open(f"{PROJECTS}/{identifier}{suffix}", method=method)
    assert answer.status_code == 404
    assert "detail" in answer.get_json()


def test_an_id_goes_before_an_alias_and_an_alias_before_a_path(
    place: Place, client: FlaskClient
) -> None:
    a, b = (registered.directory(place, name) for name in "ab")
    first, second = registered.entry(a), registered.entry(b)
    registered.register(place, {**first, "alias": str(b)}, {**second, "alias": first["id"]})
    assert client.get(f"{PROJECTS}/{first['id']}").get_json()["name"] == "a"
    assert client.get(f"{PROJECTS}/{b}").get_json()["name"] == "a"


@pytest.mark.parametrize("ending", ["health", "access"])
def test_a_project_whose_own_path_ends_like_a_route(
    place: Place, client: FlaskClient, ending: str
) -> None:
    path = registered.directory(place, f"srv/{ending}")
    entry = client.post(PROJECTS, json={"path": str(path)}).get_json()
    address = f"{PROJECTS}/{path}"
    assert client.get(address).get_json()["id"] == entry["id"]
    assert client.get(f"{address}/health").get_json()["status"] == "idle"
    assert client.post(f"{address}/access").get_json()["id"] == entry["id"]
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


def test_the_address_of_a_registered_path_is_that_project_before_it_is_a_health(
    place: Place, client: FlaskClient
) -> None:
    outer, inner = (registered.directory(place, name) for name in ("p", "p/health"))
    for path in (outer, inner):
        client.post(PROJECTS, json={"path": str(path)})
    assert client.get(f"{PROJECTS}/{outer}/health").get_json()["path"] == str(inner)
    client.delete(f"{PROJECTS}/{outer}/health")
    assert client.get(f"{PROJECTS}/{outer}/health").get_json()["status"] == "idle"


def test_deleting_forgets_the_entry_and_nothing_else(place: Place, client: FlaskClient) -> None:
    a, b = (registered.directory(place, name) for name in "ab")
    registered.register(place, registered.entry(a), registered.entry(b))
    answer = client.delete(f"{PROJECTS}/{a}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert client.delete(f"{PROJECTS}/{a}").status_code == 404
    assert [entry["path"] for entry in registered.held(place).values()] == [str(b)]
    assert (a / ".loki").is_dir()


def test_a_path_that_is_registered_twice_goes_with_both_entries(ask: Ask, session: Place) -> None:
    twice = [entry for entry in ask(PROJECTS) if entry["path"] == str(session.loki.parent)]
    client = session.client()
    assert len(twice) == 2
    assert client.delete(f"{PROJECTS}/{session.loki.parent}").status_code == 204
    assert client.get(f"{PROJECTS}/{session.loki.parent}").status_code == 404
    assert client.get(PROJECTS).get_json()


def test_an_entry_of_a_path_with_two_can_be_removed_by_its_id(ask: Ask, session: Place) -> None:
    first, second = (
        entry["id"] for entry in ask(PROJECTS) if entry["path"] == str(session.loki.parent)
    )
    client = session.client()
    assert client.delete(f"{PROJECTS}/{first}").status_code == 204
    assert client.get(f"{PROJECTS}/{session.loki.parent}").get_json()["id"] == second


@pytest.mark.parametrize("body", [None, {}])
def test_access_puts_a_project_first(place: Place, client: FlaskClient, body: Any) -> None:
    a, b = (registered.directory(place, name) for name in "ab")
    accessed = "2026-01-01T00:00:00+00:00"
    registered.register(
        place, registered.entry(a, x=1), registered.entry(b, last_accessed=accessed)
    )
    assert registered.names(client) == ["b", "a"]
    answer = client.post(f"{PROJECTS}/{a}/access", json=body)
    assert answer.status_code == 200
    assert answer.get_json()["last_accessed"] > accessed
    assert registered.names(client) == ["a", "b"]
    assert registered.held(place)[answer.get_json()["id"]]["x"] == 1


@pytest.mark.parametrize("body", ["null", "[]", "{", '{"more": 1}'])
def test_access_refuses_a_bad_body(client: FlaskClient, body: str) -> None:
    answer = client.post(f"{PROJECTS}/a/access", data=body, content_type="application/json")
    assert answer.status_code == 400


def test_a_change_of_the_cli_is_seen_by_the_next_request(place: Place, client: FlaskClient) -> None:
    path = registered.directory(place, "a")
    client.post(PROJECTS, json={"path": str(path)})
    registered.register(place, registered.entry(path, name="By the CLI"))
    assert registered.names(client) == ["By the CLI"]


def test_the_description_takes_any_text_as_an_identifier(client: FlaskClient) -> None:
    described = client.get("/openapi.json").get_json()["paths"]
    for suffix in ("", "/health", "/access"):
        (parameter,) = described[f"{PROJECTS}/{{identifier}}{suffix}"]["parameters"]
        assert parameter["name"] == "identifier"
        assert parameter["schema"]["type"] == "string"
