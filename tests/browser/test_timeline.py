"""The view Timeline: what happened when, in lanes, by keyboard, as a table, and in the log."""

import csv
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.reading import Row, expect_rows, panel, table_behind
from tests.browser.seen import HOSTILE, PHONE, is_accessible, is_no_wider, is_only_text
from tests.browser.watching import settled
from tests.support import places, servers
from tests.support.places import Place
from tests.support.servers import Server


def task(number: int, begun: str, ended: str, **more: Any) -> dict[str, Any]:
    times = {"claimedBy": "a-1", "claimedAt": begun, "completedAt": ended}
    return {"id": f"t-{number}", "title": f"Task {number}", **times, **more}


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a session of three iterations that has ended, which tests only read."""
    place = places.empty(tmp_path_factory.mktemp("timed"))
    for number, phase in enumerate(("ARCHITECTURE", "ARCHITECTURE", "TESTING"), start=1):
        spent = {"cost_usd": number / 10, "input_tokens": 10, "output_tokens": 10}
        moment = {"iteration": number, "phase": phase, "timestamp": f"2026-11-24T0{number}:00:00Z"}
        place.write(f"metrics/efficiency/iteration-{number}.json", {**moment, **spent})
    place.write(
        "queue/completed.json",
        [
            task(1, "2026-11-24T01:10:00Z", "2026-11-24T01:50:00Z"),
            task(2, "2026-11-24T02:10:00Z", "2026-11-24T02:50:00Z", title=HOSTILE),
        ],
    )
    place.write("state/agents.json", [{"id": "a-1", "name": "Backend", "status": "completed"}])
    alert = {"id": "n-1", "severity": "critical", "message": "Full", "acknowledged": False}
    alerts = [{**alert, "timestamp": "2026-11-24T02:00:00Z"}]
    place.write("notifications/active.json", {"notifications": alerts})
    lines = [f"2026-11-24 01:{minute:02}:00 INFO Minute {minute}\n" for minute in range(60)]
    place.write("logs/session.log", "".join(lines))
    with servers.serving(place) as server:
        yield server


def lane(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name=f"{name}, ").get_by_role("link")


def test_every_kind_has_a_lane(timed: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{timed.url}/#/timeline")).page
    expect(lane(page, "Iterations")).to_have_count(3)
    expect(lane(page, "Phases")).to_have_count(2)
    expect(lane(page, "Cost").last).to_have_accessible_name(
        "Iteration 3: $0.30, 24 Nov 2026, 02:00:00, 1h 00m"
    )
    expect(lane(page, "Alerts")).to_have_accessible_name("Critical: Full, 24 Nov 2026, 02:00:00")
    expect(lane(page, "Backend").first).to_have_accessible_name(
        "Task 1, 24 Nov 2026, 01:10:00, 40m 00s"
    )
    page.get_by_role("button", name="Hour", exact=True).click()
    expect(page.locator("#main")).to_contain_text("Nothing happened in this time")


def test_arrow_keys_lead_to_the_log_at_that_moment(timed: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{timed.url}/#/timeline")).page
    lane(page, "Iterations").first.focus()
    page.keyboard.press("ArrowRight")
    expect(lane(page, "Iterations").nth(1)).to_be_focused()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    expect(lane(page, "Backend").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".chosen .log-line > :last-child")).to_have_text("Minute 10")


def test_a_part_of_the_time_is_dragged_or_selected_by_keys(
    timed: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{timed.url}/#/timeline")).page
    axis = lane(page, "Iterations").nth(1).bounding_box()
    assert axis is not None
    x, y = axis["x"], axis["y"]
    page.mouse.move(x + axis["width"] * 0.1, y + 5)  # on a link, which is not followed
    page.mouse.down()
    page.mouse.move(x + axis["width"] * 0.5, y + 30)
    page.mouse.move(x + axis["width"] * 0.9, y + 60)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"#/timeline\?range=2026-11-24T01.*2026-11-24T01"))
    expect(lane(page, "Iterations")).to_have_count(1)
    page.go_back()
    expect(lane(page, "Iterations")).to_have_count(3)
    lane(page, "Iterations").first.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    begun, ended = "2026-11-24T00%3A00%3A00Z", "2026-11-24T02%3A00%3A00Z"
    expect(page).to_have_url(f"{timed.url}/#/timeline?range={begun}..{ended}")


@pytest.mark.parametrize(
    ("zone", "name", "times"),
    [
        ("UTC", "UTC", ["01:00", "02:00", "03:00"]),
        ("Asia/Kolkata", "UTC+5:30", ["06:30", "07:30", "08:30"]),
        ("Atlantic/South_Georgia", "UTC-2", ["23 Nov", "24 Nov", "01:00"]),
    ],
)
def test_charts_say_when_iterations_ended_in_the_zone_of_the_page(
    timed: Server, open_page: OpenPage, zone: str, name: str, times: list[str]
) -> None:
    page = settled(open_page(f"{timed.url}/#/cost", timezone_id=zone)).page
    shown = panel(page, "Tokens in each iteration")
    expect(shown.locator("svg text").filter(has_text="UTC")).to_have_text(name)
    expect(shown.locator("svg .when")).to_have_text(times)
    expect(shown.locator(".chart-key")).to_contain_text(re.compile(r"Iteration 3\D*2\d Nov, "))
    when = table_behind(shown).locator('td[data-label="When"]')
    expect(when).to_have_count(3)
    expect(when.last.locator("time")).to_have_attribute("datetime", "2026-11-24T03:00:00.000Z")
    if zone == "UTC":
        expect(page.get_by_role("button", name="Show times in UTC")).to_have_count(0)
        return
    page.get_by_role("button", name="Show times in UTC").click()
    expect(shown.locator("svg .when")).to_have_text(["01:00", "02:00", "03:00"])
    expect(shown.locator("svg text").filter(has_text="UTC")).to_have_text("UTC")


def test_what_was_spent_while_a_task_ran_is_a_part_of_the_iterations_of_that_time(
    timed: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{timed.url}/#/cost")).page
    shown = panel(page, "While tasks ran")
    both = {"Agent": "Backend", "Tasks": "2", "Ran": "1h 20m", "Spent meanwhile": "$0.33"}
    expect_rows(shown.locator("table"), [both])
    shown.get_by_role("button", name="By task").click()
    share = 40 / 60  # of the iterations of 0.2 and 0.3 dollars
    second: Row = {"Task": HOSTILE, "Agent": "Backend", "Ran": "40m 00s"}
    first: Row = {"Task": "Task 1", "Agent": "Backend", "Ran": "40m 00s"}
    spent = [{"Spent meanwhile": f"${share * usd:.2f}"} for usd in (0.3, 0.2)]
    expect_rows(shown.locator("table"), [{**second, **spent[0]}, {**first, **spent[1]}])
    page.evaluate("location.hash += '?range=2026-11-24T02:20:00Z..2026-11-24T03:00:00Z'")
    half = {"Task": HOSTILE, "Agent": "Backend", "Ran": "30m 00s", "Spent meanwhile": "$0.15"}
    expect_rows(shown.locator("table"), [half])


def test_the_timeline_is_a_table_too(timed: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{timed.url}/#/timeline")).page
    page.get_by_text("As a table").click()
    rows = page.get_by_role("table", name="Timeline").get_by_role("row")
    expect(rows).to_have_count(1 + 3 + 2 + 3 + 1 + 2)
    rows.filter(has_text="Task 1").get_by_role("link").first.click()
    expect(page.locator(".chosen .log-line > :last-child")).to_have_text("Minute 10")


def test_the_timeline_is_accessible_fits_a_phone_and_shows_only_text(
    timed: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(f"{timed.url}/#/timeline", viewport=PHONE))
    watched.page.get_by_text("As a table").click()
    is_no_wider(watched, PHONE["width"])
    is_only_text(watched)
    is_accessible(watched)


@pytest.mark.parametrize(
    ("zone", "ended", "ticks"),
    [
        (
            "Europe/Berlin",
            ("2026-10-24", "2026-10-27"),
            [f"{day} Oct, 00:00" for day in range(22, 28)],
        ),
        (
            "Africa/Cairo",  # where the 24th begins at one o'clock
            ("2026-04-23", "2026-04-26"),
            [f"{day} Apr, {'01' if day == 24 else '00'}:00" for day in range(21, 27)],
        ),
    ],
)
def test_days_begin_at_midnight_also_after_the_clocks_have_changed(
    empty_place: Place, open_page: OpenPage, zone: str, ended: tuple[str, str], ticks: list[str]
) -> None:
    for number, day in enumerate(ended):
        moment = {"iteration": number, "timestamp": f"{day}T06:00:00Z", "cost_usd": 1}
        empty_place.write(f"metrics/efficiency/iteration-{number}.json", moment)
    with servers.serving(empty_place) as server:
        page = open_page(f"{server.url}/#/timeline", timezone_id=zone).page
        expect(page.locator(".axis span")).to_have_text(ticks)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_table_is_exported_with_all_its_rows(
    timed: Server, open_page: OpenPage, kind: str
) -> None:
    page = settled(open_page(f"{timed.url}/#/timeline")).page
    page.get_by_text("As a table").click()
    export = page.get_by_role("group", name="Export Timeline")
    with page.expect_download() as saved:
        export.get_by_role("button", name=kind.upper()).click()
    assert saved.value.suggested_filename == f"demo-timeline.{kind}"
    text = saved.value.path().read_text()
    rows = json.loads(text) if kind == "json" else list(csv.DictReader(text.splitlines()))
    assert len(rows) == 11
    task = next(row for row in rows if row["What"] == "Task 1")
    assert task["When"] == "2026-11-24T01:10:00.000Z"
    assert task["Took"] == (2400 if kind == "json" else "2400")
    assert HOSTILE in {row["What"] for row in rows}
