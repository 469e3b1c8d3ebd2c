"""GET /api/context: the documented shape and the tracker's own fields."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.places import Place

Ask = Callable[[str], Any]


def context(client: FlaskClient) -> Any:
    response = client.get("/api/context")
    assert response.status_code == 200
    return response.get_json()


def test_the_window_of_the_recorded_session_is_returned(ask: Ask, session: Place) -> None:
    stored = session.read("context/tracking.json")
    answer = ask("/api/context")
    used = stored["current"]["total_tokens"]
    assert (answer["total_capacity"], answer["total_used"]) == (200_000, used)
    assert answer["usage_percent"] == stored["current"]["context_window_pct"]
    assert answer["agents"] == [
        {
            "id": "orchestrator",
            "tokens_used": used,
            "capacity": 200_000,
            "usage_percent": answer["usage_percent"],
        }
    ]
    assert sum(answer["breakdown"].values()) == used
    for key in ("session_id", "provider", "current", "compactions", "per_iteration", "totals"):
        assert answer[key] == stored[key]


def test_without_a_file_the_shape_is_the_same(client: FlaskClient) -> None:
    answer = context(client)
    assert (answer["total_used"], answer["usage_percent"], answer["agents"]) == (0, 0, [])
    assert answer["breakdown"] == {"code": 0, "prompts": 0, "memory": 0, "tool_output": 0}
    assert (answer["per_iteration"], answer["compactions"]) == ([], [])
    assert set(answer["current"].values()) == set(answer["totals"].values()) == {0}
    assert answer["total_capacity"] == 200_000


@pytest.mark.parametrize(
    ("provider", "current", "setting", "capacity", "percent"),
    [
        ("claude", {"total_tokens": 50_000}, "0", 200_000, 25),
        ("Codex", {"total_tokens": 50_000}, "0", 200_000, 25),
        ("gemini", {"total_tokens": 50_000}, "0", 1_000_000, 5),
        ("gemini", {"total_tokens": 50_000}, "100000", 100_000, 50),
        ("aider", {"total_tokens": 32_000, "context_window_pct": 25}, "0", 128_000, 25),
        ("aider", {"total_tokens": 32_000, "context_window_pct": 0}, "0", 200_000, 16),
        ("aider", {"total_tokens": 32_000, "context_window_pct": 1e-300}, "0", 200_000, 16),
        (None, {"input_tokens": 1000, "cache_read_tokens": "500"}, "0", 200_000, 0.75),
        ("claude", {"total_tokens": 300_000}, "0", 200_000, 150),
    ],
)
def test_the_capacity_comes_from_setting_tracker_or_provider(
    place: Place, provider: Any, current: Any, setting: str, capacity: int, percent: float
) -> None:
    place.write("context/tracking.json", {"provider": provider, "current": current})
    answer = context(place.client(LOKI_CONTEXT_WINDOW_SIZE=setting))
    assert (answer["total_capacity"], answer["usage_percent"]) == (capacity, percent)
    assert answer["agents"][0]["capacity"] == capacity


@pytest.mark.parametrize(
    "stored",
    [
        *([1], 5, "text", None, "{", {"current": 5, "totals": [], "per_iteration": "x"}),
        '{"current": {"total_tokens": NaN, "input_tokens": 1e999, "estimated_cost_usd": -1}}',
        {"current": {"total_tokens": -5, "input_tokens": True, "context_window_pct": "full"}},
        {"provider": 5, "session_id": None, "updated_at": "never", "compactions": {"a": 1}},
    ],
)
def test_a_malformed_number_is_zero(place: Place, client: FlaskClient, stored: Any) -> None:
    place.write("context/tracking.json", stored)
    answer = context(client)
    assert (answer["total_used"], answer["usage_percent"]) == (0, 0)
    assert set(answer["breakdown"].values()) == {0}
    assert (answer["per_iteration"], answer["compactions"], answer["updated_at"]) == ([], [], None)
    assert (answer["session_id"], answer["provider"]) == ("", "claude")


def test_sound_entries_stay_beside_damaged_ones(place: Place, client: FlaskClient) -> None:
    entries = [1, None, {"iteration": "3", "cost_usd": "x", "note": "kept"}, ["a"]]
    compactions = ["x", {"at_iteration": 2, "timestamp": "2026-02-20T09:03:17+00:00Z"}]
    place.write("context/tracking.json", {"per_iteration": entries, "compactions": compactions})
    answer = context(client)
    (entry,) = answer["per_iteration"]
    assert (entry["iteration"], entry["cost_usd"], entry["note"]) == (3, 0, "kept")
    assert (entry["input_tokens"], entry["timestamp"], entry["compacted"]) == (0, "", False)
    (compaction,) = answer["compactions"]
    assert compaction == {
        "at_iteration": 2,
        "timestamp": "2026-02-20T09:03:17+00:00",
        "tokens_before": 0,
    }
