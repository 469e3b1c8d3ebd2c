"""A server that fails at an address until somebody presses Retry, or for good."""

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.opening import Prepare

# Noted before the page's own listeners run, so that the request of this click is answered already.
_NOTE_RETRY = """
addEventListener('click', ({ target }) => {
  if (target.closest('button')?.textContent === 'Retry') window.hasRetried = true;
}, true);
"""


def refusing(address: str, detail: str, *, status: int = 500) -> Prepare:
    """Route requests so that they fail until Retry was pressed, which `note_retry` has to see.

    The page cannot recover by itself before. It must not have a live feed either, which tells
    values that a request would have to fetch.
    """

    def answer(route: Route) -> None:
        if route.request.frame.evaluate("window.hasRetried"):
            route.fallback()
        else:
            route.fulfill(status=status, json={"detail": detail})

    return lambda page: page.route(address, answer)


def note_retry(page: Page) -> None:
    page.evaluate(_NOTE_RETRY)


def retry(shown: Locator, address: str, detail: str) -> None:
    """Press Retry in a panel that says why it failed; its request succeeds."""
    expect(shown).to_contain_text(detail)
    note_retry(shown.page)
    with shown.page.expect_request(address):
        shown.get_by_role("button", name="Retry").click()
    expect(shown).not_to_contain_text(detail)
    expect(shown.locator("[aria-busy]")).to_have_count(0)
