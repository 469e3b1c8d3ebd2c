"""The view Agents: who works on what, which processes there are, and what can be done to each."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.failing import refusing, retry
from tests.browser.reading import expect_facts, expect_rows, panel
from tests.browser.watching import settled
from tests.support import accounts, servers
from tests.support.children import Children, still_lives, was_terminated
from tests.support.places import Place
from tests.support.servers import Server

FILE = "state/agents.json"
HOSTILE = "<img src=x onerror=\"document.title='gone'\"><b>bold</b>"


def entry(
    identity: str, pid: int | None = None, *, heard: float = 5, **more: Any
) -> dict[str, Any]:
    """A record of `agents.json` whose agent was heard so many seconds ago."""
    moment = (datetime.now(UTC) - timedelta(seconds=heard)).isoformat()
    own = {"pid": pid} if pid else {}
    return {"id": identity, "status": "running", "heartbeat": moment, **own, **more}


@pytest.fixture
def alive(empty_place: Place, sleeper: int) -> Place:
    """A project whose session lives."""
    empty_place.write("loki.pid", f"{sleeper}\n")
    return empty_place


def table(page: Page, name: str = "Agents") -> Locator:
    return panel(page, name).locator("table")


def row(page: Page, name: str) -> Locator:
    return table(page).locator("tbody tr", has=page.get_by_role("link", name=name, exact=True))


def test_the_table_says_what_the_api_says(running: Server, read_page: OpenPage) -> None:
    agents = running.get("/api/agents").json()
    watched = settled(read_page(f"{running.url}/#/agents"))
    expect(table(watched.page).locator("tbody tr")).to_have_count(len(agents))
    for agent in agents:
        for label, text in {
            "State": "Paused" if agent["pause_requested"] else "Running",
            "Task": agent["task"],
            "Model": agent["model"],
            "Type": agent["type"].replace("-", " ").capitalize(),
        }.items():
            cell = row(watched.page, agent["name"]).locator(f'[data-label="{label}"]')
            expect(cell).to_have_text(text)
    assert watched.said == []


def test_those_that_need_somebody_come_first(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    working, quiet = children.sleeper().pid, children.sleeper().pid
    alive.write(
        FILE,
        [
            entry("done", status="completed"),
            entry("working", working),
            entry("quiet", quiet, heard=90),
            entry("broken", status="failed"),
        ],
    )
    with servers.serving(alive) as server:
        page = settled(open_page(f"{server.url}/#/agents")).page
        rows = [
            {"Agent": "broken", "State": "Failed"},
            {"Agent": "quiet", "State": "Silent"},
            {"Agent": "working", "State": "Running"},
            {"Agent": "done", "State": "Completed"},
        ]
        expect_rows(table(page), rows)
        expect(page.locator("h1 + [role=status]")).to_contain_text("1 silent")


def test_silence_shows_without_news_from_the_server(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    alive.write(FILE, [entry("worker", children.sleeper().pid)])
    with servers.serving(alive) as server:
        page = settled(
            open_page(f"{server.url}/#/agents", prepare=lambda page: page.clock.install())
        ).page
        state = panel(page, "Agents").locator(".pill")
        expect(state).to_have_text("Running")
        page.context.set_offline(True)
        page.clock.fast_forward("01:00")
        expect(state).to_have_text("Silent")


def test_pausing_leaves_the_signal_and_resuming_takes_it_away(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    alive.write(FILE, [entry("worker", children.sleeper().pid)])
    signal = alive.loki / "signals/PAUSE_AGENT_worker"
    with servers.serving(alive) as server:
        page = settled(open_page(f"{server.url}/#/agents")).page
        pause = page.get_by_role("button", name="Pause worker")
        resume = page.get_by_role("button", name="Resume worker")
        pause.click()
        expect(page.locator("#said")).to_contain_text("Pause signal sent to agent worker")
        expect(panel(page, "Agents").locator(".pill")).to_have_text("Paused")
        assert signal.exists()
        page.locator("#said").get_by_role("button", name="Resume").click()
        expect(pause).to_be_visible()
        assert not signal.exists()
        pause.click()
        expect(resume).to_be_visible()
        assert signal.exists()
        resume.click()
        expect(pause).to_be_visible()
        assert not signal.exists()


def test_selected_agents_are_paused_together_and_those_with_a_process_are_killed(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    inside, outside = children.worker(alive), children.sleeper()
    alive.write(FILE, [entry("in", inside.pid), entry("out", outside.pid), entry("idea")])
    signals = [alive.loki / f"signals/PAUSE_AGENT_{name}" for name in ("in", "out")]
    with servers.serving(alive) as server:
        page = settled(open_page(f"{server.url}/#/agents")).page
        chosen = page.get_by_role("group", name="Selected agents")
        chosen.get_by_role("checkbox", name="Select all 3").press("Space")
        expect(chosen.get_by_role("button", name="Resume 0 agents")).to_have_attribute(
            "title", "None of the selected agents can be resumed"
        )
        page.get_by_role("checkbox", name="Select idea").uncheck()
        chosen.get_by_role("button", name="Pause 2 agents").click()
        expect(page.locator("#said")).to_contain_text("2 agents paused")
        expect(chosen.get_by_role("button")).to_have_count(0)
        assert all(signal.exists() for signal in signals)
        for name in ("in", "out"):
            page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
        chosen.get_by_role("button", name="Kill 2 agents").click()
        dialog = page.get_by_role("dialog", name="Kill 2 agents?")
        expect(dialog).to_contain_text("in, out")
        dialog.get_by_role("button", name="Kill agents").click()
        expect(page.locator("#warned")).to_contain_text("1 of 2 agents done. Agent out was not")
        assert was_terminated(inside)
        assert still_lives(outside)


def test_killing_asks_first_and_ends_the_process(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    child = children.worker(alive)
    alive.write(FILE, [entry("worker", child.pid, task="Write the mails")])
    with servers.serving(alive) as server:
        page = settled(open_page(f"{server.url}/#/agents")).page
        page.get_by_role("button", name="Kill worker").click()
        dialog = page.get_by_role("dialog", name="Kill worker?")
        expect(dialog).to_contain_text(str(child.pid))
        expect(dialog).to_contain_text("Write the mails")
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)
        assert still_lives(child)
        page.get_by_role("button", name="Kill worker").click()
        dialog.get_by_role("button", name="Kill agent").click()
        expect(page.locator("#said")).to_contain_text("Agent worker terminated")
        assert was_terminated(child)
        assert alive.read(FILE)[0]["status"] == "terminated"
        expect(panel(page, "Agents").locator(".pill")).to_have_text("Terminated")


def test_an_agent_that_was_not_killed_is_not_reported_as_killed(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    child = children.sleeper()  # works outside of the project
    alive.write(FILE, [entry("worker", child.pid)])
    with servers.serving(alive) as server:
        page = settled(open_page(f"{server.url}/#/agents")).page
        page.get_by_role("button", name="Kill worker").click()
        page.get_by_role("button", name="Kill agent").click()
        expect(page.locator("#warned")).to_contain_text("Failed: Agent worker was not signalled")
        expect(page.locator("#said")).to_be_empty()
        assert still_lives(child)


def test_an_agent_without_a_process_cannot_be_killed(running: Server, open_page: OpenPage) -> None:
    watched = settled(open_page(f"{running.url}/#/agents"))
    button = watched.page.get_by_role("button", name="Kill").first
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_attribute("title", "It has no process of its own")
    button.click(force=True)
    assert not [url for url in watched.asked if url.endswith("/kill")]


def test_processes_are_those_of_the_api(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    living, gone = children.sleeper().pid, children.dead()
    alive.write(FILE, [entry("worker", living, name="Worker"), entry("lost", gone)])
    helper = {"label": "resource-monitor", "started": "2026-11-24T09:01:28Z", "ppid": living}
    alive.write(f"pids/{gone}.json", helper)
    with servers.serving(alive, LOKI_WATCHDOG="true") as server:
        found = server.get("/api/health/processes").json()
        page = settled(open_page(f"{server.url}/#/agents")).page
        expect(panel(page, "Processes")).to_contain_text("Watchdog on")
        rows = [
            (f"Session {found['session']['status']}", "Alive", found["main_process"]["pid"]),
            ("Dashboard", "Alive", found["dashboard"]["pid"]),
            ("Worker agent", "Alive", living),
            ("lost agent", "Dead", gone),
            (f"resource-monitor child of {living}", "Dead", gone),
        ]
        expect_rows(
            table(page, "Processes"),
            [{"Process": name, "State": state, "Pid": str(pid)} for name, state, pid in rows],
        )


def test_the_context_window_is_measured_against_the_alert(
    running: Server, read_page: OpenPage
) -> None:
    (window,) = running.get("/api/context").json()["agents"]
    page = settled(read_page(f"{running.url}/#/agents")).page
    shown = panel(page, "Context windows")
    meter = shown.get_by_role("meter", name=f"Context window of {window['id']}")
    expect(meter).to_have_attribute("aria-valuenow", str(round(window["usage_percent"])))
    expect(shown).to_contain_text("Alerts at 90%")


def test_an_agent_has_a_page_of_its_own(running: Server, open_page: OpenPage) -> None:
    agent = running.get("/api/agents").json()[0]
    page = settled(open_page(f"{running.url}/#/agents/{agent['id']}")).page
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Agents / {agent['name']}")
    facts = {
        "Task": agent["task"],
        "Tools used": str(agent["tool_count"]),
        "Id": agent["id"],
        "State": re.compile(re.escape(agent["raw_status"])),
    }
    expect_facts(panel(page, "Facts"), facts)
    expect(page).to_have_title(re.compile(re.escape(agent["name"])))
    page.get_by_role("heading", level=1).get_by_role("link").click()
    expect(page).to_have_url(f"{running.url}/#/agents")


def test_a_link_to_an_agent_that_is_not_there_says_so(running: Server, read_page: OpenPage) -> None:
    page = settled(read_page(f"{running.url}/#/agents/nobody")).page
    expect(page.locator("#main")).to_contain_text("There is no such agent")


def test_an_agent_that_leaves_the_list_while_it_is_read_stays(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    alive.write(FILE, [entry("worker", children.sleeper().pid, task="Write the mails")])
    with servers.serving(alive) as server:
        page = settled(open_page(f"{server.url}/#/agents/worker")).page
        expect_facts(panel(page, "Facts"), {"Task": "Write the mails"})
        expect(page.get_by_role("button", name="Pause worker")).to_be_visible()
        alive.write(FILE, [])
        expect(page.locator("#main")).to_contain_text("no longer in the list")
        expect(page.get_by_role("button", name="Pause worker")).to_have_count(0)
        expect_facts(panel(page, "Facts"), {"Task": "Write the mails"})


def test_a_new_agent_appears_by_itself_and_the_focus_stays(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    first = entry("first", children.sleeper().pid)
    alive.write(FILE, [first])
    with servers.serving(alive) as server:
        page = settled(open_page(f"{server.url}/#/agents")).page
        button = page.get_by_role("button", name="Pause first")
        button.focus()
        alive.write(FILE, [entry("broken", status="failed"), first])
        expect(panel(page, "Agents").locator("tbody tr")).to_have_count(2)
        expect(button).to_be_focused()


@pytest.mark.parametrize("view", ["agents", "agents/bad"])
def test_texts_of_agents_stay_texts(
    alive: Place, children: Children, open_page: OpenPage, view: str
) -> None:
    texts = {"name": HOSTILE, "task": HOSTILE, "type": HOSTILE, "model": HOSTILE}
    alive.write(FILE, [{**entry("bad", children.sleeper().pid), **texts}])
    alive.write("pids/4999999.json", {"label": HOSTILE, "extra": HOSTILE})
    with servers.serving(alive) as server:
        watched = settled(open_page(f"{server.url}/#/{view}"))
        expect(watched.page.locator("#main")).to_contain_text(HOSTILE)
        expect(watched.page.locator("#main img, dialog img, #main b b")).to_have_count(0)
        assert watched.said == []


def test_an_empty_view_says_what_is_missing(blank: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(f"{blank.url}/#/agents"))
    expect(panel(watched.page, "Agents")).to_contain_text("No agents")
    expect(panel(watched.page, "Context windows")).to_contain_text("No window is known")
    states = [{"State": "Not running"}, {"State": "Alive"}]
    expect_rows(table(watched.page, "Processes"), states)
    assert watched.said == []


def test_a_failure_keeps_its_place_and_can_be_tried_again(
    running: Server, open_page: OpenPage
) -> None:
    address, detail = "**/api/health/processes", "The list cannot be read"
    page = open_page(f"{running.url}/#/agents", feed=False, route=refusing(address, detail)).page
    shown = panel(page, "Processes")
    expect(panel(page, "Agents").locator("tbody tr").first).to_be_visible()
    retry(shown, address, detail)
    expect(shown.locator("tbody tr").first).to_be_visible()


def test_a_viewer_sees_why_a_button_is_off(
    alive: Place, children: Children, open_page: OpenPage
) -> None:
    alive.write(FILE, [entry("worker", children.sleeper().pid)])
    accounts.everybody(alive)
    with servers.serving(alive, LOKI_ENTERPRISE_AUTH="true") as server:
        page = open_page(f"{server.url}/#/agents", token=accounts.raw("viewer")).page
        button = page.get_by_role("button", name="Pause worker")
        button.click(force=True)
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_attribute("title", "The token lacks the scope “control”")
        assert not (alive.loki / "signals/PAUSE_AGENT_worker").exists()
