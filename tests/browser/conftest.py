"""The page in the distribution's Chromium, on real servers."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.growing import grow
from tests.browser.watching import Watched
from tests.support import places, programs, servers
from tests.support.waiting import PATIENCE_SECONDS

OpenPage = Callable[..., Watched]
_HERE = Path(__file__).parent
# Chromium refuses to start a sandbox for root. What it would do in the background (updates, safe
# browsing, extensions, field trials), Playwright switches off itself.
FLAGS = ("--no-sandbox",)
_MILLISECONDS = PATIENCE_SECONDS * 1000
expect.set_options(timeout=_MILLISECONDS)


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


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens an address, watched from the first moment.

    Options are those of a browser context, as `color_scheme` and `viewport`.
    """
    contexts = []

    def open_it(
        url: str, *, prepare: Callable[[Page], object] | None = None, **options: Any
    ) -> Watched:
        context = browser.new_context(**{"reduced_motion": "reduce", **options})
        context.set_default_timeout(_MILLISECONDS)
        contexts.append(context)
        page = context.new_page()
        watched = Watched(page)
        if prepare:
            prepare(page)
        page.goto(url)
        return watched

    yield open_it
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")  # requests that are still being answered
        context.close()


@pytest.fixture
def empty_place(tmp_path: Path) -> places.Place:
    return places.empty(tmp_path / "empty")
