"""GET /api/memory/economics, /index and /timeline."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from loki_web.store.times import sort_key
from tests.support.memory_shapes import NONSENSE, episode, get
from tests.support.places import Place

Ask = Callable[[str], Any]


NESTED = {"metrics": {"discovery_tokens": 1000, "read_tokens": 500}, "savings_percent": 50}
SNAKE = {"discovery_tokens": 1000, "read_tokens": 500, "savings_percent": 50}


@pytest.mark.parametrize("content", [NESTED, SNAKE, "token_economics.flat.json"])
def test_economics_in_every_spelling(place: Place, client: FlaskClient, content: Any) -> None:
    target = "memory/token_economics.json"
    if isinstance(content, str):
        place.variant(content, target)
    else:
        place.write(target, content)
    economics = get(client, "/api/memory/economics")
    camel = {"discoveryTokens": 1000, "readTokens": 500, "savingsPercent": 50}
    flat = {**SNAKE, "total_tokens": 1500}
    assert camel.items() <= economics.items()
    assert flat.items() <= economics.items()
    assert get(client, "/api/memory/summary")["tokenEconomics"] == camel


@pytest.mark.parametrize("savings", [-12.5, "-12.5"])
def test_savings_can_be_negative(place: Place, client: FlaskClient, savings: Any) -> None:
    place.write("memory/token_economics.json", {"savings_percent": savings})
    assert get(client, "/api/memory/economics")["savingsPercent"] == -12.5


@pytest.mark.parametrize("content", [None, *NONSENSE])
def test_economics_without_sound_numbers_are_zero(
    place: Place, client: FlaskClient, content: Any
) -> None:
    place.write("memory/token_economics.json", content)
    economics = get(client, "/api/memory/economics")
    for key in ("discoveryTokens", "readTokens", "savingsPercent", "total_tokens"):
        assert economics[key] == 0


def test_the_index_is_the_file(place: Place, client: FlaskClient) -> None:
    assert get(client, "/api/memory/index") == {"topics": [], "lastUpdated": None}
    place.variant("index.layers.json", "memory/index.json")
    stored = place.read("memory/index.json")
    index = get(client, "/api/memory/index")
    assert stored.items() <= index.items()
    assert index["lastUpdated"] == stored["last_updated"]


def test_the_timeline_without_a_file_is_the_latest_episodes(
    place: Place, client: FlaskClient
) -> None:
    place.write("memory/episodic/a.json", episode("a", "2026-02-01T10:00:00Z"))
    timeline = get(client, "/api/memory/timeline")
    assert timeline["entries"] == get(client, "/api/memory/episodes")
    assert timeline["lastUpdated"] is None


def test_the_recorded_timeline_is_the_file(ask: Ask, session: Place) -> None:
    stored, timeline = session.read("memory/timeline.json"), ask("/api/memory/timeline")
    assert timeline["version"] == stored["version"]
    assert len(timeline["recent_actions"]) == len(stored["recent_actions"])
    assert timeline["lastUpdated"] == stored["last_updated"]
    instants = [sort_key(entry["timestamp"]) for entry in timeline["entries"]]
    assert instants == sorted(instants, reverse=True)
    assert len(instants) == len(stored["recent_actions"]) + len(stored["key_decisions"])


def test_a_list_is_a_timeline_of_decisions(place: Place, client: FlaskClient) -> None:
    place.variant("timeline.list.json", "memory/timeline.json")
    timeline = get(client, "/api/memory/timeline")
    assert timeline["entries"] == place.read("memory/timeline.json")
    assert timeline["key_decisions"] == timeline["entries"]
    assert timeline["recent_actions"] == []
