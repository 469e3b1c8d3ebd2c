"""A server that fails at an address until somebody presses Retry, or for good."""

from collections.abc import Callable

from playwright.sync_api import Locator, Page, Route, expect

# Noted before the page's own listeners run, so that the request of this click is answered already.
_NOTE_RETRY = """
addEventListener('click', ({ target }) => {
  if (target.closest('button')?.textContent === 'Retry') window.hasRetried = true;
}, true);
"""


def cut_off(page: Page) -> None:
    """Close the live feed: the page learns only what it asks for."""
    page.route_web_socket("**/ws", lambda socket: socket.close())
    page.route("**/api/events*", lambda route: route.abort())


def failing(page: Page, address: str, detail: str, *, status: int = 500) -> None:
    """Fail at an address until Retry was pressed: the page cannot recover by itself before.

    There is no live feed either, for it tells values that a request would have to fetch.
    """

    def answer(route: Route) -> None:
        if route.request.frame.evaluate("window.hasRetried"):
            route.fallback()
        else:
            route.fulfill(status=status, json={"detail": detail})

    cut_off(page)
    page.add_init_script(_NOTE_RETRY)
    page.route(address, answer)


def refusing(address: str, detail: str) -> Callable[[Page], None]:
    """Prepare a page whose server fails at an address until Retry was pressed."""
    return lambda page: failing(page, address, detail)


def retry(shown: Locator, address: str, detail: str) -> None:
    """Press Retry in a panel that says why it failed; its request succeeds."""
    expect(shown).to_contain_text(detail)
    with shown.page.expect_request(address):
        shown.get_by_role("button", name="Retry").click()
    expect(shown).not_to_contain_text(detail)
    expect(shown.locator("[aria-busy]")).to_have_count(0)
