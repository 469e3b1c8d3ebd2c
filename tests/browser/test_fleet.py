"""The view Fleet, and a page that shows another project than the one of its server."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.reading import expect_equal, expect_rows, money, panel
from tests.browser.seen import PHONE, is_accessible, is_no_wider
from tests.browser.watching import settled
from tests.support import places, servers
from tests.support.children import Children
from tests.support.places import Place
from tests.support.registered import add_project
from tests.support.servers import Server
from tests.support.waiting import wait_until

HOSTILE = "<img src=x onerror=alert(1)>"


@dataclass
class Fleet:
    server: Server
    own: Place
    shop: Place


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, sleeper: int) -> Iterator[Fleet]:
    """A server with a session that runs in another project, and two more projects."""
    place = places.empty(tmp_path_factory.mktemp("fleet"))
    shop = add_project(place, "shop & co")
    shop.write("loki.pid", f"{sleeper}\n")
    shop.write("metrics/efficiency/iteration-1.json", {"cost_usd": 2.5})
    shop.write("metrics/budget.json", {"limit": 10})
    shop.write("notifications/active.json", {"notifications": [{"id": "n", "message": "m"}]})
    add_project(place, "blog").write("dashboard-state.json", {"phase": HOSTILE})
    add_project(place, "found", is_registered=False)
    with servers.serving(place) as server:
        wait_until(lambda: server.get("/api/fleet").json()["total"] == 4, "all are discovered")
        yield Fleet(server, place, shop)


def opened(open_page: OpenPage, fleet: Fleet, **options: object) -> Page:
    return settled(open_page(f"{fleet.server.url}/#/fleet", **options)).page


def test_the_fleet_is_what_the_api_says(fleet: Fleet, open_page: OpenPage) -> None:
    page = opened(open_page, fleet)
    shown = fleet.server.get("/api/fleet").json()
    table = panel(page, "Sessions").locator("table")
    rows = [
        {
            "Project": re.compile(rf"^{re.escape(each['name'])}\b"),
            "Cost": money(each["cost_usd"]),
            "Alerts": str(each["open_alerts"]),
            "Folder": each["path"],
        }
        for each in shown["projects"]
    ]
    assert rows[0]["Cost"] == "$2.50"
    expect_rows(table, rows)
    expect(table.locator("tbody tr").first).to_contain_text("$7.50 of $10.00 left")
    expect(page.locator("#main").get_by_role("status")).to_contain_text("4 projects, 1 running")
    expect(table.get_by_role("link")).to_have_count(3)  # one cannot be named
    table.get_by_role("button", name="Project").click()
    expect(table.locator("tbody tr").first).to_contain_text("blog")
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON").click()
    content = json.loads(Path(saved.value.path()).read_text())
    assert [each["Cost"] for each in content if each["Project"].startswith("shop")] == [2.5]
    page.get_by_label("Filter projects").fill("shop")
    expect(table.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=shop"))
    page.get_by_label("Filter projects").fill("img src")
    expect(table).to_contain_text("img src", ignore_case=True)
    expect(page.locator("#main img")).to_have_count(0)


def test_a_page_follows_the_project_in_its_address(
    fleet: Fleet, open_page: OpenPage, children: Children
) -> None:
    fleet.own.write("loki.pid", f"{children.sleeper().pid}\n")  # so that it is shown by default
    watched = settled(open_page(f"{fleet.server.url}/#/fleet"))
    page, switch = watched.page, watched.strip.locator("button.project")
    expect(switch).to_contain_text("demo")
    page.get_by_role("link", name="shop & co", exact=True).click()
    expect(switch).to_contain_text("shop & co")
    expect(page).to_have_url(f"{fleet.server.url}/?project=id-shop+%26+co#/now")
    settled(watched)
    fleet.shop.write("queue/pending.json", [{"id": "new", "title": "Sell apples"}])
    page.evaluate("location.hash = '#/tasks'")
    expect(page.locator("#main")).to_contain_text("Sell apples")
    page.get_by_role("button", name="Stop session").click()
    dialog = page.get_by_role("dialog", name="Stop the session?")
    expect(dialog).to_contain_text(str(fleet.shop.loki.parent))
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Pause session").click()
    expect_equal(page, lambda: (fleet.shop.loki / "PAUSE").exists(), True)
    assert not (fleet.own.loki / "PAUSE").exists()
    expect(watched.strip.locator(".state")).to_have_text("Paused")
    # By keys, and to the view that was shown.
    switch.focus()
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Project").fill("demo")
    page.keyboard.press("Enter")
    expect(switch).to_contain_text("demo")
    expect(page).to_have_url(re.compile(r"/\?project=[^#]*demo#/tasks$"))
    page.go_back()
    expect(switch).to_contain_text("shop & co")
    (fleet.shop.loki / "PAUSE").unlink()
    (fleet.own.loki / "loki.pid").unlink()


def test_a_single_project_has_no_switch(blank: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(blank.url))
    expect(watched.strip.locator("span.project")).to_have_text("demo")
    expect(watched.strip.locator("button.project")).to_have_count(0)
    expect(watched.page.locator("#nav-fleet")).to_be_hidden()


def test_an_unknown_project_is_said_to_be(fleet: Fleet, open_page: OpenPage) -> None:
    watched = open_page(f"{fleet.server.url}/?project=gone#/tasks")
    expect(watched.page.locator("#main")).to_contain_text("Project not found")
    expect(watched.strip.locator(".link-state")).not_to_have_text("Live")


def test_axe_finds_nothing(fleet: Fleet, open_page: OpenPage) -> None:
    watched = settled(open_page(f"{fleet.server.url}/?project=id-blog#/fleet"))
    expect(panel(watched.page, "Sessions").locator(".pill").first).to_be_visible()
    is_accessible(watched)
    watched.page.locator("button.project").click()
    expect(watched.page.get_by_role("option").first).to_be_visible()
    is_accessible(watched)


def test_a_phone_shows_all_of_it(fleet: Fleet, open_page: OpenPage) -> None:
    watched = settled(open_page(f"{fleet.server.url}/#/fleet", viewport=PHONE))
    expect(watched.strip.locator("button.project")).to_be_visible()
    is_no_wider(watched, PHONE["width"])


def test_on_a_small_phone_the_strip_does_not_grow_while_the_feed_connects(
    fleet: Fleet, open_page: OpenPage
) -> None:
    def connect_never(page: Page) -> None:
        page.add_init_script("WebSocket = class extends EventTarget { send() {} close() {} };")

    page = open_page(
        f"{fleet.server.url}/#/now", prepare=connect_never, viewport={"width": 320, "height": 640}
    ).page
    expect(page.locator("#strip .link-state")).to_contain_text("Connecting")
    expect(page.locator("#strip .fact.always").first).to_be_visible()
    parts = [page.locator(f"#strip {part}") for part in (".state", ".strip-end", ".facts")]
    state, end, facts = (part.evaluate("(each) => each.getBoundingClientRect()") for part in parts)
    assert end["top"] < state["bottom"]
    assert facts["bottom"] < 70
