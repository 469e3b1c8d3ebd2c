"""The view Checkpoints: made with a message, listed, looked into by their addresses."""

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.failing import refusing, retry
from tests.browser.reading import Row, expect_facts, expect_rows, panel
from tests.browser.seen import HOSTILE, PHONE, is_accessible, is_no_wider, is_only_text
from tests.browser.watching import settled
from tests.support import places, servers
from tests.support.places import Place
from tests.support.servers import Server

FOLDER = "state/checkpoints"
SHA = "07f31ae0b8ed5f54515580c99d0fb9296850791f"


def put(place: Place, identity: str, **metadata: object) -> None:
    place.write(f"{FOLDER}/{identity}/metadata.json", {"id": identity, **metadata})


def keep(place: Place) -> Place:
    put(place, "chk-1", created_at="2026-11-20T10:00:00Z", message="before deploy")
    put(
        place,
        "cp-2",
        created_at="2026-11-21T10:00:00Z",
        message="",
        git_sha=SHA,
        files=["metadata.json", "queue/pending.json"],
        iteration=7,
        task_id="task-001",
        git_branch="main",
    )
    put(place, "chk-3", created_at="2026-11-22T10:00:00Z", message="before refactor")
    return place


@pytest.fixture
def kept(empty_place: Place) -> Place:
    """Three checkpoints, for a server of the test's own."""
    return keep(empty_place)


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on three checkpoints, which tests share and do not change."""
    with servers.serving(keep(places.empty(tmp_path_factory.mktemp("kept")))) as server:
        yield server


def table(page: Page) -> Locator:
    return page.locator("#main table")


def rows(page: Page) -> Locator:
    return table(page).locator("tbody tr")


def test_the_list_is_that_of_the_api(running: Server, read_page: OpenPage) -> None:
    said = running.get("/api/checkpoints").json()
    assert said
    watched = settled(read_page(f"{running.url}/#/checkpoints"))
    expect_rows(
        table(watched.page),
        [
            {
                "Id": each["id"],
                "Message": each["message"] or "Without a message",
                "Commit": each["git_sha"][:8] or "–",
                "Files": str(len(each["files"])),
            }
            for each in said
        ],
    )
    expect(watched.page.locator("#main .head")).to_contain_text(f"{len(said)} checkpoints")
    assert watched.said == []


def test_a_checkpoint_is_opened_from_the_list_and_closed_again(
    keeping: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(f"{keeping.url}/#/checkpoints"))
    page = watched.page
    row = page.get_by_role("link", name="Without a message")
    row.click()
    expect(page).to_have_url(f"{keeping.url}/#/checkpoints/cp-2")
    pane = page.get_by_role("dialog", name="cp-2")
    expect(pane.get_by_role("listitem")).to_have_text(["metadata.json", "queue/pending.json"])
    facts = {"Id": "cp-2", "Commit": SHA, "Iteration": "7", "Git branch": "main"}
    expect_facts(pane, facts)
    expect(pane.get_by_role("link", name="task-001")).to_have_attribute("href", "#/tasks/task-001")
    page.keyboard.press("Escape")
    expect(pane).to_be_hidden()
    expect(row).to_be_focused()
    assert watched.said == []


def test_a_deep_link_opens_a_checkpoint(keeping: Server, read_page: OpenPage) -> None:
    page = settled(read_page(f"{keeping.url}/#/checkpoints/chk-1")).page
    expect(page.get_by_role("dialog", name="before deploy")).to_contain_text("chk-1")


def test_two_checkpoints_are_compared_and_restored_by_a_command(
    keeping: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(f"{keeping.url}/#/checkpoints/cp-2"))
    pane = watched.page.get_by_role("dialog", name="cp-2")
    expect(pane).to_contain_text("loki checkpoint rollback cp-2")
    pane.get_by_label("Compare with").select_option("chk-1")
    rows: list[Row] = [
        {"What": "Made", "before deploy": re.compile("1d 0h apart")},
        {"What": "Files", "This one": "2", "before deploy": "1"},
        {"What": "Only here", "This one": "queue/pending.json", "before deploy": "–"},
        {"What": "Commit", "This one": SHA[:12], "before deploy": "–"},
        {"What": "Iteration", "This one": "7", "before deploy": "–"},
        {"What": "Task id", "This one": "task-001", "before deploy": "–"},
        {"What": "Git branch", "This one": "main", "before deploy": "–"},
    ]
    expect(pane.locator("tbody tr")).to_have_count(len(rows))
    for index, row in enumerate(rows):
        for label, text in row.items():
            cell = pane.locator("tbody tr").nth(index).locator(f'[data-label="{label}"]')
            expect(cell).to_have_text(text)
    expect(watched.page).to_have_url(f"{keeping.url}/#/checkpoints/cp-2?with=chk-1")
    watched.page.reload()
    expect(pane.locator("tbody tr")).to_have_count(len(rows))
    assert watched.said == []


@pytest.mark.parametrize("identity", ["chk-gone", "..%2F..", "x%20y"])
def test_a_missing_checkpoint_is_reported(
    keeping: Server, read_page: OpenPage, identity: str
) -> None:
    page = settled(read_page(f"{keeping.url}/#/checkpoints/{identity}")).page
    expect(page.locator("dialog.drawer")).to_contain_text("There is no such checkpoint")
    expect(rows(page)).to_have_count(3)


def test_a_checkpoint_that_fails_to_load_can_be_loaded_again(
    keeping: Server, open_page: OpenPage
) -> None:
    address, detail = "**/api/checkpoints/chk-1", "Not readable"
    page = open_page(
        f"{keeping.url}/#/checkpoints/chk-1", feed=False, route=refusing(address, detail)
    ).page
    pane = page.locator("dialog.drawer")
    retry(pane, address, detail)
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
        expect(rows(page)).to_have_count(4)
        assert watched.said == []


def test_a_refused_creation_stays_in_the_dialog(keeping: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{keeping.url}/#/checkpoints")).page
    page.get_by_role("button", name="New checkpoint").click()
    dialog = page.get_by_role("dialog", name="New checkpoint")
    dialog.get_by_label("Message").fill("x" * 501)
    dialog.get_by_role("button", name="Create checkpoint").click()
    expect(dialog.get_by_role("alert")).to_contain_text("message")
    expect(dialog.get_by_label("Message")).to_have_value("x" * 501)
    expect(rows(page)).to_have_count(3)


def test_the_filter_is_in_the_address(keeping: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{keeping.url}/#/checkpoints?q=BEFORE")).page
    expect_rows(table(page), [{"Id": "chk-3"}, {"Id": "chk-1"}])
    page.keyboard.press("/")
    expect(page.get_by_label("Filter checkpoints")).to_be_focused()
    page.keyboard.type(" deploy")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#main .head")).to_contain_text("1 of 3 checkpoints")
    expect(page).to_have_url(re.compile(r"\?q=BEFORE\+deploy$"))
    page.get_by_label("Filter checkpoints").fill("nothing like it")
    expect(page.locator("#main")).to_contain_text("No checkpoint fits")


def test_checkpoints_of_other_programs_appear_and_disappear(
    kept: Place, open_page: OpenPage
) -> None:
    with servers.serving(kept) as server:
        page = settled(open_page(f"{server.url}/#/checkpoints")).page
        made = server.post("/api/checkpoints", json={"message": "from afar"})
        assert made.status_code == 201
        expect(page.get_by_role("link", name="from afar")).to_be_visible()
        shutil.rmtree(kept.loki / FOLDER / made.json()["id"])
        expect(page.get_by_role("link", name="from afar")).to_have_count(0)


def test_rows_are_walked_by_keys(keeping: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{keeping.url}/#/checkpoints")).page
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Without a message")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="cp-2")).to_be_visible()


def test_an_empty_view_says_what_is_missing(blank: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(f"{blank.url}/#/checkpoints"))
    expect(watched.page.locator("#main")).to_contain_text("No checkpoints yet")
    expect(watched.page.get_by_role("button", name="New checkpoint")).to_be_enabled()
    assert watched.said == []


def test_a_list_that_fails_says_so_and_can_be_tried_again(
    keeping: Server, open_page: OpenPage
) -> None:
    address, detail = "**/api/checkpoints?**", "Not now"
    page = open_page(
        f"{keeping.url}/#/checkpoints", feed=False, route=refusing(address, detail)
    ).page
    retry(panel(page, "Checkpoints"), address, detail)
    expect(rows(page)).to_have_count(3)


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
        expect(pane.locator("img, script")).to_have_count(0)
        is_only_text(watched)
        is_no_wider(watched, PHONE["width"])


def test_axe_finds_nothing(keeping: Server, open_page: OpenPage) -> None:
    watched = settled(open_page(f"{keeping.url}/#/checkpoints"))
    expect(table(watched.page)).to_be_visible()
    is_accessible(watched)
    watched.page.goto(f"{keeping.url}/#/checkpoints/cp-2")
    expect(watched.page.locator("dialog.drawer")).to_contain_text(SHA)
    is_accessible(watched)
    watched.page.set_viewport_size(PHONE)
    is_accessible(watched)
    is_no_wider(watched, PHONE["width"])
