"""What an unchanged GET costs in files, expressions and calls: nothing that grows."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ

from benchmarks import sessions
from benchmarks.counts import Counts, counted
from loki_web.services import system
from loki_web.store.inputs import Root
from loki_web.store.look import recording
from loki_web.store.notifier import read_max_watches
from loki_web.web import meter
from tests.support import places
from tests.support.places import Place
from tests.support.registered import add_project
from tests.support.waiting import wait_until_settled

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ROUTES = (
    *("/health", "/api/status", "/api/tasks", "/api/logs?lines=100", "/api/memory/summary"),
    *("/api/memory/episodes", "/api/cost", "/api/council/verdicts", "/api/learning/metrics"),
    *("/api/learning/signals", "/api/agents", "/api/notifications", "/api/checkpoints", "/metrics"),
    *("/", "/openapi.json", "/asyncapi.json"),
)
_TIMES = 5


class Measured:
    """A session of a size, and a server on it."""

    def __init__(self, name: str, where: Path) -> None:
        session = sessions.session(name, where / name, now=NOW.timestamp())
        wait_until_settled(session.loki)
        self.place = Place(session.home, session.loki, NOW)
        self.app = self.place.app(LOKI_CACHE_DIR=str(where / f"cache-{name}"))

    def at_rest(self, route: str) -> Counts:
        """The least that a request was seen to do, after it had been answered before."""
        self._ask(route)
        seen = [asdict(counted(partial(self._ask, route))) for _ in range(_TIMES)]
        return Counts(**{field: min(one[field] for one in seen) for field in seen[0]})

    def _ask(self, route: str) -> None:
        environ = create_environ(route, headers={"Accept-Encoding": "gzip"})
        told: list[str] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            told.append(status)

        assert b"".join(self.app(environ, start))
        assert told == ["200 OK"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, Measured]:
    folder = tmp_path_factory.mktemp("counts")
    return Measured("S", folder), Measured("M", folder)


@pytest.fixture
def even_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each request take as long: the time decides how many buckets change.

    Without any time the sum of seconds would stay. A power of two is added without rounding.
    """
    monkeypatch.setattr(meter, "perf_counter", partial(next, count(step=2**-20)))


@pytest.mark.slow
@pytest.mark.usefixtures("even_time")
def test_an_unchanged_get_does_the_same_whatever_there_is(
    measured: tuple[Measured, Measured],
) -> None:
    small, medium = measured
    for route in ROUTES:
        found = small.at_rest(route)
        assert found == medium.at_rest(route), route
        assert (found.opens, found.stats, found.lists, found.read) == (0, 0, 0, 0), route
        # /metrics reads its series, whose number is bounded. Flask alone would take 500 calls more.
        regexes, calls = (8, 500) if route == "/metrics" else (4, 250)
        assert found.regexes <= regexes, (route, found)  # of the request's own headers
        assert found.calls < calls, (route, found)


def count_fleet(place: Place, iterations: int) -> Counts:
    """Return the least that a request for the fleet does while nothing changes."""
    for number in range(3):
        project = add_project(place, f"project-{number}")
        for iteration in range(iterations):
            record = {"iteration": iteration, "cost_usd": 1}
            project.write(f"metrics/efficiency/iteration-{iteration}.json", record)
    client = place.client()

    def ask() -> None:
        assert client.get("/api/fleet").get_json()["total_cost_usd"] == 3 * iterations

    ask()
    wait_until_settled(place.home)
    ask()
    seen = [asdict(counted(ask)) for _ in range(_TIMES)]
    return Counts(**{field: min(one[field] for one in seen) for field in seen[0]})


def test_the_fleet_costs_the_same_whatever_its_histories(tmp_path: Path) -> None:
    short, long = (
        count_fleet(places.empty(tmp_path / str(iterations)), iterations) for iterations in (1, 40)
    )
    assert short == long
    assert (short.opens, short.lists, short.read) == (0, 0, 0)


def test_the_tasks_of_many_projects_are_examined_only_after_events(place: Place) -> None:
    for number in range(projects := 70):
        add_project(place, f"project-{number}")
    client = place.client()
    assert len(client.get("/api/registry/tasks").get_json()) == projects
    wait_until_settled(place.home)
    client.get("/api/registry/tasks")
    seen = [counted(lambda: client.get("/api/registry/tasks")).stats for _ in range(_TIMES)]
    assert (min(seen) == 0) == (read_max_watches() >= projects * 512)


def test_mounts_of_keys_that_are_one_folder_are_examined_once(place: Place) -> None:
    mount, link = place.home / "run", place.home / "var-run"
    link.symlink_to(mount)
    mount.mkdir()
    with recording() as recorded:
        found = system.get_secret_sources(place.sources(), mount / "secrets", link / "secrets")
    roots = [each.path for each, _ in recorded.inputs if isinstance(each, Root)]
    assert roots == [mount / "secrets"]
    assert found == {"docker_secrets": False, "k8s_secrets": False, "env_secrets": []}
