"""What the address keeps, where the page stood, and addresses of nothing."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.growing import TASKS
from tests.browser.reading import expect_equal, panel, table_behind
from tests.browser.watching import settled
from tests.support import servers
from tests.support.places import Place
from tests.support.servers import Server

# A view, its table, a column, and how the first cell reads upwards and downwards.
SORTED = [
    ("tasks?layout=list", "Tasks", "Id", "t-000", "t-104"),
    ("agents", "Agents", "State", "completed", "running"),
    ("learning", "Successes", "Pattern", "Pattern 0", "Pattern 39"),
    ("cost", "Prices", "Input", "Gemini 3 Flash", "Opus"),
]


@pytest.mark.parametrize(("view", "name", "column", "first", "last"), SORTED)
def test_the_order_of_a_table_survives_reload_and_back(
    grown: Server, open_page: OpenPage, view: str, name: str, column: str, first: str, last: str
) -> None:
    page = settled(open_page(f"{grown.url}/#/{view}")).page
    table = panel(page, name).locator("table").first
    top = table.locator("tbody tr").first
    for text, order in ((first, "ascending"), (last, "descending")):
        table.locator("th button", has_text=re.compile(f"^{column}$")).click()
        expect(top).to_contain_text(text)
        expect(table.locator(f"th[aria-sort={order}]")).to_have_text(column)
    page.reload()
    expect(top).to_contain_text(last)
    page.evaluate("location.hash = '#/admin'")
    expect(page.get_by_role("heading", name="Admin")).to_be_visible()
    page.go_back()
    expect(top).to_contain_text(last)
    page.go_back()
    page.go_forward()
    expect(top).to_contain_text(last)


def test_the_layout_of_the_tasks_is_in_the_address_and_stays_while_one_is_open(
    grown: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{grown.url}/#/tasks")).page
    expect(page.locator(".board")).to_be_visible()
    page.get_by_role("button", name="List").click()
    page.get_by_label("Filter tasks").fill("t-00")
    expect(page).to_have_url(re.compile("layout=list"))
    page.get_by_role("link", name="Task 001").click()
    expect(page.get_by_role("heading", name="Task 001")).to_be_visible()
    page.get_by_role("heading").get_by_role("link", name="Tasks").click()
    expect(page.locator("table")).to_be_visible()
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(10)
    page.evaluate("location.hash = '#/tasks?layout=board'")
    expect(page.locator(".board")).to_be_visible()


@pytest.mark.parametrize("view", ["alerts", "learning"])
def test_reload_and_back_return_to_where_the_page_stood(
    grown: Server, open_page: OpenPage, view: str
) -> None:
    page = settled(open_page(f"{grown.url}/#/{view}")).page
    page.evaluate("scrollTo(0, 700)")
    expect_equal(page, lambda: page.evaluate("history.state?.top"), 700)
    page.reload()
    expect_equal(page, lambda: top_of(page), 700)
    page.evaluate("location.hash = '#/admin'")
    expect(page.get_by_role("heading", name="Admin")).to_be_visible()
    expect_equal(page, lambda: top_of(page), 0)
    page.go_back()
    expect_equal(page, lambda: top_of(page), 700)


HOLD_NOTES = """
window.notes = [];
const start = window.setTimeout;
window.setTimeout = (run, after, ...rest) =>
  run.name === 'note' ? window.notes.push(() => run(...rest)) : start(run, after, ...rest);
"""


def test_the_place_in_one_view_is_not_noted_for_the_next(
    grown: Server, open_page: OpenPage
) -> None:
    def prepare(page: Page) -> None:
        page.add_init_script(HOLD_NOTES)

    page = settled(open_page(f"{grown.url}/#/alerts", prepare=prepare)).page
    page.evaluate("scrollTo(0, 700)")
    expect_equal(page, lambda: page.evaluate("notes.length > 0"), True)
    page.evaluate("location.hash = '#/admin'; for (const note of notes) note()")
    expect(page.get_by_role("heading", name="Admin")).to_be_visible()
    expect(page.locator("#main[aria-busy]")).to_have_count(0)
    assert top_of(page) == 0


FILTERED = ["tasks", "agents", "checkpoints", "projects", "fleet", "memory", "logs"]


def test_an_address_shows_the_same_whether_it_is_opened_or_gone_to(
    grown: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{grown.url}/#/now")).page
    field = page.locator("#main input[type=search]").first
    for view in FILTERED:
        page.evaluate("view => { location.hash = `#/${view}?q=x`; }", view)
        expect(field).to_have_value("x")
        page.evaluate("view => { location.hash = `#/${view}`; }", view)
        expect(field).to_have_value("")
        page.go_back()
        expect(field).to_have_value("x")
    page.evaluate("location.hash = '#/logs?time=noon'")
    expect(page.locator("#main [role=status] b")).to_have_text("This could not be loaded")
    page.evaluate("location.hash = '#/logs'")
    expect(page.locator("#main")).to_contain_text("The log is empty")


def top_of(page: Page) -> int:
    top: float = page.evaluate("scrollY")
    return round(top)


@pytest.mark.parametrize(
    "address", ["nothing", "Tasks", "nothing/below?q=1", "__proto__", "%3Cb%3E"]
)
def test_an_unknown_address_says_so(grown: Server, open_page: OpenPage, address: str) -> None:
    watched = settled(open_page(f"{grown.url}/#/{address}"))
    page = watched.page
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    expect(page).to_have_title(re.compile("Not found"))
    expect(page).to_have_url(f"{grown.url}/#/{address}")
    expect(page.locator("[data-view][aria-current]")).to_have_count(0)
    page.locator("#main").get_by_role("link", name="Go to Now").click()
    expect(page.locator(".tile").first).to_be_visible()
    assert watched.said == []


@pytest.mark.parametrize(
    ("column", "titles"),
    [
        ("Done", ["104", "103", "102", "101", "091", "090"]),
        ("Failed", ["081", "080"]),
        ("Pending", [f"{number:03}" for number in range(3)]),
    ],
)
def test_the_task_that_ended_last_is_first(
    grown: Server, read_page: OpenPage, column: str, titles: list[str]
) -> None:
    page = settled(read_page(f"{grown.url}/#/tasks?layout=board")).page
    cards = page.get_by_role("region", name=column, exact=True).locator(".task b")
    expect(cards.nth(len(titles) - 1)).to_be_visible()
    assert [text.removeprefix("Task ") for text in cards.all_inner_texts()][: len(titles)] == titles
    assert len(titles) <= TASKS


def test_the_time_range_is_shared_by_all_charts_and_in_the_address(
    empty_place: Place, open_page: OpenPage
) -> None:
    for number, hours in enumerate((10, 3, 0.5), start=1):
        moment = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
        record = {"iteration": number, "cost_usd": 0.1, "input_tokens": 9, "output_tokens": 9}
        empty_place.write(
            f"metrics/efficiency/iteration-{number}.json", {**record, "timestamp": moment}
        )
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/cost")).page
        range_ = page.get_by_role("group", name="Time range")
        for name in ("Budget burn", "Tokens in each iteration"):
            expect(table_behind(panel(page, name)).locator("tbody tr")).to_have_count(3)
        range_.get_by_role("button", name="6 hours").click()
        expect(page).to_have_url(re.compile(r"#/cost\?range=6h$"))
        for name in ("Budget burn", "Tokens in each iteration"):
            expect(panel(page, name).locator("tbody tr")).to_have_count(2)
        page.locator("#rail [data-view=now]").click()
        expect(page).to_have_url(re.compile(r"#/now\?range=6h$"))
        expect(table_behind(panel(page, "Spend")).locator("tbody tr")).to_have_count(2)
        range_.get_by_role("button", name="Hour", exact=True).click()
        expect(panel(page, "Spend").locator("tbody tr")).to_have_count(1)
        page.locator("#rail [data-view=timeline]").click()
        expect(page).to_have_url(re.compile(r"#/timeline\?range=1h$"))
        pressed = range_.locator("[aria-pressed=true]")
        expect(pressed).to_have_text("Hour")
        page.reload()
        expect(pressed).to_have_text("Hour")
        range_.get_by_role("button", name="Session").click()
        expect(page).to_have_url(re.compile(r"#/timeline$"))
        page.locator("#rail [data-view=cost]").click()
        expect(page).to_have_url(re.compile(r"#/cost$"))
        expect(table_behind(panel(page, "Budget burn")).locator("tbody tr")).to_have_count(3)
