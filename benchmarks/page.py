"""Open every view of the page in Chromium on sessions of several sizes, and count.

    python -m benchmarks.page --sizes S,M,L

Each view is opened in a new tab: of a window of 1,280 pixels in the light theme, and of a phone in
the dark one. The first ones are opened right after the start of the server. Prints a table in
Markdown for each size: requests and kilobytes that are transferred, elements in the document, the
layout shift, and for orientation the time until the view is complete. Views that report an error,
or that scroll sideways, are named below it. Needs the test extras and Chromium (`apt-get install -y
chromium`).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import servers, sessions
from tests.browser.conftest import FLAGS, find_chromium
from tests.browser.opening import MILLISECONDS
from tests.browser.watching import Watched, settled

VIEWS = (
    *("now", "timeline", "iterations", "tasks", "agents", "council", "logs", "cost", "memory"),
    *("learning", "records", "alerts", "checkpoints", "fleet", "projects", "admin"),
)
WINDOWS: dict[str, dict[str, Any]] = {
    "1280": {"viewport": {"width": 1280, "height": 720}},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
_COUNT = """() => {
  const loaded = [...performance.getEntriesByType('navigation'),
    ...performance.getEntriesByType('resource')];
  const shifts = window.shifts.reduce((sum, each) => sum + each, 0);
  return {
    requests: loaded.length,
    transferred: loaded.reduce((sum, each) => sum + each.transferSize, 0),
    elements: document.querySelectorAll('*').length,
    shift: shifts,
    is_wider: document.documentElement.scrollWidth > innerWidth,
  };
}"""
_NOTE_SHIFTS = """window.shifts = [];
new PerformanceObserver((list) => list.getEntries().forEach((each) => {
  if (!each.hadRecentInput) window.shifts.push(each.value);
})).observe({ type: 'layout-shift', buffered: true });"""


@dataclass(frozen=True)
class Opened:
    """The counts of one view in one window, and what is wrong with it.

    :param transferred: bytes with headers.
    :param faults: errors on the console, and whether the page scrolls sideways.
    """

    view: str
    window: str
    requests: int
    transferred: int
    elements: int
    shift: float
    seconds: float
    faults: tuple[str, ...]


def open_views(url: str) -> Iterator[Opened]:
    """Open each view in each window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for window in WINDOWS:
            for view in VIEWS:
                yield _open(browser, url, view, window)
        browser.close()


def _open(browser: Browser, url: str, view: str, window: str) -> Opened:
    context = browser.new_context(**WINDOWS[window])
    context.set_default_timeout(MILLISECONDS)
    page: Page = context.new_page()
    page.add_init_script(_NOTE_SHIFTS)
    watched = Watched(page)
    began = time.monotonic()
    page.goto(f"{url}/#/{view}")
    settled(watched)
    seconds = time.monotonic() - began
    counts = page.evaluate(_COUNT)
    wider = ["the page scrolls sideways"] if counts.pop("is_wider") else []
    context.close()
    return Opened(view, window, seconds=seconds, faults=(*watched.said, *wider), **counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="S,M,L")
    parser.add_argument("--where", type=Path, default=sessions.WHERE)
    options = parser.parse_args()
    has_faults = False
    for size in options.sizes.split(","):
        session = sessions.session(size, options.where)
        with (
            tempfile.TemporaryDirectory() as cache,
            servers.running_session(session.loki),
            servers.serving(
                servers.OURS, home=session.home, loki=session.loki, cache=Path(cache)
            ) as server,
        ):
            opened = [*open_views(f"http://127.0.0.1:{server.port}")]
        print(_format_table(size, opened))  # noqa: T201
        has_faults = has_faults or any(each.faults for each in opened)
    sys.exit(has_faults)


def _format_table(size: str, opened: list[Opened]) -> str:
    rows = [
        f"| {each.view} | {each.window} | {each.requests} | {each.transferred / 1000:.0f} "
        f"| {each.elements:,} | {each.shift:.3f} | {each.seconds:.1f} |"
        for each in opened
    ]
    head = (f"\n| {size} | Window | Requests | kB | Elements | Shift | s |", "|---" * 7 + "|")
    faults = [f"- {each.view}, {each.window}: {fault}" for each in opened for fault in each.faults]
    return "\n".join((*head, *rows, "", *faults))


if __name__ == "__main__":
    main()
