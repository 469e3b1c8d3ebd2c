"""GET /api/cost and /api/pricing: recorded costs, priced tokens and unusable prices."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.places import Place

Ask = Callable[[str], Any]

BY_MODEL = {
    "sonnet": (3, 15),
    "opus": (5, 25),
    "haiku": (1, 5),
    "gpt-5.3-codex": (1.5, 12),
    "gemini-3-pro": (1.25, 10),
    "gemini-3-flash": (0.1, 0.4),
}


def efficiency(place: Place, *records: Any) -> None:
    for number, record in enumerate(records, start=1):
        place.write(f"metrics/efficiency/iteration-{number}.json", record)


def cost(client: FlaskClient) -> Any:
    response = client.get("/api/cost")
    assert response.status_code == 200
    return response.get_json()


def test_an_empty_project_costs_nothing_and_has_source_none(
    client: FlaskClient,
) -> None:
    answer = cost(client)
    assert (answer["total_input_tokens"], answer["total_output_tokens"]) == (0, 0)
    assert answer["estimated_cost_usd"] == 0
    assert (answer["by_phase"], answer["by_model"]) == ({}, {})
    assert (answer["budget_limit"], answer["budget_used"], answer["budget_remaining"]) == (
        None,
    ) * 3
    assert answer["source"] == "none"


def test_the_recorded_session_costs_the_sum_of_its_iterations(ask: Ask, session: Place) -> None:
    files = sorted((session.loki / "metrics/efficiency").glob("iteration-*.json"))
    records = [session.read(str(path.relative_to(session.loki))) for path in files]
    answer = ask("/api/cost")
    assert answer["total_input_tokens"] == sum(record["input_tokens"] for record in records)
    assert answer["total_output_tokens"] == sum(record["output_tokens"] for record in records)
    assert answer["estimated_cost_usd"] == round(sum(record["cost_usd"] for record in records), 6)
    assert answer["source"] == "efficiency"
    for groups in (answer["by_phase"], answer["by_model"]):
        total = sum(group["cost_usd"] for group in groups.values())
        assert total == pytest.approx(answer["estimated_cost_usd"])


def test_three_files_by_hand_and_a_summary_that_is_no_iteration(
    place: Place, client: FlaskClient
) -> None:
    efficiency(
        place,
        {"model": "sonnet", "phase": "A", "input_tokens": 1000, "output_tokens": 100},
        {"model": "opus", "phase": "B", "input_tokens": 1, "output_tokens": 1, "cost_usd": 0.1},
        {"model": "haiku", "phase": "A", "input_tokens": 5, "output_tokens": 1, "cost_usd": 0.2},
    )
    place.write("metrics/efficiency/summary.json", {"cost_usd": 99, "input_tokens": 10**6})
    answer = cost(client)
    assert answer["estimated_cost_usd"] == 0.3045
    assert answer["total_input_tokens"] == 1006
    assert answer["by_phase"] == {
        "A": {"input_tokens": 1005, "output_tokens": 101, "cost_usd": 0.2045},
        "B": {"input_tokens": 1, "output_tokens": 1, "cost_usd": 0.1},
    }


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        pytest.param({"cost_usd": 0.5}, 0.5, id="recorded"),
        pytest.param({"cost_usd": 0}, 0.018, id="zero beside tokens"),
        pytest.param({"cost_usd": "0.0"}, 0.018, id="zero as text beside tokens"),
        pytest.param({"cost_usd": 0, "cache_read_tokens": 10_000}, 0.021, id="zero with cache"),
        pytest.param({"cost_usd": 1e-9}, 0.0, id="recorded little"),
        pytest.param({"cost_usd": "0.25"}, 0.25, id="recorded as text"),
        pytest.param({}, 0.018, id="missing"),
        pytest.param({"cost_usd": None}, 0.018, id="null"),
        pytest.param({"cost_usd": -1}, 0.018, id="negative"),
        pytest.param({"cost_usd": True}, 0.018, id="boolean"),
        pytest.param({"cost_usd": "much"}, 0.018, id="words"),
        pytest.param({"cache_read_tokens": 10_000}, 0.021, id="with cache reads"),
        pytest.param({"cache_creation_tokens": 10_000}, 0.0555, id="with cache writes"),
    ],
)
def test_a_recorded_cost_counts_and_tokens_are_priced_without_one(
    place: Place, client: FlaskClient, recorded: Any, expected: float
) -> None:
    tokens = {"model": "sonnet", "input_tokens": 1000, "output_tokens": 1000}
    efficiency(place, {**tokens, **recorded})
    assert cost(client)["estimated_cost_usd"] == expected


def test_cached_tokens_are_priced_as_the_tracker_prices_them(
    place: Place, client: FlaskClient, session: Place
) -> None:
    tracked = session.read("context/tracking.json")["per_iteration"]
    unpriced = [{key: record[key] for key in record if key != "cost_usd"} for record in tracked]
    efficiency(place, *({**record, "model": "sonnet"} for record in unpriced))
    listed = cost(client)["by_iteration"]
    assert [round(entry["cost_usd"], 4) for entry in listed] == [
        record["cost_usd"] for record in tracked
    ]


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ({}, 0.3 + 3.75),
        ({"cache_read": 1, "cache_write": 2}, 3.0),
        ({"cache_read": 0, "cache_write": "2.5"}, 2.5),
        ({"cache_read": -1, "cache_write": None}, 0.3 + 3.75),
        ({"cache_write": 6}, 0.3 + 6),
    ],
)
def test_the_price_list_can_have_prices_of_cached_tokens(
    place: Place, client: FlaskClient, prices: Any, expected: float
) -> None:
    model = {"input": 3, "output": 15, **prices}
    place.write("pricing.json", {"models": {"fable": model}})
    tokens = {"cache_read_tokens": 10**6, "cache_creation_tokens": 10**6}
    efficiency(place, {"model": "Fable", **tokens})
    assert cost(client)["estimated_cost_usd"] == expected


@pytest.mark.parametrize(("model", "prices"), BY_MODEL.items())
def test_each_known_model_has_its_price(
    place: Place, client: FlaskClient, model: str, prices: tuple[float, float]
) -> None:
    efficiency(place, {"model": model.upper(), "input_tokens": 10**6, "output_tokens": 10**6})
    answer = cost(client)
    assert answer["estimated_cost_usd"] == round(sum(prices), 6)
    assert answer["unknown_models"] == []


@pytest.mark.parametrize("model", ["Claude-Next", None, 5, ["sonnet"], ""])
def test_an_unknown_model_is_priced_as_sonnet_and_reported(
    place: Place, client: FlaskClient, model: Any
) -> None:
    efficiency(place, {"model": model, "input_tokens": 1000, "output_tokens": 1000})
    answer = cost(client)
    name = model if model == "Claude-Next" else "unknown"
    assert answer["estimated_cost_usd"] == 0.018
    assert list(answer["by_model"]) == answer["unknown_models"] == [name]
    assert answer["unknown_models_priced_as"] == "sonnet"


def test_variants_without_a_cost(place: Place, client: FlaskClient) -> None:
    place.variant("efficiency.no-cost.json", "metrics/efficiency/iteration-3.json")
    place.variant("efficiency.unknown-model.json", "metrics/efficiency/iteration-4.json")
    answer = cost(client)
    assert answer["by_model"] == {
        "opus": {"input_tokens": 120000, "output_tokens": 8000, "cost_usd": 0.8},
        "Claude-Next": {"input_tokens": 1000, "output_tokens": 1000, "cost_usd": 0.018},
    }
    assert answer["estimated_cost_usd"] == 0.818
    assert answer["unknown_models"] == ["Claude-Next"]


def test_only_sound_files_count(place: Place, client: FlaskClient) -> None:
    broken: list[Any] = [
        *([1, 2], None, 5, "text", '{"cost_usd": 7, "input_to', "", b"\xff\xfe\x00"),
        '{"cost_usd": NaN}',
        '{"cost_usd": 1e999, "input_tokens": -Infinity}',
        {"input_tokens": -5000, "output_tokens": [1], "cost_usd": {}, "phase": ["a"]},
        {"input_tokens": True, "output_tokens": None, "model": None, "phase": None},
        "[" * 5000,
    ]
    sound = [
        {"input_tokens": 10, "output_tokens": 2, "cost_usd": 0.1, "phase": "BUILD"},
        {"input_tokens": "20", "output_tokens": 3, "cost_usd": 0.2, "phase": "BUILD"},
    ]
    efficiency(place, *broken, *sound)
    answer = cost(client)
    assert (answer["total_input_tokens"], answer["total_output_tokens"]) == (30, 5)
    assert answer["estimated_cost_usd"] == 0.3
    assert answer["by_phase"]["BUILD"]["cost_usd"] == 0.3


def test_iterations_are_listed_by_number_with_a_running_sum(
    place: Place, client: FlaskClient
) -> None:
    efficiency(place, *({"cost_usd": 0.1, "input_tokens": 1, "iteration": n} for n in range(1, 12)))
    place.write(
        "metrics/efficiency/iteration-2.json",
        {"cost_usd": 0.1, "input_tokens": 1, "timestamp": "2026-02-20T09:03:17.1+00:00Z"},
    )
    listed = cost(client)["by_iteration"]
    assert [entry["iteration"] for entry in listed] == list(range(1, 12))
    assert [entry["cumulative"] for entry in listed] == [
        round(0.1 * count, 6) for count in range(1, 12)
    ]
    assert listed[1]["timestamp"] == "2026-02-20T09:03:17.1+00:00"


def test_the_tracker_stands_in_when_no_file_has_tokens(session: Place) -> None:
    for path in (session.loki / "metrics/efficiency").glob("*.json"):
        record = session.read(str(path.relative_to(session.loki)))
        record |= {"input_tokens": 0, "output_tokens": 0, "cost_usd": 0, "model": "opus"}
        session.write(str(path.relative_to(session.loki)), record)
    totals = session.read("context/tracking.json")["totals"]
    answer = cost(session.client())
    assert answer["source"] == "tracking"
    assert answer["total_input_tokens"] == totals["total_input"]
    assert answer["total_output_tokens"] == totals["total_output"]
    assert answer["estimated_cost_usd"] == totals["total_cost_usd"]
    assert list(answer["by_model"]) == ["opus"]


@pytest.mark.parametrize(
    ("tracking", "expected"),
    [
        pytest.param(
            {"totals": {"total_input": 1000, "total_output": 1000, "total_cost_usd": 0.7}},
            (1000, 1000, 0.7),
            id="totals only",
        ),
        pytest.param(
            {"totals": {"total_input": 1000, "total_output": 1000}},
            (1000, 1000, 0.018),
            id="priced",
        ),
        pytest.param(
            {"per_iteration": [{"input_tokens": 5, "output_tokens": 1, "cost_usd": 0.3}, 7]},
            (5, 1, 0.3),
            id="iterations only",
        ),
        pytest.param({"totals": {"total_input": "x"}, "per_iteration": 5}, (0, 0, 0), id="damaged"),
        pytest.param([1], (0, 0, 0), id="no object"),
        pytest.param('{"totals": {"total_input": NaN}}', (0, 0, 0), id="no number"),
    ],
)
def test_whatever_the_tracker_wrote(
    place: Place, client: FlaskClient, tracking: Any, expected: tuple[int, int, float]
) -> None:
    place.write("context/tracking.json", tracking)
    answer = cost(client)
    assert (
        answer["total_input_tokens"],
        answer["total_output_tokens"],
        answer["estimated_cost_usd"],
    ) == expected


def test_the_tracker_never_lowers_what_was_recorded(place: Place, client: FlaskClient) -> None:
    efficiency(place, {"cost_usd": 2.5})
    place.write("context/tracking.json", {"totals": {"total_input": 10, "total_cost_usd": 0.1}})
    answer = cost(client)
    assert (answer["total_input_tokens"], answer["estimated_cost_usd"]) == (10, 2.5)


def test_prices_without_a_file_are_the_defaults_of_the_provider(
    place: Place, client: FlaskClient
) -> None:
    place.write("state/provider", "gemini\n")
    answer = client.get("/api/pricing").get_json()
    assert (answer["provider"], answer["source"], answer["updated"]) == (
        "gemini",
        "static",
        "2026-02-07",
    )
    prices = {name: (model["input"], model["output"]) for name, model in answer["models"].items()}
    assert prices == BY_MODEL
    assert answer["models"]["gpt-5.3-codex"]["label"] == "GPT-5.3 Codex"


def test_the_recorded_prices_are_answered_as_they_are(ask: Ask, session: Place) -> None:
    assert ask("/api/pricing") == session.read("pricing.json")


@pytest.mark.parametrize(
    "stored",
    [
        *([1], 5, "text", None, {"models": [1]}, {"models": {"sonnet": 5}}, {"models": None}),
        {"models": {"sonnet": {"input": -3, "output": -15}}},
        '{"models": {"sonnet": {"input": NaN, "output": Infinity}}}',
        {"models": {"sonnet": {"input": "dear", "output": True}, "other": {"input": 1}}},
    ],
)
def test_unusable_prices_fall_back_model_by_model(
    place: Place, client: FlaskClient, stored: Any
) -> None:
    place.write("pricing.json", stored)
    efficiency(place, {"model": "sonnet", "input_tokens": 1000, "output_tokens": 1000})
    assert cost(client)["estimated_cost_usd"] == 0.018
    sonnet = client.get("/api/pricing").get_json()["models"]["sonnet"]
    assert (sonnet["input"], sonnet["output"]) == (3, 15)


def test_prices_of_the_file_override_the_defaults_by_model(
    place: Place, client: FlaskClient
) -> None:
    models = {"Sonnet": {"input": 30, "output": 0}, "mine": {"input": "2.5", "output": 1}}
    place.write("pricing.json", {"models": models, "currency": "USD"})
    efficiency(
        place,
        {"model": "sonnet", "input_tokens": 10**6, "output_tokens": 10**6},
        {"model": "MINE", "input_tokens": 10**6, "output_tokens": 10**6},
        {"model": "haiku", "input_tokens": 10**6, "output_tokens": 0},
    )
    assert cost(client)["estimated_cost_usd"] == 30 + 3.5 + 1
    answer = client.get("/api/pricing").get_json()
    assert answer["models"]["mine"] == {"input": 2.5, "output": 1, "label": "mine", "provider": ""}
    assert answer["currency"] == "USD"


def test_a_change_of_prices_or_files_is_seen_by_the_next_request(
    place: Place, client: FlaskClient
) -> None:
    efficiency(place, {"model": "sonnet", "input_tokens": 10**6, "output_tokens": 0})
    assert cost(client)["estimated_cost_usd"] == 3
    place.write("pricing.json", {"models": {"sonnet": {"input": 4, "output": 1}}})
    assert cost(client)["estimated_cost_usd"] == 4
    place.write("metrics/efficiency/iteration-2.json", {"cost_usd": 1, "input_tokens": 1})
    assert cost(client)["estimated_cost_usd"] == 5


def test_a_budget_is_reached_by_tokens_without_a_cost(place: Place) -> None:
    efficiency(place, {"model": "opus", "input_tokens": 10**6, "output_tokens": 0, "cost_usd": 0})
    budget = place.client(LOKI_BUDGET_LIMIT="5").get("/api/budget").get_json()
    assert (budget["budget_used"], budget["budget_exceeded"]) == (5.0, True)


def test_an_unknown_model_with_tokens_and_no_cost_is_named(
    place: Place, client: FlaskClient
) -> None:
    efficiency(place, {"model": "mine", "input_tokens": 1000, "output_tokens": 0, "cost_usd": 0})
    answer = cost(client)
    assert (answer["estimated_cost_usd"], answer["unknown_models"]) == (0.003, ["mine"])


@pytest.mark.parametrize("record", [{}, {"input_tokens": 0, "output_tokens": 0}])
def test_a_cost_of_zero_is_not_measured(place: Place, client: FlaskClient, record: Any) -> None:
    efficiency(place, {**record, "cost_usd": 0})
    assert (cost(client)["estimated_cost_usd"], cost(client)["source"]) == (0, "none")


def test_totals_of_the_tracker_without_a_cost_are_priced(place: Place, client: FlaskClient) -> None:
    each = {"input_tokens": 1000, "output_tokens": 1000, "cost_usd": 0}
    totals = {"total_input": 2000, "total_output": 2000, "total_cost_usd": 0}
    place.write("context/tracking.json", {"per_iteration": [each, each], "totals": totals})
    assert (cost(client)["estimated_cost_usd"], cost(client)["source"]) == (0.036, "tracking")
