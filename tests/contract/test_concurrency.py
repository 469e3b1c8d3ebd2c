"""Many clients, three workers, one session: nothing is lost, nothing breaks."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
import requests

from tests.support import places, registered
from tests.support.accounts import bearer, everybody
from tests.support.places import Place
from tests.support.routes import SESSION_METRICS
from tests.support.servers import Server, serving
from tests.support.waiting import wait_until

WORKERS = 3
TRIGGERS = "notifications/triggers.json"


@pytest.fixture
def server(place: Place) -> Iterator[Server]:
    with serving(place, workers=WORKERS) as server:
        yield server


def at_once(call: Callable[[int], requests.Response], count: int) -> list[requests.Response]:
    """`call(0)` … `call(count - 1)`, all at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def codes(answers: list[requests.Response]) -> set[int]:
    return {answer.status_code for answer in answers}


def test_no_acknowledgement_is_lost(place: Place, server: Server) -> None:
    entries = [{"id": f"n{n}", "message": f"m{n}", "acknowledged": False} for n in range(40)]
    place.write("notifications/active.json", {"notifications": entries, "mine": 1})
    made = at_once(lambda n: server.post(f"/api/notifications/n{n}/acknowledge"), 40)
    assert codes(made) == {200}
    stored = place.read("notifications/active.json")
    assert [(e["id"], e["acknowledged"]) for e in stored["notifications"]] == [
        (e["id"], True) for e in entries
    ]
    assert stored["mine"] == 1
    assert server.get("/api/notifications?acknowledged=false").json() == []


def test_no_registration_is_lost(place: Place, server: Server) -> None:
    paths = [registered.directory(place, f"many/p{n}") for n in range(40)]
    made = at_once(lambda n: server.post(registered.PROJECTS, json={"path": str(paths[n])}), 40)
    assert codes(made) == {201}
    assert {entry["path"] for entry in registered.held(place).values()} == set(map(str, paths))
    assert len(server.get(registered.PROJECTS).json()) == 40


def test_no_checkpoint_is_lost(place: Place, server: Server) -> None:
    place.write("queue/pending.json", [{"id": "t"}])
    made = at_once(lambda n: server.post("/api/checkpoints", json={"message": f"m{n}"}), 20)
    assert codes(made) == {201}
    listed = {entry["id"]: entry["message"] for entry in server.get("/api/checkpoints").json()}
    assert listed == {answer.json()["id"]: answer.json()["message"] for answer in made}
    assert sorted(listed.values()) == sorted(f"m{n}" for n in range(20))
    for identity, message in listed.items():
        assert server.get(f"/api/checkpoints/{identity}").json()["message"] == message


def test_no_change_of_a_trigger_is_lost(place: Place, server: Server) -> None:
    kept = [
        {"id": f"t{n}", "type": "budget_threshold", "threshold_pct": 1, "mine": n}
        for n in range(30)
    ]
    place.write(TRIGGERS, {"triggers": kept})
    change = "/api/notifications/triggers"
    made = at_once(
        lambda n: server.put(change, json={"triggers": [{"id": f"t{n}", "threshold": 10 + n}]}), 30
    )
    assert codes(made) == {200}
    stored = place.read(TRIGGERS)["triggers"]
    assert [(t["id"], t["threshold_pct"], t["mine"]) for t in stored] == [
        (f"t{n}", 10 + n, n) for n in range(30)
    ]


def test_a_revoked_token_opens_nothing_at_any_worker(place: Place) -> None:
    everybody(place)
    tokens, admin = "/api/enterprise/tokens", bearer("admin")
    with serving(place, workers=WORKERS, LOKI_ENTERPRISE_AUTH="true") as server:
        for number in range(5):
            wanted = {"name": f"reader{number}", "scopes": ["read"]}
            made = server.post(tokens, json=wanted, headers=admin).json()
            holder = {"Authorization": f"Bearer {made['token']}"}
            assert codes(twelve_at_once(server, holder)) == {200}
            ended = server.request("DELETE", f"{tokens}/{made['id']}", headers=admin)
            assert ended.status_code < 300
            assert codes(twelve_at_once(server, holder)) == {401}


def twelve_at_once(server: Server, headers: dict[str, str]) -> list[requests.Response]:
    return at_once(lambda _: server.get("/api/status", headers=headers), 12)


REWRITER = """
import json, sys, time
contents = {name: json.dumps(value) for name, value in json.load(sys.stdin).items()}
print("ready", flush=True)
while True:
    for name, content in contents.items():
        with open(name, "w") as stream:
            stream.flush()
            time.sleep(0.03)
            stream.write(content)
        time.sleep(0.01)
"""


@contextmanager
def rewriting_in_place(place: Place, contents: dict[str, object]) -> Iterator[None]:
    """Another program that truncates each file, hesitates and then writes it, again and again."""
    given = json.dumps({str(place.loki / relative): c for relative, c in contents.items()})
    with subprocess.Popen(
        [sys.executable, "-c", REWRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        writer.stdin.write(given)
        writer.stdin.close()
        assert writer.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            writer.kill()


def test_files_that_are_being_rewritten_do_not_flicker(place: Place) -> None:
    """Eight files that were read whole, of which one is empty at nearly every moment."""
    contents: dict[str, object] = {
        f"queue/{status}.json": [{"id": f"{status}-{n}"} for n in range(5)]
        for status in ("pending", "in-progress", "review", "completed", "failed")
    }
    contents["dashboard-state.json"] = {"phase": "BUILD", "iteration": 7}
    contents["state/orchestrator.json"] = {"currentPhase": "BUILD"}
    contents["council/state.json"] = {"enabled": True, "total_votes": 3}
    asked = ("/api/tasks", "/api/status", "/api/council/state", "/metrics")
    for relative, content in contents.items():
        place.write(relative, content)
    with serving(place) as server:
        assert codes([server.get(path) for path in asked]) == {200}
        with rewriting_in_place(place, contents):
            answers = at_once(lambda n: server.get(asked[n % len(asked)]), 200)
    assert codes(answers) == {200}
    assert {len(answer.json()) for answer in answers[0::4]} == {25}
    assert {answer.json()["phase"] for answer in answers[1::4]} == {"BUILD"}
    assert {answer.json()["enabled"] for answer in answers[2::4]} == {True}


def test_a_folder_that_vanishes_and_comes_back_breaks_nothing(tmp_path: Path) -> None:
    place = places.recorded(tmp_path / "p", today=True)
    spare = tmp_path / "spare"
    shutil.copytree(place.loki, spare, symlinks=True)
    asked = (
        *("/api/tasks", "/api/status", "/api/logs", "/api/memory/summary", "/api/cost"),
        *("/api/checkpoints", "/api/learning/signals", SESSION_METRICS, "/api/council/state"),
    )
    over, answers = Event(), list[requests.Response]()

    def let_requests_pass() -> None:
        before = len(answers)
        wait_until(lambda: len(answers) > before + 5 or over.is_set(), "answers")

    def come_and_go() -> None:
        while not over.is_set():
            shutil.rmtree(place.loki)
            let_requests_pass()
            shutil.copytree(spare, place.loki, symlinks=True)
            let_requests_pass()

    with serving(place, workers=WORKERS) as server:
        before = {path: server.get(path).text for path in asked if "status" not in path}
        trouble = Thread(target=come_and_go)
        trouble.start()
        try:
            with ThreadPoolExecutor(6) as pool:
                for answer in pool.map(server.get, asked * 40):
                    answers.append(answer)
        finally:
            over.set()
            trouble.join()
        assert codes(answers) == {200}
        assert not [line for line in server.errors if "Traceback" in line]
        for _ in range(WORKERS * 2):
            after = {path: server.get(path).text for path in before}
            assert without_uptime(after) == without_uptime(before)


def without_uptime(texts: dict[str, str]) -> dict[str, list[str]]:
    return {
        path: [line for line in text.splitlines() if "loki_uptime" not in line]
        for path, text in texts.items()
    }
