"""A time that is dragged on a chart, or selected by keys, is the time range of the whole page."""

import re
from datetime import datetime
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import CDPSession, Locator, Page, ViewportSize, expect

from tests.browser.conftest import OpenPage
from tests.browser.growing import ITERATIONS, SPENT_BEFORE
from tests.browser.reading import expect_equal, money, panel, table_behind
from tests.browser.seen import PHONE
from tests.browser.watching import settled
from tests.support.servers import Server

Range = tuple[datetime, datetime]
LINK = re.compile(r"range=")
WHOLE = re.compile(r"#/\w+$")


def range_of(page: Page) -> Range:
    """The time range in the address, once it has one."""
    expect(page).to_have_url(LINK)
    text = parse_qs(page.url.partition("?")[2])["range"][0]
    begun, ended = map(datetime.fromisoformat, text.split(".."))
    return begun, ended


def drag(shown: Locator, first: float, last: float, *, is_let_go: bool = True) -> None:
    """Drag with the mouse from one share of the width to another, a little downwards."""
    shown.scroll_into_view_if_needed()
    box = shown.bounding_box()
    assert box is not None
    mouse = shown.page.mouse
    x, width, y = box["x"], box["width"], box["y"] + box["height"] / 2
    mouse.move(x + first * width, y)
    mouse.down()
    mouse.move(x + (first + last) / 2 * width, y + 5)
    mouse.move(x + last * width, y + 10)
    if is_let_go:
        mouse.up()


def chart(page: Page, name: str) -> Locator:
    return panel(page, name).get_by_role("img")


def ended_within(server: Server, chosen: Range) -> list[int]:
    return [
        each["iteration"]
        for each in server.get("/api/cost").json()["by_iteration"]
        if chosen[0] <= datetime.fromisoformat(each["timestamp"]) <= chosen[1]
    ]


def expect_iterations(page: Page, name: str, numbers: list[int]) -> None:
    """Wait until a chart shows exactly these iterations."""
    shown = panel(page, name)
    expect(shown.locator(".chart-key b").first).to_have_text(re.compile(rf"\b{numbers[-1]}$"))
    rows = table_behind(shown).locator("tbody td:first-child")
    expect(rows.first).to_have_text(str(numbers[0]))
    expect(rows).to_have_count(min(len(numbers), 100))


def test_a_dragged_time_is_the_range_of_all_charts_and_back_leaves_it(
    grown: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(f"{grown.url}/#/cost"))
    page = watched.page
    drag(chart(page, "Tokens in each iteration"), 0.3, 0.5)
    numbers = ended_within(grown, range_of(page))
    assert ITERATIONS / 8 < len(numbers) < ITERATIONS / 3
    for name in ("Budget burn", "Tokens in each iteration"):
        expect_iterations(page, name, numbers)
    burn = panel(page, "Budget burn")
    cost = grown.get("/api/cost").json()["by_iteration"][numbers[-1] - 1]
    spent_then = money(SPENT_BEFORE + cost["cumulative"])
    expect(burn.locator(".chart-key")).to_contain_text(f"spent {spent_then}")
    expect(burn.locator(".forecast")).to_have_count(0)
    chosen = page.get_by_role("group", name="Time range").locator("[aria-pressed=true]")
    expect(chosen).to_have_text(re.compile(r"^\d+ \w+, \d\d:\d\d.*\d\d:\d\d$"))
    page.locator("#rail [data-view=council]").click()
    expect(page).to_have_url(re.compile(r"#/council\?range="))
    expect_iterations(page, "Convergence", numbers)
    page.go_back()
    expect_iterations(page, "Budget burn", numbers)
    page.go_back()
    expect(page).to_have_url(WHOLE)
    expect(chosen).to_have_text("Session")
    key = panel(page, "Budget burn").locator(".chart-key b").first
    expect(key).to_have_text(re.compile(rf"\b{ITERATIONS}$"))
    assert watched.said == []


def test_a_drag_that_comes_back_or_is_escaped_changes_nothing(
    grown: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{grown.url}/#/council")).page
    shown = chart(page, "Convergence")
    marked = shown.locator(".selection")
    drag(shown, 0.3, 0.6, is_let_go=False)
    expect(marked).to_have_count(1)
    page.keyboard.press("Escape")
    expect(marked).to_have_count(0)
    page.mouse.up()
    drag(shown, 0.3, 0.6, is_let_go=False)
    drag(shown, 0.3, 0.3)
    expect(marked).to_have_count(0)
    expect(page).to_have_url(f"{grown.url}/#/council")


def test_keys_select_a_time_and_a_button_shows_the_session_again(
    grown: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{grown.url}/#/now")).page
    shown = chart(page, "Progress")
    expect(shown).to_have_accessible_name(re.compile("Shift and arrow keys select a time"))
    key = panel(page, "Progress").locator(".chart-key")
    shown.focus()
    for keys, is_selected in (("Home", False), ("Shift+ArrowRight", True), ("Escape", False)):
        page.keyboard.press(keys)
        expect(shown.locator(".selection")).to_have_count(int(is_selected))
    expect(page).to_have_url(f"{grown.url}/#/now")
    for keys in ("Home", *["Shift+ArrowRight"] * 3):
        page.keyboard.press(keys)
    expect(key).to_contain_text("Enter or letting go shows only this time")
    last = int(key.locator("b").inner_text().rpartition(" ")[2])
    page.keyboard.press("Enter")
    assert ended_within(grown, range_of(page)) == list(range(1, last + 1))
    expect_iterations(page, "Spend", list(range(1, last + 1)))
    page.get_by_role("group", name="Time range").get_by_role("button", name="Session").click()
    expect(page).to_have_url(WHOLE)
    expect(key.locator("b").first).to_have_text(re.compile(rf"\b{ITERATIONS}$"))


STEPS = 10


def touch(devtools: CDPSession, kind: str, *place: float) -> None:
    points = [dict(zip("xy", place, strict=True))] if place else []
    devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_a_finger_selects_sideways_and_scrolls_upwards(grown: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{grown.url}/#/cost", viewport=PHONE, has_touch=True)).page
    box = chart(page, "Budget burn").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.4, box["y"] + box["height"] / 2
    devtools = page.context.new_cdp_session(page)

    def swipe(right: float, down: float) -> None:
        touch(devtools, "touchStart", x, y)
        for step in range(1, STEPS + 1):
            touch(devtools, "touchMove", x + right * step / STEPS, y + down * step / STEPS)
        touch(devtools, "touchEnd")

    swipe(120, 3)
    numbers = ended_within(grown, range_of(page))
    assert 0 < len(numbers) < ITERATIONS
    key = panel(page, "Budget burn").locator(".chart-key b").first
    expect(key).to_have_text(re.compile(rf"\b{numbers[-1]}$"))
    chosen = page.url
    swipe(3, -200)
    expect_equal(page, lambda: page.evaluate("scrollY > 100"), True)
    expect(page).to_have_url(chosen)


WIDE: ViewportSize = {"width": 1280, "height": 1000}


@pytest.mark.parametrize(
    ("view", "name", "most"), [("learning", "Trend", 3), ("cost", "By day", 1)]
)
def test_hours_and_days_are_selected_as_iterations_are(
    running: Server, open_page: OpenPage, view: str, name: str, most: int
) -> None:
    page = settled(open_page(f"{running.url}/#/{view}", viewport=WIDE)).page
    shown = chart(page, name)
    shown.focus()
    for keys in ("Home", *["Shift+ArrowRight"] * 2):
        page.keyboard.press(keys)
    page.keyboard.press("Enter")
    begun, ended = range_of(page)
    rows = table_behind(panel(page, name)).locator("tbody tr")
    expect_equal(page, lambda: 0 < rows.count() <= most, True)
    hours = (ended - begun).total_seconds() / 3600
    assert hours == (rows.count() if view == "learning" else 24 * rows.count())
    page.reload()
    chosen = page.get_by_role("group", name="Time range").locator("[aria-pressed=true]")
    expect(chosen).to_have_text(re.compile(r"^\d+ \w+, \d\d:\d\d"))


def test_a_range_that_is_none_shows_the_session(grown: Server, open_page: OpenPage) -> None:
    watched = settled(open_page(f"{grown.url}/#/council"))
    page = watched.page
    key = panel(page, "Convergence").locator(".chart-key b").first
    for text in ("x..y", "2026-01-02..2026-01-01", "..", "2026-01-01.."):
        page.evaluate("location.hash = '#/council?range=2026-01-01..2026-01-02'")
        expect(panel(page, "Convergence")).to_contain_text("Nothing in this time range")
        page.evaluate("(text) => { location.hash = `#/council?range=${text}`; }", text)
        expect(key).to_have_text(re.compile(rf"\b{ITERATIONS}$"))
    assert watched.said == []
