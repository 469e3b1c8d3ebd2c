"""What every view has to stand: every theme, a phone, hostile texts."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.reading import expect_equal
from tests.browser.watching import Watched

HOSTILE = "<img src=x onerror=\"document.title='gone'\"><script>1</script>{{7*7}}&amp;\u202e"
PHONE: ViewportSize = {"width": 390, "height": 844}
_COLORS = {"runOnly": ["color-contrast", "link-in-text-block"]}
_AXE = Axe().axe_script


def is_accessible(watched: Watched) -> None:
    """Check that axe finds nothing; in the dark theme only the rules about colors are checked."""
    page = watched.page
    page.evaluate(_AXE)
    assert _find_violations(page, {}) == []
    page.emulate_media(color_scheme="dark")
    assert _find_violations(page, _COLORS) == []
    page.emulate_media(color_scheme="light")


def _find_violations(page: Page, options: dict[str, Any]) -> Any:
    """Return the rules that are violated and the first element that violates each."""
    return page.evaluate(
        "async (options) => (await axe.run(options)).violations"
        ".map((each) => [each.id, each.nodes[0].html])",
        {"resultTypes": ["violations"], **options},
    )


def is_only_text(watched: Watched) -> None:
    """What is hostile stands on the page as it was written, and has made no elements."""
    expect(watched.page.locator("#main")).to_contain_text("<img src=x onerror=")
    expect(watched.page.locator("#main img, #main script")).to_have_count(0)
    assert watched.page.title() != "gone"
    assert watched.said == []


def is_no_wider(watched: Watched, width: int) -> None:
    page = watched.page
    fits = f"document.documentElement.scrollWidth <= {width}"
    expect_equal(page, lambda: page.evaluate(fits), True)
