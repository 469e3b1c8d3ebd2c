"""The view Memory: the search with its reasons, the lists, one entry, and the whole."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.failing import refusing, retry
from tests.browser.reading import compact, expect_equal, expect_facts, expect_rows, panel
from tests.browser.seen import PHONE, is_accessible, is_no_wider
from tests.browser.watching import settled
from tests.support import places, servers
from tests.support.places import Place
from tests.support.servers import Server

HOSTILE = "<img src=x onerror=alert(1)> ${7*7}"


def retrieve(server: Server, query: str, **more: Any) -> list[dict[str, Any]]:
    answer = server.post("/api/memory/retrieve", json={"query": query, "topK": 20, **more})
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def titles(page: Page) -> Locator:
    return page.locator(".entry > b")


@pytest.mark.parametrize(
    ("kind", "path", "title"),
    [
        ("Episodes", "/api/memory/episodes", "goal"),
        ("Patterns", "/api/memory/patterns", "pattern"),
        ("Skills", "/api/memory/skills", "name"),
    ],
)
def test_the_lists_hold_what_the_api_says(
    running: Server, read_page: OpenPage, kind: str, path: str, title: str
) -> None:
    entries = running.get(path).json()
    watched = settled(read_page(f"{running.url}/#/memory/{kind.lower()}"))
    expect(titles(watched.page)).to_have_text([entry[title] for entry in entries])
    tab = watched.page.get_by_role("navigation", name="Kinds of memory").get_by_text(kind)
    expect(tab).to_have_text(f"{kind} {len(entries)}")
    expect(tab).to_have_attribute("aria-current", "page")
    assert watched.said == []


def test_the_overview_counts_as_the_api_does(running: Server, read_page: OpenPage) -> None:
    summary = running.get("/api/memory/summary").json()
    page = settled(read_page(f"{running.url}/#/memory")).page
    facts = {
        "Episodes": str(summary["episodic"]["count"]),
        "Patterns": str(summary["semantic"]["patterns"]),
        "Anti-patterns": str(summary["semantic"]["antiPatterns"]),
        "Skills": str(summary["procedural"]["skills"]),
    }
    expect_facts(panel(page, "Overview"), facts)
    saved = summary["tokenEconomics"]["savingsPercent"]
    expect(panel(page, "Overview")).to_contain_text(f"{saved:.1f}% of tokens saved")


def test_a_search_shows_each_hit_with_the_words_that_made_it_one(
    running: Server, open_page: OpenPage
) -> None:
    found = retrieve(running, "test")
    assert len(found) > 2
    watched = settled(open_page(f"{running.url}/#/memory"))
    page = watched.page
    page.keyboard.press("/")
    page.keyboard.type("test")
    expect(panel(page, "Found").get_by_role("status")).to_have_text(f"{len(found)} results")
    expect(titles(page)).to_have_text([hit["title"] for hit in found])
    for hit, row in zip(found, page.locator(".entry").all(), strict=True):
        snippets = [part for field in hit["matched"] for part in field["snippet"]]
        marked = {part["text"] for part in snippets if part["match"]}
        expect(row.locator("mark").first).to_be_visible()
        assert set(row.locator("mark").all_inner_texts()) <= marked
        expect(row).to_contain_text(f"{hit['score'] * 100:.0f}% match")
    expect(page).to_have_url(f"{running.url}/#/memory?q=test")
    assert watched.said == []


def test_a_link_to_a_search_leads_to_a_hit_beside_it(running: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{running.url}/#/memory?q=argon2")).page
    expect(page.get_by_role("searchbox", name="Search the memory")).to_have_value("argon2")
    [hit] = retrieve(running, "argon2")
    expect(titles(page)).to_have_text([hit["title"]])
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    shown = panel(page, "Pattern")
    expect(shown).to_contain_text(hit["entry"]["correctApproach"])
    expect(shown).to_contain_text(hit["entry"]["incorrectApproach"])
    expect(page.locator(".entry[aria-current]")).to_contain_text(hit["title"])
    expect(page).to_have_url(f"{running.url}/#/memory/patterns/{hit['id']}?q=argon2")
    page.get_by_role("link", name="Close").press("Escape")
    expect(shown).to_have_count(0)
    expect(page.locator(".entry")).to_be_focused()


def test_the_kind_of_task_to_put_first(running: Server, open_page: OpenPage) -> None:
    usual = [hit["title"] for hit in retrieve(running, "test")]
    preferred = [hit["title"] for hit in retrieve(running, "test", taskType="ACT")]
    assert preferred != usual
    page = settled(open_page(f"{running.url}/#/memory?q=test")).page
    expect(titles(page)).to_have_text(usual)
    page.get_by_label("What to put first").select_option(label="ACT first")
    expect(titles(page)).to_have_text(preferred)


def test_a_search_without_results_says_so(running: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{running.url}/#/memory?q=xylophone")).page
    expect(panel(page, "Found")).to_contain_text("has a word of “xylophone”")
    page.get_by_label("Search the memory").fill("")
    expect(panel(page, "Episodes")).to_be_visible()


def test_an_episode_by_its_link(running: Server, read_page: OpenPage) -> None:
    listed = running.get("/api/memory/episodes").json()
    entry = next(each for each in listed if len(each["actionLog"]) > 1)
    watched = settled(read_page(f"{running.url}/#/memory/episodes/{entry['id']}"))
    shown = panel(watched.page, "Episode")
    expect(shown.get_by_role("heading", name=entry["goal"])).to_be_visible()
    actions = [{"Action": each["action"], "On": each["target"]} for each in entry["actionLog"]]
    expect_rows(shown.locator("table"), actions)
    minutes, seconds = divmod(entry["durationSeconds"], 60)
    facts = {
        "Id": entry["id"],
        "Task id": entry["taskId"],
        "Tokens used": compact(entry["tokensUsed"]),
        "Duration": f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s",
        "Timestamp": re.compile(re.escape(entry["timestamp"][11:19])),
    }
    expect_facts(shown, facts)
    assert watched.said == []


def test_a_skill_by_its_link(running: Server, read_page: OpenPage) -> None:
    entry = running.get("/api/memory/skills").json()[0]
    page = settled(read_page(f"{running.url}/#/memory/skills/{entry['id']}")).page
    expect(panel(page, "Skill").locator("ol li")).to_have_text(entry["steps"])
    for text in (entry["description"], *entry["prerequisites"], *entry["exitCriteria"]):
        expect(panel(page, "Skill")).to_contain_text(text)


def test_a_pattern_leads_to_the_episodes_it_comes_from(
    running: Server, open_page: OpenPage
) -> None:
    listed = running.get("/api/memory/patterns").json()
    entry = next(each for each in listed if each["source_episodes"])
    page = settled(open_page(f"{running.url}/#/memory/patterns/{entry['id']}")).page
    page.get_by_role("link", name=entry["source_episodes"][0]).click()
    expect(panel(page, "Episode")).to_contain_text(entry["source_episodes"][0])


def test_an_entry_that_is_gone(running: Server, read_page: OpenPage) -> None:
    page = settled(read_page(f"{running.url}/#/memory/episodes/gone")).page
    expect(panel(page, "Episode")).to_contain_text("Episode not found")
    expect(page.locator(".entry").first).to_be_visible()


def test_the_timeline_has_everything_newest_first(running: Server, read_page: OpenPage) -> None:
    entries = running.get("/api/memory/timeline").json()["entries"]
    page = settled(read_page(f"{running.url}/#/memory/timeline")).page
    names = [each.get("decision") or each.get("action") or each["type"] for each in entries]
    expect(page.locator(".moment > .row > b")).to_have_text(names)
    decision = next(each for each in entries if "decision" in each)
    row = page.locator(".moment", has_text=decision["decision"])
    expect(row).to_contain_text(decision["rationale"])
    expect(row.locator(".pill").first).to_have_text("Decision")


def test_the_index_has_every_topic(running: Server, read_page: OpenPage) -> None:
    index = running.get("/api/memory/index").json()
    page = settled(read_page(f"{running.url}/#/memory/index")).page
    topics = [
        {
            "Topic": topic["id"],
            "Summary": topic["summary"],
            "Relevance": f"{topic['relevance_score'] * 100:.0f}%",
            "Tokens": str(topic["token_count"]),
        }
        for topic in index["topics"]
    ]
    expect_rows(panel(page, "Index").locator("table"), topics)


def test_economics_are_those_of_the_api(running: Server, read_page: OpenPage) -> None:
    told = running.get("/api/memory/economics").json()
    page = settled(read_page(f"{running.url}/#/memory/economics")).page
    shown = panel(page, "Economics")
    expect(shown.locator(".legend b").nth(0)).to_have_text(compact(told["discoveryTokens"]))
    expect(shown.locator(".legend b").nth(1)).to_have_text(compact(told["readTokens"]))
    for each in told["thresholds_triggered"]:
        expect(shown).to_contain_text(each["description"])
    expect_facts(shown, {"Layer3 loads": str(told["metrics"]["layer3_loads"])})


def test_consolidating_says_what_the_server_said(tmp_path: Path, open_page: OpenPage) -> None:
    with servers.serving(places.recorded(tmp_path, today=True)) as server:
        page = settled(open_page(f"{server.url}/#/memory")).page
        page.get_by_role("button", name="Consolidate…").click()
        dialog = page.get_by_role("dialog", name="Consolidate the memory")
        dialog.get_by_label("Hours to look back").fill("48")
        with page.expect_response("**/api/memory/consolidate") as answered:
            dialog.get_by_role("button", name="Consolidate").click()
        assert answered.value.request.post_data_json == {"sinceHours": 48}
        expect(page.locator(".toast")).to_contain_text(answered.value.json()["message"])


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("", "No episodes"),
        ("/patterns", "No patterns"),
        ("/skills", "No skills"),
        ("/timeline", "The timeline is empty"),
        ("/index", "The index is empty"),
        ("/economics", "Nothing has been looked up yet"),
        ("?q=anything", "Nothing found"),
        ("/episodes", "Nothing is remembered yet"),
    ],
)
def test_an_empty_memory_says_what_would_be_there(
    blank: Server, read_page: OpenPage, place: str, said: str
) -> None:
    watched = settled(read_page(f"{blank.url}/#/memory{place}"))
    expect(watched.page.locator("#main")).to_contain_text(said)
    assert watched.said == []


def hostile_memory(place: Place) -> None:
    odd = {"nested": [{"deep": [[[HOSTILE]]]}], "number": 1e300, "flag": False, "constructor": "x"}
    place.write(
        "memory/episodic/e-1.json",
        {
            "id": "e-1",
            "goal": HOSTILE,
            "outcome": HOSTILE,
            "agent": HOSTILE,
            "timestamp": "never",
            "action_log": [{"t": HOSTILE, "action": {"a": HOSTILE}, "target": [HOSTILE]}, {}],
            "errors_encountered": [{"type": HOSTILE, "message": None}],
            "context": [HOSTILE],
            **odd,
        },
    )
    pattern = {
        "id": "p-1",
        "pattern": HOSTILE,
        "category": HOSTILE,
        "conditions": [HOSTILE],
        "source_episodes": [{"a": 1}, HOSTILE, None],
        "links": [5, None, {"to": HOSTILE}],
    }
    place.write("memory/semantic/patterns.json", {"patterns": [pattern]})
    place.write("memory/skills/s-1.json", {"id": "s-1", "name": HOSTILE, "steps": [HOSTILE]})
    place.write(
        "memory/timeline.json",
        {
            "recent_actions": [{"action": {"x": HOSTILE}, "outcome": [1]}, {"type": HOSTILE}, {}],
            "key_decisions": [{"decision": [HOSTILE]}],
            "active_context": {HOSTILE: HOSTILE},
        },
    )
    place.write("memory/index.json", {"topics": [{"id": HOSTILE, "relevance_score": "x"}, {}]})


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("episodes/e-1", "Episode"),
        ("patterns/p-1", "Pattern"),
        ("skills/s-1", "Skill"),
        ("timeline", "Timeline"),
        ("index", "Index"),
        ("episodes?q=img", "Found"),
    ],
)
def test_whatever_is_remembered_stays_text(
    hostile: Server, read_page: OpenPage, where: str, kind: str
) -> None:
    watched = settled(read_page(f"{hostile.url}/#/memory/{where}"))
    expect(panel(watched.page, kind)).to_contain_text("<img src=x onerror=alert(1)>")
    expect(watched.page.locator("#main img")).to_have_count(0)
    expect(watched.page.locator("#main")).not_to_contain_text("cannot be shown")
    assert watched.said == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = places.empty(tmp_path_factory.mktemp("hostile"))
    hostile_memory(place)
    with servers.serving(place) as server:
        yield server


def test_many_episodes_are_shown_as_they_are_scrolled_to(
    empty_place: Place, open_page: OpenPage
) -> None:
    for number in range(230):
        episode = {"id": f"e-{number}", "goal": f"Goal {number}", "timestamp": 1.7e9 + number}
        empty_place.write(f"memory/episodic/e-{number}.json", episode)
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/memory")).page
        expect(titles(page).first).to_have_text("Goal 229")
        expect_equal(page, lambda: 5 < page.locator(".entry").count() < 60, True)
        page.get_by_role("button", name="Show more").click()
        expect(page.get_by_role("button", name="Show more")).to_have_count(0)
        page.locator("x-rows").evaluate("list => list.scrollTop = list.scrollHeight")
        expect(page.locator(".entry > b").last).to_have_text("Goal 0")


@pytest.mark.parametrize(
    ("address", "place", "broken", "sound"),
    [
        ("**/api/memory/episodes?*", "", "Episodes", "Overview"),
        ("**/api/memory/summary", "", "Overview", "Episodes"),
        ("**/api/memory/retrieve", "?q=test", "Found", "Overview"),
        ("**/api/memory/timeline", "/timeline", "Timeline", ""),
    ],
)
def test_a_failure_keeps_its_place_and_can_be_tried_again(
    running: Server, open_page: OpenPage, address: str, place: str, broken: str, sound: str
) -> None:
    detail = "It cannot be read"
    page = open_page(
        f"{running.url}/#/memory{place}", feed=False, route=refusing(address, detail)
    ).page
    expect(panel(page, broken)).to_contain_text(detail)
    if sound:
        expect(panel(page, sound)).not_to_contain_text(detail)
    retry(panel(page, broken), address, detail)


def test_an_answer_that_comes_late_does_not_replace_a_newer_one(
    running: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{running.url}/#/memory")).page
    held: list[Route] = []

    def hold(route: Route) -> None:
        if (route.request.post_data_json or {})["query"] == "test":
            held.append(route)
        else:
            route.fallback()

    page.route("**/api/memory/retrieve", hold)
    field = page.get_by_label("Search the memory")
    with page.expect_request("**/api/memory/retrieve"):
        field.fill("test")
    field.fill("argon2")
    expect(page.locator(".entry > b")).to_have_text(re.compile("argon2"))
    with page.expect_response("**/api/memory/retrieve"):
        held[0].continue_()
    expect(page.locator(".entry > b")).to_have_text(re.compile("argon2"))


def test_on_a_phone_an_entry_takes_the_place_of_the_list(
    running: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(f"{running.url}/#/memory", viewport=PHONE))
    page = watched.page
    page.locator(".entry").nth(1).click()
    expect(panel(page, "Episode")).to_be_visible()
    expect(panel(page, "Episodes")).to_be_hidden()
    close = page.get_by_role("link", name="Close")
    expect(close).to_be_focused()
    close.click()
    expect(page.locator(".entry").nth(1)).to_be_focused()
    is_no_wider(watched, PHONE["width"])


@pytest.mark.parametrize(
    "place", ["?q=test", "/patterns", "/skills/skill-database-migration", "/timeline", "/economics"]
)
def test_axe_finds_nothing(running: Server, read_page: OpenPage, place: str) -> None:
    watched = settled(read_page(f"{running.url}/#/memory{place}"))
    expect(watched.page.locator("#main .card-body > *").first).to_be_visible()
    is_accessible(watched)
