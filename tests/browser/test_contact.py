"""What the page says while the server is gone, and that it comes back with the server."""

import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.reading import expect_equal
from tests.browser.watching import Watched, is_loaded, settled
from tests.support import places, servers
from tests.support.servers import Server

# What is in the address before the server goes, and what is opened without it.
VIEWS = {"now": "now", "tasks": "memory", "memory": "memory/patterns", "logs": "logs"}
BACK = {
    "now": "Is it alive?Yes",
    "memory": "Episodes",
    "memory/patterns": "Patterns",
    "logs": "Follow",
}


def test_data_are_stale_without_contact_and_loaded_again_after_it(
    tmp_path: Path, sleeper: int, open_page: OpenPage
) -> None:
    place = places.recorded(tmp_path, live_pid=sleeper, today=True)
    port = str(servers.free_port())
    with ExitStack() as first:
        server = first.enter_context(servers.serving(place, LOKI_DASHBOARD_PORT=port))
        tabs = {
            after: settled(open_page(f"{server.url}/#/{before}")) for before, after in VIEWS.items()
        }
        server.kill()
    for view, tab in tabs.items():
        is_without_contact(tab)
        tab.page.evaluate("view => { location.hash = `#/${view}`; }", view)
    expect(tabs["now"].page.locator(".tile").first).to_contain_text("Not known")
    expect(tabs["memory"].page.locator("#main")).to_contain_text("could not be loaded")
    expect(tabs["memory/patterns"].page.locator("#main")).to_contain_text("No answer")
    with servers.serving(place, LOKI_DASHBOARD_PORT=port):
        for view, tab in tabs.items():
            settled(tab)
            expect(tab.strip.locator(".state")).to_have_text("Running")
            expect(tab.page).to_have_title(re.compile("Running"))
            expect(tab.page.locator("#banner")).to_be_empty()
            expect(tab.page.locator("#main")).to_contain_text(BACK[view])
        shutil.rmtree(place.loki)
        for tab in tabs.values():
            expect(tab.strip.locator(".state")).to_have_text("State folder gone")


def is_without_contact(tab: Watched) -> None:
    expect(tab.strip.locator(".state")).to_have_text("No contact")
    expect(tab.strip.locator(".state")).to_have_attribute("data-state", "lost")
    expect(tab.page).to_have_title(re.compile("No contact"))
    expect(tab.page.get_by_role("button", name="Stop session")).to_have_attribute(
        "aria-disabled", "true"
    )


NOTE_WAITS = """async () => {
  const { nextTry } = await import(document.querySelector('[href$="core/live.js"]').href);
  window.waits = [];
  window.isWaiting = () => nextTry.value > 0;
  nextTry.watch((at) => at && window.waits.push(at - Date.now()));
}"""


@pytest.mark.parametrize(("is_seen", "longest"), [(True, 5000), (False, 30_000)])
def test_the_next_try_is_near_while_the_page_is_seen(
    running: Server, open_page: OpenPage, is_seen: bool, longest: int
) -> None:
    def prepare(page: Page) -> None:
        page.clock.install()
        if not is_seen:
            page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => true });")

    page = open_page(running.url, feed=False, prepare=prepare).page
    is_loaded(page)
    page.context.set_offline(True)  # an answer would end the waiting, and the next begins short
    page.evaluate(NOTE_WAITS)

    def has_tried_often() -> bool:
        if page.evaluate("window.isWaiting()"):
            page.clock.fast_forward(longest)  # runs each timer once, not each frame
        return len(page.evaluate("window.waits")) >= 8

    expect_equal(page, has_tried_often, True)
    waits = page.evaluate("window.waits")
    assert longest / 2 < max(waits) <= longest
