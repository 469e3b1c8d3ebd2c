"""The view Projects: all that are registered, how they are, and how they come and go."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.failing import refusing, retry
from tests.browser.reading import expect_equal, expect_facts, expect_rows, panel
from tests.browser.seen import is_accessible, is_no_wider
from tests.browser.watching import settled
from tests.support import accounts, places, registered, servers
from tests.support.places import Place
from tests.support.servers import Server

HOSTILE = "<img src=x onerror=alert(1)> ${7*7}"


def found_fleet(place: Place) -> Place:
    """Make three projects, one of them gone, and another one that is not registered."""
    shop = registered.directory(place, "projects/shop")
    blog = registered.directory(place, "projects/blog", loki=False)
    registered.directory(place, "projects/found")
    registered.queue(shop, "Sell", "Ship")
    registered.register(
        place,
        registered.entry(shop, name="Shop", alias="s", last_accessed="2026-11-01T10:00:00Z"),
        registered.entry(blog, name="Blog"),
        registered.entry(place.home / "gone", name="Gone"),
    )
    return place


@pytest.fixture
def fleet(empty_place: Place) -> Place:
    """Some projects, for a server of the test's own."""
    return found_fleet(empty_place)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on some projects, which tests share and do not change."""
    with servers.serving(found_fleet(places.empty(tmp_path_factory.mktemp("fleet")))) as server:
        yield server


@pytest.fixture
def serving(fleet: Place) -> Iterator[Server]:
    with servers.serving(fleet) as server:
        yield server


def opened(open_page: OpenPage, server: Server, where: str = "") -> Page:
    page = settled(open_page(f"{server.url}/#/projects{where}")).page
    expect(panel(page, "Registered").locator(".card-body > *").first).to_be_visible()
    return page


def row(page: Page, name: str) -> Locator:
    link = page.get_by_role("link", name=name, exact=True)
    return panel(page, "Registered").locator("tbody tr", has=link)


def toast(page: Page) -> Locator:
    return page.locator(".toast").last


def test_every_registered_project_is_shown_with_its_health(
    running: Server, read_page: OpenPage
) -> None:
    told = running.get("/api/registry/projects?include_inactive=true").json()
    watched = settled(read_page(f"{running.url}/#/projects"))
    table = panel(watched.page, "Registered").locator("table")
    expect(table.locator(".pill")).to_have_count(len(told))
    health = [running.get(f"/api/registry/projects/{each['id']}/health").json() for each in told]
    rows = [
        {
            "Project": " ".join(filter(None, (each["name"], each["alias"]))),
            "Health": its["status"].capitalize(),
            "Folder": each["path"],
        }
        for each, its in zip(told, health, strict=True)
    ]
    expect_rows(table, rows)
    expect(watched.page.locator("#main").get_by_role("status")).to_have_text(
        f"{len(told)} projects"
    )
    assert watched.said == []


def test_a_project_that_is_gone_or_has_no_folder_for_us_is_told_apart(
    shared: Server, open_page: OpenPage
) -> None:
    page = opened(open_page, shared)
    for name, health in {"Shop": "Idle", "Blog": "Uninitialized", "Gone": "Missing"}.items():
        expect(row(page, name).locator(".pill")).to_have_text(health)
    expect(row(page, "Shop")).to_contain_text("2 of 2 open")
    expect(row(page, "Blog").locator("td").nth(2)).to_have_text("–")


def test_the_tasks_and_the_learnings_of_all_projects(running: Server, open_page: OpenPage) -> None:
    tasks = running.get("/api/registry/tasks").json()
    learned = running.get("/api/registry/learnings").json()
    page = opened(open_page, running)
    rows = [
        {
            "Task": task["title"],
            "Project": task["_project_name"],
            "State": ("failed" if task["failed"] else task["status"])
            .replace("_", " ")
            .capitalize(),
        }
        for task in tasks
    ]
    expect_rows(panel(page, "Tasks of all projects").locator("table"), rows)
    lessons = panel(page, "Learned")
    for kind, entries in learned.items():
        lessons.get_by_role("button", name=f"{kind.capitalize()} {len(entries)}").click()
        expect(lessons.locator("li p")).to_have_text([each["description"] for each in entries])


def test_filtering_by_name_alias_or_path(shared: Server, open_page: OpenPage) -> None:
    page = opened(open_page, shared)
    page.keyboard.press("/")
    page.keyboard.type("blog")
    expect(panel(page, "Registered").locator("tbody tr")).to_have_count(1)
    expect(page.locator("#main").get_by_role("status")).to_have_text("1 of 3 projects")
    expect(panel(page, "Tasks of all projects")).to_contain_text("None in the projects")
    expect(page).to_have_url(f"{shared.url}/#/projects?q=blog")
    page.get_by_label("Filter projects").fill("nowhere")
    expect(panel(page, "Registered")).to_contain_text("None has “nowhere”")


def test_a_link_opens_a_project(shared: Server, open_page: OpenPage) -> None:
    told = shared.get("/api/registry/projects/s").json()
    page = opened(open_page, shared, f"/{told['id']}")
    drawer = page.get_by_role("dialog", name="Shop")
    expect_facts(drawer, {"Folder": told["path"], "Id": told["id"]})
    expect(drawer.locator(".checks li")).to_have_text(
        [
            "Its folder is there",
            "It has a .loki folder",
            "A session has run in it: no",
            "It has a PRD: no",
        ]
    )
    expect(drawer).to_contain_text(f"cd {told['path']} && loki-web serve")
    expect(drawer.get_by_role("heading", name="2 tasks")).to_be_visible()
    expect(drawer).to_contain_text("Ship")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page).to_have_url(f"{shared.url}/#/projects")


def test_an_alias_names_a_project_too(shared: Server, open_page: OpenPage) -> None:
    page = opened(open_page, shared, "/s")
    expect(page.get_by_role("dialog", name="Shop")).to_contain_text("projects/shop")


def test_a_project_that_is_not_registered(shared: Server, open_page: OpenPage) -> None:
    page = opened(open_page, shared, "/nobody")
    expect(page.get_by_role("dialog", name="nobody")).to_contain_text("Project not found")


def test_a_folder_name_that_means_something_to_a_shell_is_quoted(
    empty_place: Place, open_page: OpenPage
) -> None:
    folder = registered.directory(empty_place, "projects/it's; rm")
    registered.register(empty_place, registered.entry(folder, id="a", name="Odd"))
    [identity] = registered.held(empty_place)
    with servers.serving(empty_place) as server:
        page = opened(open_page, server, f"/{identity}")
        said = "cd '" + str(folder).replace("'", "'\\''") + "' && loki-web serve"
        expect(page.get_by_role("dialog", name="Odd").locator("pre")).to_have_text(said)


def test_a_link_shows_another_project(serving: Server, open_page: OpenPage) -> None:
    page = opened(open_page, serving, "/s")
    page.get_by_role("link", name="Show on this page").click()
    expect(page.locator("#strip .project")).to_contain_text("shop")
    page.evaluate("location.hash = '#/tasks'")
    expect(page.locator("#main")).to_contain_text("Sell")


def test_noting_that_a_project_was_used(serving: Server, fleet: Place, open_page: OpenPage) -> None:
    page = opened(open_page, serving, "/s")
    before = [each["last_accessed"] for each in registered.held(fleet).values()]
    page.get_by_role("button", name="Mark as used now").click()
    expect(toast(page)).to_contain_text("Noted that Shop was used")
    after = [each["last_accessed"] for each in registered.held(fleet).values()]
    assert [new != old for new, old in zip(after, before, strict=True)] == [True, False, False]
    shown = page.get_by_role("dialog", name="Shop").locator("time").first
    expect(shown).to_have_attribute("datetime", re.compile(f"^{after[0][:19]}"))


def test_a_project_is_registered_by_its_folder(
    serving: Server, fleet: Place, open_page: OpenPage
) -> None:
    page = opened(open_page, serving)
    page.get_by_role("button", name="Register…").click()
    dialog = page.get_by_role("dialog", name="Register a project")
    expect(dialog.locator("[name=path]")).to_be_focused()
    dialog.locator("[name=path]").fill(str(fleet.home / "nowhere"))
    dialog.get_by_role("button", name="Register").click()
    expect(dialog.get_by_role("alert")).to_contain_text(
        "Must be the absolute path of an existing directory"
    )
    dialog.locator("[name=path]").fill(str(fleet.home / "projects/found"))
    dialog.locator("[name=name]").fill("New one")
    dialog.locator("[name=alias]").fill("n1")
    dialog.get_by_role("button", name="Register").click()
    expect(dialog).to_have_count(0)
    expect(row(page, "New one")).to_contain_text("n1")
    assert {"New one"} <= {each["name"] for each in registered.held(fleet).values()}


def test_removing_names_the_project_and_says_what_stays(
    serving: Server, fleet: Place, open_page: OpenPage
) -> None:
    page = opened(open_page, serving)
    row(page, "Blog").get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog", name="Remove Blog?")
    expect(dialog).to_contain_text(f"Nothing in {fleet.home / 'projects/blog'} is touched")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name="Cancel").click()
    assert len(registered.held(fleet)) == 3
    row(page, "Blog").get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove project").click()
    expect(toast(page)).to_contain_text("Blog is no longer registered")
    expect(row(page, "Blog")).to_have_count(0)
    assert {each["name"] for each in registered.held(fleet).values()} == {"Shop", "Gone"}
    assert (fleet.home / "projects/blog").is_dir()


def test_syncing_says_what_came_of_it(serving: Server, fleet: Place, open_page: OpenPage) -> None:
    page = opened(open_page, serving)
    page.get_by_role("button", name="Sync").click()
    expect(toast(page)).to_contain_text("2 added, 1 updated, 1 missing; 5 registered")
    expect(row(page, "found")).to_be_visible()
    assert len(registered.held(fleet)) == 5


def test_a_discovered_project_can_be_registered(
    serving: Server, fleet: Place, open_page: OpenPage
) -> None:
    page = opened(open_page, serving)
    page.get_by_role("button", name="Discover…").click()
    dialog = page.get_by_role("dialog", name="Discover projects")
    told = serving.get("/api/registry/discover").json()
    expect(dialog.locator("li b")).to_have_text([each["name"] for each in told])
    expect(dialog.locator("li", has_text="shop")).to_contain_text("Registered")
    dialog.get_by_role("button", name="Register found").click()
    expect(dialog.locator("li", has_text="found")).to_contain_text("Registered")
    assert "found" in {each["name"] for each in registered.held(fleet).values()}
    dialog.get_by_role("button", name="Close").click()
    expect(row(page, "found")).to_be_visible()


FOLLOWING = """async () => {
  const { ViewContext } = await import(document.querySelector('[href$="core/views.js"]').href);
  const { onRoute, leave } = ViewContext.prototype;
  const following = new Set();
  ViewContext.prototype.onRoute = function (listener) {
    following.add(this);
    onRoute.call(this, listener);
  };
  ViewContext.prototype.leave = function () {
    following.delete(this);
    leave.call(this);
  };
  window.following = following;
}"""


def test_the_depth_of_the_search_can_be_chosen(
    serving: Server, fleet: Place, open_page: OpenPage
) -> None:
    registered.directory(fleet, "projects/a/b/c/kelp")
    page = opened(open_page, serving)
    page.evaluate(FOLLOWING)  # what is opened from here on and hears of the address
    page.get_by_role("button", name="Discover…").click()
    dialog = page.get_by_role("dialog", name="Discover projects")
    expect(dialog.locator("li b").first).to_be_visible()
    expect(dialog.locator("li", has_text="kelp")).to_have_count(0)
    dialog.get_by_label("Levels of folders to look into").select_option("4")
    expect(dialog.locator("li", has_text="kelp")).to_have_count(1)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    expect_equal(page, lambda: page.evaluate("window.following.size"), 0)


def test_projects_of_other_programs_appear_and_disappear(
    serving: Server, fleet: Place, open_page: OpenPage
) -> None:
    page = opened(open_page, serving)
    held: dict[str, Any] = json.loads(registered.file(fleet).read_text())
    path = registered.directory(fleet, "projects/late")
    held["projects"]["late"] = registered.entry(path, id="late", name="Late")
    registered.file(fleet).write_text(json.dumps(held))
    expect(row(page, "Late").locator(".pill")).to_have_text("Idle")
    del held["projects"]["late"]
    registered.file(fleet).write_text(json.dumps(held))
    expect(row(page, "Late")).to_have_count(0)


@pytest.mark.parametrize("registry", ["", "[5", '{"projects": 5}'])
def test_an_empty_view_says_how_to_register_projects(
    empty_place: Place, open_page: OpenPage, registry: str
) -> None:
    if registry:
        empty_place.write_home(registered.FILE, registry)
    with servers.serving(empty_place) as server:
        watched = settled(open_page(f"{server.url}/#/projects"))
        for name, said in {
            "Registered": "No project is registered",
            "Tasks of all projects": "No tasks",
            "Learned": "Nothing learned here",
        }.items():
            expect(panel(watched.page, name)).to_contain_text(said)
        assert watched.said == []


def test_markup_in_names_of_projects_stays_text(empty_place: Place, open_page: OpenPage) -> None:
    folder = registered.directory(empty_place, "projects/<img src=x onerror=alert(2)>\u202e")
    registered.queue(folder, HOSTILE)
    registered.register(empty_place, registered.entry(folder, id="h", name=HOSTILE, alias=HOSTILE))
    [identity] = registered.held(empty_place)
    learned = {"project": HOSTILE, "category": HOSTILE, "description": HOSTILE}
    empty_place.write_home("learnings/patterns.jsonl", json.dumps(learned) + "\n")
    with servers.serving(empty_place) as server:
        watched = settled(open_page(f"{server.url}/?project={identity}#/projects/{identity}"))
        page = watched.page
        expect(page).to_have_title(re.compile("\u2068<img src=x onerror=alert.2.>\u202e\u2069$"))
        expect(page.locator("dialog.drawer[open]")).to_contain_text("onerror=alert(2)>")
        for name in ("Registered", "Tasks of all projects", "Learned"):
            expect(panel(page, name)).to_contain_text("onerror=alert(1)>")
        expect(page.locator("img")).to_have_count(0)
        assert watched.said == []


@pytest.mark.parametrize(
    ("address", "broken", "sound"),
    [
        ("**/api/registry/projects?*", "Registered", "Tasks of all projects"),
        ("**/api/registry/tasks", "Tasks of all projects", "Registered"),
        ("**/api/registry/learnings?*", "Learned", "Registered"),
    ],
)
def test_a_failure_keeps_its_place_and_can_be_tried_again(
    running: Server, open_page: OpenPage, address: str, broken: str, sound: str
) -> None:
    detail = "It cannot be read"
    page = open_page(f"{running.url}/#/projects", feed=False, route=refusing(address, detail)).page
    expect(panel(page, broken)).to_contain_text(detail)
    expect(panel(page, sound)).not_to_contain_text(detail)
    retry(panel(page, broken), address, detail)


def test_health_that_cannot_be_had_is_unknown_not_good(
    running: Server, open_page: OpenPage
) -> None:
    route = refusing("**/health", "It cannot be read")
    page = open_page(f"{running.url}/#/projects", feed=False, route=route).page
    expect(panel(page, "Registered").locator("tbody tr").first).to_contain_text("unknown")
    expect(panel(page, "Registered").locator(".pill")).to_have_count(0)


def test_a_viewer_sees_why_no_action_is_possible(fleet: Place, open_page: OpenPage) -> None:
    accounts.everybody(fleet)
    with servers.serving(fleet, LOKI_ENTERPRISE_AUTH="true") as server:
        page = open_page(f"{server.url}/#/projects", token=accounts.raw("viewer")).page
        for name in ("Register…", "Sync"):
            button = page.get_by_role("button", name=name)
            expect(button).to_have_attribute("aria-disabled", "true")
            expect(button).to_have_attribute("title", "The token lacks the scope “control”")
        page.get_by_role("button", name="Sync").click(force=True)
        expect(row(page, "Shop")).to_be_visible()
    assert len(registered.held(fleet)) == 3


def test_a_hundred_projects_on_one_screen(tmp_path: Path, open_page: OpenPage) -> None:
    place = places.empty(tmp_path / "many")
    entries = []
    for number in range(120):
        path = registered.directory(place, f"projects/p{number}")
        entries.append(registered.entry(path, id=f"p{number}"))
    place.write_home(
        registered.FILE, {"version": "1.0", "projects": {each["id"]: each for each in entries}}
    )
    with servers.serving(place) as server:
        watched = settled(open_page(f"{server.url}/#/projects"))
        page = watched.page
        page.get_by_role("button", name="Show more").click()
        expect(panel(page, "Registered").locator(".pill")).to_have_count(120)
        assert watched.said == []


@pytest.mark.parametrize("width", [390, 768, 1024, 1280])
def test_the_view_fits_the_width_of_a_phone(
    running: Server, open_page: OpenPage, width: int
) -> None:
    size = {"width": width, "height": 900}
    watched = settled(open_page(f"{running.url}/#/projects/notes", viewport=size))
    expect(panel(watched.page, "Registered").locator("table")).to_be_visible()
    is_no_wider(watched, width)


@pytest.mark.parametrize("place", ["", "/notes"])
def test_axe_finds_nothing(running: Server, read_page: OpenPage, place: str) -> None:
    watched = settled(read_page(f"{running.url}/#/projects{place}"))
    expect(panel(watched.page, "Registered").locator(".pill").first).to_be_visible()
    is_accessible(watched)


def test_scrolling_areas_can_be_reached_by_keys(fleet: Place, open_page: OpenPage) -> None:
    learned = {"project": "Shop", "category": "c", "description": "Long " * 40}
    fleet.write_home("learnings/patterns.jsonl", (json.dumps(learned) + "\n") * 30)
    with servers.serving(fleet) as server:
        watched = settled(open_page(f"{server.url}/#/projects"))
        page = watched.page
        expect(panel(page, "Learned").locator("li")).to_have_count(30)
        page.get_by_role("button", name="Discover…").click()
        expect(page.get_by_role("dialog").locator("li").first).to_be_visible()
        is_accessible(watched)
