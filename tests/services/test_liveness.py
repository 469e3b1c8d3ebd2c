"""Whether the recorded session runs, and whether its process is signalled: from evidence."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from loki_web.store.process import read_process
from tests.support import places
from tests.support.children import Children, backdate, still_lives, was_terminated
from tests.support.elsewhere import NAMESPACE, ask_elsewhere
from tests.support.places import Place
from tests.support.rights import need_namespaces, need_open_checkout, need_root

DAY = 86400.0
STATE = "dashboard-state.json"


def status(client: FlaskClient) -> tuple[str, str, bool]:
    """Return the status, how it is known, and whether the session has fallen silent."""
    answer = client.get("/api/status").get_json()
    supervised = client.get("/api/health/processes").get_json()
    metrics = client.get("/metrics").get_data(as_text=True)
    alive = answer["status"] != "stopped"
    assert supervised["session"]["alive"] is alive
    assert supervised["session"]["liveness"] == answer["liveness"]
    assert f"\nloki_session_status {float(alive)}\n" in metrics
    return answer["status"], answer["liveness"], answer["stale"]


def stop(client: FlaskClient) -> Any:
    response = client.post("/api/control/stop")
    assert response.status_code == 200
    return response.get_json()


@pytest.fixture
def thread() -> Iterator[int]:
    """The number of a thread of this process."""
    end = threading.Event()
    started = threading.Thread(target=end.wait)
    started.start()
    assert started.native_id
    yield started.native_id
    end.set()
    started.join()


def kernel_thread() -> int:
    found = read_process(2)
    if found is None or not found.is_odd:
        pytest.skip("no kernel threads here: this is a container")
    return 2


Record = Callable[[Place, int, float], None]


def in_pid_file(place: Place, pid: int, age: float) -> None:
    backdate(place.write("loki.pid", f"{pid}\n"), age)


def in_session_file(place: Place, pid: int, age: float) -> None:
    started = time.time() - age
    place.write("session.json", {"status": "running", "pid": pid, "startedAt": started})


def in_folder(place: Place, pid: int, age: float) -> None:
    backdate(place.write("sessions/issue-7/loki.pid", f"{pid}\n"), age)


def in_registration(place: Place, pid: int, age: float) -> None:
    backdate(place.write(f"pids/{pid}.json", {"pid": pid, "kind": "wrapper"}), age)


RECORDS = [in_pid_file, in_session_file, in_folder, in_registration]


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("age", [-30.0, 0.0, 30.0])
def test_a_recorded_process_is_running_and_stopped_whatever_the_clock_of_the_files(
    place: Place, client: FlaskClient, children: Children, record: Record, age: float
) -> None:
    child = children.worker(place)
    record(place, child.pid, age)
    assert status(client) == ("running", "process", False)
    assert client.get("/api/status").get_json()["pid"] == child.pid
    assert stop(client)["process_signalled"] is True
    assert was_terminated(child)
    assert status(client)[0] == "stopped"


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("age", [3600.0, 5 * DAY])
def test_a_process_that_is_younger_than_its_record_is_another_one(
    place: Place, client: FlaskClient, children: Children, record: Record, age: float
) -> None:
    child = children.worker(place)
    record(place, child.pid, age)
    assert status(client)[0] == "stopped"
    answer = stop(client)
    assert (answer["process_signalled"], "not the recorded one" in answer["reason"]) == (
        False,
        True,
    )
    assert still_lives(child)


@pytest.mark.parametrize("record", RECORDS)
def test_threads_and_threads_of_the_kernel_are_no_sessions(
    place: Place, client: FlaskClient, thread: int, record: Record
) -> None:
    for pid in (thread, kernel_thread()):
        record(place, pid, 0)
        assert status(client)[0] == "stopped"
        assert stop(client)["process_signalled"] is False


@pytest.mark.parametrize("record", RECORDS)
def test_a_process_that_works_elsewhere_is_shown_and_not_signalled(
    place: Place, client: FlaskClient, children: Children, record: Record
) -> None:
    child = children.sleeper()
    record(place, child.pid, 0)
    assert status(client) == ("running", "process", False)
    answer = stop(client)
    assert "does not work in the folder" in answer["reason"]
    assert answer["reason"] in answer["message"]
    assert still_lives(child)


def test_an_older_process_that_works_elsewhere_is_another_one(
    place: Place, client: FlaskClient, children: Children
) -> None:
    child = children.sleeper()
    in_pid_file(place, child.pid, -2 * 3600)
    assert status(client)[0] == "stopped"
    assert stop(client)["process_signalled"] is False
    assert still_lives(child)


def test_agents_are_judged_like_sessions(
    place: Place, client: FlaskClient, children: Children, thread: int
) -> None:
    mine, younger, foreign = children.worker(place), children.worker(place), children.sleeper()
    agents = [
        {"id": "mine", "status": "running", "pid": mine.pid},
        {"id": "younger", "status": "running", "pid": younger.pid, "spawned_at": time.time() - DAY},
        {"id": "thread", "status": "running", "pid": thread},
        {"id": "foreign", "status": "running", "pid": foreign.pid},
    ]
    place.write("state/agents.json", agents)
    listed = client.get("/api/agents").get_json()
    assert {agent["id"]: agent["alive"] for agent in listed} == {
        "mine": True, "younger": False, "thread": False, "foreign": True
    }  # fmt: skip
    assert {agent["liveness"] for agent in listed} == {"process"}
    killed = {
        agent["id"]: client.post(f"/api/agents/{agent['id']}/kill").get_json()["success"]
        for agent in listed
    }
    assert killed == {"mine": True, "younger": False, "thread": False, "foreign": False}
    assert was_terminated(mine)
    assert still_lives(younger)
    assert still_lives(foreign)


def test_each_session_counts_once(place: Place, client: FlaskClient, children: Children) -> None:
    main, second, third = (children.worker(place) for _ in range(3))
    in_pid_file(place, main.pid, 0)
    in_session_file(place, main.pid, 0)
    in_registration(place, main.pid, 0)
    place.write(f"pids/{children.worker(place).pid}.json", {"label": "status-monitor"})
    assert client.get("/api/status").get_json()["active_sessions"] == 1
    place.write("sessions/issue-7/loki.pid", f"{second.pid}\n")
    in_registration(place, third.pid, 0)
    answer = client.get("/api/status").get_json()
    assert answer["active_sessions"] == 3
    assert answer["sessions"] == [
        {"session_id": "global", "pid": main.pid},
        {"session_id": "issue-7", "pid": second.pid},
        {"session_id": "global", "pid": third.pid},
    ]
    assert stop(client)["process_signalled"] is True
    assert all(was_terminated(child) for child in (main, second, third))
    assert client.get("/api/status").get_json()["active_sessions"] == 0


@pytest.mark.parametrize(
    ("began", "silent", "expected"),
    [
        (7 * 3600, 0, ("running", "heartbeat", False)),
        (7 * 3600, -30, ("running", "heartbeat", False)),
        (9 * DAY, 1200, ("running", "heartbeat", False)),
        (5.5 * 3600, 5 * 3600, ("stopped", "heartbeat", True)),
        (5 * 3600, 5 * 3600, ("stopped", "heartbeat", True)),
        (3600, None, ("running", "unknown", False)),
        (3600, DAY, ("running", "unknown", False)),
        (7 * 3600, None, ("stopped", "unknown", True)),
    ],
)
@pytest.mark.parametrize("file", [STATE, "events.jsonl", "logs/session.log", "CONTINUITY.md"])
def test_a_session_without_a_process_lives_while_it_writes(
    place: Place,
    client: FlaskClient,
    file: str,
    began: float,
    silent: float | None,
    expected: tuple[str, str, bool],
) -> None:
    started = (datetime.now(UTC) - timedelta(seconds=began)).isoformat()
    place.write("session.json", {"status": "running", "startedAt": started})
    if silent is not None:
        backdate(place.write(file, "{}\n"), silent)
    assert status(client) == expected


@pytest.mark.parametrize("pid", [4_990_001, 2**31 - 1])
def test_a_number_that_no_system_gives_is_no_process_anywhere(
    place: Place, client: FlaskClient, pid: int
) -> None:
    place.write("loki.pid", f"{pid}\n")
    place.write(STATE, {})
    assert status(client) == ("stopped", "process", False)


@pytest.mark.slow
@pytest.mark.parametrize(("silent", "alive"), [(0, True), (120, True), (3600, False)])
def test_a_session_of_another_namespace_lives_by_its_heartbeat(
    place: Place, children: Children, silent: float, alive: bool
) -> None:
    need_namespaces()
    child = children.worker(place)
    place.write("loki.pid", f"{child.pid}\n")
    place.write("state/agents.json", [{"id": "a", "status": "active", "pid": child.pid}])
    backdate(place.write(STATE, {}), silent)
    code = (
        "tell(get('/api/status'), get('/api/agents'), post('/api/agents/a/kill'),"
        " post('/api/control/stop'))"
    )
    seen, (agent,), spared, stopped = ask_elsewhere(place, code, *NAMESPACE)
    assert (seen["status"], seen["stale"]) == (("running", False) if alive else ("stopped", True))
    assert (seen["liveness"], seen["pid"], seen["active_sessions"]) == ("heartbeat", None, alive)
    known_by = "heartbeat" if alive else "process"
    assert (agent["alive"], agent["liveness"]) == (alive, known_by)
    assert (spared["success"], spared["liveness"]) == (False, known_by)
    assert (stopped["process_signalled"], stopped["marker_written"]) == (False, True)
    assert ("cannot see" in stopped["message"]) is alive
    assert still_lives(child)


@pytest.mark.parametrize("names", [("a",), ("a", "b"), ("a", "b", "c")])
def test_sessions_with_one_number_in_containers_of_their_own_all_count(
    place: Place, client: FlaskClient, children: Children, names: tuple[str, ...]
) -> None:
    younger = children.worker(place)  # the number is that of another process here
    for name in names:
        backdate(place.write(f"sessions/{name}/loki.pid", f"{younger.pid}\n"), DAY)
    in_registration(place, younger.pid, DAY)
    place.write(STATE, {})
    answer = client.get("/api/status").get_json()
    assert (answer["status"], answer["active_sessions"]) == ("running", len(names))
    assert [each["session_id"] for each in answer["sessions"]] == list(names)


def test_a_process_that_is_recorded_under_two_names_is_one_session(
    place: Place, client: FlaskClient, children: Children
) -> None:
    worker = children.worker(place)
    in_pid_file(place, worker.pid, 0)
    place.write("sessions/a/loki.pid", f"{worker.pid}\n")
    assert client.get("/api/status").get_json()["active_sessions"] == 1
    assert stop(client)["process_signalled"] is True


@pytest.mark.slow
def test_a_session_that_is_process_1_of_its_container(place: Place, client: FlaskClient) -> None:
    need_namespaces()
    place.write("loki.pid", "1\n")
    place.write(STATE, {})
    assert status(client) == ("running", "heartbeat", False)
    assert stop(client)["process_signalled"] is False
    code = "tell(get('/api/status'), post('/api/control/stop'))"
    seen, stopped = ask_elsewhere(place, code, *NAMESPACE, "sh", "-c", '"$@"; exit $?', "runner")
    assert (seen["status"], seen["liveness"], seen["pid"]) == ("running", "process", 1)
    assert "process 1" in stopped["reason"]


@pytest.mark.slow
def test_an_end_that_was_seen_counts_more_than_the_heartbeat(place: Place) -> None:
    need_namespaces()
    place.write(STATE, {})
    code = """
runner = subprocess.Popen(["sleep", "600"])
with open(os.path.join(os.environ["LOKI_DIR"], "loki.pid"), "w") as stream:
    stream.write(str(runner.pid))
before = get("/api/status")
runner.kill()
runner.wait()
tell(before["liveness"], get("/api/status")["status"])
"""
    assert ask_elsewhere(place, code, *NAMESPACE) == ["process", "stopped"]


@pytest.fixture
def open_place() -> Iterator[Place]:
    """A project that every user may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield places.empty(folder)
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["hidepid=2", "hidepid=1", "hidepid=0"])
def test_a_session_of_another_user_runs_even_where_proc_hides_it(
    open_place: Place, children: Children, option: str
) -> None:
    need_namespaces()
    need_open_checkout()
    child = children.worker(open_place)
    open_place.write("loki.pid", f"{child.pid}\n")
    hide = f'mount -t proc -o {option} proc /proc && exec setpriv --reuid 65534 --clear-groups "$@"'
    code = "tell(os.getuid(), get('/api/status'), post('/api/control/stop'))"
    within = ("unshare", "--mount", "sh", "-c", hide, "hide")
    user, seen, refused = ask_elsewhere(open_place, code, *within)
    assert user == 65534
    assert (seen["status"], seen["liveness"]) == ("running", "process")
    assert "no signal was sent" in refused["detail"]  # and the folder is not the server's to write
    assert still_lives(child)


@pytest.mark.parametrize(("setting", "is_sent"), [("false", False), ("true", True)])
def test_root_signals_other_users_only_where_it_is_told_to(
    place: Place, children: Children, setting: str, is_sent: bool
) -> None:
    need_root()
    child = children.of_another_user(place)
    place.write("loki.pid", f"{child.pid}\n")
    client = place.client(LOKI_SIGNAL_OTHER_USERS=setting)
    assert status(client) == ("running", "process", False)
    answer = stop(client)
    assert answer["process_signalled"] is is_sent
    assert is_sent or "another user" in answer["message"]
    assert was_terminated(child) if is_sent else still_lives(child)


def test_stop_spares_what_started_this_server(place: Place, client: FlaskClient) -> None:
    ancestor = os.getppid()
    place.write("loki.pid", f"{ancestor}\n")
    assert stop(client)["process_signalled"] is False
