"""A phone, forced colors, and messages that no longer hold."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.growing import ALERTS, TASKS, grow
from tests.browser.reading import panel
from tests.browser.seen import PHONE, is_accessible, is_no_wider
from tests.browser.watching import is_loaded, settled
from tests.support import places, servers
from tests.support.children import Children
from tests.support.servers import Server

VIEWS = ("now", "tasks", "agents", "council", "cost", "memory", "learning", "alerts", "admin")
LONGEST = 8000  # pixels on a phone
SMALL = """() => [...document.querySelectorAll('#main :is(a, button, summary), #bar *')]
  .filter((each) => each.matches('a, button, summary') && each.checkVisibility())
  .filter((each) => each.getBoundingClientRect().height < 32)
  .map((each) => each.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("view", VIEWS)
def test_on_a_phone_fingers_hit_everything_and_no_view_is_endless(
    grown: Server, open_page: OpenPage, view: str
) -> None:
    watched = settled(open_page(f"{grown.url}/#/{view}", viewport=PHONE))
    assert watched.page.evaluate(SMALL) == []
    assert watched.page.evaluate("document.documentElement.scrollHeight") < LONGEST


def test_a_view_is_not_endless_in_a_window_that_became_narrow(
    grown: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(f"{grown.url}/#/now"))
    page = watched.page
    page.set_viewport_size(PHONE)
    page.evaluate("location.hash = '#/learning'")
    expect(page.get_by_role("heading", name="Learning", level=1)).to_be_visible()
    settled(watched)
    assert page.evaluate("document.documentElement.scrollHeight") < LONGEST
    is_no_wider(watched, PHONE["width"])


EVERY_VIEW = (
    *("now", "timeline", "iterations", "iterations/1", "tasks", "tasks?layout=list", "agents"),
    *("council", "logs", "cost", "memory", "learning", "records", "alerts", "checkpoints"),
    *("fleet", "projects", "admin"),
)
# The page if it scrolls sideways, and controls that leave it or a part that cannot be scrolled.
CUT_OFF = """() => {
  const isCut = (control) => {
    const at = control.getBoundingClientRect();
    let [left, right] = [0, innerWidth];
    for (let each = control.parentElement; each; each = each.parentElement) {
      const { overflowX, overflowClipMargin, clipPath } = getComputedStyle(each);
      if (clipPath !== 'none') return false; // the heads of tables that are shown as cards
      if (overflowX === 'auto' || overflowX === 'scroll') return false;
      if (overflowX === 'visible') continue;
      const frame = each.getBoundingClientRect();
      const spare = overflowX === 'clip' ? parseFloat(overflowClipMargin) || 0 : 0;
      [left, right] = [Math.max(left, frame.left - spare), Math.min(right, frame.right + spare)];
    }
    return at.width && (at.left < left - 1 || at.right > right + 1);
  };
  const root = document.documentElement;
  const controls = document.querySelectorAll('a, button, input, select, textarea, summary');
  return [
    ...(root.scrollWidth > innerWidth ? [`the page is ${root.scrollWidth} wide`] : []),
    ...[...controls].filter((each) => each.checkVisibility() && isCut(each))
      .map((each) => each.outerHTML.slice(0, 120)),
  ];
}"""


def test_at_twice_the_size_no_view_scrolls_sideways_or_cuts_a_control_off(
    running: Server, open_page: OpenPage
) -> None:
    zoomed = {"viewport": {"width": 640, "height": 512}, "device_scale_factor": 2}
    page = settled(open_page(f"{running.url}/#/{EVERY_VIEW[0]}", **zoomed)).page
    offenders = {}
    for view in EVERY_VIEW:
        page.evaluate("(view) => { location.hash = `#/${view}`; }", view)
        is_loaded(page)
        expect(page.locator("#main h1")).to_be_attached()
        if found := page.evaluate(CUT_OFF):
            offenders[view] = found
    assert offenders == {}


# Facts that are cut, of those that are not left out for want of room.
CUT_FACTS = """() => {
  const room = document.querySelector('#strip .facts').getBoundingClientRect();
  return [...document.querySelectorAll('.fact:not(.extra)')].filter((fact) => {
    const at = fact.getBoundingClientRect();
    return at.top < room.bottom - 1 && at.right > room.right + 1;
  }).map((fact) => fact.textContent);
}"""


@pytest.mark.parametrize("width", [780, 1024, 1280])
def test_the_strip_cuts_no_figure_and_the_fleet_no_word(
    running: Server, open_page: OpenPage, width: int
) -> None:
    watched = settled(open_page(f"{running.url}/#/fleet", viewport={"width": width, "height": 700}))
    assert watched.page.evaluate(CUT_FACTS) == []
    strip, cost = watched.strip.bounding_box(), watched.fact("Cost").bounding_box()
    assert strip is not None
    assert cost is not None
    assert cost["y"] + cost["height"] <= strip["y"] + strip["height"]
    if width > 780:
        table = panel(watched.page, "Sessions").locator("table")
        assert table.evaluate("(table) => table.scrollWidth <= table.parentElement.clientWidth")
        name = table.locator("tbody td").first.locator("a")
        assert name.evaluate("(name) => name.getClientRects().length") == 1


def test_a_phone_shows_phase_cost_and_what_waits(grown: Server, open_page: OpenPage) -> None:
    status, cost = grown.get("/api/status").json(), grown.get("/api/cost").json()
    watched = settled(open_page(f"{grown.url}/", viewport=PHONE))
    expect(watched.fact("Phase")).to_be_visible()
    expect(watched.fact("Phase")).to_have_text(status["phase"].capitalize() or "–")
    expect(watched.fact("Cost")).to_be_visible()
    expect(watched.fact("Cost")).to_contain_text(f"${cost['budget_used']:,.2f}")
    more = watched.page.locator("#bar").get_by_role("button", name="More")
    expect(more).to_have_text(f"More{ALERTS} ({ALERTS} alerts not acknowledged)")
    for name, number in (("Tasks", TASKS), ("Agents", 1)):
        link = watched.page.locator("#bar").get_by_role("link", name=name)
        expect(link.locator("[aria-hidden] >> nth=-1")).to_have_text(str(number))


# What says something by its color, and where.
COLORED = {
    "now": [
        *("#strip .lamp", ".badge.alarm", ".chart-key .swatch", ".legend .swatch", ".share i"),
        "#strip .meter i",
    ],
    "cost": [".legend .swatch", ".lined > i"],
    "learning": [".parts .meter i"],
    "timeline": [".track a:first-child"],
    "alerts": [".switch:checked"],
}


@pytest.mark.parametrize("view", COLORED)
def test_forced_colors_keep_what_is_said_by_color(
    grown: Server, open_page: OpenPage, view: str
) -> None:
    page = settled(open_page(f"{grown.url}/#/{view}", forced_colors="active")).page
    color = "(element) => getComputedStyle(element).backgroundColor"
    background = page.locator("body").evaluate(color)
    lost = []
    for selector in COLORED[view]:
        shown = page.locator(selector)
        expect(shown.first).to_be_attached()
        if background in [each.evaluate(color) for each in shown.all()]:
            lost.append(selector)
    assert lost == []


def test_forced_colors_more_contrast_and_paper_have_styles_of_their_own(
    grown: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{grown.url}/#/learning", forced_colors="active")).page
    for selector in ('.chip[aria-pressed="true"]', "#rail a[aria-current]"):
        style = "(element) => getComputedStyle(element).outlineStyle"
        assert page.locator(selector).first.evaluate(style) == "solid"
    colors = set()
    for theme in ("light", "dark"):
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        lamp = page.locator("#strip .lamp")
        colors.add(lamp.evaluate("(element) => getComputedStyle(element).backgroundColor"))
    assert len(colors) == 1
    page.emulate_media(forced_colors="none")
    quiet = "getComputedStyle(document.querySelector('#main .quiet')).color"
    usual = page.evaluate(quiet)
    page.emulate_media(contrast="more")
    assert page.evaluate(quiet) != usual
    page.emulate_media(contrast="no-preference", media="print")
    expect(page.locator("#rail")).to_be_hidden()
    expect(page.locator("#main h1")).to_be_visible()
    scheme = "getComputedStyle(document.documentElement).colorScheme"
    assert page.evaluate(scheme) == "light"  # though dark was chosen


@pytest.mark.parametrize("view", ["now", "learning"])
def test_axe_finds_nothing_on_a_phone(grown: Server, open_page: OpenPage, view: str) -> None:
    is_accessible(settled(open_page(f"{grown.url}/#/{view}", viewport=PHONE)))


def test_running_and_completed_differ_in_color(grown: Server, read_page: OpenPage) -> None:
    page = settled(read_page(f"{grown.url}/#/agents")).page
    pills = panel(page, "Agents").locator(".pill")
    expect(pills).to_have_text(["Running", "Completed"])
    expect(pills.first).to_have_class("pill good")
    expect(pills.last).to_have_class("pill")


def test_the_bar_of_what_was_saved_is_as_long_as_it_says(
    grown: Server, read_page: OpenPage
) -> None:
    page = settled(read_page(f"{grown.url}/#/memory/economics")).page
    shown = panel(page, "Economics")
    expect(shown).to_contain_text("50% of tokens saved")
    bar = shown.get_by_role("meter", name="Tokens saved")
    whole, part = bar.bounding_box(), bar.locator("i").bounding_box()
    assert whole is not None
    assert part is not None
    assert part["width"] == pytest.approx(whole["width"] / 2, abs=1)


def test_a_message_goes_when_it_no_longer_holds(
    tmp_path: Path, children: Children, open_page: OpenPage
) -> None:
    place = grow(places.empty(tmp_path), children.sleeper().pid)
    place.write(
        "state/agents.json", [{"id": "worker", "status": "running", "pid": children.sleeper().pid}]
    )
    with servers.serving(place) as server:
        page = settled(open_page(f"{server.url}/#/agents")).page
        message = page.locator("#said .toast")
        for button, resume in (
            ("Pause session", "/api/control/resume"),
            ("Pause worker", "/api/agents/worker/resume"),
        ):
            page.get_by_role("button", name=button).click()
            message.hover()  # it stays while the pointer is on it
            expect(message.get_by_role("button", name="Resume")).to_be_visible()
            name = button.replace("Pause", "Resume")
            expect(page.get_by_role("button", name=name)).to_be_visible()
            assert server.post(resume).status_code == 200
            expect(message).to_have_count(0)
            page.mouse.move(0, 0)
