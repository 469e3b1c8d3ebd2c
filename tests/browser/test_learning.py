"""The view Learning: how many signals there are, what they say together, and they themselves."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.failing import refusing, retry
from tests.browser.reading import Row, expect_rows, panel, table_behind
from tests.browser.seen import is_accessible, is_no_wider
from tests.browser.watching import settled
from tests.support import servers
from tests.support.places import Place
from tests.support.servers import Server

HOSTILE = "<img src=x onerror=alert(1)> ${7*7}"
KINDS = {
    "errors": "Errors",
    "success": "Successes",
    "preferences": "Preferences",
    "tools": "Tools",
}


def ago(**past: float) -> str:
    return (datetime.now(UTC) - timedelta(**past)).isoformat()


def signal(place: Place, name: str, **more: Any) -> None:
    """A signal of the learning engine, of a moment ago unless it says when."""
    said = {"id": name, "source": "cli", "outcome": "success", "timestamp": ago(seconds=30)}
    place.write(f"learning/signals/{name}.json", {**said, **more})


def share(value: float) -> str:
    return f"{round(value * 1000) / 10:g}%"


def words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def test_signals_are_counted_as_the_api_counts_them(running: Server, read_page: OpenPage) -> None:
    told = running.get("/api/learning/metrics?timeRange=7d").json()
    watched = settled(read_page(f"{running.url}/#/learning"))
    said = f"{told['totalSignals']} signals, {share(told['avgConfidence'])} sure on average"
    expect(panel(watched.page, "Trend")).to_contain_text(said)
    for name, key in {"By type": "signalsByType", "By source": "signalsBySource"}.items():
        expect(panel(watched.page, name).locator(".parts li")).to_have_text(
            [f"{words(each)}{count}" for each, count in told[key].items()]
        )
    assert watched.said == []


def test_the_trend_has_every_hour_of_the_api_and_the_empty_ones_between(
    running: Server, open_page: OpenPage
) -> None:
    points = running.get("/api/learning/trends?timeRange=7d").json()["dataPoints"]

    def prepare(page: Page) -> None:
        page.add_init_script("localStorage.setItem('loki-clock', 'utc')")

    where = {"timezone_id": "Asia/Kolkata", "prepare": prepare}
    page = settled(open_page(f"{running.url}/#/learning", **where)).page
    counts = {
        f"{hour.day} {hour:%b, %H}:00": str(point["count"])
        for point in points
        for hour in [datetime.strptime(point["label"], "%Y-%m-%dT%H")]
    }
    rows = table_behind(panel(page, "Trend")).locator("tbody tr")
    counted = rows.filter(has_not=page.locator("td:last-child", has_text=re.compile("^0$")))
    expect(counted.locator("td:first-child")).to_have_text(list(counts))
    expect(counted.locator("td:last-child")).to_have_text(list(counts.values()))
    expect(rows.nth(11)).to_be_attached()


def test_old_and_future_signals_do_not_fill_the_trend(
    empty_place: Place, open_page: OpenPage
) -> None:
    signal(empty_place, "old", type="success_pattern", timestamp=ago(days=5000))
    signal(empty_place, "new", type="success_pattern")
    signal(empty_place, "later", type="success_pattern", timestamp="9999-01-01T00:00:00Z")
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/learning?timeRange=9999d")).page
        shown = panel(page, "Trend")
        table = table_behind(shown)
        expect(shown).to_contain_text(re.compile(r"100 of 4\d\d rows"))
        for _ in range(2):
            table.locator("th button", has_text="signals").click()
        counts = table.locator("tbody td:last-child")
        assert counts.all_inner_texts()[:4] == ["1", "1", "1", "0"]


def test_a_longer_time_shows_more(empty_place: Place, open_page: OpenPage) -> None:
    signal(empty_place, "a", type="error_pattern", error_type="Near")
    signal(empty_place, "b", type="error_pattern", error_type="Far", timestamp=ago(days=20))
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/learning")).page
        expect(panel(page, "Trend")).to_contain_text("1 signal")
        expect(panel(page, "Errors")).not_to_contain_text("Far")
        month = page.get_by_role("button", name="Month")
        month.click()
        expect(panel(page, "Trend")).to_contain_text("2 signals")
        expect(panel(page, "Errors")).to_contain_text("Far")
        expect(month).to_have_attribute("aria-pressed", "true")
        expect(month).to_be_focused()
        expect(page).to_have_url(re.compile(r"\?timeRange=30d$"))


def test_a_filter_chooses_in_every_panel_and_in_the_address(
    running: Server, open_page: OpenPage
) -> None:
    path = "timeRange=30d&signalType=success_pattern&source=cli"
    told = running.get(f"/api/learning/metrics?{path}").json()
    page = settled(open_page(f"{running.url}/#/learning?timeRange=30d")).page
    page.get_by_label("Source", exact=True).select_option("cli")
    panel(page, "By type").get_by_role("button", name="Success pattern").click()
    expect(panel(page, "Trend")).to_contain_text(f"{told['totalSignals']} signals")
    expect(page.get_by_label("Type", exact=True)).to_have_value("success_pattern")
    expect(page.get_by_label("Type", exact=True)).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?timeRange=30d&source=cli&type=success_pattern$"))
    table = panel(page, "Signals").locator("table")
    expect_rows(table, [{"Type": "Success pattern"}] * told["totalSignals"])
    expect(panel(page, "Tools")).to_contain_text("None in this time")
    page.reload()
    expect(panel(page, "Trend")).to_contain_text(f"{told['totalSignals']} signals")


def expect_lessons(page: Page, told: dict[str, Any]) -> None:
    """Wait until the four tables have what the lists of the API have."""
    for name, rows in as_shown(told).items():
        expect_rows(panel(page, name).locator("table"), rows)


def seconds(value: float) -> str:
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def as_shown(told: dict[str, Any]) -> dict[str, list[Row]]:
    """The four lists of the API as the tables have them."""
    return {
        "Errors": [
            {
                "Error": each["error_type"],
                "Resolved": share(each["resolution_rate"]),
                "Times": str(each["frequency"]),
                "Sure": share(each["confidence"]),
            }
            for each in told["error_patterns"]
        ],
        "Successes": [
            {
                "Pattern": each["pattern_name"],
                "Takes": seconds(each["avg_duration_seconds"]),
                "Times": str(each["frequency"]),
                "Sure": share(each["confidence"]),
            }
            for each in told["success_patterns"]
        ],
        "Preferences": [
            {
                "Preference": each["preference_key"],
                "Preferred": str(each["preferred_value"]),
                "Times": str(each["frequency"]),
                "Sure": share(each["confidence"]),
            }
            for each in told["preferences"]
        ],
        "Tools": [
            {
                "Tool": each["tool_name"],
                "Score": share(each["efficiency_score"]),
                "Succeeds": share(each["success_rate"]),
                "Takes": seconds(each["avg_execution_time_ms"] / 1000),
                "Uses": str(each["usage_count"]),
                "Tokens": str(each["total_tokens_used"]),
                "Sure": share(each["confidence"]),
            }
            for each in told["tool_efficiencies"]
        ],
    }


def test_the_aggregation_is_that_of_the_api(running: Server, open_page: OpenPage) -> None:
    chosen = running.get("/api/learning/metrics?timeRange=30d").json()["aggregation"]
    latest = running.get("/api/learning/aggregation").json()
    page = settled(open_page(f"{running.url}/#/learning?timeRange=30d")).page
    assert as_shown(chosen) != as_shown(latest)
    expect_lessons(page, chosen)
    page.get_by_role("button", name="The latest aggregation").click()
    expect_lessons(page, latest)


def test_the_tables_can_be_sorted(running: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{running.url}/#/learning?timeRange=30d")).page
    table = panel(page, "Successes").locator("table")
    told = running.get("/api/learning/metrics?timeRange=30d").json()["aggregation"]
    times = sorted(each["frequency"] for each in told["success_patterns"])
    table.get_by_role("button", name="Times").click()
    expect_rows(table, [{"Times": str(each)} for each in times])
    expect(table.locator("th[aria-sort=ascending]")).to_have_text(re.compile("Times"))


def test_aggregating_writes_what_is_then_the_latest(
    empty_place: Place, open_page: OpenPage
) -> None:
    signal(empty_place, "t", type="tool_efficiency", tool_name="npm", success_rate=0.5)
    signal(empty_place, "e", type="error_pattern", error_type="TypeError", resolution="typed it")
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/learning")).page
        shown = panel(page, "What they say together")
        expect(shown).to_contain_text("Never aggregated")
        shown.get_by_role("button", name="Aggregate").click()
        said = "Aggregated: 1 error, 0 successes, 0 preferences, 1 tool"
        expect(page.locator(".toast")).to_contain_text(said)
        expect(shown).to_contain_text("Aggregated")
        expect(shown).not_to_contain_text("Never aggregated")
    stored = empty_place.read("metrics/aggregation.json")
    assert [each["error_type"] for each in stored["error_patterns"]] == ["TypeError"]
    assert [each["tool_name"] for each in stored["tool_efficiencies"]] == ["npm"]


def test_signals_are_listed_newest_first(running: Server, read_page: OpenPage) -> None:
    told = running.get("/api/learning/signals?timeRange=7d").json()
    page = settled(read_page(f"{running.url}/#/learning")).page
    expect_rows(
        panel(page, "Signals").locator("table"),
        [
            {
                "Type": words(each["type"]),
                "Source": each["source"],
                "Action": each["action"] or "–",
                "Outcome": words(each["outcome"]),
            }
            for each in told
        ],
    )


@pytest.mark.parametrize(
    ("kind", "column", "key"),
    [
        ("errors", "Message", "error_message"),
        ("success", "Pattern", "pattern_name"),
        ("preferences", "Preferred", "preference_value"),
        ("tools", "Tool", "tool_name"),
    ],
)
def test_single_signals_of_a_kind(
    running: Server, open_page: OpenPage, kind: str, column: str, key: str
) -> None:
    told = running.get(f"/api/learning/{kind}").json()
    page = settled(open_page(f"{running.url}/#/learning?timeRange=30d")).page
    panel(page, KINDS[kind]).get_by_role("link", name="Single signals").click()
    expect(page).to_have_url(re.compile(rf"#/learning/{kind}\?"))
    shown = panel(page, "Signals")
    expect(shown.get_by_role("link", name=KINDS[kind])).to_have_attribute("aria-current", "true")
    expect_rows(shown.locator("table"), [{column: each[key]} for each in told])
    expect(shown).to_be_in_viewport()


def test_a_signal_in_full(running: Server, open_page: OpenPage) -> None:
    [told, *_] = running.get("/api/learning/errors").json()
    page = settled(open_page(f"{running.url}/#/learning/errors")).page
    row = panel(page, "Signals").locator("tbody button").first
    row.press("Enter")
    drawer = page.get_by_role("dialog", name="Error pattern")
    for text in (told["id"], told["error_message"], *told["recovery_steps"]):
        expect(drawer).to_contain_text(text)
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(row).to_be_focused()


def test_more_signals_are_loaded_on_demand(empty_place: Place, open_page: OpenPage) -> None:
    events = [{"type": "phase_change", "timestamp": ago(minutes=at)} for at in range(60)]
    empty_place.write("events.jsonl", "".join(f"{json.dumps(each)}\n" for each in events))
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/learning")).page
        expect(panel(page, "Signals").locator("tbody tr")).to_have_count(50)
        page.get_by_role("button", name="More than 50 signals").click()
        expect(panel(page, "Signals").locator("tbody tr")).to_have_count(60)


def test_the_view_says_that_there_are_no_signals(blank: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(f"{blank.url}/#/learning"))
    for name, said in {
        "Trend": "No signals in this time",
        "By type": "None",
        "Errors": "None in this time",
        "What they say together": "Never aggregated",
        "Signals": "Nothing of this kind was noted",
    }.items():
        expect(panel(watched.page, name)).to_contain_text(said)
    assert watched.said == []


def test_a_time_that_is_none_is_said(blank: Server, read_page: OpenPage) -> None:
    page = read_page(f"{blank.url}/#/learning?timeRange=soon").page
    expect(panel(page, "Trend")).to_contain_text("timeRange must be a number")


def test_markup_in_signals_stays_text(empty_place: Place, open_page: OpenPage) -> None:
    odd: Any = {"deep": [[{"x": [HOSTILE]}]]}
    types = ("error_pattern", "success_pattern", "user_preference", "tool_efficiency", HOSTILE)
    for number, kind in enumerate(types):
        signal(
            empty_place,
            f"s{number}",
            type=kind,
            source=HOSTILE,
            action=HOSTILE,
            outcome=HOSTILE,
            error_type=HOSTILE,
            error_message=HOSTILE,
            recovery_steps=[odd, 5, None],
            pattern_name=HOSTILE,
            action_sequence=[HOSTILE, odd],
            preference_key=HOSTILE,
            preference_value=odd,
            alternatives_rejected=[odd],
            tool_name=HOSTILE,
            execution_time_ms=1e308,
        )
    with servers.serving(empty_place) as server:
        watched = settled(open_page(f"{server.url}/#/learning"))
        page = watched.page
        for name in ("By source", *KINDS.values(), "Signals"):
            expect(panel(page, name)).to_contain_text("onerror=alert(1)>")
        for kind in KINDS:
            settled(watched)
            page.goto(f"{server.url}/#/learning/{kind}")
            expect(panel(page, "Signals")).to_contain_text("onerror=alert(1)>")
            panel(page, "Signals").locator("tbody button").first.click()
            expect(page.locator("dialog.drawer[open]")).to_contain_text("onerror=alert(1)>")
        expect(page.locator("img")).to_have_count(0)
        expect(page.locator("#main")).not_to_contain_text("cannot be shown")
        assert watched.said == []


@pytest.mark.parametrize(
    ("address", "broken", "sound"),
    [
        ("**/api/learning/trends?*", "Trend", "By type"),
        ("**/api/learning/signals?*", "Signals", "Trend"),
        ("**/api/learning/aggregation", "What they say together", "By type"),
    ],
)
def test_a_failure_keeps_its_place_and_can_be_tried_again(
    running: Server, open_page: OpenPage, address: str, broken: str, sound: str
) -> None:
    detail = "It cannot be read"
    page = open_page(f"{running.url}/#/learning", feed=False, route=refusing(address, detail)).page
    expect(panel(page, broken)).to_contain_text(detail)
    expect(panel(page, sound)).not_to_contain_text(detail)
    retry(panel(page, broken), address, detail)


@pytest.mark.parametrize("width", [390, 768, 1024, 1280])
def test_the_view_fits_the_width_of_a_phone(
    running: Server, open_page: OpenPage, width: int
) -> None:
    size = {"width": width, "height": 900}
    watched = settled(open_page(f"{running.url}/#/learning?timeRange=30d", viewport=size))
    expect(panel(watched.page, "Tools").locator("table")).to_be_visible()
    is_no_wider(watched, width)


@pytest.mark.parametrize("place", ["?timeRange=30d", "/success", "?timeRange=1h&type=none"])
def test_axe_finds_nothing(running: Server, read_page: OpenPage, place: str) -> None:
    watched = settled(read_page(f"{running.url}/#/learning{place}"))
    expect(panel(watched.page, "Signals").locator(".card-body > *").first).to_be_visible()
    is_accessible(watched)
