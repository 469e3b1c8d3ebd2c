"""The frame of the page: what it may do, what it says, what it looks like to tools."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.failing import refusing, retry
from tests.browser.reading import Row, expect_facts, panel
from tests.browser.seen import PHONE, is_accessible, is_no_wider
from tests.browser.watching import is_loaded, settled
from tests.support import places, servers
from tests.support.servers import Server

VIEWS = (
    *("now", "tasks", "logs", "agents", "council", "cost"),
    *("agents/orchestrator-main", "council/6"),
)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_quiet_and_asks_nobody_but_its_server(
    running: Server, open_page: OpenPage, view: str
) -> None:
    watched = settled(open_page(f"{running.url}/#/{view}"))
    assert watched.said == []
    assert {urlsplit(url).netloc for url in watched.asked} == {running.host}


def test_scripts_from_strings_are_refused(running: Server, open_page: OpenPage) -> None:
    page = settled(open_page(running.url)).page
    tried = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return 'done'; }"
        " catch (error) { return error.name; } }"
    )
    assert tried == "TypeError"


def test_the_strip_shows_what_the_api_says(running: Server, read_page: OpenPage) -> None:
    status, cost = running.get("/api/status").json(), running.get("/api/cost").json()
    watched = settled(read_page(running.url))
    expect(watched.strip.locator(".state")).to_have_text("Running")
    expect(watched.fact("Iteration")).to_have_text(str(status["iteration"]))
    expect(watched.fact("Cost")).to_contain_text(f"${cost['estimated_cost_usd']:.2f}")


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(
    running: Server, open_page: OpenPage, view: str
) -> None:
    watched = settled(open_page(f"{running.url}/#/{view}"))
    is_accessible(watched)
    watched.page.set_viewport_size(PHONE)
    is_no_wider(watched, PHONE["width"])


def test_no_session_says_how_to_start_one(blank: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(blank.url))
    expect(watched.strip.locator(".state")).to_have_text("No session")
    expect(watched.page.locator("#main")).to_contain_text("loki start")
    expect(watched.page.get_by_role("button", name="Stop session")).to_have_attribute(
        "aria-disabled", "true"
    )


def test_pause_is_said_when_the_server_did_it_and_can_be_taken_back(
    tmp_path: Path, sleeper: int, open_page: OpenPage
) -> None:
    place = places.recorded(tmp_path, live_pid=sleeper, today=True)
    with servers.serving(place) as server:
        page = settled(open_page(server.url)).page
        page.get_by_role("button", name="Pause session").click()
        expect(page.locator("#toasts")).to_contain_text("Session paused")
        expect(page.locator("#strip .state")).to_have_text("Paused")
        assert (place.loki / "PAUSE").exists()
        page.locator("#toasts").get_by_role("button", name="Resume").click()
        expect(page.locator("#strip .state")).to_have_text("Running")
        page.locator("#rail [data-view=tasks]").hover()
        page.mouse.down(button="right")  # opens the browser's menu, which takes the release
        place.write("PAUSE", "")
        expect(page.locator("#strip .state")).to_have_text("Paused")
        page.mouse.up(button="right")


def test_stop_asks_first_and_does_nothing_when_it_is_declined(
    running: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(running.url))
    watched.page.get_by_role("button", name="Stop session").click()
    dialog = watched.page.get_by_role("dialog", name="Stop the session?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    watched.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    watched.page.get_by_role("button", name="Stop session").click()
    box = dialog.bounding_box()
    assert box
    inside, beside = ((box["x"] + by, box["y"] + by) for by in (5, -20))
    press(watched.page, inside)
    press(watched.page, inside, beside)
    expect(dialog).to_be_visible()
    press(watched.page, beside)
    expect(dialog).to_have_count(0)
    assert not [url for url in watched.asked if url.endswith("/stop")]


def press(page: Page, begin: tuple[float, float], end: tuple[float, float] | None = None) -> None:
    """Press the mouse at one point and release it there or at another one."""
    page.mouse.move(*begin)
    page.mouse.down()
    page.mouse.move(*(end or begin))
    page.mouse.up()


def test_every_place_names_the_project_and_its_folder(running: Server, open_page: OpenPage) -> None:
    said = running.get("/api/status").json()
    page = settled(open_page(f"{running.url}/#/admin")).page
    expect(page).to_have_title(re.compile(f"{re.escape(said['project'])}$"))
    brand = page.locator("#rail .brand")
    expect(brand).to_contain_text(said["project"])
    expect(brand).to_have_attribute("title", said["project_path"])
    facts: Row = {"Project": said["project"], "Folder": said["project_path"]}
    expect_facts(panel(page, "Server"), facts)
    page.get_by_role("button", name="Stop session").click()
    dialog = page.get_by_role("dialog", name="Stop the session?")
    for text in facts.values():
        expect(dialog).to_contain_text(text)
    dialog.get_by_role("button", name="Cancel").click()
    page.set_viewport_size(PHONE)
    expect(page.locator("#strip .project")).to_contain_text(said["project"])
    expect(page.locator("#strip .project")).to_be_visible()


def test_a_failed_load_says_so_and_can_be_tried_again(running: Server, open_page: OpenPage) -> None:
    address, detail = "**/api/council/convergence", "The history cannot be read"
    page = open_page(running.url, feed=False, route=refusing(address, detail)).page
    retry(panel(page, "Progress"), address, detail)
    expect(panel(page, "Progress").get_by_role("img")).to_be_visible()


def test_a_token_is_asked_for_and_kept_in_the_tab(running: Server, open_page: OpenPage) -> None:
    def refuse_strangers(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer right":
            route.continue_()
        else:
            route.fulfill(status=401, json={"detail": "A valid access token is required"})

    page = open_page(running.url, route=lambda page: page.route("**/api/**", refuse_strangers)).page
    dialog = page.get_by_role("dialog", name="Access token")
    dialog.get_by_label("Token").fill("wrong")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_contain_text("A valid access token is required")
    dialog.get_by_label("Token").fill("right")
    dialog.get_by_role("button", name="Sign in").click()
    expect(page.locator("#strip .state")).to_have_text("Running")
    assert page.evaluate("sessionStorage.getItem('loki-token')") == "right"
    assert page.evaluate("localStorage.getItem('loki-token')") is None


def test_the_page_polls_without_sockets_and_streams(running: Server, open_page: OpenPage) -> None:
    watched = open_page(running.url, feed=False)
    expect(watched.strip.locator(".link-state")).to_contain_text("Polling")
    is_loaded(watched.page)


def test_a_server_that_went_away_is_said_and_found_again(
    running: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(running.url))
    watched.page.context.set_offline(True)
    # by force: the page may have noticed already, and have switched the button off
    watched.page.get_by_role("button", name="Pause session").click(force=True)
    banner = watched.page.locator("#banner")
    expect(banner).to_contain_text("does not answer")
    expect(watched.strip.locator(".link-state")).to_contain_text("Offline")
    watched.page.context.set_offline(False)
    expect(banner).to_be_empty()


def test_keys_open_views_and_the_palette(running: Server, open_page: OpenPage) -> None:
    page = settled(open_page(running.url)).page
    page.keyboard.press("g")
    page.keyboard.press("t")
    field = page.get_by_label("Filter tasks")
    expect(field).to_be_visible()
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Command").fill("logs")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Search the log")).to_be_visible()
