"""GET /api/registry/discover and POST /api/registry/sync: the bounded search below HOME."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import registered
from tests.support.places import Place, snapshot, write

DISCOVER = "/api/registry/discover"
SYNC = "/api/registry/sync"


@pytest.fixture
def home(place: Place) -> Path:
    """Return a HOME without projects."""
    shutil.rmtree(place.home / "projects")
    return place.home


def _discover(client: FlaskClient, query: str = "") -> list[str]:
    return [each["path"] for each in client.get(DISCOVER + query).get_json()]


def test_recorded_projects_are_found(ask: Callable[[str], Any], session: Place) -> None:
    by_name = {each["name"]: each for each in ask(DISCOVER)}
    assert set(by_name) == {"demo", "notes-api", "tool"}
    assert all(each["has_prd"] is True for each in by_name.values())
    assert by_name["demo"]["path"] == str(session.loki.parent)


@pytest.mark.parametrize("place_name", ["git", "projects", "code", "dev", "workspace", "src"])
def test_the_usual_places_are_looked_into(
    place: Place, client: FlaskClient, home: Path, place_name: str
) -> None:
    path = registered.directory(place, f"{place_name}/a")
    assert _discover(client) == [str(path)]


@pytest.mark.parametrize(
    "relative",
    [
        *("elsewhere/a", "code/.hidden/a", "code/node_modules/a", "code/x/node_modules/a"),
        *("code/one/two/three/four", "code/bad\nname"),
    ],
)
def test_other_places_are_not_searched(
    place: Place, client: FlaskClient, home: Path, relative: str
) -> None:
    registered.directory(place, relative)
    assert _discover(client) == []


@pytest.mark.parametrize(("depth", "count"), [(1, 1), (2, 2), (3, 3), (10, 10)])
def test_the_depth_counts_folders_below_the_place(
    place: Place, client: FlaskClient, home: Path, depth: int, count: int
) -> None:
    for level in range(1, 12):
        registered.directory(place, "code/" + "d/" * (level - 1) + f"p{level}")
    assert len(_discover(client, f"?max_depth={depth}")) == count


@pytest.mark.parametrize("depth", ["0", "11", "-1", "1e1", "abc", "", "3&max_depth=3", "10" * 9])
def test_a_bad_depth_is_refused(client: FlaskClient, depth: str) -> None:
    assert client.get(f"{DISCOVER}?max_depth={depth}").status_code == 400


def test_projects_inside_projects_are_their_own_business(
    place: Place, client: FlaskClient, home: Path
) -> None:
    outer = registered.directory(place, "code/outer")
    registered.directory(place, "code/outer/inner")
    assert _discover(client) == [str(outer)]


def test_a_place_that_is_a_project_is_looked_into_all_the_same(
    place: Place, client: FlaskClient, home: Path
) -> None:
    outer, inner = registered.directory(place, "code"), registered.directory(place, "code/a")
    assert _discover(client) == [str(outer), str(inner)]


def test_links_are_not_followed(place: Place, client: FlaskClient, home: Path) -> None:
    outside = registered.directory(place, "outside")
    (home / "code").mkdir()
    (home / "code" / "link").symlink_to(outside)
    (home / "code" / "loop").symlink_to(home / "code")
    (home / "code" / "a").mkdir()
    (home / "code" / "a" / ".loki").symlink_to(outside / ".loki")
    (home / "dev").symlink_to(home)
    assert _discover(client) == []


def test_the_fields_of_a_discovered_project(place: Place, client: FlaskClient, home: Path) -> None:
    path = registered.directory(place, "code/a")
    expected = {"path": str(path), "name": "a", "has_state": False, "has_prd": False}
    assert client.get(DISCOVER).get_json() == [expected]
    write(path / ".loki/state/session.json", {})
    write(path / "docs/PRD.md", "x")
    assert client.get(DISCOVER).get_json() == [expected | {"has_state": True, "has_prd": True}]


@pytest.mark.slow
def test_twenty_thousand_directories_and_a_loop_are_looked_at(
    place: Place, client: FlaskClient, home: Path
) -> None:
    path = registered.directory(place, "src/near")
    many = home / "code" / "many"
    for number in range(20_000):
        (many / f"{number // 1000:02}" / f"{number:05}").mkdir(parents=True)
    (many / "loop").symlink_to(home / "code")
    assert _discover(client, "?max_depth=10") == [str(path)]


def test_discovery_writes_nothing(session: Place) -> None:
    client = session.client()
    before = snapshot(session.home)
    assert client.get(DISCOVER).status_code == 200
    assert snapshot(session.home) == before


def test_sync_adds_refreshes_and_marks(place: Place, client: FlaskClient, home: Path) -> None:
    registered.directory(place, "code/new")
    grown = registered.directory(place, "elsewhere/grown")
    settled = registered.directory(place, "code/settled")
    registered.register(
        place,
        registered.entry(grown, has_loki_dir=False, alias="g"),
        registered.entry(settled, has_loki_dir=True),
        registered.entry(home / "gone", has_loki_dir=True),
    )
    answer = client.post(SYNC, json={})
    assert answer.status_code == 200
    assert answer.get_json() == {"added": 1, "updated": 1, "missing": 1, "total": 4}
    held = {each["name"]: each for each in registered.held(place).values()}
    said = {name: (each["has_loki_dir"], each["status"]) for name, each in held.items()}
    assert said == {
        "new": (True, "active"),
        "grown": (True, "active"),
        "settled": (True, "active"),
        "gone": (False, "missing"),
    }
    assert held["grown"]["alias"] == "g"


def test_a_second_sync_changes_nothing(session: Place) -> None:
    client = session.client()
    first = client.post(SYNC).get_json()
    assert first["added"] == 1
    before = registered.file(session).stat()
    again = client.post(SYNC).get_json()
    assert again == {"added": 0, "updated": 0, "missing": 0, "total": first["total"]}
    after = registered.file(session).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_directory_that_comes_back_is_active_again(
    place: Place, client: FlaskClient, home: Path
) -> None:
    path = registered.directory(place, "elsewhere")
    registered.register(place, registered.entry(path, status="missing"))
    assert client.post(SYNC).get_json()["updated"] == 1
    assert [each["status"] for each in registered.held(place).values()] == ["active"]


@pytest.mark.parametrize("body", ["null", "[]", "{", '{"more": 1}'])
def test_sync_refuses_a_bad_body(client: FlaskClient, body: str) -> None:
    assert client.post(SYNC, data=body, content_type="application/json").status_code == 400
