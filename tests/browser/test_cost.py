"""The view Cost and context: what was spent, on what, at what rate, and how full the window is."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenPage
from tests.browser.failing import refusing, retry
from tests.browser.reading import (
    Row,
    compact,
    expect_facts,
    expect_rows,
    fact,
    money,
    panel,
    table_behind,
)
from tests.browser.watching import settled
from tests.support import places, servers
from tests.support.places import Place
from tests.support.servers import Server

HOSTILE = "<img src=x onerror=alert(1)>"


def iteration(place: Place, number: int, **more: Any) -> None:
    """Write down what an iteration used; they are a minute apart."""
    used = {"model": "sonnet", "phase": "QA", "input_tokens": 1000, "output_tokens": 500}
    moment = f"2026-11-24T09:{number:02}:00Z"
    record = {**used, "cost_usd": 0.5, "timestamp": moment, **more, "iteration": number}
    place.write(f"metrics/efficiency/iteration-{number}.json", record)


def spend(place: Place, pid: int) -> Place:
    """Spend 2 of 4 dollars, half a dollar a minute, in a session that runs."""
    place.write("loki.pid", f"{pid}\n")
    place.write("metrics/budget.json", {"limit": 4.0, "budget_used": 2.0})
    iteration(place, 1, phase="BOOTSTRAP")
    iteration(place, 2, model="opus", input_tokens=150_000)
    iteration(place, 3)
    iteration(place, 4)
    return place


@pytest.fixture
def spending(empty_place: Place, sleeper: int) -> Place:
    """A running session that spends, for a server of the test's own."""
    return spend(empty_place, sleeper)


@pytest.fixture(scope="module")
def spent(tmp_path_factory: pytest.TempPathFactory, sleeper: int) -> Iterator[Server]:
    """A server on a running session that spends, which tests share and do not change."""
    with servers.serving(spend(places.empty(tmp_path_factory.mktemp("spent")), sleeper)) as server:
        yield server


def expect_legend(shown: Locator, parts: Mapping[str, str]) -> None:
    """Wait until a whole has exactly these parts, each with what it is worth."""
    expect(shown.locator(".legend li")).to_have_count(len(parts))
    for name, value in parts.items():
        part = shown.locator(".legend li", has_text=re.compile(f"^{re.escape(name)}"))
        expect(part).to_have_text(f"{name}{value}")


def test_the_figures_are_those_of_the_api(running: Server, read_page: OpenPage) -> None:
    cost = running.get("/api/cost").json()
    budget = running.get("/api/budget").json()
    watched = settled(read_page(f"{running.url}/#/cost"))
    shown = panel(watched.page, "Budget burn")
    limit = money(budget["budget_limit"])
    tokens = (cost["total_input_tokens"], cost["total_output_tokens"])
    facts: Row = {
        "Spent": f"{money(budget['budget_used'])} of {limit}",
        "Left": re.compile(f"^{re.escape(money(budget['budget_remaining']))}"),
        "Tokens": f"{compact(tokens[0])} in {compact(tokens[1])} out",
    }
    expect_facts(shown, facts)
    share = round(100 * budget["budget_used"] / budget["budget_limit"])
    expect(shown.locator(".pill")).to_have_text(f"{share}% used")
    assert watched.said == []


def test_the_rate_and_the_time_left_are_said_in_words(spent: Server, read_page: OpenPage) -> None:
    page = settled(read_page(f"{spent.url}/#/cost")).page
    shown = panel(page, "Budget burn")
    rate = re.compile(r"^\$30\.00 an hour")
    expect_facts(shown, {"Rate": rate, "Limit reached": "In 4m 00s at this rate"})
    expect(shown.locator("path.forecast")).to_have_count(1)


def test_a_stopped_session_has_no_forecast(spending: Place, open_page: OpenPage) -> None:
    (spending.loki / "loki.pid").unlink()
    with servers.serving(spending) as server:
        page = settled(open_page(f"{server.url}/#/cost")).page
        expect_facts(panel(page, "Budget burn"), {"Limit reached": "– nothing is running"})
        expect(panel(page, "Budget burn").locator("path.area")).to_have_count(1)
        expect(panel(page, "Budget burn").locator("path.forecast")).to_have_count(0)


def test_the_burn_has_every_iteration_and_the_lines_of_the_triggers(
    running: Server, open_page: OpenPage
) -> None:
    cost = running.get("/api/cost").json()
    triggers = running.get("/api/notifications/triggers").json()["triggers"]
    page = settled(open_page(f"{running.url}/#/cost")).page
    shown = panel(page, "Budget burn")
    lines = [
        f"Alert at {trigger['threshold']:g}%"
        for trigger in triggers
        if trigger["type"] == "budget_threshold" and trigger["enabled"]
    ]
    budget = f"Budget {money(cost['budget_limit'])}"
    expect(shown.locator(".limit-text")).to_have_text([*lines, budget])
    spent = [
        {"Iteration": str(each["iteration"]), "spent": money(each["cumulative"])}
        for each in cost["by_iteration"]
    ]
    expect_rows(table_behind(shown), spent)


def test_a_trigger_that_is_off_draws_no_line(spending: Place, open_page: OpenPage) -> None:
    budget = {"id": "b", "type": "budget_threshold", "enabled": False, "threshold_pct": 70}
    window = {"id": "c", "type": "context_threshold", "enabled": True, "threshold_pct": 65}
    spending.write("notifications/triggers.json", {"triggers": [budget, window]})
    spending.write("context/tracking.json", {"current": {"total_tokens": 140_000}})
    with servers.serving(spending) as server:
        page = settled(open_page(f"{server.url}/#/cost")).page
        expect(panel(page, "Budget burn").locator(".limit-text")).to_have_text(["Budget $4.00"])
        expect(panel(page, "Context windows")).to_contain_text("Alerts at 65%")
        expect(panel(page, "Context windows").get_by_role("meter")).to_have_class("meter tbad")


@pytest.mark.parametrize(
    ("name", "key", "labels"),
    [
        ("By phase", "by_phase", {"QA": "QA", "BOOTSTRAP": "Bootstrap"}),
        ("By model", "by_model", {"sonnet": "Sonnet 4.5", "opus": "Opus 4.6"}),
    ],
)
def test_the_parts_of_the_cost_are_those_of_the_api(
    spent: Server, read_page: OpenPage, name: str, key: str, labels: dict[str, str]
) -> None:
    parts = spent.get("/api/cost").json()[key]
    assert len(parts) == 2
    page = settled(read_page(f"{spent.url}/#/cost")).page
    expect_legend(
        panel(page, name),
        {
            f"{labels[part]} {compact(use['input_tokens'])} in,"
            f" {compact(use['output_tokens'])} out": money(use["cost_usd"])
            for part, use in parts.items()
        },
    )


def test_a_model_without_a_price_is_named(empty_place: Place, open_page: OpenPage) -> None:
    iteration(empty_place, 1, model="brandnew-9", cost_usd=None)
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/cost")).page
        said = "No price is known for brandnew-9; counted as sonnet."
        expect(panel(page, "By model")).to_contain_text(said)


def test_tokens_of_each_iteration_with_its_compactions(
    running: Server, open_page: OpenPage
) -> None:
    cost = running.get("/api/cost").json()["by_iteration"]
    window = running.get("/api/context").json()
    page = settled(open_page(f"{running.url}/#/cost")).page
    shown = panel(page, "Tokens in each iteration")
    compacted = {str(each["at_iteration"]) for each in window["compactions"]}
    expect(shown.locator(".mark")).to_have_count(len(compacted))
    table = table_behind(shown)
    used: list[Row] = [
        {
            "Iteration": str(each["iteration"]),
            "input": compact(each["input_tokens"]),
            "output": compact(each["output_tokens"]),
            "Event": re.compile(r"^compacted" if str(each["iteration"]) in compacted else "^–$"),
        }
        for each in cost
    ]
    expect_rows(table, used)
    shown.get_by_role("button", name="Cached tokens").click()
    expect_rows(
        table,
        [
            {"read from cache": compact(each["cache_read_tokens"])}
            for each in window["per_iteration"]
        ],
    )


def test_the_window_and_what_fills_it(running: Server, read_page: OpenPage) -> None:
    window = running.get("/api/context").json()
    page = settled(read_page(f"{running.url}/#/cost")).page
    shown = panel(page, "Context windows")
    for agent in window["agents"]:
        row = shown.locator("li", has_text=agent["id"])
        used, capacity = compact(agent["tokens_used"]), compact(agent["capacity"])
        expect(row).to_contain_text(f"{used} of {capacity}")
    expect_legend(
        panel(page, "What fills it"),
        {
            part.replace("_", " ").capitalize(): compact(tokens)
            for part, tokens in window["breakdown"].items()
        },
    )
    totals = window["totals"]
    said = f"{totals['compaction_count']} compactions in {totals['iterations_tracked']} iterations"
    expect(panel(page, "What fills it")).to_contain_text(said)


def test_prices_are_those_of_the_api(running: Server, read_page: OpenPage) -> None:
    pricing = running.get("/api/pricing").json()
    spent = running.get("/api/cost").json()["by_model"]
    page = settled(read_page(f"{running.url}/#/cost")).page
    expect_rows(
        panel(page, "Prices").locator("table"),
        [
            {
                "Model": f"{model['label']} {key}",
                "Provider": model["provider"],
                "Input": money(model["input"]),
                "Output": money(model["output"]),
                "Spent here": money(spent[key]["cost_usd"]) if key in spent else "–",
            }
            for key, model in pricing["models"].items()
        ],
    )
    expect(panel(page, "Prices")).to_contain_text(f"as of {pricing['updated']}")


def test_an_exceeded_budget_says_when(spending: Place, open_page: OpenPage) -> None:
    at = "2026-11-24T09:05:00Z"
    exceeded = {"limit": 2.0, "budget_used": 2.0, "exceeded": True, "exceeded_at": at}
    spending.write("metrics/budget.json", exceeded)
    with servers.serving(spending) as server:
        page = settled(open_page(f"{server.url}/#/cost")).page
        shown = panel(page, "Budget burn")
        expect(shown.locator(".pill")).to_have_text("Exceeded at 09:05:00")
        left = re.compile(r"^\$0\.00")
        expect_facts(shown, {"Limit reached": "Reached nothing is left", "Left": left})


def test_a_budget_without_a_limit_is_never_reached(spending: Place, open_page: OpenPage) -> None:
    (spending.loki / "metrics/budget.json").unlink()
    with servers.serving(spending) as server:
        page = settled(open_page(f"{server.url}/#/cost")).page
        shown = panel(page, "Budget burn")
        expect_facts(shown, {"Spent": "$2.00 no budget is set"})
        expect(fact(shown, "Limit reached")).to_have_count(0)
        expect(shown.locator(".limit")).to_have_count(0)


def test_an_iteration_that_ends_appears_by_itself(spending: Place, open_page: OpenPage) -> None:
    with servers.serving(spending) as server:
        page = settled(open_page(f"{server.url}/#/cost")).page
        key = panel(page, "Budget burn").locator(".chart-key")
        expect(key).to_contain_text("Iteration 4")
        iteration(spending, 5, phase="DEPLOYMENT", cost_usd=1.25)
        expect(key).to_contain_text("Iteration 5")
        expect(key).to_contain_text("$3.25")
        expect(panel(page, "By phase")).to_contain_text("Deployment")
        expect(panel(page, "Budget burn").locator(".pill")).to_have_text("81% used")
        limit = "In 1m 05s at this rate; 42s to 2m 24s"  # 0.5, 0.5, 0.5 and 1.25 dollars
        expect_facts(panel(page, "Budget burn"), {"Limit reached": limit})
        iteration(spending, 6, timestamp="2026-11-26T10:00:00Z", cost_usd=0.25)
        days: list[Row] = [
            {"Day": "24 Nov 2026", "spent": "$3.25"},
            {"Day": "25 Nov 2026", "spent": "–"},
            {"Day": "26 Nov 2026", "spent": "$0.25"},
        ]
        expect_rows(table_behind(panel(page, "By day")), days)


def test_names_of_phases_and_models_stay_texts(empty_place: Place, open_page: OpenPage) -> None:
    iteration(empty_place, 1, phase=HOSTILE, model=HOSTILE)
    prices = {HOSTILE: {"input": 1, "output": 2, "label": HOSTILE, "provider": HOSTILE}}
    empty_place.write("pricing.json", {"models": prices, "updated": HOSTILE})
    with servers.serving(empty_place) as server:
        watched = settled(open_page(f"{server.url}/#/cost"))
        expect(panel(watched.page, "Prices").locator("tbody b")).to_have_text(HOSTILE)
        expect(panel(watched.page, "By model")).to_contain_text(HOSTILE)
        expect(watched.page.locator("#main img")).to_have_count(0)
        assert watched.said == []


def test_an_empty_view_says_what_is_missing(blank: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(f"{blank.url}/#/cost"))
    for name, said in {
        "Budget burn": "Nothing was spent yet",
        "Tokens in each iteration": "No tokens yet",
        "By phase": "Nothing was spent yet",
        "Context windows": "No window is known",
        "What fills it": "The window is empty",
    }.items():
        expect(panel(watched.page, name)).to_contain_text(said)
    expect(panel(watched.page, "Prices").locator("tbody tr").first).to_be_visible()
    assert watched.said == []


@pytest.mark.parametrize(
    ("address", "broken", "sound"),
    [
        ("**/api/cost", ["Budget burn", "By phase", "Tokens in each iteration"], "Prices"),
        ("**/api/context", ["Context windows", "What fills it"], "Budget burn"),
        ("**/api/pricing", ["Prices"], "By model"),
    ],
)
def test_a_failure_keeps_its_place_and_can_be_tried_again(
    running: Server, open_page: OpenPage, address: str, broken: list[str], sound: str
) -> None:
    detail = "It cannot be read"
    page = open_page(f"{running.url}/#/cost", feed=False, route=refusing(address, detail)).page
    for name in broken:
        expect(panel(page, name)).to_contain_text(detail)
    expect(panel(page, sound)).not_to_contain_text(detail)
    retry(panel(page, broken[0]), address, detail)
    for name in broken:
        expect(panel(page, name)).not_to_contain_text(detail)


@pytest.mark.parametrize("address", ["**/api/budget", "**/api/notifications/triggers"])
def test_the_view_is_shown_when_a_minor_request_fails(
    running: Server, open_page: OpenPage, address: str
) -> None:
    page = open_page(
        f"{running.url}/#/cost", feed=False, route=refusing(address, "It cannot be read")
    ).page
    expect(panel(page, "Budget burn").locator(".pill")).to_have_text(re.compile("used$"))
