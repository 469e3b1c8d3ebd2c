"""Tokens and cost from the efficiency files and the context tracker, without a server."""

from typing import Any

import pytest

from loki_web.services.cost.pricing import PriceList, get_price_list
from loki_web.services.cost.usage import Use, get_spend, sum_usd
from tests.support.places import Place

MIO = 1_000_000


def files(*records: Any) -> dict[str, Any]:
    """Return efficiency files, numbered from 1."""
    return {
        f"metrics/efficiency/iteration-{number}.json": record
        for number, record in enumerate(records, start=1)
    }


def tracker(*iterations: Any, **totals: Any) -> dict[str, Any]:
    """Return the file of the context tracker."""
    return {"context/tracking.json": {"per_iteration": [*iterations], "totals": totals}}


def tokens(iteration: int, count: int, **more: Any) -> dict[str, Any]:
    return {"iteration": iteration, "input_tokens": count, "output_tokens": 0, **more}


def list_uses(uses: list[Use]) -> list[tuple[int, int, int]]:
    return [(use.session, use.iteration, use.input_tokens) for use in uses]


@pytest.mark.parametrize(
    ("content", "source", "uses", "cost"),
    [
        ({}, "none", [], 0.0),
        (files(tokens(1, MIO, model="opus")), "efficiency", [(1, 1, MIO)], 5.0),
        (files(tokens(1, MIO, model="opus", cost_usd=2)), "efficiency", [(1, 1, MIO)], 2.0),
        (files({"cost_usd": 2}), "efficiency", [(1, 1, 0)], 2.0),
        (files({"cost_usd": 0}), "none", [(1, 1, 0)], 0.0),
        # The tracker has neither model nor phase: sonnet's prices.
        (tracker(tokens(1, MIO)), "tracking", [(1, 1, MIO)], 3.0),
        (tracker(total_input=MIO), "tracking", [(1, 0, MIO)], 3.0),
        (tracker(total_cost_usd=4), "none", [], 0.0),
        # Its iterations begin with 1 again in each session.
        (
            tracker(tokens(1, 10), tokens(2, 20), tokens(1, 30)),
            "tracking",
            [(1, 1, 10), (1, 2, 20), (2, 1, 30)],
            0.00018,
        ),
        # Of the same iteration, what has tokens counts once, at the greater cost.
        (
            {**files(tokens(1, 10, cost_usd=1)), **tracker(tokens(1, 10, cost_usd=1))},
            "efficiency",
            [(1, 1, 10)],
            1.0,
        ),
        (
            {**files({"cost_usd": 3}), **tracker(tokens(1, 10, cost_usd=1))},
            "tracking",
            [(1, 1, 10)],
            3.0,
        ),
        (
            {**files({"cost_usd": 1}), **tracker(tokens(1, 10, cost_usd=2))},
            "tracking",
            [(1, 1, 10)],
            2.0,
        ),
        # A file that differs, minutes apart, is of a later session than the tracker knows.
        (
            {
                **files(tokens(1, 7, cost_usd=1, timestamp="2026-03-01T12:00:00Z")),
                **tracker(tokens(1, 10, cost_usd=2, timestamp="2026-03-01T10:00:00Z")),
            },
            "efficiency",
            [(1, 1, 10), (2, 1, 7)],
            3.0,
        ),
        (
            {
                **files(tokens(1, 7, cost_usd=1, timestamp="2026-03-01T10:01:00Z")),
                **tracker(tokens(1, 10, cost_usd=2, timestamp="2026-03-01T10:00:00Z")),
            },
            "efficiency",
            [(1, 1, 7)],
            1.0,
        ),
    ],
)
def test_spend_is_counted_once_from_files_and_tracker(
    place: Place,
    content: dict[str, Any],
    source: str,
    uses: list[tuple[int, int, int]],
    cost: float,
) -> None:
    for name, value in content.items():
        place.write(name, value)
    spend = get_spend(place.sources())
    assert (spend.source, list_uses(spend.uses), spend.cost_usd) == (source, uses, cost)
    assert spend.input_tokens == sum(count for *_, count in uses)


@pytest.mark.parametrize(
    ("name", "record", "numbers"),
    [
        ("iteration-7.json", {"iteration": 3}, [7]),
        ("iteration-007.json", {}, [7]),
        ("iteration-seven.json", {"iteration": 3}, [3]),
        ("iteration-.json", {}, []),
        ("summary.json", {"iteration": 3}, []),
        ("iteration-7.json", [], []),
    ],
)
def test_the_number_of_an_iteration_is_in_the_name_else_in_the_file(
    place: Place, name: str, record: Any, numbers: list[int]
) -> None:
    place.write(f"metrics/efficiency/{name}", record)
    assert [use.iteration for use in get_spend(place.sources()).uses] == numbers


@pytest.mark.parametrize(
    ("amounts", "total"),
    [([], 0.0), ([0.1] * 10, 1.0), ([1e16, 1.0, -1e16], 1.0), ([0.0000004], 0.0)],
)
def test_a_sum_of_usd_is_exact_to_six_decimals(amounts: list[float], total: float) -> None:
    assert sum_usd(amounts) == total


@pytest.mark.parametrize(
    ("model", "record", "usd"),
    [
        ("opus", {}, 0.0),
        ("opus", {"input_tokens": MIO}, 5.0),
        ("OPUS", {"output_tokens": MIO}, 25.0),
        ("unheard of", {"input_tokens": MIO, "output_tokens": MIO}, 18.0),
        ("opus", {"cache_read_tokens": MIO}, 0.5),
        ("opus", {"cache_creation_tokens": MIO}, 6.25),
        ("cached", {"cache_read_tokens": MIO, "cache_creation_tokens": MIO}, 7.0),
        ("opus", {"input_tokens": -5, "output_tokens": "many"}, 0.0),
    ],
)
def test_tokens_are_priced_by_the_million(
    place: Place, model: str, record: dict[str, Any], usd: float
) -> None:
    models = get_price_list(place.sources()).models
    cached: Any = {"input": 10, "output": 1, "cache_read": 3, "cache_write": 4}
    assert PriceList({**models, "cached": cached}).compute_cost(model, record) == usd


@pytest.mark.parametrize(
    ("models", "name", "price"),
    [
        ({"Opus": {"input": 1}}, "opus", (1, 25)),
        ({"new": {"input": 1, "output": 2}}, "NEW", (1, 2)),
        ({"new": {"input": 1}}, "new", None),
        ({"new": {"input": -1, "output": 2}}, "new", None),
        ([], "sonnet", (3, 15)),
    ],
)
def test_the_price_list_is_the_defaults_with_the_prices_of_the_file(
    place: Place, models: Any, name: str, price: tuple[float, float] | None
) -> None:
    place.write("pricing.json", {"models": models})
    prices = get_price_list(place.sources())
    assert prices.has_prices(name) is (price is not None)
    if price is not None:
        entry = prices.models[name.lower()]
        assert (entry["input"], entry["output"]) == price
