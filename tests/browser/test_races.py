"""Answers that arrive after something newer came from the feed, or after the sign-in ended."""

from playwright.sync_api import APIResponse, Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.opening import TWO_FRAMES
from tests.browser.reading import expect_equal
from tests.browser.watching import settled
from tests.support import servers
from tests.support.places import Place

AGENTS = "state/agents.json"
LOG = "logs/session.log"
IMPORT = """async () => {
  const load = (name) => import(document.querySelector(`[href$="core/${name}.js"]`).href);
  [window.store, window.live, window.api] = await Promise.all(['store', 'live', 'api'].map(load));
}"""


def test_an_answer_that_is_older_than_what_is_shown_changes_nothing(
    empty_place: Place, open_page: OpenPage
) -> None:
    def write(agent: str, number: int) -> None:
        empty_place.write(AGENTS, [{"id": "a-1", "name": agent, "status": "running"}])
        with (empty_place.loki / LOG).open("a") as log:  # as the runner does
            log.write(f"2026-11-24T09:00:0{number}Z INFO Line {number}\n")

    empty_place.write(LOG, "")
    write("First", 0)
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/now")).page
        page.evaluate(IMPORT)
        lines, agents = page.locator(".log-line"), page.get_by_role("region", name="Agents")
        expect(lines).to_have_count(1)
        held = Held(page)
        page.evaluate("window.done = store.agents.refresh(), live.tryNow(), 0")
        held.waits_for("api/agents", "api/logs")
        write("Second", 1)
        expect(agents).to_contain_text("Second")
        expect(lines).to_have_count(2)
        held.answer()
        page.evaluate(f"done.then(() => {TWO_FRAMES})")
        expect(agents).to_contain_text("Second")
        write("Third", 2)
        expect(agents).to_contain_text("Third")
        expect(lines.locator("span:last-child")).to_have_text(["Line 0", "Line 1", "Line 2"])
        page.evaluate("window.done = store.agents.refresh(), 0")
        held.waits_for("api/agents")
        page.evaluate("api.locked.set('The sign-in has ended.')")
        held.answer()
        assert page.evaluate("done.then(() => store.agents.data === undefined)")


class Held:
    """The answers to requests for agents and for lines of the log, until they are to arrive."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._held: list[tuple[Route, APIResponse]] = []
        for address in ("**/api/agents", "**/api/logs*"):
            page.route(address, lambda route: self._held.append((route, route.fetch())))

    def waits_for(self, *paths: str) -> None:
        """Wait until the server has answered these."""
        urls = "".join
        expect_equal(
            self._page,
            lambda: all(
                path in urls(route.request.url for route, _ in self._held) for path in paths
            ),
            True,
        )

    def answer(self) -> None:
        for route, response in self._held:
            route.fulfill(response=response)
        self._held.clear()
