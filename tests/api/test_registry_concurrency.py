"""Concurrent changes of the registry by several processes."""

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import registered
from tests.support.places import Place
from tests.support.processes import PROCESSES
from tests.support.registered import PROJECTS

pytestmark = pytest.mark.slow


@pytest.fixture
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=PROCESSES) as pool:
        yield pool


def _register_all(place: Place, paths: list[Path]) -> list[int]:
    """Register projects from several threads; return the status codes."""
    app = place.app()

    def post(path: Path) -> int:
        return app.test_client().post(PROJECTS, json={"path": str(path)}).status_code

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(post, paths))


def test_forty_registrations_from_two_processes_are_forty_projects(
    place: Place, processes: Executor
) -> None:
    paths = [registered.directory(place, f"many/p{number}") for number in range(40)]
    jobs = [processes.submit(_register_all, place, half) for half in (paths[:20], paths[20:])]
    statuses = [status for job in jobs for status in job.result()]
    assert statuses == [201] * 40
    answer = place.client().get(PROJECTS).get_json()
    assert {entry["path"] for entry in answer} == set(map(str, paths))


def test_a_path_that_all_register_at_once_is_one_project(place: Place, processes: Executor) -> None:
    path = registered.directory(place, "same")
    jobs = [processes.submit(_register_all, place, [path] * 5) for _ in range(2)]
    assert [status for job in jobs for status in job.result()] == [201] * 10
    assert len(place.client().get(PROJECTS).get_json()) == 1


def test_no_temporary_file_is_left(place: Place) -> None:
    path = registered.directory(place, "a")
    place.client().post(PROJECTS, json={"path": str(path)})
    assert list((place.home / ".loki" / "dashboard").glob("*.tmp")) == []
    assert list((place.home / ".loki" / "dashboard").glob(".*")) == []
