"""Opening a view: one request for each address, nothing that moves, and a word if it takes long."""

import re
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from playwright.sync_api import Page, ViewportSize, WebSocketRoute, expect

from tests.browser.conftest import OpenPage
from tests.browser.holding import HeldRequest, holding
from tests.browser.opening import TWO_FRAMES
from tests.browser.reading import expect_equal
from tests.browser.seen import PHONE
from tests.browser.watching import Watched, is_loaded, settled
from tests.support import servers
from tests.support.places import Place
from tests.support.servers import Server

VIEWS = ("now", "council", "cost", "memory", "learning", "alerts")
PAGES = ("tasks/t-101", "agents/a-running", "iterations/400")
ALL_VIEWS = (
    *(*VIEWS, *PAGES, "timeline", "iterations", "tasks", "agents", "logs", "checkpoints"),
    *("projects", "admin"),
)
BEGIN = datetime(2026, 11, 25, tzinfo=UTC)
WIDE: ViewportSize = {"width": 1440, "height": 900}
MOST_SHIFT = 0.1  # more "needs improvement" by web.dev
SHIFT = f"""
async () => {{
  const shifts = [];
  const observer = new PerformanceObserver((list) => shifts.push(...list.getEntries()));
  observer.observe({{ type: 'layout-shift', buffered: true }});
  await {TWO_FRAMES};
  return shifts.reduce((sum, shift) => sum + (shift.hadRecentInput ? 0 : shift.value), 0);
}}
"""


def requests_of(watched: Watched) -> Counter[str]:
    return Counter(url for url in watched.asked if "/api/" in url or url.endswith("/health"))


@pytest.mark.parametrize("view", [*VIEWS, "logs", "admin"])
def test_a_view_requests_each_address_once(running: Server, open_page: OpenPage, view: str) -> None:
    watched = settled(
        open_page(f"{running.url}/#/{view}", prepare=lambda page: page.clock.install())
    )
    watched.page.clock.run_for(5000)
    is_loaded(watched.page)
    asked = requests_of(watched)
    assert len(asked) >= 7
    assert [url for url, times in asked.items() if times > 1] == []


ALERTS = [{"id": f"n-{number}", "message": f"Alert {number}"} for number in (1, 2)]
# A view, a message with which a channel begins, an address, and how a file is first and then.
BEGINNINGS = [
    (
        *("alerts", ["begun", "notifications"], "api/notifications?limit=1000"),
        *("notifications/active.json", ALERTS[:1], ALERTS),
    ),
    (
        *("now", ["council", "council"], "api/council/convergence", "council/state.json"),
        *({"last_track_iteration": number} for number in (1, 2)),
    ),
]


@pytest.mark.parametrize("has_changed", [True, False])
@pytest.mark.parametrize(("view", "message", "path", "file", "first", "second"), BEGINNINGS)
def test_a_change_before_its_channel_began_is_requested_without_a_poll(
    empty_place: Place,
    open_page: OpenPage,
    view: str,
    message: list[str],
    path: str,
    file: str,
    first: object,
    second: object,
    has_changed: bool,
) -> None:
    empty_place.write(file, first)
    log = "council/convergence.log"
    empty_place.write(log, "1795492800|1|7|0|1\n")
    with servers.serving(empty_place) as server, ExitStack() as held:
        sent: list[str] = []
        hold = partial(hold_feed, until=held, sent=sent)
        watched = open_page(f"{server.url}/#/{view}", prepare=hold)
        page, address = watched.page, f"{server.url}/{path}"
        expect(page.locator("#main")).to_contain_text(re.compile("(Alert|Iteration) 1"))
        wait_until_loaded_without(message[1], page, sent)
        assert watched.asked.count(address) == 1
        page.evaluate(NOTE_NEWS, [])
        if has_changed:
            empty_place.write(file, second)
            empty_place.write(log, "1795492800|1|7|0|1\n1795493800|2|7|0|1\n")
        held.close()
        expect_equal(page, lambda: message in page.evaluate("window.heard"), True)
        if has_changed:
            expect(page.locator("#main")).to_contain_text(re.compile("(Alert|Iteration) 2"))
        settled(watched)
        page.clock.set_fixed_time(BEGIN + timedelta(seconds=20))  # no poll while live
        page.clock.run_for(2000)
        is_loaded(page)
        assert watched.asked.count(address) == 1 + has_changed


def hold_feed(page: Page, *, until: ExitStack, sent: list[str]) -> None:
    """Keep what the page sends to the feed in `sent`, until `until` is closed.

    The page's clock stands still, so that no poll is due. Its timers run.
    """

    def hold(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def hear(message: str | bytes) -> None:
            sent.append(str(message))
            until.callback(server.send, message)

        socket.on_message(hear)
        until.callback(socket.on_message, server.send)

    page.clock.set_fixed_time(BEGIN)
    page.route_web_socket("**/ws", hold)


def wait_until_loaded_without(channel: str, page: Page, sent: list[str]) -> None:
    """Wait until the view is loaded and its subscription to a channel is held."""
    expect_equal(page, lambda: any(f'"{channel}"' in text for text in sent), True)
    page.clock.run_for(5000)  # the log waits for its channel so long
    is_loaded(page)


# From now on: how often slices told of news, and the type and channel of each message.
NOTE_NEWS = """async (names) => {
  const load = (name) => import(document.querySelector(`[href$="core/${name}.js"]`).href);
  const [live, store] = [await load('live'), await load('store')];
  window.told = Object.fromEntries(names.map((name) => [name, 0]));
  window.heard = [];
  live.onMessage((type, data, channel) => window.heard.push([type, channel]));
  for (const name of names) store[name].watch(() => { window.told[name] += 1; });
  for (const name of names) window.told[name] = 0; // a slice calls at once who watches it
}"""
KNOWN = ("agents", "cost")  # slices, which have the names of the messages with their data
FAIL = """async (name) => {
  const store = await import(document.querySelector('[href$="core/store.js"]').href);
  store[name].error = new Error('It cannot be read');
}"""


@pytest.mark.parametrize("failed", [*KNOWN, None])
def test_what_was_loaded_is_not_drawn_again_when_its_channel_begins_with_it(
    empty_place: Place, open_page: OpenPage, failed: str | None
) -> None:
    budget = "metrics/budget.json"
    empty_place.write(budget, {"limit": 10, "budget_used": 1})
    with servers.serving(empty_place) as server, ExitStack() as held:
        sent: list[str] = []
        hold = partial(hold_feed, until=held, sent=sent)
        page = open_page(f"{server.url}/#/now", prepare=hold).page
        wait_until_loaded_without("cost", page, sent)
        page.evaluate(NOTE_NEWS, KNOWN)
        if failed:
            page.evaluate(FAIL, failed)
        held.close()
        expected = {(name, name) for name in KNOWN}
        expect_equal(page, lambda: expected <= {*map(tuple, page.evaluate("window.heard"))}, True)
        told = {name: int(name == failed) for name in KNOWN}
        assert page.evaluate("window.told") == told
        empty_place.write(budget, {"limit": 10, "budget_used": 2})
        expect_equal(page, lambda: page.evaluate("window.told.cost"), told["cost"] + 1)


@pytest.mark.parametrize("size", [WIDE, PHONE])
@pytest.mark.parametrize(
    ("view", "is_reversed"),
    [*((view, False) for view in ALL_VIEWS), ("now", True), ("learning", True)],
)
def test_loaded_parts_do_not_move_those_that_are_there(
    grown: Server, open_page: OpenPage, view: str, size: ViewportSize, is_reversed: bool
) -> None:
    with holding("*/api/*") as held:
        watched = open_page(f"{grown.url}/#/{view}", route=held.begin, viewport=size)
        page = watched.page
        expect(page.locator("#main[aria-busy]")).to_have_count(0)
        expect(page.locator(".waiting").first).to_be_visible()
        held.stop()
        assert len(held.requests) >= 7
        for request in reversed(held.requests) if is_reversed else held.requests:
            with page.expect_response(request.url):
                request.let_through()
            page.evaluate(TWO_FRAMES)
        settled(watched)
        page.evaluate(TWO_FRAMES)
        assert page.evaluate(SHIFT) < MOST_SHIFT


def is_slow(request: HeldRequest) -> bool:
    return "/api/memory/episodes" in request.url


def test_a_slow_request_is_shown_with_its_time_on_a_device_with_a_wrong_clock(
    running: Server, open_page: OpenPage
) -> None:
    with holding("*/api/*") as held:

        def prepare(page: Page) -> None:
            held.begin(page)
            page.clock.install(time=BEGIN)  # the clock runs
            page.clock.pause_at(BEGIN + timedelta(hours=1))  # time passes by `run_for` alone

        page = open_page(f"{running.url}/#/memory", prepare=prepare).page
        shown = page.get_by_role("region", name="Episodes")
        expect(shown.locator(".bone").first).to_be_visible()
        expect_equal(page, lambda: any(map(is_slow, held.requests)), True)
        held.stop()
        for request in held.requests:
            if not is_slow(request):
                with page.expect_response(request.url):  # it has the server's clock
                    request.let_through()
        page.clock.run_for(1000)
        expect(shown).not_to_contain_text("Still reading")
        page.clock.run_for(3000)
        expect(shown).to_contain_text("Still reading, for 4s.")
        page.clock.run_for(9000)
        expect(shown).to_contain_text("Still reading, for 13s.")
        page.clock.resume()
    expect(shown.locator(".entry").first).to_be_visible()
    expect(shown).not_to_contain_text("Still reading")
