"""The page in the distribution's Chromium, on real servers."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.growing import grow
from tests.browser.opening import MILLISECONDS, Pages
from tests.browser.watching import Watched
from tests.support import places, programs, servers

OpenPage = Callable[..., Watched]
_HERE = Path(__file__).parent
# Chromium refuses to start a sandbox for root. What it would do in the background (updates, safe
# browsing, extensions, field trials), Playwright switches off itself.
FLAGS = ("--no-sandbox",)
expect.set_options(timeout=MILLISECONDS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker("browser")
            item.add_marker("server")


def find_chromium() -> str:
    """Return the Chromium without windows of its own if there is one, else the whole one."""
    light = shutil.which("chromium-headless-shell")
    return os.environ.get("CHROMIUM") or light or programs.needed("chromium", "chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, sleeper: int) -> Iterator[servers.Server]:
    """A server on the recorded session, its clock moved to now, with a living process.

    Tests share it and do not change what it serves.
    """
    place = places.recorded(tmp_path_factory.mktemp("running"), live_pid=sleeper, today=True)
    with servers.serving(place) as server:
        yield server


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A server on a project without a session, which tests share and do not change."""
    with servers.serving(places.empty(tmp_path_factory.mktemp("blank"))) as server:
        yield server


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory, sleeper: int) -> Iterator[servers.Server]:
    """A server on a running session of many iterations and tasks, which tests only read."""
    place = grow(places.empty(tmp_path_factory.mktemp("grown")), sleeper)
    with servers.serving(place) as server:
        yield server


@pytest.fixture(scope="session")
def pages(browser: Browser) -> Pages:
    return Pages(browser)


@pytest.fixture
def open_page(pages: Pages) -> Iterator[OpenPage]:
    """`Pages.open`."""
    yield pages.open
    pages.clean()


@pytest.fixture
def read_page(pages: Pages) -> Iterator[OpenPage]:
    """`Pages.read`."""
    yield pages.read
    pages.clean()


@pytest.fixture
def empty_place(tmp_path: Path) -> places.Place:
    return places.empty(tmp_path / "empty")
