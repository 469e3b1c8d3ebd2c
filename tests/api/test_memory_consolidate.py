"""POST /api/memory/consolidate reports counts and writes nothing."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import places
from tests.support.memory_shapes import GETS, episode, get
from tests.support.places import Place, snapshot

Ask = Callable[[str], Any]


@pytest.mark.parametrize(
    ("query", "body", "hours"),
    [("", None, 24), ("?hours=2", None, 2), ("", {"sinceHours": 3}, 3), ("?hours=9", {}, 9)],
)
def test_consolidation_tells_what_there_is_and_changes_nothing(
    tmp_path: Path, query: str, body: Any, hours: int
) -> None:
    made = places.empty(tmp_path / "place")
    place = Place(made.home, made.loki, datetime(2026, 2, 20, 12, tzinfo=UTC))
    for n in range(12):
        place.write(f"memory/episodic/{n}.json", episode(f"e{n}", f"2026-02-20T{n:02d}:30:00Z"))
    before = snapshot(place.loki)
    response = place.client().post(f"/api/memory/consolidate{query}", json=body)
    answer = response.get_json()
    assert response.status_code == 200
    assert answer["status"] == "ok"
    assert answer["message"]
    for key in ("consolidated", "patternsCreated", "patternsMerged", "episodesProcessed"):
        assert answer[key] == 0
    assert answer["episodesInWindow"] == min(hours, 12)
    assert answer["state"]["episodic"]["count"] == 12
    assert snapshot(place.loki) == before


def test_consolidation_takes_an_empty_body_that_claims_to_be_json(client: FlaskClient) -> None:
    response = client.post("/api/memory/consolidate", content_type="application/json")
    assert response.status_code == 200


@pytest.mark.parametrize("hours", ["-5", "0", "8761", "1.5", "abc", "", "1e2"])
def test_hours_that_are_none_are_refused(client: FlaskClient, hours: str) -> None:
    assert client.post(f"/api/memory/consolidate?hours={hours}").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        *([], 5, "x", {"sinceHours": "24"}, {"sinceHours": 0}, {"sinceHours": 8761}),
        *({"sinceHours": None}, {"sinceHours": True}, {"sinceHours": 1.5}, {"other": 1}),
    ],
)
def test_a_body_that_is_none_is_refused(client: FlaskClient, body: Any) -> None:
    assert client.post("/api/memory/consolidate", json=body).status_code == 400


def snapshot_without_cache(session: Place) -> dict[str, tuple[int, bytes]]:
    files = snapshot(session.home).items()
    return {name: content for name, content in files if ".cache" not in name}


def test_reading_writes_nothing_below_the_session(session: Place) -> None:
    client = session.client()
    before = snapshot_without_cache(session)
    for path in GETS:
        get(client, path)
    client.post("/api/memory/retrieve", json={"query": "test"})
    after = snapshot_without_cache(session)
    assert {name for name in after if after[name] != before.get(name)} <= {"."}
    assert set(before) == set(after)
