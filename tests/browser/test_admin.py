"""The view Admin: the server, who gets in, keys, tokens, and who did what."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from loki_web import __version__
from tests.browser.conftest import OpenPage
from tests.browser.failing import refusing, retry
from tests.browser.reading import Row, expect_equal, expect_facts, expect_rows, panel
from tests.browser.seen import HOSTILE, PHONE, is_accessible, is_no_wider, is_only_text
from tests.browser.watching import Watched, settled
from tests.support import accounts, places, servers
from tests.support.places import Place
from tests.support.servers import Server

CLOSED = {"LOKI_ENTERPRISE_AUTH": "true", "LOKI_ENTERPRISE_AUDIT": "true"}
STORE = "dashboard/tokens.json"


@contextmanager
def serving(place: Place) -> Iterator[Server]:
    """Serve with tokens and audit, after two things were done."""
    accounts.everybody(place)
    with servers.serving(place, workers=1, **CLOSED) as server:
        server.post("/api/checkpoints", headers=accounts.bearer("admin"))
        server.post("/api/control/pause", headers=accounts.bearer("viewer"))
        yield server


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with tokens and audit, which tests share and do not change."""
    with serving(places.empty(tmp_path_factory.mktemp("closed"))) as server:
        yield server


@pytest.fixture
def own(empty_place: Place) -> Iterator[Server]:
    """A server with tokens and audit on the test's own place."""
    with serving(empty_place) as server:
        yield server


def opened(open_page: OpenPage, server: Server, query: str = "", **options: Any) -> Watched:
    address = f"{server.url}/#/admin{query}"
    return settled(open_page(address, token=accounts.raw("admin"), **options))


def ask(server: Server, path: str) -> Any:
    answer = server.get(path, headers=accounts.bearer("admin"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def stored(place: Place) -> dict[str, dict[str, Any]]:
    path = place.home / ".loki" / STORE
    return {each["name"]: each for each in json.loads(path.read_text())["tokens"].values()}


def listed(page: Page, title: str) -> Locator:
    return panel(page, title).locator("table")


def row(page: Page, name: str) -> Locator:
    shown = panel(page, "Tokens").locator("tbody tr")
    return shown.filter(has=page.locator("td:first-child .strong", has_text=name))


def test_the_server_says_what_it_is(running: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(f"{running.url}/#/admin"))
    facts = {
        "Health": "Healthy loki-dashboard",
        "Version": f"Loki Web {__version__}",
        "Loki Mode": running.get("/api/status").json()["version"],
    }
    expect_facts(panel(watched.page, "Server"), facts)
    assert watched.said == []


def test_its_pages_are_linked_and_there(running: Server, read_page: OpenPage) -> None:
    page = settled(read_page(f"{running.url}/#/admin")).page
    links = panel(page, "Server").get_by_role("link")
    expect(links.first).to_be_visible()
    paths = links.evaluate_all("links => links.map(link => new URL(link.href).pathname)")
    assert {"/docs", "/openapi.json", "/metrics", "/health"} <= set(paths)
    assert {running.get(path).status_code for path in paths} == {200}


def test_features_that_are_off_are_named_and_not_requested(
    running: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(f"{running.url}/#/admin"))
    page = watched.page
    access: Row = {
        "Needed to get in": re.compile("^Nothing"),
        "Tokens": "Off LOKI_ENTERPRISE_AUTH",
        "Audit queries": "Off LOKI_ENTERPRISE_AUDIT",
    }
    expect_facts(panel(page, "Access"), access)
    expect(panel(page, "Tokens")).to_contain_text("LOKI_ENTERPRISE_AUTH=true")
    expect(panel(page, "Audit log")).to_contain_text("LOKI_ENTERPRISE_AUDIT=true")
    assert not [
        url for url in watched.asked if "enterprise/tokens" in url or "enterprise/audit" in url
    ]
    assert watched.said == []


def test_access_says_what_the_api_says(closed: Server, open_page: OpenPage) -> None:
    page = opened(open_page, closed).page
    access: Row = {
        "Needed to get in": "Token",
        "Your token may": "do everything",
        "Tokens": re.compile("^On"),
        "OIDC": re.compile("^Off"),
        "Audit queries": re.compile("^On"),
        "Enterprise mode": re.compile("^On"),
    }
    expect_facts(panel(page, "Access"), access)


def test_secrets_are_shown_by_name(empty_place: Place, open_page: OpenPage) -> None:
    with servers.serving(empty_place, ANTHROPIC_API_KEY="sk-ant-not-real-12345") as server:
        page = settled(open_page(f"{server.url}/#/admin")).page
        said = {"Environment": "ANTHROPIC_API_KEY", "Docker": "None", "Kubernetes": "None"}
        expect_facts(panel(page, "Secrets"), said)
        assert "not-real" not in page.content()


def test_tokens_are_those_of_the_api(closed: Server, open_page: OpenPage) -> None:
    said = ask(closed, "/api/enterprise/tokens")
    watched = opened(open_page, closed)
    shown = listed(watched.page, "Tokens")
    expect_rows(shown, [{"Name": f"{each['name']} {each['id']}"} for each in reversed(said)])
    cells: dict[str, Row] = {
        "viewer": {"May": "Viewer: read", "Expires": "Never"},
        "admin": {"May": "everything", "Last used": re.compile("ago|just now")},
        "auditor": {"May": "read, audit"},
        "expired": {"State": "Expired"},
        "bogus": {"Last used": "Never"},
    }
    for name, texts in cells.items():
        for label, text in texts.items():
            cell = row(watched.page, name).locator(f'[data-label="{label}"]')
            expect(cell).to_have_text(text, use_inner_text=True)
    assert watched.said == []


def test_revoked_tokens_are_shown_on_request(closed: Server, open_page: OpenPage) -> None:
    page = opened(open_page, closed).page
    expect(row(page, "revoked")).to_have_count(0)
    page.get_by_role("button", name="Revoked 1").click()
    expect(row(page, "revoked")).to_contain_text("Revoked")
    expect(row(page, "revoked").get_by_role("button")).to_have_text(["Delete"])


def make(page: Page, name: str, role: str, days: str, *scopes: str) -> None:
    page.get_by_role("button", name="New token").click()
    dialog = page.get_by_role("dialog", name="New token")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Role").select_option(role)
    if not role:
        for box in dialog.get_by_role("checkbox").all():
            box.set_checked(box.get_attribute("name") in [f"scope {scope}" for scope in scopes])
    dialog.get_by_label("Days").fill(days)
    dialog.get_by_role("button", name="Make token").click()


@pytest.mark.parametrize(
    ("role", "scopes", "days", "expected"),
    [
        ("viewer", (), "90", {"scopes": ["read"], "role": "viewer"}),
        ("operator", (), "", {"scopes": ["control", "read", "write"], "role": "operator"}),
        ("", ("read", "audit"), "1", {"scopes": ["read", "audit"]}),
        ("", ("*",), "3650", {"scopes": ["*"]}),
    ],
)
def test_a_token_is_made_shown_once_and_works(
    empty_place: Place,
    own: Server,
    open_page: OpenPage,
    role: str,
    scopes: tuple[str, ...],
    days: str,
    expected: dict[str, Any],
) -> None:
    watched = opened(open_page, own, permissions=["clipboard-read", "clipboard-write"])
    page = watched.page
    make(page, "ci", role, days, *scopes)
    dialog = page.get_by_role("dialog", name="Token “ci”")
    field = dialog.get_by_label("The token")
    expect(field).to_have_value(re.compile("^loki_"))
    token = field.input_value()
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog).to_contain_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == token
    dialog.get_by_role("button", name="I have it").click()
    expect(row(page, "ci")).to_contain_text("Active")
    expect(row(page, "ci")).to_contain_text("in " if days else "Never")
    assert token not in page.content()
    kept = stored(empty_place)["ci"]
    assert {key: kept[key] for key in expected} == expected
    assert (kept["expires_at"] is None) == (not days)
    bearer = {"Authorization": f"Bearer {token}"}
    assert own.get("/api/status", headers=bearer).status_code == 200
    assert watched.said == []


def test_the_token_is_not_lost_by_a_click_beside_it(own: Server, open_page: OpenPage) -> None:
    page = opened(open_page, own).page
    make(page, "ci", "viewer", "1")
    dialog = page.get_by_role("dialog", name="Token “ci”")
    expect(dialog).to_be_visible()
    page.mouse.click(5, 5)
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()


def test_a_name_that_is_taken_is_said_in_the_dialog(own: Server, open_page: OpenPage) -> None:
    page = opened(open_page, own).page
    make(page, "viewer", "viewer", "1")
    dialog = page.get_by_role("dialog", name="New token")
    expect(dialog.get_by_role("alert")).to_contain_text("A token with this name already exists")
    expect(dialog.get_by_label("Name")).to_have_value("viewer")
    page.keyboard.press("Escape")
    held: list[Route] = []
    page.route("**/api/enterprise/tokens", lambda route: held.append(route))
    for name in ("viewer", "late"):  # the dialog is closed before the server answers
        with page.expect_request("**/api/enterprise/tokens"):
            make(page, name, "viewer", "1")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect_equal(page, lambda: len(held), 1)
        held.pop().continue_()
        if name == "viewer":
            expect(page.locator("#warned")).to_contain_text("already exists")
    expect(
        page.get_by_role("dialog", name="Token “late”").get_by_label("The token")
    ).to_be_visible()


@pytest.mark.parametrize(
    ("verb", "title", "said"),
    [("Revoke", "Revoke operator?", "revoked"), ("Delete", "Delete operator?", "deleted")],
)
def test_a_token_is_ended_after_a_question(
    empty_place: Place, own: Server, open_page: OpenPage, verb: str, title: str, said: str
) -> None:
    page = opened(open_page, own).page
    page.get_by_role("button", name=f"{verb} operator").click()
    dialog = page.get_by_role("dialog", name=title)
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name="Cancel").click()
    assert not stored(empty_place)["operator"]["revoked"]
    page.get_by_role("button", name=f"{verb} operator").click()
    dialog.get_by_role("button", name=f"{verb} token").click()
    expect(page.locator("#said")).to_contain_text(f"Token operator {said}")
    expect(row(page, "operator")).to_have_count(0)
    if verb == "Delete":
        assert "operator" not in stored(empty_place)
    else:
        assert stored(empty_place)["operator"]["revoked"] is True
    used = own.get("/api/status", headers=accounts.bearer("operator"))
    assert used.status_code == 401


def test_the_audit_log_is_that_of_the_api(closed: Server, open_page: OpenPage) -> None:
    said = ask(closed, "/api/enterprise/audit")
    assert len(said) == 2
    refused: Row = {
        "Who": re.compile("^viewer"),
        "Did": "Pause",
        "Outcome": f"Failed {said[0]['error']}",
    }
    done: Row = {"Who": re.compile("^admin"), "Did": "Create", "Outcome": "Done"}
    shown = listed(opened(open_page, closed).page, "Audit log")
    expect_rows(shown, [refused, done])
    expect(shown.locator('[data-label="To"]').last).to_contain_text("Checkpoint")


def test_an_entry_shows_all_that_is_known(closed: Server, open_page: OpenPage) -> None:
    said = ask(closed, "/api/enterprise/audit")[0]
    page = opened(open_page, closed).page
    page.get_by_role("button", name="Details of pause").click()
    shown = {"Ip address": said["ip_address"], "User agent": said["user_agent"], "Success": "No"}
    expect_facts(page.get_by_role("dialog", name="Pause"), shown)


FILTERS = [
    ("?action=pause", ["Pause"]),
    ("?kind=checkpoint", ["Create"]),
    ("?action=create&kind=session", []),
    ("?from=2020-01-01&to=2020-01-02", []),
    ("?from=2020-01-01", ["Pause", "Create"]),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS)
def test_audit_filters_are_in_the_address(
    closed: Server, open_page: OpenPage, query: str, expected: list[str]
) -> None:
    page = opened(open_page, closed, query).page
    if expected:
        expect_rows(listed(page, "Audit log"), [{"Did": each} for each in expected])
    else:
        expect(panel(page, "Audit log")).to_contain_text("No entries")


def test_audit_filters_are_typed(closed: Server, open_page: OpenPage) -> None:
    page = opened(open_page, closed).page
    field = panel(page, "Audit log").get_by_label("Action")
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.keyboard.type("create")
    page.keyboard.press("Enter")
    expect(panel(page, "Audit log").locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(f"{closed.url}/#/admin?action=create")
    field.fill("")
    field.blur()
    expect(panel(page, "Audit log").locator("tbody tr")).to_have_count(2)


def test_a_date_that_is_none_is_said(closed: Server, open_page: OpenPage) -> None:
    page = opened(open_page, closed, "?from=yesterday").page
    expect(panel(page, "Audit log")).to_contain_text("date")


def test_long_logs_are_paged(own: Server, open_page: OpenPage) -> None:
    for _ in range(30):
        own.post("/api/control/pause", headers=accounts.bearer("viewer"))
    page = opened(open_page, own).page
    log = panel(page, "Audit log")
    expect(log.locator("tbody tr")).to_have_count(25)
    log.get_by_role("button", name="Older").click()
    expect(log.locator("tbody tr")).to_have_count(7)
    expect(log).to_contain_text("Page 2")
    expect(page).to_have_url(f"{own.url}/#/admin?page=1")
    log.get_by_role("button", name="Newer").click()
    expect(log.locator("tbody tr")).to_have_count(25)


def test_activity_adds_up_as_the_api_does_and_leads_to_entries(
    closed: Server, open_page: OpenPage
) -> None:
    said = ask(closed, "/api/enterprise/audit/summary?days=7")
    page = opened(open_page, closed).page
    activity = panel(page, "Activity")
    expect(activity).to_contain_text(f"{said['total_events']} events")
    for name, count in {
        "Done": said["successful_events"],
        "Failed": said["failed_events"],
        "Pause": said["by_action"]["pause"],
        "viewer": said["by_user"]["viewer"],
    }.items():
        expect(activity.locator(".legend li", has_text=name)).to_have_text(f"{name}{count}")
    expect(activity).to_contain_text(said["recent_failures"][0]["error"])
    activity.get_by_role("link", name="Pause").click()
    expect(panel(page, "Audit log").locator("tbody tr")).to_have_count(1)
    with page.expect_request("**/audit/summary?days=30"):
        panel(page, "Activity").get_by_role("button", name="30 days").click()


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("**/api/enterprise/tokens**", "Tokens"),
        ("**/api/enterprise/audit?**", "Audit log"),
        ("**/api/enterprise/audit/summary**", "Activity"),
        ("**/api/secrets/status", "Secrets"),
        ("**/api/auth/info", "Access"),
        ("**/health", "Server"),
        ("**/api/enterprise/status", "Tokens"),
    ],
)
def test_a_part_that_fails_says_so_and_can_be_tried_again(
    closed: Server, open_page: OpenPage, path: str, title: str
) -> None:
    page = open_page(
        f"{closed.url}/#/admin",
        token=accounts.raw("admin"),
        feed=False,
        route=refusing(path, "Not today"),
    ).page
    retry(panel(page, title), path, "Not today")


def test_hostile_texts_stay_text(empty_place: Place, open_page: OpenPage) -> None:
    accounts.store(
        empty_place,
        accounts.entry("admin", "*"),
        {**accounts.entry("x", HOSTILE), "name": HOSTILE, "role": HOSTILE},
    )
    with servers.serving(empty_place, workers=1, **CLOSED) as server:
        server.request(
            "DELETE",
            "/api/enterprise/tokens/" + "%3Cimg src=x onerror=1%3E",
            headers={**accounts.bearer("admin"), "User-Agent": "<img src=x onerror=alert(1)>"},
        )
        watched = opened(open_page, server, viewport=PHONE)
        expect(listed(watched.page, "Audit log").locator("tbody tr")).to_have_count(1)
        watched.page.get_by_role("button", name="Details of").click()
        dialog = watched.page.get_by_role("dialog")
        expect(dialog).to_contain_text("<img src=x onerror=alert(1)>")
        expect(dialog.locator("img")).to_have_count(0)
        watched.page.keyboard.press("Escape")
        is_only_text(watched)
        is_no_wider(watched, PHONE["width"])


def test_axe_finds_nothing(closed: Server, open_page: OpenPage) -> None:
    watched = opened(open_page, closed)
    page = watched.page
    expect(listed(page, "Audit log")).to_be_visible()
    is_accessible(watched)
    page.get_by_role("button", name="New token").click()
    page.get_by_role("dialog").get_by_label("Role").select_option("")
    is_accessible(watched)
    page.keyboard.press("Escape")
    page.set_viewport_size(PHONE)
    is_accessible(watched)
    is_no_wider(watched, PHONE["width"])


def test_axe_finds_nothing_where_all_is_off(running: Server, read_page: OpenPage) -> None:
    is_accessible(settled(read_page(f"{running.url}/#/admin")))
