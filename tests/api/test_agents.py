"""/api/agents: every form of the list on disk; killing, pausing and resuming."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from loki_web.services.agents import records as agents_records
from tests.support.children import Children, backdate, still_lives, was_terminated
from tests.support.places import Place, snapshot

FILE = "state/agents.json"
DOCUMENTED = {"id": str, "type": str, "status": str, "task": str, "alive": bool}


def listed(client: FlaskClient) -> list[dict[str, Any]]:
    response = client.get("/api/agents")
    assert response.status_code == 200
    entries: list[dict[str, Any]] = response.get_json()
    for agent in entries:
        assert all(type(agent[key]) is kind for key, kind in DOCUMENTED.items())
        assert agent["pid"] is None or type(agent["pid"]) is int
    return entries


def post(client: FlaskClient, agent_id: str, action: str, **options: Any) -> tuple[int, Any]:
    response = client.post(f"/api/agents/{agent_id}/{action}", **options)
    return response.status_code, response.get_json()


def entry(agent_id: str = "agent-001", **more: Any) -> dict[str, Any]:
    return {"id": agent_id, "type": "development", "status": "running", "task": "t", **more}


def test_recorded_agents_have_ids_of_their_own(session: Place) -> None:
    answer = listed(session.client())
    recorded = session.read(FILE)
    assert len({agent["id"] for agent in answer}) == len(answer) == len(recorded)
    assert [agent["task"] for agent in answer] == [one["current_task"] for one in recorded]
    assert {agent["status"] for agent in answer} == {"running"}
    assert {agent["raw_status"] for agent in answer} == {"active"}


def test_agents_inside_the_session_live_with_it(session: Place, children: Children) -> None:
    client = session.client()
    assert not any(agent["alive"] for agent in listed(client))
    assert client.get("/api/status").get_json()["running_agents"] == 0
    session.write("loki.pid", f"{children.sleeper().pid}\n")
    answer = listed(client)
    assert all(agent["alive"] for agent in answer)
    assert client.get("/api/status").get_json()["running_agents"] == len(answer)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"id": "a", "agent_id": "b"}, {"id": "a", "type": "unknown", "task": "", "pid": None}),
        ({"agent_id": "b", "name": "c"}, {"id": "b", "name": "c"}),
        ({"name": "the builder"}, {"id": "the builder"}),
        ({"id": 7}, {"id": "7"}),
        ({"id": "a", "type": 5, "agent_type": "x"}, {"type": "x"}),
        ({"id": "a", "task": None, "current_task": "do"}, {"task": "do"}),
        ({"id": "a", "status": "active"}, {"status": "running", "raw_status": "active"}),
        ({"id": "a", "status": "Completed"}, {"status": "completed"}),
        ({"id": "a", "status": None}, {"status": "unknown", "alive": False}),
        ({"id": "a", "pid": "499999999"}, {"pid": 499999999, "alive": False}),
        ({"id": "a", "pid": "12abc"}, {"pid": None}),
        ({"id": "a", "pid": True}, {"pid": None}),
        ({"id": "a", "pid": -1}, {"pid": None}),
        ({"id": "a", "started": "2026-02-20T09:03:00.1+00:00Z"}, {"started_at": None}),
        ({"id": "a", "task": "use sk-ant-api03-abcdef123456"}, {"task": "use [redacted]"}),
    ],
)
def test_forms_of_a_record(
    place: Place, client: FlaskClient, wrapped: bool, record: Any, expected: dict[str, Any]
) -> None:
    place.write(FILE, {"agents": [record]} if wrapped else [record])
    (agent,) = listed(client)
    if "started" in record:
        expected = {"started_at": "2026-02-20T09:03:00.1+00:00"}
    assert {key: agent[key] for key in expected} == expected


@pytest.mark.parametrize(
    "content", ["5", '"x"', "null", '{"a": 1}', '{"agents": 5}', '[1, "x", null, []]', "{", ""]
)
def test_values_of_other_shapes_are_no_agents(
    place: Place, client: FlaskClient, content: str
) -> None:
    place.write(FILE, content)
    assert listed(client) == []
    for action in ("kill", "pause", "resume"):
        assert post(client, "agent-001", action)[0] == 404


def test_a_bad_record_does_not_hide_its_neighbours(
    place: Place, client: FlaskClient, children: Children
) -> None:
    pid = children.worker(place).pid
    place.write(FILE, [entry("bad", pid="x"), 5, None, entry("good", pid=pid)])
    assert [agent["id"] for agent in listed(client)] == ["bad", "good"]
    processes = client.get("/api/health/processes").get_json()["agents"]
    assert [(agent["id"], agent["pid"]) for agent in processes] == [("good", pid)]
    assert client.get("/api/status").get_json()["running_agents"] == 1


def test_a_newer_state_file_stands_in_for_an_empty_list(place: Place, client: FlaskClient) -> None:
    backdate(place.write(FILE, "[]"), 5)
    place.write("dashboard-state.json", {"agents": [entry("from-state")]})
    assert [agent["id"] for agent in listed(client)] == ["from-state"]
    place.write(FILE, [entry("from-list")])
    assert [agent["id"] for agent in listed(client)] == ["from-list"]


@pytest.mark.parametrize(
    "more", [{"tool_id": "toolu_01%s"}, {"pid": 49999990}, {}], ids=["tool", "pid", "nothing"]
)
def test_shared_ids_get_suffixes_that_stay_when_others_are_removed(
    place: Place, client: FlaskClient, more: dict[str, Any]
) -> None:
    def record(number: int) -> dict[str, Any]:
        own = dict(more)
        if "pid" in own:
            own["pid"] += number
        if "tool_id" in own:
            own["tool_id"] %= f"abcdef{number}"
        return entry("same", **own)

    place.write(FILE, [record(1), record(2), record(3)])
    before = [agent["id"] for agent in listed(client)]
    assert len(set(before)) == 3
    assert all(identity.startswith("same") for identity in before)
    if more:
        place.write(FILE, [record(2), record(3)])
        assert [agent["id"] for agent in listed(client)] == before[1:]


def test_a_generated_id_never_equals_a_recorded_one(place: Place, client: FlaskClient) -> None:
    place.write(FILE, [entry("a"), entry("a"), entry("a-2"), {}, {}, {"id": " "}])
    ids = [agent["id"] for agent in listed(client)]
    assert len(set(ids)) == 6


@pytest.mark.parametrize("wrapped", [False, True])
def test_kill_ends_the_process_and_writes_it_down(
    place: Place, client: FlaskClient, children: Children, wrapped: bool
) -> None:
    child, other = children.worker(place), children.worker(place)
    records = [
        entry("agent-001", pid=str(child.pid), mine={"kept": [1]}),
        "not a record",
        entry("agent-002", pid=other.pid),
    ]
    place.write(FILE, {"agents": records, "more": 1} if wrapped else records)
    assert post(client, "agent-001", "kill") == (
        200,
        {"success": True, "message": "Agent agent-001 terminated"},
    )
    assert was_terminated(child)
    assert still_lives(other)
    ended = [{**records[0], "status": "terminated"}, *records[1:]]  # type: ignore[dict-item]
    assert place.read(FILE) == ({"agents": ended, "more": 1} if wrapped else ended)
    answer = listed(client)
    assert [agent["status"] for agent in answer] == ["terminated", "running"]
    assert [agent["alive"] for agent in answer] == [False, True]


@pytest.mark.parametrize("form", ["map", "wrapped map", "one"])
def test_agents_in_a_map_by_id_are_listed_and_ended(
    place: Place, client: FlaskClient, children: Children, form: str
) -> None:
    child = children.worker(place)
    record = {"status": "running", "task": "t", "pid": child.pid}
    one, by_id = {**record, "id": "agent-001"}, {"version": "2", "agent-001": record, "x": None}
    stored: Any = {"map": by_id, "wrapped map": {"agents": by_id, "more": 1}, "one": one}[form]
    place.write(FILE, stored)
    assert [(agent["id"], agent["task"], agent["alive"]) for agent in listed(client)] == [
        ("agent-001", "t", True)
    ]
    assert client.get("/api/status").get_json()["running_agents"] == 1
    assert post(client, "agent-001", "kill")[1] == {
        "success": True, "message": "Agent agent-001 terminated"
    }  # fmt: skip
    assert was_terminated(child)
    ended = json.loads(json.dumps(stored).replace('"running"', '"terminated"'))
    assert place.read(FILE) == ended


def make_pid(kind: Any, children: Children) -> Any:
    created: dict[Any, Callable[[], int]] = {
        "dead": children.dead,
        "zombie": children.zombie,
        "own": os.getpid,
        "parent": os.getppid,
    }
    return created[kind]() if isinstance(kind, str) and kind in created else kind


@pytest.mark.parametrize(
    ("pid", "status"),
    [
        *((-1, 404), (0, 404), (1, 404), (1.5, 404), (True, 404), ("12abc", 404), (None, 404)),
        *(("-1", 404), ([5], 404), (10**20, 404)),
        *(("dead", 200), ("zombie", 200), ("own", 200), ("parent", 200)),
    ],
)
def test_kill_signals_nothing_by_a_dangerous_pid(
    place: Place, client: FlaskClient, children: Children, pid: Any, status: int
) -> None:
    canary = children.worker(place)
    place.write(FILE, [entry(pid=make_pid(pid, children))])
    before = (place.loki / FILE).read_bytes()
    code, answer = post(client, "agent-001", "kill")
    is_init = pid == "parent" and os.getppid() <= 1  # as in a container, or in the background
    assert code == (404 if is_init else status)
    assert answer.get("success") is not True
    assert (place.loki / FILE).read_bytes() == before
    assert still_lives(canary)


@pytest.mark.parametrize("key", ["spawned_at", "started", "started_at"])
def test_kill_spares_a_process_that_is_younger_than_the_agent(
    place: Place, client: FlaskClient, children: Children, key: str
) -> None:
    child = children.worker(place)
    place.write(FILE, [entry(pid=child.pid, **{key: "2026-02-20T09:03:00Z"})])
    before = (place.loki / FILE).read_bytes()
    code, answer = post(client, "agent-001", "kill")
    assert (code, answer["success"], answer["liveness"]) == (200, False, "process")
    assert "not signalled" in answer["message"]
    assert still_lives(child)
    assert (place.loki / FILE).read_bytes() == before


def test_kill_spares_a_process_that_is_younger_than_the_list(
    place: Place, client: FlaskClient, children: Children
) -> None:
    child = children.worker(place)
    backdate(place.write(FILE, [entry(pid=child.pid)]), 3600)
    assert post(client, "agent-001", "kill")[1]["success"] is False
    assert still_lives(child)


def test_kill_spares_the_runner_of_the_session(
    place: Place, client: FlaskClient, children: Children
) -> None:
    runner = children.worker(place)
    place.write("loki.pid", f"{runner.pid}\n")
    place.write(FILE, [entry(pid=runner.pid), entry("inside")])
    assert post(client, "agent-001", "kill")[1]["success"] is False
    assert post(client, "inside", "kill")[0] == 404
    assert still_lives(runner)


def test_kill_by_the_id_of_one_and_by_the_id_that_all_share(
    place: Place, client: FlaskClient, children: Children
) -> None:
    first, second, third = (children.worker(place) for _ in range(3))
    records = [
        entry("same", pid=child.pid, tool_id=f"toolu_01_{number}abcdef", started=time.time())
        for number, child in enumerate((first, second, third))
    ]
    place.write(FILE, records)
    one = listed(client)[1]["id"]
    assert post(client, one, "kill")[1]["success"] is True
    assert was_terminated(second)
    assert still_lives(first)
    assert post(client, "same", "kill")[1]["success"] is True
    assert was_terminated(first)
    assert was_terminated(third)
    assert {agent["status"] for agent in listed(client)} == {"terminated"}


def test_kill_of_an_agent_that_only_the_state_file_lists_writes_no_list(
    place: Place, client: FlaskClient, children: Children
) -> None:
    child = children.worker(place)
    path = place.write("dashboard-state.json", {"agents": [entry(pid=child.pid)]})
    before = path.read_bytes()
    assert post(client, "agent-001", "kill")[1]["success"] is True
    assert was_terminated(child)
    assert path.read_bytes() == before
    assert not (place.loki / FILE).exists()


@pytest.mark.parametrize(
    "options", [{}, {"json": {}}, {"data": b"", "content_type": "application/json"}]
)
def test_pause_and_resume_by_a_signal_file(
    place: Place, client: FlaskClient, options: dict[str, Any]
) -> None:
    place.write(FILE, [entry()])
    signal = place.loki / "signals" / "PAUSE_AGENT_agent-001"
    assert post(client, "agent-001", "pause", **options) == (
        200,
        {"success": True, "message": "Pause signal sent to agent agent-001"},
    )
    assert signal.is_file()
    assert listed(client)[0]["pause_requested"] is True
    assert post(client, "agent-001", "resume", **options) == (
        200,
        {"success": True, "message": "Resume signal sent to agent agent-001"},
    )
    assert not signal.exists()
    assert listed(client)[0]["pause_requested"] is False
    assert post(client, "agent-001", "resume")[0] == 200


def test_resume_of_one_that_was_paused_by_the_shared_id(session: Place) -> None:
    client = session.client()
    paused = [agent["id"] for agent in listed(client) if agent["pause_requested"]]
    assert len(paused) > 1
    assert post(client, paused[0], "resume")[0] == 200
    assert not any(agent["pause_requested"] for agent in listed(client))


def test_a_signal_can_be_taken_back_when_the_agent_is_no_longer_listed(
    place: Place, client: FlaskClient
) -> None:
    signal = place.write("signals/PAUSE_AGENT_gone", "")
    assert post(client, "gone", "pause")[0] == 404
    assert post(client, "gone", "resume")[0] == 200
    assert not signal.exists()


@pytest.mark.parametrize("action", ["kill", "pause", "resume"])
@pytest.mark.parametrize(
    ("agent_id", "status"),
    [
        *(("unknown", 404), ("a" * 128, 404), ("a" * 129, 400), ("a" * 5000, 400)),
        *(("..", 400), ("a%0A", 400), ("a%00", 400), ("%2e%2e", 400), (".", 400), ("ä", 400)),
        *(("a%20b", 400), ("..%2f..%2fetc", 404), ("a.b", 400)),
    ],
)
def test_unknown_and_invalid_ids(
    place: Place, client: FlaskClient, action: str, agent_id: str, status: int
) -> None:
    place.write(FILE, [entry()])
    before = snapshot(place.loki)
    code, answer = post(client, agent_id, action)
    assert (code, list(answer)) == (status, ["detail"])
    assert snapshot(place.loki) == before


def test_running_agents_are_those_that_live(place: Place, children: Children) -> None:
    place.write(
        FILE,
        [
            entry("live", pid=children.worker(place).pid),
            entry("dead", pid=children.dead()),
            entry("inside"),
            entry("done", status="completed"),
        ],
    )
    sources = place.sources()
    assert agents_records.count_running(sources) == 1
    place.write("loki.pid", f"{children.worker(place).pid}\n")
    assert agents_records.count_running(sources) == 2
