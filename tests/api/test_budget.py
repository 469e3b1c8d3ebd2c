"""GET /api/budget: every form of the limit, and the same cost in every response."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from tests.support.places import Place

Ask = Callable[[str], Any]


def budget(client: FlaskClient) -> Any:
    response = client.get("/api/budget")
    assert response.status_code == 200
    return response.get_json()


def spend(place: Place, usd: float) -> None:
    place.write("metrics/efficiency/iteration-1.json", {"cost_usd": usd, "input_tokens": 1})


def test_without_a_limit_nothing_is_exceeded(client: FlaskClient) -> None:
    assert budget(client) == {
        "budget_limit": None,
        "budget_used": 0,
        "budget_remaining": None,
        "budget_exceeded": False,
        "exceeded_at": None,
        "current_cost": 0,
        "exceeded": False,
        "remaining": None,
    }


@pytest.mark.parametrize(
    "stored",
    [
        *([1], 5, "x", None, "{", {"limit": -1}, {"limit": True}, {"limit": [5]}),
        {"limit": "abc", "budget_used": "n/a"},
        '{"limit": NaN, "budget_limit": Infinity, "budget_used": 1e999}',
        {"limit": None, "budget_limit": {}, "exceeded": "yes"},
    ],
)
def test_an_invalid_limit_is_ignored(place: Place, client: FlaskClient, stored: Any) -> None:
    place.write("metrics/budget.json", stored)
    answer = budget(client)
    assert (answer["budget_limit"], answer["budget_remaining"]) == (None, None)
    assert (answer["budget_used"], answer["budget_exceeded"]) == (0, False)
    cost = client.get("/api/cost").get_json()
    assert (cost["budget_limit"], cost["budget_used"], cost["budget_remaining"]) == (None,) * 3


@pytest.mark.parametrize("flag", [True, "true", "True"])
def test_a_flag_is_believed_also_as_a_text(place: Place, client: FlaskClient, flag: Any) -> None:
    place.write("metrics/budget.json", {"limit": "5.00", "budget_used": "1", "exceeded": flag})
    assert budget(client)["budget_exceeded"] is True


@pytest.mark.parametrize(
    ("stored", "setting", "limit"),
    [
        ({"limit": 5, "budget_limit": 7}, "9", 5),
        ({"limit": "n/a", "budget_limit": 7}, "9", 7),
        ({"limit": "7.50"}, "9", 7.5),
        ({}, "9", 9),
        (None, "0", 0),
        (None, "", None),
    ],
)
def test_the_limit_of_the_file_goes_before_that_of_the_setting(
    place: Place, stored: Any, setting: str, limit: float | None
) -> None:
    place.write("metrics/budget.json", stored)
    client = place.client(LOKI_BUDGET_LIMIT=setting)
    assert budget(client)["budget_limit"] == limit
    assert client.get("/api/cost").get_json()["budget_limit"] == limit


@pytest.mark.parametrize(
    ("limit", "spent", "remaining", "exceeded"),
    [(5, 1.25, 3.75, False), (5, 5, 0, True), (5, 6, 0, True), (0, 0, 0, True), (0, 1, 0, True)],
)
def test_a_spent_budget_is_exceeded_and_its_rest_is_never_negative(
    place: Place, client: FlaskClient, limit: float, spent: float, remaining: float, exceeded: bool
) -> None:
    place.write("metrics/budget.json", {"limit": limit})
    spend(place, spent)
    answer = budget(client)
    assert (answer["budget_remaining"], answer["budget_exceeded"]) == (remaining, exceeded)
    assert (answer["remaining"], answer["exceeded"]) == (remaining, exceeded)
    assert "-0.0" not in client.get("/api/budget").get_data(as_text=True)
    assert client.get("/api/cost").get_json()["budget_remaining"] == remaining


@pytest.mark.parametrize(("recorded", "expected"), [(0.5, 1.25), (2, 2), ("n/a", 1.25), (-3, 1.25)])
def test_used_is_the_greater_of_recorded_and_computed(
    place: Place, client: FlaskClient, recorded: Any, expected: float
) -> None:
    place.write("metrics/budget.json", {"limit": 5, "budget_used": recorded})
    spend(place, 1.25)
    assert budget(client)["budget_used"] == expected
    assert client.get("/api/cost").get_json()["budget_used"] == expected


def test_the_spend_is_the_same_everywhere(ask: Ask, session: Place) -> None:
    cost, answer = ask("/api/cost"), ask("/api/budget")
    text = session.client().get("/metrics").get_data(as_text=True)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert cost["estimated_cost_usd"] == answer["budget_used"] == cost["budget_used"]
    assert families["loki_cost_usd"].samples[0].value == answer["current_cost"]
    assert answer["budget_remaining"] == cost["budget_remaining"]


@pytest.mark.parametrize(
    ("variant", "used", "exceeded", "at"),
    [
        ("budget.initial.json", 0, False, None),
        ("budget.exceeded.json", 5.0312, True, "2026-02-20T11:42:07Z"),
    ],
)
def test_the_other_forms_of_the_file(
    place: Place, client: FlaskClient, variant: str, used: float, exceeded: bool, at: str | None
) -> None:
    place.variant(variant, "metrics/budget.json")
    answer = budget(client)
    assert answer["budget_limit"] == 5
    assert (answer["budget_used"], answer["budget_exceeded"], answer["exceeded_at"]) == (
        used,
        exceeded,
        at,
    )


def test_the_signal_of_the_runner_counts(place: Place, client: FlaskClient) -> None:
    place.write("metrics/budget.json", {"limit": 5})
    place.variant("signals.BUDGET_EXCEEDED", "signals/BUDGET_EXCEEDED")
    answer = budget(client)
    assert answer["budget_exceeded"] is True
    assert answer["exceeded_at"] == "2026-02-20T11:42:07Z"
