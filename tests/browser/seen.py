"""What every view has to stand: every theme, a phone, hostile texts."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ViewportSize, expect

from tests.browser.reading import expect_equal
from tests.browser.watching import Watched

HOSTILE = "<img src=x onerror=\"document.title='gone'\"><script>1</script>{{7*7}}&amp;\u202e"
PHONE: ViewportSize = {"width": 390, "height": 844}
both_themes = pytest.mark.parametrize("theme", ["light", "dark"])


def is_accessible(watched: Watched) -> None:
    """Axe finds nothing; the page was opened with `bypass_csp`."""
    found = Axe().run(watched.page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


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
