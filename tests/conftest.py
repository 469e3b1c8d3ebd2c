"""What tests share: places to serve, and servers of the real kind."""

import gc
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import places, programs, servers
from tests.support.children import Children, children
from tests.support.compiled_rules import keep_compiled_rules
from tests.support.markers import starts_a_server
from tests.support.memory_disk import keep_files_in_memory
from tests.support.places import Place


def pytest_xdist_auto_num_workers() -> int:
    """Return half as many processes again as there are cores: many tests wait for servers."""
    return (os.cpu_count() or 1) * 3 // 2


def pytest_configure(config: pytest.Config) -> None:
    keep_compiled_rules()
    keep_files_in_memory(config)
    # A shell starts background jobs with SIGINT ignored, and the programs under test inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # No test cuts the power, and thousands of waits for the disk add up. Servers do wait for it.
    os.fsync = lambda descriptor: None  # type: ignore[assignment]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and starts_a_server(item):
            item.add_marker("server")


def pytest_collection_finish() -> None:
    """Exempt what was collected from the garbage collector: it took a third of the time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    servers.running_test = item


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    if call.excinfo and not call.excinfo.errisinstance(pytest.skip.Exception):
        servers.show_logs(item)
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = list(programs.left_out(terminalreporter.stats.get("skipped", [])))
    if lines:
        terminalreporter.section("left out")
        for line in lines:
            terminalreporter.write_line(line)
    seed = terminalreporter.config.getoption("randomly_seed", None)
    if seed and {"failed", "error"} & terminalreporter.stats.keys():
        terminalreporter.write_line(f"order of the tests: --randomly-seed={seed}")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A project with an empty `.loki/`."""
    return places.empty(tmp_path / "place")


@pytest.fixture
def client(place: Place) -> FlaskClient:
    """A client of a server on `place`."""
    return place.client()


@pytest.fixture
def session(tmp_path: Path) -> Place:
    """The recorded session as it was while running, with its pids dead."""
    return places.recorded(tmp_path / "session")


@pytest.fixture
def finished(tmp_path: Path) -> Place:
    """The recorded session after its end."""
    return places.recorded(tmp_path / "finished", finished=True)


@pytest.fixture(scope="session")
def sleeper() -> Iterator[int]:
    """The pid of a process that lives as long as the tests, in a session of its own."""
    process = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def ask(session: Place) -> Callable[[str], Any]:
    """GET from a server on the recorded session: the JSON of an answer that has to be 200."""
    client = session.client()

    def get(path: str) -> Any:
        response = client.get(path)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_json()

    return get


@pytest.fixture(name="children")
def started_children() -> Iterator[Children]:
    """Starts real processes that end with the test."""
    with children() as started:
        yield started
