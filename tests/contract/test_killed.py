"""`kill -9` in the middle of everything leaves whole files, and the next start tidies up."""

import contextlib
import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import requests

from tests.support import registered
from tests.support.places import Place
from tests.support.servers import Server, serving, serving_without_privileges
from tests.support.waiting import wait_until

SETTINGS = {"LOKI_ENTERPRISE_AUDIT": "true", "LOKI_AUDIT_MAX_SIZE_MB": "1"}


@pytest.fixture
def busy(place: Place) -> Place:
    """A project in which every kind of write has something to change."""
    entries = [{"id": f"n{n}", "message": "m" * 2000} for n in range(50)]
    place.write("notifications/active.json", {"notifications": entries})
    place.write("queue/pending.json", [{"id": f"t{n}", "title": "x" * 500} for n in range(200)])
    place.write("events.jsonl", '{"type": "x", "timestamp": "2026-02-19T16:20:00Z"}\n')
    for number in range(10):
        registered.directory(place, f"p{number}")
    return place


def writes(place: Place, server: Server) -> list[Callable[[int], requests.Response]]:
    """A call of each kind that writes, by the number of the turn."""
    return [
        lambda n: server.post(f"/api/notifications/n{n % 50}/acknowledge"),
        lambda n: server.put(
            "/api/notifications/triggers",
            json={"triggers": [{"id": "budget-80pct", "threshold": n % 100}]},
        ),
        lambda n: server.post("/api/checkpoints", json={"message": f"m{n}"}),
        lambda n: server.post(
            registered.PROJECTS, json={"path": str(place.home / f"p{n % 10}"), "alias": f"a{n}"}
        ),
        lambda _: server.post("/api/learning/aggregate"),
        lambda n: server.post("/api/control/" + ("pause", "resume")[n % 2]),
        lambda _: server.post("/api/council/force-review"),
    ]


@contextmanager
def writing(place: Place, server: Server) -> Iterator[list[int]]:
    """One client for each kind of write, until the end; the statuses that they were given."""
    over, given = threading.Event(), list[int]()

    def work(call: Callable[[int], requests.Response]) -> None:
        for number in count():
            if over.is_set():
                return
            with contextlib.suppress(requests.RequestException):
                given.append(call(number).status_code)

    threads = [threading.Thread(target=work, args=(call,)) for call in writes(place, server)]
    for thread in threads:
        thread.start()
    try:
        yield given
    finally:
        over.set()
        for thread in threads:
            thread.join()


def let_it_work(given: list[int]) -> None:
    enough = len(given) + 10
    wait_until(lambda: len(given) > enough, "answers")


def check_everything_is_whole(place: Place) -> None:
    """Every JSON file parses, every line of every journal too, and checkpoints are complete."""
    for path in place.home.rglob("*"):
        if ".loki-web.tmp" in str(path) or not path.is_file():
            continue
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".jsonl":
            lines = path.read_bytes().split(b"\n")
            assert lines.pop() == b"", path
            for line in lines:
                json.loads(line)
    for checkpoint in (place.loki / "state/checkpoints").glob("chk-*"):
        files = json.loads((checkpoint / "metadata.json").read_bytes())["files"]
        assert all((checkpoint / name).is_file() for name in files)


def temporaries(place: Place) -> list[Path]:
    return [path for path in place.home.rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.slow
def test_a_killed_worker_costs_only_what_it_was_doing(busy: Place) -> None:
    with serving(busy, workers=3, **SETTINGS) as server:
        with writing(busy, server) as given:
            for _ in range(6):
                let_it_work(given)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(random.choice(server.workers()), signal.SIGKILL)
        check_everything_is_whole(busy)
        assert set(given) <= {200, 201}
        assert server.get("/api/status").status_code == 200
        assert server.get("/api/enterprise/audit?limit=1000").status_code == 200


@pytest.mark.slow
def test_a_killed_server_leaves_whole_files_and_the_next_one_tidies_up(busy: Place) -> None:
    for _ in range(5):
        with serving(busy, workers=3, **SETTINGS) as server:
            assert temporaries(busy) == []
            with writing(busy, server) as given:
                let_it_work(given)
                server.kill()
        assert set(given) <= {200, 201}
        check_everything_is_whole(busy)
    with serving(busy, workers=3, **SETTINGS) as server:
        assert temporaries(busy) == []
        listed = {entry["id"] for entry in server.get("/api/checkpoints?limit=200").json()}
        assert listed == {path.name for path in (busy.loki / "state/checkpoints").glob("chk-*")}


@pytest.mark.parametrize("instead", ["nothing", "a file", "a closed folder"])
def test_dead_workers_are_replaced_whatever_stands_in_the_place_of_the_session(
    place: Place, instead: str
) -> None:
    place.write("queue/pending.json", [{"id": "kept"}])
    away = place.loki.with_name("away")
    with serving_without_privileges(place) as server:
        place.loki.rename(away)
        if instead == "a file":
            place.loki.write_text("in the way")
        elif instead == "a closed folder":
            place.loki.mkdir(mode=0)
        before = server.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: server.has_replaced(before), "workers instead of the dead ones")
        assert server.get("/api/tasks").json() == []
        if instead == "a file":
            place.loki.unlink()
        elif instead == "a closed folder":
            place.loki.rmdir()
        away.rename(place.loki)
        assert [task["id"] for task in server.get("/api/tasks").json()] == ["kept"]
