"""Charts: as many bars as there is room for, everything inside, one truth about the spend."""

import pytest
from playwright.sync_api import Locator, ViewportSize, expect

from tests.browser.conftest import OpenPage
from tests.browser.growing import ITERATIONS, SPENT_BEFORE
from tests.browser.opening import TWO_FRAMES
from tests.browser.reading import money, panel, table_behind
from tests.browser.seen import PHONE
from tests.browser.watching import settled
from tests.support.servers import Server

WIDE: ViewportSize = {"width": 1440, "height": 900}
CHARTS = [("now", "Progress"), ("council", "Convergence"), ("cost", "Tokens in each iteration")]
LEAST_BAR = 3  # pixels, with a gap of the same order beside it
OUTSIDE = """(section) => {
  const card = section.getBoundingClientRect();
  const texts = [...section.querySelectorAll('svg text, svg .mark')];
  return texts.filter((text) => {
    const at = text.getBoundingClientRect();
    return at.left < card.left || at.right > card.right;
  }).map((text) => text.textContent);
}"""
IS_OVER = """const isOver = (a, b) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;"""
COVERED_LABELS = f"""(section) => {{
  {IS_OVER}
  const all = [...section.querySelectorAll('svg text')];
  const places = all.map((each) => each.getBoundingClientRect());
  return all.filter((_, at) => places.slice(at + 1).some((other) => isOver(places[at], other)))
    .map((text) => text.textContent);
}}"""
# A copy of the first chart, which notes how wide it was each time it was drawn.
COPY = """() => {
  const first = document.querySelector('x-chart');
  const copy = document.createElement('x-chart');
  copy.props = first.props;
  window.drawn = [];
  window.place = document.createElement('div');
  window.place.style.width = '500px';
  new MutationObserver((changes) => {
    for (const { target } of changes) window.drawn.push(target.viewBox.baseVal.width);
  }).observe(copy, { subtree: true, attributeFilter: ['viewBox'] });
  window.place.append(copy);
  document.getElementById('main').append(window.place);
}"""
GIVE_WIDTH = "width => { window.place.style.width = width; }"
SHOW_AGAIN = """() => {
  const copy = window.place.firstChild;
  copy.props = { ...copy.props };
}"""
COVERED_WORDS = f"""(tile) => {{
  {IS_OVER}
  const line = tile.querySelector('.spark')?.getBoundingClientRect();
  const range = document.createRange();
  return Boolean(line?.width) && [...tile.querySelectorAll('h2, b, span')].some((words) => {{
    range.selectNodeContents(words);
    return [...range.getClientRects()].some((at) => isOver(at, line));
  }});
}}"""


@pytest.mark.parametrize("size", [WIDE, PHONE])
@pytest.mark.parametrize(("view", "name"), CHARTS)
def test_many_iterations_are_as_many_bars_as_can_be_told_apart(
    grown: Server, open_page: OpenPage, view: str, name: str, size: ViewportSize
) -> None:
    page = settled(open_page(f"{grown.url}/#/{view}", viewport=size)).page
    shown = panel(page, name)
    widths = shown.locator("svg .bar").evaluate_all(
        "bars => bars.map((bar) => bar.width.baseVal.value)"
    )
    assert 20 < len(widths) < ITERATIONS / 2
    assert min(widths) >= LEAST_BAR
    expect(shown.locator(".chart-key")).to_contain_text("on average")
    expect(shown.locator(".chart-key b").first).to_contain_text(f" to {ITERATIONS}")
    rows = table_behind(shown).locator("tbody tr")
    expect(rows.first.locator("td").first).to_have_text("1")


@pytest.mark.parametrize("size", [WIDE, PHONE])
@pytest.mark.parametrize(
    ("view", "name"), [*CHARTS, ("cost", "Budget burn"), ("learning", "Trend")]
)
def test_a_chart_stays_in_its_card_and_its_labels_do_not_overlap(
    grown: Server, open_page: OpenPage, view: str, name: str, size: ViewportSize
) -> None:
    page = settled(open_page(f"{grown.url}/#/{view}", viewport=size)).page
    assert panel(page, name).evaluate(OUTSIDE) == []
    assert panel(page, name).evaluate(COVERED_LABELS) == []


def test_a_chart_is_drawn_once_for_each_width_and_whenever_it_shows_something_else(
    running: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{running.url}/#/now")).page
    steps: list[tuple[str, str | None, list[int]]] = [
        (COPY, None, [500]),
        (GIVE_WIDTH, "500.2px", [500]),
        (GIVE_WIDTH, "600px", [500, 600]),
        (GIVE_WIDTH, "0", [500, 600]),
        (SHOW_AGAIN, None, [500, 600]),
        (GIVE_WIDTH, "700px", [500, 600, 700]),
        (SHOW_AGAIN, None, [500, 600, 700, 700]),
    ]
    for script, argument, widths in steps:
        page.evaluate(script, argument)
        page.evaluate(TWO_FRAMES)
        assert page.evaluate("window.drawn") == widths


def test_a_few_iterations_are_shown_one_by_one(running: Server, read_page: OpenPage) -> None:
    points = running.get("/api/council/convergence").json()["dataPoints"]
    page = settled(read_page(f"{running.url}/#/now")).page
    expect(panel(page, "Progress").locator("svg .bar")).to_have_count(len(points))
    expect(panel(page, "Progress").locator(".chart-key")).not_to_contain_text("average")


@pytest.mark.parametrize("width", [390, 780, 1200, 1440])
def test_the_line_of_a_tile_does_not_cover_its_words(
    grown: Server, open_page: OpenPage, width: int
) -> None:
    page = settled(open_page(grown.url, viewport={"width": width, "height": 900})).page
    for tile in page.locator(".tile").all():
        assert not tile.evaluate(COVERED_WORDS)


def test_the_spend_is_the_same_in_tile_strip_figures_charts_and_sums(
    grown: Server, open_page: OpenPage
) -> None:
    cost = grown.get("/api/cost").json()
    used = money(cost["budget_used"])
    watched = settled(open_page(f"{grown.url}/#/cost"))
    shown = panel(watched.page, "Budget burn")
    expect(watched.fact("Cost")).to_contain_text(used)
    expect(shown.locator(".chart-key")).to_contain_text(used)
    spent = table_behind(shown).locator("tbody tr").first.locator("td").last
    expect(spent).to_have_text(money(SPENT_BEFORE + cost["by_iteration"][0]["cumulative"]))
    for name in ("By phase", "By model"):
        expect(part(panel(watched.page, name), "Not told apart")).to_have_text(money(SPENT_BEFORE))
    window = panel(watched.page, "What fills it")
    expect(part(window, "Not told apart")).to_have_text("6k")
    watched.page.evaluate("location.hash = '#/now'")
    expect(watched.page.locator(".tile", has_text="What does it cost?")).to_contain_text(used)
    expect(panel(watched.page, "Spend").locator(".chart-key")).to_contain_text(used)


def part(shown: Locator, name: str) -> Locator:
    return shown.locator(".legend li", has_text=name).locator("b")
