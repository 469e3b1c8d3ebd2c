"""The view Checkpoints: made with a message, listed, looked into by their addresses."""

import pytest
from playwright.sync_api import Page, expect

from tests import servers
from tests.browser.conftest import OpenPage
from tests.browser.reading import cells, facts
from tests.browser.seen import HOSTILE, PHONE, both_themes, is_accessible, is_no_wider, is_only_text
from tests.browser.watching import settled
from tests.places import Place
from tests.servers import Server

FOLDER = "state/checkpoints"
SHA = "07f31ae0b8ed5f54515580c99d0fb9296850791f"


def put(place: Place, identity: str, **metadata: object) -> None:
    place.write(f"{FOLDER}/{identity}/metadata.json", {"id": identity, **metadata})


@pytest.fixture
def kept(empty_place: Place) -> Place:
    put(empty_place, "chk-1", created_at="2026-11-20T10:00:00Z", message="before deploy")
    put(
        empty_place,
        "cp-2",
        created_at="2026-11-21T10:00:00Z",
        message="",
        git_sha=SHA,
        files=["metadata.json", "queue/pending.json"],
        iteration=7,
        task_id="task-001",
        git_branch="main",
    )
    put(empty_place, "chk-3", created_at="2026-11-22T10:00:00Z", message="before refactor")
    return empty_place


def table(page: Page) -> list[dict[str, str]]:
    expect(page.locator("#main tbody tr").first).to_be_visible()
    return cells(page.locator("#main table"))


def test_the_list_is_that_of_the_api(running: Server, open_page: OpenPage) -> None:
    said = running.get("/api/checkpoints").json()
    assert said
    watched = settled(open_page(f"{running.url}/#/checkpoints"))
    shown = table(watched.page)
    assert [row["Id"] for row in shown] == [each["id"] for each in said]
    assert [row["Message"] for row in shown] == [
        each["message"] or "Without a message" for each in said
    ]
    assert [row["Commit"] for row in shown] == [each["git_sha"][:8] or "–" for each in said]
    assert [row["Files"] for row in shown] == [str(len(each["files"])) for each in said]
    expect(watched.page.locator("#main .head")).to_contain_text(f"{len(said)} checkpoints")
    assert watched.said == []


def test_one_is_opened_from_the_list_and_closed_again(kept: Place, open_page: OpenPage) -> None:
    with servers.serving(kept) as server:
        watched = settled(open_page(f"{server.url}/#/checkpoints"))
        page = watched.page
        row = page.get_by_role("link", name="Without a message")
        row.click()
        assert page.url.endswith("#/checkpoints/cp-2")
        pane = page.get_by_role("dialog", name="cp-2")
        expect(pane.get_by_role("listitem")).to_have_text(["metadata.json", "queue/pending.json"])
        said = facts(pane)
        assert said["Id"] == "cp-2"
        assert said["Commit"] == SHA
        assert said["Iteration"] == "7"
        assert said["Git branch"] == "main"
        expect(pane.get_by_role("link", name="task-001")).to_have_attribute(
            "href", "#/tasks/task-001"
        )
        page.keyboard.press("Escape")
        expect(pane).to_be_hidden()
        expect(row).to_be_focused()
        assert watched.said == []


def test_a_deep_link_opens_one(kept: Place, open_page: OpenPage) -> None:
    with servers.serving(kept) as server:
        page = settled(open_page(f"{server.url}/#/checkpoints/chk-1")).page
        expect(page.get_by_role("dialog", name="before deploy")).to_contain_text("chk-1")


@pytest.mark.parametrize("identity", ["chk-gone", "..%2F..", "x%20y"])
def test_one_that_is_not_there_says_so(kept: Place, open_page: OpenPage, identity: str) -> None:
    with servers.serving(kept) as server:
        page = settled(open_page(f"{server.url}/#/checkpoints/{identity}")).page
        expect(page.locator("dialog.drawer")).to_contain_text("There is no such checkpoint")
        assert len(table(page)) == 3


def test_one_that_cannot_be_loaded_can_be_tried_again(kept: Place, open_page: OpenPage) -> None:
    path = "**/api/checkpoints/chk-1"
    with servers.serving(kept) as server:
        page = settled(
            open_page(
                f"{server.url}/#/checkpoints/chk-1",
                prepare=lambda page: page.route(
                    path, lambda route: route.fulfill(status=500, json={"detail": "Not readable"})
                ),
            )
        ).page
        pane = page.locator("dialog.drawer")
        expect(pane).to_contain_text("Not readable")
        page.unroute(path)
        pane.get_by_role("button", name="Retry").click()
        expect(pane.get_by_role("heading", level=2)).to_have_text("before deploy")


def test_a_new_one_is_made_with_its_message(kept: Place, open_page: OpenPage) -> None:
    kept.write("dashboard-state.json", {"phase": "QA"})
    with servers.serving(kept) as server:
        watched = settled(open_page(f"{server.url}/#/checkpoints"))
        page = watched.page
        page.get_by_role("button", name="New checkpoint").click()
        dialog = page.get_by_role("dialog", name="New checkpoint")
        expect(dialog.get_by_label("Message")).to_be_focused()
        page.keyboard.type("by hand")
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)
        expect(page.locator("#said")).to_contain_text("created")
        link = page.get_by_role("link", name="by hand")
        expect(link).to_be_visible()
        made = (link.get_attribute("href") or "").split("/")[-1]
        assert kept.read(f"{FOLDER}/{made}/metadata.json")["message"] == "by hand"
        assert (kept.loki / FOLDER / made / "dashboard-state.json").exists()
        assert len(table(page)) == 4
        assert watched.said == []


def test_what_the_server_refuses_stays_in_the_dialog(kept: Place, open_page: OpenPage) -> None:
    with servers.serving(kept) as server:
        page = settled(open_page(f"{server.url}/#/checkpoints")).page
        page.get_by_role("button", name="New checkpoint").click()
        dialog = page.get_by_role("dialog", name="New checkpoint")
        dialog.get_by_label("Message").fill("x" * 501)
        dialog.get_by_role("button", name="Create checkpoint").click()
        expect(dialog.get_by_role("alert")).to_contain_text("message")
        expect(dialog.get_by_label("Message")).to_have_value("x" * 501)
        assert len(table(page)) == 3


def test_the_filter_is_in_the_address(kept: Place, open_page: OpenPage) -> None:
    with servers.serving(kept) as server:
        page = settled(open_page(f"{server.url}/#/checkpoints?q=BEFORE")).page
        assert [row["Id"] for row in table(page)] == ["chk-3", "chk-1"]
        page.keyboard.press("/")
        expect(page.get_by_label("Filter checkpoints")).to_be_focused()
        page.keyboard.type(" deploy")
        expect(page.locator("#main tbody tr")).to_have_count(1)
        expect(page.locator("#main .head")).to_contain_text("1 of 3 checkpoints")
        assert page.url.endswith("?q=BEFORE+deploy")
        page.get_by_label("Filter checkpoints").fill("nothing like it")
        expect(page.locator("#main")).to_contain_text("No checkpoint fits")


def test_one_made_elsewhere_appears_by_itself(kept: Place, open_page: OpenPage) -> None:
    with servers.serving(kept) as server:
        page = settled(open_page(f"{server.url}/#/checkpoints")).page
        assert server.post("/api/checkpoints", json={"message": "from afar"}).status_code == 201
        expect(page.get_by_role("link", name="from afar")).to_be_visible(timeout=10_000)


def test_rows_are_walked_by_keys(kept: Place, open_page: OpenPage) -> None:
    with servers.serving(kept) as server:
        page = settled(open_page(f"{server.url}/#/checkpoints")).page
        page.keyboard.press("j")
        page.keyboard.press("j")
        expect(page.get_by_role("link", name="Without a message")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="cp-2")).to_be_visible()


def test_without_checkpoints_it_says_what_would_be_here(
    empty_place: Place, open_page: OpenPage
) -> None:
    with servers.serving(empty_place) as server:
        watched = settled(open_page(f"{server.url}/#/checkpoints"))
        expect(watched.page.locator("#main")).to_contain_text("No checkpoints yet")
        expect(watched.page.get_by_role("button", name="New checkpoint")).to_be_enabled()
        assert watched.said == []


def test_a_list_that_fails_says_so_and_can_be_tried_again(kept: Place, open_page: OpenPage) -> None:
    with servers.serving(kept) as server:
        page = open_page(
            f"{server.url}/#/checkpoints",
            prepare=lambda page: page.route(
                "**/api/checkpoints?**",
                lambda route: route.fulfill(status=503, json={"detail": "Not now"}),
            ),
        ).page
        expect(page.locator("#main")).to_contain_text("Not now")
        page.unroute("**/api/checkpoints?**")
        page.get_by_role("button", name="Retry").click()
        assert len(table(page)) == 3


def test_hostile_texts_stay_text(empty_place: Place, open_page: OpenPage) -> None:
    put(
        empty_place,
        "chk-1",
        message=HOSTILE,
        git_sha=HOSTILE,
        files=[HOSTILE],
        **{HOSTILE: {HOSTILE: [HOSTILE]}},
    )
    with servers.serving(empty_place) as server:
        watched = settled(open_page(f"{server.url}/#/checkpoints/chk-1", viewport=PHONE))
        pane = watched.page.locator("dialog.drawer")
        expect(pane).to_contain_text("<img src=x onerror=")
        assert pane.locator("img, script").count() == 0
        is_only_text(watched)
        is_no_wider(watched, PHONE["width"])


@both_themes
def test_axe_finds_nothing(kept: Place, open_page: OpenPage, theme: str) -> None:
    with servers.serving(kept) as server:
        watched = settled(
            open_page(f"{server.url}/#/checkpoints", bypass_csp=True, color_scheme=theme)
        )
        table(watched.page)
        is_accessible(watched)
        watched.page.goto(f"{server.url}/#/checkpoints/cp-2")
        expect(watched.page.locator("dialog.drawer")).to_contain_text(SHA)
        is_accessible(watched)
        watched.page.set_viewport_size(PHONE)
        is_accessible(watched)
        is_no_wider(watched, PHONE["width"])
