"""The pages of a task, an agent and an iteration, and the filters and length of their lists."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.reading import Row, expect_equal, expect_facts, expect_rows, panel
from tests.browser.seen import HOSTILE, PHONE, is_accessible, is_no_wider, is_only_text
from tests.browser.watching import settled
from tests.support import places, servers
from tests.support.places import Place
from tests.support.servers import Server

TASKS, AGENTS = 5000, 1000
PAGES = {
    "tasks/t-1": "Tasks / Ship",
    "agents/a-1": "Agents / Backend",
    "iterations/2": "Iterations / Iteration 2",
    "iterations": "Iterations",
    "tasks?layout=list": "Tasks",
}


def queue(place: Place, name: str, *entries: dict[str, str]) -> None:
    place.write(f"queue/{name}.json", list(entries))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a session of two iterations, one agent and two tasks, which tests only read."""
    place = places.empty(tmp_path_factory.mktemp("told"))
    for number in (1, 2):
        moment = {"iteration": number, "timestamp": f"2026-11-24T0{number}:00:00Z"}
        spent = {"cost_usd": number, "input_tokens": 4000, "output_tokens": 500, "model": "opus"}
        place.write(f"metrics/efficiency/iteration-{number}.json", {**moment, **spent})
    place.write("council/convergence.log", "1795492800|2|7|0|1\n")
    ended = {"claimedAt": "2026-11-24T01:10:00Z", "completedAt": "2026-11-24T01:50:00Z"}
    task = {"id": "t-1", "title": "Ship", "description": HOSTILE, "claimedBy": "a-1", **ended}
    queue(place, "completed", {**task, "createdAt": "2026-11-24T01:00:00Z"})
    queue(place, "pending", {"id": "t-2", "title": "Wait", "priority": "high", "type": "docs"})
    place.write("state/agents.json", [{"id": "a-1", "name": "Backend", "task": "Ship"}])
    for number, sha in ((1, "a" * 40), (2, "b" * 40)):
        made = {"id": f"c-{number}", "git_sha": sha, "message": f"Point {number}"}
        moment = {"created_at": f"2026-11-24T0{number - 1}:30:00Z"}
        place.write(f"state/checkpoints/c-{number}/metadata.json", {**made, **moment})
    lines = [f"2026-11-24 01:{minute:02}:00 INFO a-1: minute {minute}\n" for minute in range(60)]
    place.write("logs/session.log", "".join(lines))
    with servers.serving(place) as server:
        yield server


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on thousands of tasks and agents, which tests only read."""
    place = places.empty(tmp_path_factory.mktemp("crowded"))
    kinds = ("feature", "bug", "docs", "test")
    entries = [
        {"id": f"t-{n:04}", "title": f"Task {n:04}", "type": kinds[n % 4]} for n in range(TASKS)
    ]
    queue(place, "pending", *entries[10:])
    queue(place, "failed", *entries[:10])
    agents = [{"id": f"a-{n:03}", "type": kinds[n % 4], "status": "failed"} for n in range(AGENTS)]
    place.write("state/agents.json", agents)
    with servers.serving(place) as server:
        yield server


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def test_a_task_says_how_it_moved_and_leads_to_its_agent_and_iteration(
    told: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(f"{told.url}/#/tasks/t-1"))
    page = watched.page
    is_only_text(watched)
    expect(heading(page)).to_have_text("Tasks / Ship")
    moves: list[Row] = [
        {"Move": "Created", "When": re.compile("01:00:00"), "Stayed for": "10m 00s"},
        {"Move": "In progress", "When": re.compile("01:10:00"), "Stayed for": "40m 00s"},
        {"Move": "Done", "When": re.compile("01:50:00"), "Stayed for": "–"},
    ]
    expect_rows(panel(page, "History").locator("table"), moves)
    expect_facts(panel(page, "Facts"), {"Took": "40m 00s", "Cost": "$2.00 for all of iteration 2"})
    log = panel(page, "Log of this time").locator(".log-line")
    expect(log).to_have_count(41)
    expect(log.first).to_contain_text("minute 10")
    changed = panel(page, "What changed")
    expect_facts(changed, {"Checkpoints": "Point 2"})
    expect(changed).to_contain_text(f"git diff {'a' * 12} {'b' * 12}")
    panel(page, "Agent").get_by_role("link", name="Backend").click()
    expect(heading(page)).to_have_text("Agents / Backend")
    expect_rows(panel(page, "Tasks").locator("table"), [{"Task": "Ship", "State": "Done"}])
    expect(panel(page, "Log lines that name it").locator(".log-line")).to_have_count(60)
    panel(page, "Facts").get_by_role("link", name="Ship").click()
    panel(page, "Facts").get_by_role("link", name="2").click()
    expect(heading(page)).to_have_text("Iterations / Iteration 2")
    expect_facts(panel(page, "Facts"), {"Cost": "$2.00, $3.00 so far", "Input tokens": "4k"})
    expect_facts(panel(page, "What changed"), {"Files changed": "7", "Checkpoints": "Point 2"})
    expect(panel(page, "What changed")).to_contain_text(f"git diff {'a' * 12} {'b' * 12}")
    expect(panel(page, "In this time").get_by_role("link", name="Ship")).to_be_visible()
    assert watched.said == []


def test_the_page_of_a_task_follows_it_from_waiting_to_done(
    empty_place: Place, open_page: OpenPage
) -> None:
    task = {"id": "t-1", "title": "Ship"}
    queue(empty_place, "pending", task)
    lines = [f"2026-11-24 01:{minute:02}:00 INFO minute {minute}\n" for minute in range(60)]
    empty_place.write("logs/session.log", "".join(lines))
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/tasks/t-1")).page
        expect(panel(page, "Log lines that name it")).to_contain_text("No line has “t-1”")
        begun = {**task, "claimedAt": "2026-11-24T01:10:00Z"}
        for name, entry, count in (
            ("in-progress", begun, 50),
            ("completed", {**begun, "completedAt": "2026-11-24T01:50:00Z"}, 41),
        ):
            queue(empty_place, "pending")
            queue(empty_place, "in-progress")
            queue(empty_place, name, entry)
            expect(panel(page, "Log of this time").locator(".log-line")).to_have_count(count)
        expect(panel(page, "Log lines that name it")).to_have_count(0)


@pytest.mark.slow
def test_pages_are_accessible_and_fit_a_phone(told: Server, open_page: OpenPage) -> None:
    watched = settled(open_page(f"{told.url}/#/tasks/t-1", viewport=PHONE))
    for place, name in PAGES.items():
        watched.page.evaluate(f"location.hash = '#/{place}'")
        expect(heading(watched.page)).to_have_text(name)
        settled(watched)
        is_no_wider(watched, PHONE["width"])
        is_accessible(watched)


def test_a_point_of_a_chart_is_shown_in_others_and_opens_its_iteration(
    told: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{told.url}/#/cost")).page
    chart = panel(page, "Tokens in each iteration").get_by_role("img")
    chart.focus()
    page.keyboard.press("Home")
    others = panel(page, "Budget burn").locator(".chart-key")
    expect(others).to_contain_text("Iteration 1")
    page.keyboard.press("ArrowRight")
    expect(others).to_contain_text("Iteration 2")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Iterations / Iteration 2")
    page.go_back()
    for shown in (
        page.locator(".chart-key").first,
        panel(page, "Budget burn").locator(".chart-key"),
    ):
        expect(shown).to_contain_text("Iteration 2")
    tap(chart)
    expect(others).to_contain_text("Iteration 1")
    expect(heading(page)).to_have_text("Cost and context")
    tap(chart)
    expect(heading(page)).to_have_text("Iterations / Iteration 1")


def tap(chart: Locator) -> None:
    """Tap with a finger on the first iteration of a chart."""
    bar = chart.locator(".bar").first.bounding_box()
    assert bar is not None
    touching = chart.page.context.new_cdp_session(chart.page)
    point = {"x": bar["x"] + bar["width"] / 2, "y": bar["y"] + bar["height"] / 2}
    for kind, points in (("touchStart", [point]), ("touchEnd", [])):
        touching.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touching.detach()


def test_the_palette_finds_agents_and_lines_and_switches_to_utc(
    told: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{told.url}/#/iterations", timezone_id="Asia/Tokyo")).page
    first = page.locator("tbody tr").last
    expect(first).to_contain_text("24 Nov 2026, 09:00:00")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("utc")
    page.keyboard.press("Enter")
    expect(first).to_contain_text("24 Nov 2026, 00:00:00")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("backend")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Agents / Backend")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("MINUTE 5")
    found = page.get_by_role("option")
    expect(found.first).to_have_text(re.compile("^a-1: minute 59"))
    expect(found.last).to_have_text("Search the log for “MINUTE 5”")
    found.nth(1).click()
    expect(page.locator(".chosen .log-line > :last-child")).to_have_text("a-1: minute 58")


def test_filters_are_in_the_address_and_can_be_kept_under_a_name(
    told: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{told.url}/#/tasks?layout=list")).page
    page.get_by_label("Priority").select_option("high")
    page.get_by_label("Type").select_option("docs")
    expect(page).to_have_url(re.compile("priority=high"))
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Save view").click()
    page.get_by_label("Name").fill("Urgent docs")
    page.get_by_role("dialog").get_by_role("button", name="Save view").click()
    page.get_by_role("link", name="Clear filters").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.reload()
    page.get_by_role("link", name="Urgent docs").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_label("Type")).to_have_value("docs")
    page.get_by_role("link", name="Wait").click()
    heading(page).get_by_role("link", name="Tasks").click()
    expect(page.get_by_label("Priority")).to_have_value("high")
    page.get_by_role("button", name="Remove the view Urgent docs").click()
    expect(page.get_by_role("link", name="Urgent docs")).to_have_count(0)


@pytest.mark.parametrize(
    ("address", "total", "last", "facet", "value", "fitting"),
    [
        ("tasks?layout=list", TASKS, "Task 0009", "State", "failed", 10),
        ("agents", AGENTS, "a-999", "Type", "bug", AGENTS // 4),
    ],
)
def test_a_list_of_thousands_is_whole_and_draws_little(
    crowded: Server, open_page: OpenPage, address: str, total: int, last: str, facet: str,
    value: str, fitting: int,
) -> None:  # fmt: skip
    page = settled(open_page(f"{crowded.url}/#/{address}")).page
    table = page.locator("table").first
    drawn = table.locator("tbody tr:not(.room)")
    expect(table).to_have_attribute("aria-rowcount", str(total + 1))
    table.evaluate("table => table.scrollIntoView(false)")
    expect(drawn.last).to_contain_text(last)
    expect_equal(page, lambda: drawn.count() < 120, True)
    page.get_by_label(facet).select_option(value)
    rows = str(fitting + 1) if fitting > 100 else None
    expect_equal(page, lambda: table.get_attribute("aria-rowcount"), rows)
    if rows is None:
        expect(drawn).to_have_count(fitting)
