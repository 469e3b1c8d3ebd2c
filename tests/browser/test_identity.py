"""What is shown stays the same element while the page is drawn again, and a click is not lost."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.failing import note_retry, refusing
from tests.browser.reading import expect_equal, panel
from tests.browser.watching import is_loaded, settled
from tests.support import servers
from tests.support.children import Children
from tests.support.places import Place
from tests.support.servers import Server

VIEWS = (
    *("now", "tasks", "agents", "agents/orchestrator-main", "council", "council/6", "logs", "cost"),
    *("memory", "memory?q=test", "learning", "alerts", "checkpoints", "projects", "admin"),
    *("timeline", "iterations", "iterations/3", "tasks/iteration-5", "tasks?layout=list"),
)
# Every panel of the view draws itself again when what the token may do is set anew.
REDRAW = """async () => {
  const { denied } = await import(document.querySelector('[href$="core/api.js"]').href);
  const frame = () => new Promise(requestAnimationFrame);
  denied.set(new Set(denied.value));
  await frame();
  await frame();
}"""
MARK = """() => {
  const all = document.querySelectorAll(':is(#main, #strip, dialog.drawer) *');
  window.before = [...all].filter((each) => !each.closest('svg'));
  return window.before.length;
}"""
GONE = "() => window.before.filter((each) => !each.isConnected).map((each) => each.outerHTML)"


@pytest.mark.parametrize("view", VIEWS)
def test_a_redraw_that_changes_nothing_keeps_every_element(
    running: Server, open_page: OpenPage, view: str
) -> None:
    page = settled(open_page(f"{running.url}/#/{view}")).page
    page.evaluate(REDRAW)
    assert page.evaluate(MARK) > 50
    page.evaluate(REDRAW)
    assert page.evaluate(GONE) == []


def keep(element: Locator) -> None:
    """Note an element, to be told from another one that looks the same."""
    element.evaluate("element => { window.kept = element; }")


def is_kept(element: Locator) -> bool:
    kept: bool = element.evaluate("element => element === window.kept")
    return kept


def agent(identity: str, pid: int, **more: Any) -> dict[str, Any]:
    return {"id": identity, "status": "running", "pid": pid, **more}


AGENTS = "state/agents.json"


@pytest.fixture
def alive(empty_place: Place, sleeper: int) -> Place:
    """A project whose session lives."""
    empty_place.write("loki.pid", f"{sleeper}\n")
    return empty_place


def row(page: Page, name: str) -> Locator:
    rows = panel(page, "Agents").locator("tbody tr")
    return rows.filter(has=page.get_by_role("link", name=name, exact=True))


def test_rows_and_their_buttons_stay_while_others_come_and_go(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    first = agent("first", children.sleeper().pid)
    alive.write(AGENTS, [first])
    with servers.serving(alive) as server:
        page = settled(open_page(f"{server.url}/#/agents")).page
        button = page.get_by_role("button", name="Kill first")
        keep(button)
        alive.write(AGENTS, [{**first, "task": "Write the mails"}])
        expect(row(page, "first")).to_contain_text("Write the mails")
        assert is_kept(button)
        alive.write(AGENTS, [agent("broken", 0, status="failed"), first])
        expect(panel(page, "Agents").locator("tbody a")).to_have_text(["broken", "first"])
        assert is_kept(button)
        alive.write(AGENTS, [first])
        expect(panel(page, "Agents").locator("tbody a")).to_have_text(["first"])
        assert is_kept(button)


def test_buttons_stay_when_a_column_appears(running: Server, open_page: OpenPage) -> None:
    agent, *_ = running.get("/api/agents").json()
    said = running.get("/api/context").json()
    window = {**said, "agents": [{**said["agents"][0], "id": agent["id"]}]}
    answers = {"/api/context": {**window, "agents": []}}
    page = open_page(f"{running.url}/#/agents", feed=False, route=answering(answers)).page
    button = panel(page, "Agents").get_by_role("button", name="Kill").first
    keep(button)
    is_loaded(page)
    expect(page.get_by_role("columnheader", name="Context")).to_have_count(0)
    answers["/api/context"] = window
    refresh(page, "contextWindow")
    expect(page.get_by_role("columnheader", name="Context")).to_be_visible()
    assert is_kept(button)


def test_a_button_keeps_its_identity_when_another_one_comes_before_it(
    running: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{running.url}/#/tasks")).page
    page.evaluate(
        """async () => {
          const { draw, h } = await import(document.querySelector('[href$="core/dom.js"]').href);
          const place = h('p');
          document.getElementById('main').append(place);
          const button = (label) => h('button', { type: 'button' }, label);
          window.show = (isFirst) => draw(place, isFirst && button('Before'), button('Always'));
          window.show(false);
        }"""
    )
    always = page.get_by_role("button", name="Always")
    keep(always)
    page.evaluate("window.show(true)")
    expect(page.get_by_role("button", name="Before")).to_be_visible()
    assert is_kept(always)
    page.evaluate("window.show(false)")
    expect(page.get_by_role("button", name="Before")).to_have_count(0)
    assert is_kept(always)


PUT = """async ([name, data]) => {
  const store = await import(document.querySelector('[href$="core/store.js"]').href);
  const frame = () => new Promise(requestAnimationFrame);
  if (data === null) await store[name].refresh();
  else store[name].put(data);
  await frame();
  await frame();
}"""


def put(page: Page, name: str, data: Any) -> None:
    """Tell the page news as the live feed does, and give it the time to draw."""
    page.evaluate(PUT, [name, data])


def refresh(page: Page, name: str) -> None:
    """Let the page ask for a slice again, and give it the time to draw."""
    page.evaluate(PUT, [name, None])


def answering(answers: dict[str, Any]) -> Callable[[Page], None]:
    """Route requests to these answers, by path."""

    def answer(route: Route) -> None:
        route.fulfill(json=answers[urlsplit(route.request.url).path])

    def route(page: Page) -> None:
        for path in answers:
            page.route(f"**{path}", answer)

    return route


def press(button: Locator) -> None:
    """Begin a click, which `page.mouse.up()` ends."""
    button.hover()
    button.page.mouse.down()


@pytest.mark.parametrize("is_there", [True, False])
def test_a_click_that_has_begun_survives_a_row_that_moves_or_goes(
    alive: Place, children: Children, open_page: OpenPage, is_there: bool
) -> None:
    alive.write(AGENTS, [agent("first", children.sleeper().pid)])
    with servers.serving(alive) as server:
        [first] = server.get("/api/agents").json()
        others = [{**first, "id": f"o{at}", "name": "", "status": "failed"} for at in range(3)]
        after = [*others, first] if is_there else others
        answers = {"/api/agents": [first]}
        page = open_page(f"{server.url}/#/agents", feed=False, route=answering(answers)).page
        press(page.get_by_role("button", name="Kill first"))
        answers["/api/agents"] = after
        refresh(page, "agents")
        page.mouse.up()
        expect(page.get_by_role("dialog", name="Kill first?")).to_be_visible()
        expect(panel(page, "Agents").locator("tbody tr")).to_have_count(len(after))


def test_retry_is_heard_when_the_panel_recovers_by_itself_meanwhile(
    running: Server, open_page: OpenPage
) -> None:
    address = "**/api/checkpoints?**"
    said = running.get("/api/checkpoints").json()
    route = refusing(address, "It cannot be read")
    page = open_page(f"{running.url}/#/checkpoints", feed=False, route=route).page
    note_retry(page)
    press(page.get_by_role("button", name="Retry"))
    put(page, "checkpoints", said)
    page.mouse.up()
    expect_equal(page, lambda: page.evaluate("Boolean(window.hasRetried)"), True)
    expect(page.locator("#main tbody tr")).to_have_count(len(said))


def test_news_is_drawn_when_a_press_ends_elsewhere(running: Server, open_page: OpenPage) -> None:
    agents = running.get("/api/agents").json()
    answers = {"/api/agents": agents}
    page = open_page(f"{running.url}/#/agents", feed=False, route=answering(answers)).page
    is_loaded(page)
    press(panel(page, "Agents").get_by_role("button", name="Pause").first)
    answers["/api/agents"] = agents[:1]
    refresh(page, "agents")
    expect(panel(page, "Agents").locator("tbody tr")).to_have_count(len(agents))
    page.get_by_role("heading", name="Agents", level=1).hover()
    page.mouse.up()
    expect(panel(page, "Agents").locator("tbody tr")).to_have_count(1)
