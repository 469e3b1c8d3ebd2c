"""The view Logs: what is shown of the file, with its days and its zone, and saved."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.reading import expect_equal
from tests.browser.watching import settled
from tests.support import places, servers
from tests.support.places import Place
from tests.support.servers import Server

MOST = 10_000
LINES = [
    "2026-11-23T22:30:00Z ERROR Late on Monday",
    "2026-11-23T23:30:00Z INFO Early on Tuesday in Berlin",
    "2026-11-24T09:00:00Z WARN Cache is cold",
]


@pytest.fixture(scope="module")
def logging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a log over two days, which tests only read."""
    place = places.empty(tmp_path_factory.mktemp("logging"))
    place.write("logs/session.log", "\n".join(LINES) + "\n")
    with servers.serving(place) as server:
        yield server


def test_a_line_without_a_time_shows_none(empty_place: Place, open_page: OpenPage) -> None:
    text = (
        "2026-11-24T09:00:00Z INFO It begins\n    at main.py:7\n2026-11-24T09:00:05Z INFO It ends\n"
    )
    empty_place.write("logs/session.log", text)
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/logs", timezone_id="UTC")).page
        times = page.locator(".log-line > :first-child")
        expect(times).to_have_text(["09:00:00", "–", "09:00:05"])
        expect(times.nth(1)).to_have_attribute(
            "title", re.compile("No time of its own; about 24 Nov")
        )


@pytest.mark.parametrize(
    ("zone", "shown", "days"),
    [
        ("UTC", "3 lines · UTC", ["23 Nov 2026", "24 Nov 2026"]),
        ("Europe/Berlin", "3 lines · Europe/Berlin (UTC+1)", ["23 Nov 2026", "24 Nov 2026"]),
        ("America/New_York", "America/New_York (UTC-5)", ["23 Nov 2026", "24 Nov 2026"]),
        ("Pacific/Auckland", "Pacific/Auckland (UTC+13)", ["24 Nov 2026"]),
    ],
)
def test_days_and_the_zone_are_said(
    logging: Server, open_page: OpenPage, zone: str, shown: str, days: list[str]
) -> None:
    page = settled(open_page(f"{logging.url}/#/logs", timezone_id=zone)).page
    expect(page.locator(".log-tools [role=status]")).to_contain_text(shown)
    expect(page.locator(".log-day")).to_have_text(days)
    expect(page.locator(".log-line")).to_have_count(len(LINES))


def test_what_is_shown_is_saved(logging: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{logging.url}/#/logs?levels=error,warning")).page
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "demo-2026-11-24T090000.log"
    assert saved.value.path().read_text().splitlines() == [
        "2026-11-23T22:30:00Z error Late on Monday",
        "2026-11-24T09:00:00Z warning Cache is cold",
    ]


def test_the_end_of_a_long_log_does_not_pass_for_all_of_it(
    tmp_path_factory: pytest.TempPathFactory, open_page: OpenPage
) -> None:
    place = places.empty(tmp_path_factory.mktemp("long"))
    lines = [f"2026-11-24T09:00:00Z INFO Line {number}\n" for number in range(MOST + 5)]
    place.write("logs/session.log", "".join(lines))
    with servers.serving(place) as server:
        page = settled(open_page(f"{server.url}/#/logs")).page
        said = page.locator(".log-tools [role=status]")
        expect(said).to_have_text(re.compile("^The last 10,000 lines"))
        page.get_by_label("Search the log").fill("Line 9999")
        expect(said).to_have_text(re.compile("^1 of the last 10,000 lines"))
        expect_equal(page, lambda: page.locator(".log-line").count(), 1)
