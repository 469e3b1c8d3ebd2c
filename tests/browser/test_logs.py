"""The view Logs: what is shown of the file, with its days and its zone, and saved."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.watching import settled
from tests.support import places, servers
from tests.support.places import Place
from tests.support.servers import Server

LINES = [
    "2026-11-23T22:30:00Z ERROR Late on Monday",
    "2026-11-23T23:30:00Z INFO Early on Tuesday in Berlin",
    "2026-11-24T09:00:00Z WARN Cache is \x1b[31mcold\x1b[0m",
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
        page = settled(open_page(f"{server.url}/#/logs")).page
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


def test_colors_of_the_terminal_are_shown(logging: Server, read_page: OpenPage) -> None:
    page = settled(read_page(f"{logging.url}/#/logs")).page
    expect(page.locator(".log-line .ansi-red")).to_have_text("cold")


def test_the_lines_that_are_shown_are_saved(logging: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{logging.url}/#/logs?levels=error,warning")).page
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download", exact=True).click()
    assert saved.value.suggested_filename == "demo-2026-11-24T090000.log"
    assert saved.value.path().read_text().splitlines() == [
        "2026-11-23T22:30:00Z error Late on Monday",
        "2026-11-24T09:00:00Z warning Cache is cold",
    ]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a log that is longer than what the view loads at once."""
    place = places.empty(tmp_path_factory.mktemp("long"))
    texts = {10: "ERROR Disk is full", 20: "INFO Look here", 4000: "ERROR Build failed"}
    lines = [f"2026-11-24T09:00:00Z {texts.get(n, f'INFO Line {n}')}\n" for n in range(5000)]
    place.write("logs/session.log", "".join(lines))
    with servers.serving(place) as server:
        yield server


def test_the_whole_log_is_searched(long: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{long.url}/#/logs")).page
    said = page.locator(".log-tools [role=status]")
    expect(said).to_have_text(re.compile("^The last 2,000 lines"))
    page.get_by_role("button", name="Older").click()
    expect(said).to_have_text(re.compile("^The last 2,500 lines"))
    page.get_by_label("Search the log").fill("look HERE")
    expect(said).to_have_text(re.compile("^1 line found ·"))
    expect(page.locator(".log-line")).to_have_count(1)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download all").click()
    assert len(saved.value.path().read_text().splitlines()) == 5000


def test_a_line_has_a_link_and_errors_are_found_in_order(long: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{long.url}/#/logs")).page
    chosen = page.locator(".chosen .log-line > :last-child")
    expect(page.locator(".log-line").first).to_be_visible()
    page.get_by_role("button", name="Previous error").click()
    expect(chosen).to_have_text("Build failed")
    page.get_by_role("button", name="Previous error").click()
    expect(chosen).to_have_text("Disk is full")
    page.reload()
    expect(chosen).to_have_text("Disk is full")
    expect(page.locator(".log-line", has_text="Look here")).to_be_visible()
    page.get_by_role("button", name="Next error").click()
    expect(chosen).to_have_text("Build failed")
    page.get_by_role("button", name=re.compile("^debug ")).click()  # the line stays in the address
    expect(page).to_have_url(re.compile(r"[?&]at=[^&]+.*levels=error%2Cwarning%2Cinfo$"))
    expect(chosen).to_have_text("Build failed")
    page.get_by_role("link", name="To the end").click()
    expect(page.locator(".log-line").last).to_contain_text("Line 4999")
    page.evaluate("location.hash = '#/logs?levels=error'")  # which stays on the way and back
    texts = page.locator(".log-line > :last-child")
    expect(texts).to_have_text(["Disk is full", "Build failed"])
    for follow, shown in (
        (page.locator(".log-line a").first, ["Disk is full"]),
        (page.get_by_role("button", name="Next error"), ["Build failed"]),
        (page.get_by_role("link", name="To the end"), ["Disk is full", "Build failed"]),
    ):
        follow.click()
        expect(texts).to_have_text(shown)
        expect(page).to_have_url(re.compile("levels=error"))


def test_errors_are_found_though_they_are_not_shown(long: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{long.url}/#/logs?levels=info")).page
    chosen = page.locator(".chosen .log-line > :last-child")
    expect(page.locator(".log-line").last).to_contain_text("Line 4999")
    for name, text in (
        *(("Previous error", "Build failed"), ("Previous error", "Disk is full")),
        ("Next error", "Build failed"),
    ):
        page.get_by_role("button", name=name).click()
        expect(chosen).to_have_text(text)
        page.evaluate("location.hash = location.hash.replace(/%2Cerror|error%2C/, '')")
        expect(page.get_by_role("button", name=re.compile("^error "))).to_have_attribute(
            "aria-pressed", "false"
        )
