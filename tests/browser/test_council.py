"""The view Council: convergence, verdicts and their grounds, the report, forced reviews."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.failing import refusing, retry
from tests.browser.reading import Row, expect_facts, expect_rows, panel, table_behind
from tests.browser.watching import settled
from tests.support import accounts, places, servers
from tests.support.places import Place
from tests.support.servers import Server

SIGNAL = "signals/COUNCIL_REVIEW_REQUESTED"
KINDS = {"review": "Forced review", "evaluation": "Evaluation"}
HOSTILE = "<script>document.title='gone'</script><img src=x onerror=alert(1)>"
REPORT = f"""# Report

All **21** tests pass, see `pytest -q`.

- [x] Login
- [ ] Filters

| member | vote |
|---|---|
| 1 | approve |

{HOSTILE}
"""


def point(iteration: int, *, changed: int = 3, streak: int = 0, signals: int = 0) -> str:
    return f"{1_795_000_000 + iteration * 60}|{iteration}|{changed}|{streak}|{signals}\n"


def judge(place: Place) -> Place:
    """Leave three iterations, one forced review and a report."""
    place.write("council/convergence.log", point(1) + point(2, changed=0, streak=1) + point(3))
    verdict = {"iteration": 3, "approve": 2, "reject": 1, "result": "APPROVED"}
    place.write(
        "council/state.json",
        {
            "enabled": True,
            "verdicts": [{**verdict, "timestamp": "2026-11-24T09:08:41Z"}],
            "total_votes": 3,
            "approve_votes": 2,
            "reject_votes": 1,
            "check_interval": 5,
            "last_check_iteration": 3,
            "last_track_iteration": 3,
        },
    )
    grounds = "council/votes/iteration-3"
    place.write(f"{grounds}/evidence.md", f"# Evidence\n\n{HOSTILE}")
    place.write(f"{grounds}/member-1.txt", f"VOTE:APPROVE\nREASON: {HOSTILE}\n")
    place.write(f"{grounds}/member-2.txt", "VOTE:CANNOT_VALIDATE\nREASON: no tests ran\n")
    place.write(f"{grounds}/contrarian.txt", "VOTE:REJECT\nREASON: too early\n")
    place.write("council/report.md", REPORT)
    return place


@pytest.fixture
def judged(empty_place: Place) -> Place:
    """A project with verdicts, for a server of the test's own."""
    return judge(empty_place)


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a project with verdicts, which tests share and do not change."""
    with servers.serving(judge(places.empty(tmp_path_factory.mktemp("judged")))) as server:
        yield server


def expect_verdicts(page: Page, rows: list[Row]) -> None:
    expect_rows(panel(page, "Verdicts").locator("table"), rows)


def test_verdicts_are_those_of_the_api_newest_first(running: Server, read_page: OpenPage) -> None:
    verdicts = running.get("/api/council/verdicts").json()["verdicts"]
    watched = settled(read_page(f"{running.url}/#/council"))
    expect_verdicts(
        watched.page,
        [
            {
                "Iteration": str(verdict["iteration"]),
                "Result": verdict["result"].capitalize(),
                "Kind": KINDS[verdict["kind"]],
                "For completion": str(verdict["votes_complete"]),
                "To continue": str(verdict["votes_continue"]),
            }
            for verdict in reversed(verdicts)
        ],
    )
    assert watched.said == []


def test_the_chart_has_every_point_and_marks_the_verdicts(
    running: Server, open_page: OpenPage
) -> None:
    points = running.get("/api/council/convergence").json()["dataPoints"]
    verdicts = running.get("/api/council/verdicts").json()["verdicts"]
    page = settled(open_page(f"{running.url}/#/council")).page
    shown = panel(page, "Convergence")
    judged_iterations = {str(verdict["iteration"]) for verdict in verdicts}
    expect(shown.locator(".mark")).to_have_count(len(judged_iterations))
    expect_rows(
        table_behind(shown),
        [
            {
                "Iteration": str(each["iteration"]),
                "files changed": str(each["files_changed"]),
                "done signals": str(each["done_signals"]),
                "without change": str(each["no_change_streak"]),
                "Event": re.compile(
                    "council:" if str(each["iteration"]) in judged_iterations else "^–$"
                ),
            }
            for each in points
        ],
    )


def test_marks_do_not_cover_each_other_and_completion_always_shows(
    empty_place: Place, open_page: OpenPage
) -> None:
    numbers = range(1, 301)
    empty_place.write("council/convergence.log", "".join(map(point, numbers)))
    for number in numbers:
        word = "COMPLETE" if number == 150 else "CONTINUE"
        empty_place.write(f"council/votes/round-{number}.json", {"verdict": word})
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/council")).page
        marks = panel(page, "Convergence").locator(".mark")
        expect(panel(page, "Convergence").locator(".mark.tgood")).to_have_count(1)
        places = sorted(box["x"] for mark in marks.all() if (box := mark.bounding_box()))
    assert 10 < len(places) < 60
    crowded = [a for a, b in pairwise(places) if b - a < 15]
    assert len(crowded) <= 1


def test_the_chart_is_read_by_keys(running: Server, open_page: OpenPage) -> None:
    first = running.get("/api/council/convergence").json()["dataPoints"][0]
    page = settled(open_page(f"{running.url}/#/council")).page
    shown = panel(page, "Convergence")
    shown.get_by_role("img").focus()
    page.keyboard.press("Home")
    expect(shown.locator(".chart-key")).to_contain_text(f"Iteration {first['iteration']}")
    expect(shown.locator(".chart-key")).to_contain_text(f"files changed {first['files_changed']}")


def test_the_state_is_that_of_the_api(judging: Server, read_page: OpenPage) -> None:
    page = settled(read_page(f"{judging.url}/#/council")).page
    expect(page.locator(".head .pill")).to_have_text("Enabled")
    facts = {
        "Forced reviews": "3 votes: 2 for completion, 1 against",
        "Evaluates": "every 5 iterations",
        "Last review": "Iteration 3",
    }
    expect_facts(panel(page, "State"), facts)


def test_the_grounds_are_on_the_page_of_the_iteration(running: Server, open_page: OpenPage) -> None:
    found = running.get("/api/council/verdicts").json()
    detail = found["details"][0]
    page = settled(open_page(f"{running.url}/#/council/{detail['iteration']}")).page
    grounds = panel(page, "Council")
    votes = grounds.locator(".vote", has=page.locator("b", has_text="Member"))
    expect(votes).to_have_count(len(detail["members"]))
    for index, member in enumerate(detail["members"]):
        vote, _, reason = member["content"].partition("\n")
        expect(votes.nth(index).locator(".pill")).to_have_text(
            vote.removeprefix("VOTE:").capitalize()
        )
        expect(votes.nth(index)).to_contain_text(reason.strip())
    heading = detail["evidence_preview"].splitlines()[0].removeprefix("# ")
    grounds.get_by_text("Beginning of the evidence").click()
    expect(grounds.locator("h3", has_text=heading)).to_be_visible()


def test_a_row_leads_to_its_iteration_and_back(running: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{running.url}/#/council")).page
    row = panel(page, "Verdicts").locator("tbody a").first
    number = row.inner_text()
    row.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Iterations / Iteration {number}")
    page.go_back()
    expect(row).to_have_text(number)


def test_an_iteration_of_which_nothing_is_known(running: Server, read_page: OpenPage) -> None:
    page = settled(read_page(f"{running.url}/#/council/987")).page
    expect(page.locator("#main")).to_contain_text("Nothing is known of this iteration")


def test_grounds_without_a_verdict_are_listed_too(empty_place: Place, open_page: OpenPage) -> None:
    empty_place.write("council/votes/iteration-4/evidence.md", "Some grounds")
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/council")).page
        expect_verdicts(page, [{"Iteration": "4", "Result": "–"}])
        panel(page, "Verdicts").get_by_role("link", name="4").click()
        grounds = panel(page, "Council")
        expect(grounds).to_contain_text("There is no verdict on it")
        expect(grounds).to_contain_text("Some grounds")


def test_the_votes_of_members_are_a_matrix(judging: Server, read_page: OpenPage) -> None:
    page = settled(read_page(f"{judging.url}/#/council")).page
    matrix = panel(page, "Members").get_by_role("table")
    expect(matrix.locator("thead a")).to_have_attribute("href", "#/iterations/3")
    votes = ["Member 1✓approve", "Member 2?Cannot validate", "Contrarian→reject"]
    expect(matrix.locator("tbody tr")).to_have_text(votes)


def test_the_report_is_shown_as_elements(judging: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(f"{judging.url}/#/council"))
    shown = panel(watched.page, "Report")
    expect(shown.locator("h3")).to_have_text("Report")
    expect(shown.locator("strong")).to_have_text("21")
    expect(shown.locator("code")).to_have_text("pytest -q")
    expect(shown.locator("li")).to_have_text(["☑ Login", "☐ Filters"])
    expect(shown.locator("td")).to_have_text(["1", "approve"])
    expect(shown).to_contain_text(HOSTILE)
    expect(watched.page.locator("#main :is(img, script)")).to_have_count(0)
    assert watched.said == []


def test_texts_of_members_stay_texts(judging: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(f"{judging.url}/#/council/3"))
    grounds = panel(watched.page, "Council")
    expect(grounds.locator(".vote").first).to_contain_text(HOSTILE)
    expect(grounds.locator(".vote", has_text="Contrarian")).to_contain_text("too early")
    expect(grounds.locator(".vote", has_text="no tests ran").locator(".pill")).to_have_class(
        "pill warn"
    )
    expect(watched.page.locator("#main :is(img, script)")).to_have_count(0)
    assert watched.said == []


def test_forcing_a_review_leaves_the_signal(judged: Place, open_page: OpenPage) -> None:
    with servers.serving(judged) as server:
        page = settled(open_page(f"{server.url}/#/council")).page
        page.get_by_role("button", name="Force review").click()
        expect(page.locator("#said")).to_contain_text("meets when a session runs")
        assert (judged.loki / SIGNAL).exists()


def test_a_refused_review_is_not_said_to_be_requested(running: Server, open_page: OpenPage) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=503, json={"detail": "The folder is full"})

    page = settled(
        open_page(
            f"{running.url}/#/council",
            route=lambda page: page.route("**/api/council/force-review", refuse),
        )
    ).page
    page.get_by_role("button", name="Force review").click()
    expect(page.locator("#warned")).to_contain_text("Failed: The folder is full")
    expect(page.locator("#said")).to_be_empty()


def test_changes_of_the_session_appear_without_a_reload(judged: Place, open_page: OpenPage) -> None:
    with servers.serving(judged) as server:
        page = settled(open_page(f"{server.url}/#/council")).page
        expect(panel(page, "Convergence").locator(".chart-key")).to_contain_text("Iteration 3")
        log = (judged.loki / "council/convergence.log").read_text()
        judged.write("council/convergence.log", log + point(4, changed=7))
        judged.write("council/votes/round-4.json", {"verdict": "CONTINUE", "continue_votes": 3})
        judged.write("council/report.md", "# Another one")
        key = panel(page, "Convergence").locator(".chart-key")
        expect(key).to_contain_text("Iteration 4")
        expect(key).to_contain_text("files changed 7")
        expect(panel(page, "Verdicts").locator("tbody tr")).to_have_count(2)
        expect(panel(page, "Report")).to_contain_text("Another one")


def test_an_empty_view_says_what_is_missing(blank: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(f"{blank.url}/#/council"))
    for name, said in {
        "Convergence": "No iteration has ended yet",
        "Verdicts": "No verdict yet",
        "Report": "No report yet",
        "State": "No council decides",
    }.items():
        expect(panel(watched.page, name)).to_contain_text(said)
    expect(watched.page.locator(".head .pill")).to_have_text("Off")
    assert watched.said == []


@pytest.mark.parametrize(
    ("address", "name", "other"),
    [
        ("**/api/council/convergence", "Convergence", "Verdicts"),
        ("**/api/council/verdicts*", "Verdicts", "Convergence"),
        ("**/api/council/state", "State", "Verdicts"),
        ("**/api/council/report", "Report", "Verdicts"),
    ],
)
def test_a_failure_is_one_panel_s(
    running: Server, open_page: OpenPage, address: str, name: str, other: str
) -> None:
    detail = "It cannot be read"
    page = open_page(f"{running.url}/#/council", feed=False, route=refusing(address, detail)).page
    expect(panel(page, name)).to_contain_text(detail)
    expect(panel(page, other)).not_to_contain_text(detail)
    retry(panel(page, name), address, detail)


def test_a_viewer_cannot_force_a_review(judged: Place, open_page: OpenPage) -> None:
    accounts.everybody(judged)
    with servers.serving(judged, LOKI_ENTERPRISE_AUTH="true") as server:
        page = open_page(f"{server.url}/#/council", token=accounts.raw("viewer")).page
        button = page.get_by_role("button", name="Force review")
        button.click(force=True)
        expect(button).to_have_attribute("title", "The token lacks the scope “control”")
        assert not (judged.loki / SIGNAL).exists()
