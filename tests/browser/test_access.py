"""The page on a server that wants tokens: asking for one, and what it can do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.watching import Watched, settled
from tests.support import accounts, places, servers
from tests.support.servers import Server

CLOSED = {"LOKI_ENTERPRISE_AUTH": "true", "LOKI_ENTERPRISE_AUDIT": "true"}


@contextmanager
def serving(folder: Path, pid: int, **settings: str) -> Iterator[Server]:
    """Serve the recorded session and let nobody in without a token."""
    place = places.recorded(folder, live_pid=pid, today=True)
    accounts.everybody(place)
    with servers.serving(place, workers=1, **CLOSED, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, sleeper: int) -> Iterator[Server]:
    """A server that wants tokens, which tests share and do not change."""
    with serving(tmp_path_factory.mktemp("closed"), sleeper) as server:
        yield server


def enter(page: Page, token: str) -> None:
    dialog = page.get_by_role("dialog", name="Access token")
    dialog.get_by_label("Token").fill(token)
    dialog.get_by_role("button", name="Sign in").click()


def calls(watched: Watched) -> list[str]:
    return [url for url in watched.asked if "/api/" in url or urlsplit(url).path == "/ws"]


def test_before_a_sign_in_no_data_are_requested_or_shown(
    closed: Server, open_page: OpenPage
) -> None:
    watched = open_page(f"{closed.url}/#/tasks")
    expect(watched.page.get_by_role("dialog", name="Access token")).to_be_visible()
    expect(watched.page.get_by_role("dialog").get_by_label("Token")).to_be_focused()
    expect(watched.page.locator("#main")).to_contain_text("An access token is needed")
    assert calls(watched) == []
    assert watched.said == []


def test_a_wrong_token_is_said_and_not_used(closed: Server, open_page: OpenPage) -> None:
    watched = open_page(f"{closed.url}/#/tasks")
    enter(watched.page, accounts.raw("nobody"))
    dialog = watched.page.get_by_role("dialog", name="Access token")
    expect(dialog.get_by_role("alert")).to_have_text("A valid access token is required")
    assert len(calls(watched)) == 1
    assert watched.page.evaluate("sessionStorage.getItem('loki-token')") is None


@pytest.mark.parametrize("token", ["two words", "tökén", "→"])
def test_a_malformed_token_is_not_sent(closed: Server, open_page: OpenPage, token: str) -> None:
    watched = open_page(closed.url)
    enter(watched.page, token)
    expect(watched.page.get_by_role("alert").filter(has_text="no spaces")).to_be_visible()
    assert calls(watched) == []
    expect(watched.page.locator("#banner")).to_be_empty()


STORED = "Object.values({...localStorage, ...sessionStorage}).join()"


def test_a_right_token_opens_the_view_and_is_not_kept(closed: Server, open_page: OpenPage) -> None:
    watched = open_page(f"{closed.url}/#/tasks")
    page, token = watched.page, accounts.raw("operator")
    sent: list[tuple[str, dict[str, str]]] = []
    page.on("request", lambda request: sent.append((request.url, request.all_headers())))
    enter(page, f"  {token} ")
    settled(watched)
    expect(page.get_by_role("dialog")).to_have_count(0)
    tasks = closed.get("/api/tasks", headers=accounts.bearer("operator")).json()
    expect(page.locator("#main")).to_contain_text(tasks[0]["title"])
    expect(watched.strip.locator(".link-state")).to_have_text("Live")
    with_token = [url for url, headers in sent if "authorization" in headers]
    assert with_token == [f"{closed.url}/api/auth/session"]
    assert [url for url in watched.asked if token in url] == []
    assert [url for url in watched.asked if url.startswith("ws:")] == [f"ws://{closed.host}/ws"]
    assert token not in page.evaluate(STORED)
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("link", name="Council").click()
    page.get_by_role("button", name="Force review").click()
    expect(page.locator("#said")).to_contain_text("requested")


def test_tabs_follow_a_sign_in_and_a_sign_out(closed: Server, open_page: OpenPage) -> None:
    first = open_page(closed.url).page
    second = first.context.new_page()
    second.goto(f"{closed.url}/#/admin")
    pages = (first, second)
    for page in pages:
        expect(page.get_by_role("dialog", name="Access token")).to_be_visible()
    enter(first, accounts.raw("admin"))
    for page in pages:
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.locator("#strip .state")).to_have_text("Running")
        expect(page.locator("#strip .link-state")).to_have_text("Live")
    first.reload()
    later = first.context.new_page()
    later.goto(closed.url)
    for page in (first, later):
        expect(page.locator("#strip .state")).to_have_text("Running")
    second.get_by_role("button", name="Sign out").click()
    for page in (*pages, later):
        expect(page.get_by_role("dialog", name="Access token")).to_be_visible()
        expect(page.locator("#strip .link-state")).to_contain_text("No access")
    assert first.context.cookies() == []
    later.reload()
    expect(later.get_by_role("dialog", name="Access token")).to_be_visible()


def test_a_tab_keeps_its_token_where_the_cookie_is_not_sent(
    closed: Server, open_page: OpenPage
) -> None:
    """As in a frame of another site, or where the sign-in cannot be stored."""

    def without_cookie(route: Route) -> None:
        answer = route.fetch()
        kept = {name: text for name, text in answer.headers.items() if name != "set-cookie"}
        page.context.clear_cookies()
        route.fulfill(response=answer, headers=kept)

    watched = open_page(f"{closed.url}/#/tasks")
    page, token = watched.page, accounts.raw("viewer")
    page.route("**/api/auth/session", without_cookie)
    enter(page, token)
    expect(page.locator("#strip .state")).to_have_text("Running")
    expect(page.locator("#strip .link-state")).to_have_text("Live")
    assert [url for url in watched.asked if token in url] == []
    page.reload()
    expect(page.locator("#strip .state")).to_have_text("Running")
    other = page.context.new_page()
    other.goto(closed.url)
    expect(other.get_by_role("dialog", name="Access token")).to_be_visible()


WHY = re.compile("scope “control”|process")
VIEWS = {
    "agents": ["Pause", "Kill"],
    "council": ["Force review"],
    "alerts": ["Acknowledge all"],
    "checkpoints": ["New checkpoint"],
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_viewer_sees_what_cannot_be_done_and_why_without_having_tried(
    closed: Server, open_page: OpenPage, view: str
) -> None:
    watched = settled(open_page(f"{closed.url}/#/{view}", token=accounts.raw("viewer")))
    expect(watched.page.get_by_role("button", name="Stop session")).to_have_attribute(
        "title", "The token lacks the scope “control”"
    )
    for name in VIEWS[view]:
        buttons = watched.page.locator("#main .button", has_text=name)
        expect(buttons.first).to_be_visible()
        for button in buttons.all():
            expect(button).to_have_attribute("aria-disabled", "true")
            expect(button).to_have_attribute("title", WHY)
    before = len(calls(watched))
    watched.page.get_by_role("button", name="Stop session").click(force=True)
    expect(watched.page.get_by_role("dialog")).to_have_count(0)
    assert [url for url in calls(watched)[before:] if "/control/" in url] == []
    assert watched.said == []


def test_a_viewer_may_do_everything_once_the_server_wants_no_token(
    tmp_path: Path, sleeper: int, open_page: OpenPage
) -> None:
    place = places.recorded(tmp_path, live_pid=sleeper, today=True)
    accounts.everybody(place)
    port = {"LOKI_DASHBOARD_PORT": str(servers.free_port())}
    with servers.serving(place, workers=1, **port, **CLOSED) as server:
        page = open_page(f"{server.url}/#/council", token=accounts.raw("viewer")).page
        button = page.get_by_role("button", name="Force review")
        expect(button).to_have_attribute("title", "The token lacks the scope “control”")
    with servers.serving(place, workers=1, **port):
        page.reload()
        expect(page.locator("#main table tbody tr").first).to_be_visible()
        expect(button).to_be_enabled()
        expect(page.get_by_title("The token lacks")).to_have_count(0)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("admin", {"Tokens": "New token", "Audit log": "First day", "Secrets": "Docker"}),
        ("viewer", {"Tokens": "“admin”", "Audit log": "“audit”", "Secrets": "“admin”"}),
        ("auditor", {"Tokens": "“admin”", "Audit log": "First day", "Secrets": "“admin”"}),
        ("operator", {"Tokens": "“admin”", "Audit log": "“audit”", "Secrets": "“admin”"}),
    ],
)
def test_admin_shows_what_the_token_may_see_and_asks_for_nothing_else(
    closed: Server, open_page: OpenPage, name: str, shown: dict[str, str]
) -> None:
    watched = settled(open_page(f"{closed.url}/#/admin", token=accounts.raw(name)))
    for title, text in shown.items():
        region = watched.page.get_by_role("region", name=title, exact=True)
        expect(region).to_contain_text(text)
    assert watched.said == []


def test_another_token_takes_the_place_of_the_first(closed: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{closed.url}/#/admin", token=accounts.raw("viewer"))).page
    access = page.get_by_role("region", name="Access", exact=True)
    expect(access).to_contain_text("Your token mayread")
    access.get_by_role("button", name="Use another token").click()
    enter(page, accounts.raw("admin"))
    expect(access).to_contain_text("Your token maydo everything")
    expect(page.get_by_role("button", name="New token")).to_be_visible()
    expect(page.get_by_role("button", name="Stop session")).not_to_have_attribute(
        "aria-disabled", "true"
    )


def test_a_forgotten_token_empties_the_page(closed: Server, open_page: OpenPage) -> None:
    watched = settled(open_page(f"{closed.url}/#/admin", token=accounts.raw("admin")))
    watched.page.get_by_role("button", name="Sign out").click()
    expect(watched.page.get_by_role("dialog", name="Access token")).to_be_visible()
    expect(watched.page.locator("#main")).not_to_contain_text("operator")
    expect(watched.strip.locator(".link-state")).to_contain_text("No access")
    assert watched.page.evaluate("sessionStorage.getItem('loki-token')") is None


def test_a_token_that_is_revoked_meanwhile_empties_the_page(
    tmp_path: Path, sleeper: int, open_page: OpenPage
) -> None:
    with serving(tmp_path, sleeper) as server:
        watched = open_page(f"{server.url}/#/tasks")
        enter(watched.page, accounts.raw("operator"))
        title = server.get("/api/tasks", headers=accounts.bearer("operator")).json()[0]["title"]
        expect(watched.page.locator("#main")).to_contain_text(title)
        gone = server.request(
            "DELETE", "/api/enterprise/tokens/operator", headers=accounts.bearer("admin")
        )
        assert gone.status_code == 204
        # dispatched: the page may have noticed already, and have put its question over the button
        watched.page.locator("#strip .button").first.dispatch_event("click")
        dialog = watched.page.get_by_role("dialog", name="Access token")
        expect(dialog).to_contain_text("sign-in has ended")
        expect(watched.page.locator("#main")).not_to_contain_text(title)
        expect(watched.strip).not_to_contain_text("Cost")
        enter(watched.page, accounts.raw("viewer"))
        expect(watched.page.locator("#main")).to_contain_text(title)


def test_too_many_changes_say_when_to_try_again(
    tmp_path: Path, sleeper: int, open_page: OpenPage
) -> None:
    with serving(tmp_path, sleeper, LOKI_CONTROL_RATE_LIMIT="1") as server:
        page = settled(open_page(f"{server.url}/#/council", token=accounts.raw("operator"))).page
        button = page.get_by_role("button", name="Force review")
        button.click()
        expect(page.locator("#said")).to_contain_text("requested")
        button.click()
        warned = page.locator("#warned")
        expect(warned).to_contain_text("Too many requests. Try again in")
        expect(warned).to_contain_text(" s.")


def test_a_403_that_nobody_foresaw_says_which_scope_is_missing(
    closed: Server, open_page: OpenPage
) -> None:
    def refuse(route: Route) -> None:
        detail = "The token lacks the scope control"
        route.fulfill(status=403, json={"detail": detail})

    page = settled(
        open_page(
            f"{closed.url}/#/council",
            token=accounts.raw("admin"),
            route=lambda page: page.route("**/force-review", refuse),
        )
    ).page
    button = page.get_by_role("button", name="Force review")
    button.click()
    expect(page.locator("#warned")).to_contain_text("lacks the scope “control”")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_be_visible()
