"""GET /api/memory/episodes: files, order, ids and pages."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.memory_shapes import episode, get
from tests.support.places import Place

Ask = Callable[[str], Any]


def test_dated_and_flat_episodes_are_counted_listed_and_fetched_alike(
    place: Place, client: FlaskClient
) -> None:
    place.write("memory/episodic/2026-02-01/task-a.json", episode("a", "2026-02-01T10:00:00Z"))
    place.write("memory/episodic/2026-02-02/task-b.json", episode("b", "2026-02-02T10:00:00Z"))
    place.variant("episode.legacy-flat.json", "memory/episodic/ep-001.json")
    place.variant(
        "episode.vscode.json", "memory/episodic/2026-02-20/task-ep-20260220-k3v9x0ab.json"
    )
    place.write("memory/episodic/2026-02-01/index.json", {"id": "index"})
    place.write("memory/episodic/index.json", {"id": "index"})
    for noise in ("task-x.json.lock", "task-x.json.tmp", ".task-x.json", "task-x.tmp.7.json"):
        place.write(f"memory/episodic/2026-02-01/{noise}", episode(noise.split(".")[0] or "n"))
    listed = get(client, "/api/memory/episodes")
    assert [entry["id"] for entry in listed] == ["ep-20260220-k3v9x0ab", "b", "a", "ep-001"]
    assert get(client, "/api/memory/summary")["episodic"] == {
        "count": 4,
        "latestDate": "2026-02-20T09:14:02.417Z",
    }
    assert [get(client, f"/api/memory/episodes/{entry['id']}") for entry in listed] == listed
    assert (listed[3]["phase"], listed[3]["goal"]) == ("ACT", "Set up CI")


def test_newest_first_by_instant_not_by_text(place: Place, client: FlaskClient) -> None:
    moments = {
        "c": "2026-02-01T12:00:00+05:00",
        "a": "2026-02-01T10:00:00.5+00:00Z",
        "b": "2026-02-01T10:00:00Z",
        "d": "no time",
    }
    for identifier, moment in moments.items():
        place.write(f"memory/episodic/{identifier}.json", episode(identifier, moment))
    place.write("memory/episodic/e.json", episode("e"))
    listed = get(client, "/api/memory/episodes")
    assert [entry["id"] for entry in listed[:3]] == ["a", "b", "c"]
    assert {entry["timestamp"] for entry in listed[3:]} == {""}
    latest = get(client, "/api/memory/summary")["episodic"]["latestDate"]
    assert latest == "2026-02-01T10:00:00.5+00:00"


def test_latest_date_is_empty_where_no_time_is_known(place: Place, client: FlaskClient) -> None:
    place.write("memory/episodic/2026-02-01/task-a.json", episode("a"))
    assert get(client, "/api/memory/summary")["episodic"] == {"count": 1, "latestDate": ""}


@pytest.mark.parametrize("newest_first", [True, False])
def test_the_newest_file_of_an_id_counts(
    place: Place, client: FlaskClient, newest_first: bool
) -> None:
    moments = ["2026-02-02T00:00:00Z", "2026-02-01T23:00:00Z"]
    for name, moment in zip("ab" if newest_first else "ba", moments, strict=True):
        place.write(f"memory/episodic/{name}.json", episode("same", moment, goal=moment))
    (listed,) = get(client, "/api/memory/episodes")
    assert listed["goal"] == moments[0]
    assert get(client, "/api/memory/episodes/same") == listed
    assert get(client, "/api/memory/summary")["episodic"]["count"] == 1


@pytest.mark.parametrize("own", [None, "", "a b", "x/y", "ä", "a\n", 1.5, True, ["x"], "y" * 129])
def test_an_entry_without_a_usable_id_is_known_by_its_file(
    place: Place, client: FlaskClient, own: Any
) -> None:
    place.write("memory/episodic/2026-02-01/task-7.json", {"id": own, "goal": "Find me"})
    place.write("memory/episodic/2026-02-01/täsk 8.json", {"id": own, "goal": "Me too"})
    place.write("memory/skills/Deploy___rollback.json", {"id": own, "name": "Deploy"})
    listed = get(client, "/api/memory/episodes")
    assert "task-7" in {entry["id"] for entry in listed}
    assert len({entry["id"] for entry in listed}) == 2
    for entry in listed:
        assert get(client, f"/api/memory/episodes/{entry['id']}") == entry
    assert get(client, "/api/memory/skills/Deploy___rollback")["name"] == "Deploy"


def test_a_number_is_an_id(place: Place, client: FlaskClient) -> None:
    place.write("memory/episodic/a.json", {"id": 42})
    assert get(client, "/api/memory/episodes/42")["id"] == "42"


def test_limit_and_offset_cut_pages_out_of_the_list(place: Place, client: FlaskClient) -> None:
    for n in range(60):
        place.write(f"memory/episodic/{n}.json", episode(f"e{n}", f"2026-02-01T10:{n:02d}:00Z"))
    expected = [f"e{n}" for n in reversed(range(60))]

    def ids(query: str) -> list[str]:
        return [entry["id"] for entry in get(client, f"/api/memory/episodes{query}")]

    assert ids("") == expected[:50]
    assert ids("?limit=3") == expected[:3]
    assert ids("?limit=3&offset=3") == expected[3:6]
    assert ids("?limit=1000") == expected
    assert ids("?offset=60") == []


@pytest.mark.parametrize(
    "query",
    [
        *(f"limit={value}" for value in ("-1", "0", "1001", "1e3", "abc", "", "1.0", "%EF%BC%91")),
        *(f"offset={value}" for value in ("-1", "abc", "", "1000000000001")),
        "limit=1&limit=2",
    ],
)
def test_a_limit_or_offset_that_is_none_is_refused(client: FlaskClient, query: str) -> None:
    response = client.get(f"/api/memory/episodes?{query}")
    assert response.status_code == 400
    assert isinstance(response.get_json()["detail"], str)
