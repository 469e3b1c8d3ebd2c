"""The view Records: what newer sessions keep of their work, and nothing where they keep none."""

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.reading import expect_rows, panel
from tests.browser.seen import HOSTILE, PHONE, is_accessible, is_no_wider, is_only_text
from tests.browser.watching import settled
from tests.support import places, servers
from tests.support.newer import keep_records
from tests.support.servers import Server


def test_each_kind_has_a_section_while_there_is_one(tmp_path: Path, open_page: OpenPage) -> None:
    place = places.empty(tmp_path)
    keep_records(place)
    place.write("assumptions/b.json", {"id": HOSTILE, "gap": HOSTILE, "severity": "constructor"})
    with servers.serving(place) as server:
        watched = settled(open_page(server.url))
        page = watched.page
        page.get_by_role("link", name="Records", exact=True).click()
        expect(page.locator("#main section.card:visible")).to_have_count(6)
        costs = panel(page, "Cost by result").locator("table")
        expect_rows(costs, [{"Iteration": "10", "Cost": "$0.42"}, {"Iteration": "9", "Cost": "–"}])
        members = panel(page, "Council transcripts").locator("tbody tr").first
        expect(members).to_contain_text("two tests fail")
        expect(panel(page, "Code reviews")).to_contain_text("3 of 4 reviewers passed")
        panel(page, "Escalations").locator("summary").first.click()
        expect(panel(page, "Escalations").get_by_role("heading", name="Stuck")).to_be_visible()
        is_only_text(watched)
        is_accessible(watched)
        page.set_viewport_size(PHONE)
        is_no_wider(watched, PHONE["width"])


def test_the_view_is_not_offered_without_records(blank: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(f"{blank.url}/#/records"))
    expect(watched.page.locator("#main")).to_contain_text("No records")
    expect(watched.page.locator("#main section.card:visible")).to_have_count(0)
    expect(watched.page.locator("#nav-records")).to_be_hidden()
