"""Notifications: list and concurrent acknowledgement. Triggers: merged, not replaced."""

import threading
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from flask.testing import FlaskClient

from loki_web.app import create_app
from loki_web.config.settings import Settings
from tests.support.places import Place, snapshot
from tests.support.processes import PROCESSES
from tests.support.waiting import PATIENCE_SECONDS

Ask = Callable[[str], Any]
ACTIVE = "notifications/active.json"
TRIGGERS = "notifications/triggers.json"


def notification(identity: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "trigger_id": "context-90pct",
        "severity": "warning",
        "message": "m",
        "timestamp": "2026-02-20T09:00:00Z",
        "acknowledged": False,
        **fields,
    }


def listed(client: FlaskClient, query: str = "") -> list[str]:
    response = client.get(f"/api/notifications{query}")
    assert response.status_code == 200
    return [entry["id"] for entry in response.get_json()]


def triggers(client: FlaskClient) -> dict[str, Any]:
    return {t["id"]: t for t in client.get("/api/notifications/triggers").get_json()["triggers"]}


def put(client: FlaskClient, *changes: Any) -> int:
    return client.put("/api/notifications/triggers", json={"triggers": list(changes)}).status_code


def acknowledge(client: FlaskClient, identity: str) -> int:
    return client.post(f"/api/notifications/{identity}/acknowledge").status_code


# --- the list


def test_recorded_notifications_newest_first(ask: Ask, session: Place) -> None:
    stored = session.read(ACTIVE)["notifications"]
    answer = ask("/api/notifications")
    assert [entry["id"] for entry in answer] == [entry["id"] for entry in reversed(stored)]
    types = {t["id"]: t["type"] for t in session.read(TRIGGERS)["triggers"]}
    for entry, written in zip(answer, reversed(stored), strict=True):
        assert entry["trigger"] == types[written["trigger_id"]]
        for key in ("severity", "message", "acknowledged", "trigger_id", "iteration", "data"):
            assert entry[key] == written[key]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["d", "c", "b", "a"]),
        ("?severity=critical", ["c"]),
        ("?severity=info", ["d"]),
        ("?severity=bogus", []),
        ("?acknowledged=true", ["b"]),
        ("?acknowledged=false", ["d", "c", "a"]),
        ("?acknowledged=false&severity=warning", ["a"]),
        ("?limit=2", ["d", "c"]),
        ("?limit=2&offset=3", ["a"]),
        ("?limit=1&severity=critical", ["c"]),
    ],
)
def test_notifications_are_filtered_and_paged(
    place: Place, client: FlaskClient, query: str, expected: list[str]
) -> None:
    entries = [
        notification("c", severity="CRITICAL", timestamp="2026-02-20T09:00:17.1+00:00"),
        notification("a", timestamp=None),
        notification("d", severity="odd", timestamp="2026-02-20T11:00:00+01:00"),
        notification("b", acknowledged=True, timestamp="2026-02-20T09:00:17Z"),
    ]
    place.write(ACTIVE, {"notifications": entries})
    assert listed(client, query) == expected


@pytest.mark.parametrize(
    "query",
    [
        *(
            "limit=0",
            "limit=-1",
            "limit=1001",
            "limit=1e3",
            "limit=abc",
            "limit=",
            "limit=5&limit=6",
        ),
        *("offset=-5", "offset=x", "acknowledged=yes", "acknowledged="),
    ],
)
def test_parameters_that_mean_nothing_are_refused(client: FlaskClient, query: str) -> None:
    response = client.get(f"/api/notifications?{query}")
    assert response.status_code == 400
    assert isinstance(response.get_json()["detail"], str)


@pytest.mark.parametrize(
    "content",
    [[1], 5, "x", None, "{", {}, {"notifications": "x"}, {"notifications": [1, None, []]}],
)
def test_a_file_without_sound_entries_is_an_empty_list(
    place: Place, client: FlaskClient, content: Any
) -> None:
    place.write(ACTIVE, content)
    assert listed(client) == []


def test_odd_entries_get_documented_types(place: Place, client: FlaskClient) -> None:
    odd = {"id": 7, "severity": 5, "message": None, "timestamp": "soon", "acknowledged": "no"}
    place.write(ACTIVE, [3, odd, {"trigger_id": "mine", "data": "x"}])
    first, second = client.get("/api/notifications").get_json()
    assert first == {
        "id": "7",
        "severity": "info",
        "message": "",
        "trigger": "",
        "timestamp": "",
        "acknowledged": False,
        "trigger_id": "",
        "iteration": 0,
        "data": {},
    }
    assert (second["trigger"], second["data"]) == ("mine", {})
    assert second["id"]


def test_the_trigger_is_the_type_where_the_file_knows_it(place: Place, client: FlaskClient) -> None:
    place.write(ACTIVE, [notification("a"), notification("b", trigger_id="mine")])
    assert [e["trigger"] for e in client.get("/api/notifications").get_json()] == [
        "context-90pct",
        "mine",
    ]
    place.write(TRIGGERS, {"triggers": [{"id": "mine", "type": "weather"}, 5]})
    assert [e["trigger"] for e in client.get("/api/notifications").get_json()] == [
        "context-90pct",
        "weather",
    ]


def test_maps_by_id_are_read_like_lists(place: Place, client: FlaskClient) -> None:
    entries = [notification("n-1"), notification("n-2")]
    place.write(ACTIVE, {"notifications": {one["id"]: one for one in entries} | {"n-3": 5}})
    place.write(TRIGGERS, {"triggers": {"mine": {"type": "file_access", "enabled": False}}})
    assert listed(client) == ["n-1", "n-2"]
    assert {name: one["enabled"] for name, one in triggers(client).items()} == {"mine": False}
    assert put(client, {"id": "mine", "enabled": True}) == 200
    assert {name: one["enabled"] for name, one in triggers(client).items()} == {"mine": True}
    assert acknowledge(client, "n-2") == 200
    assert listed(client, "?acknowledged=false") == ["n-1"]


def test_secrets_do_not_leave(place: Place, client: FlaskClient) -> None:
    secret = "sk-ant-REDACTME0000000000000000"
    data = {"file": f"x {secret}", "nested": [{"note": secret}], "password": "hunter22"}
    place.write(ACTIVE, [notification("a", message=f"found {secret}", data=data)])
    text = client.get("/api/notifications").get_data(as_text=True)
    assert secret not in text
    assert "hunter22" not in text


# --- acknowledging


def test_acknowledging_marks_recounts_and_keeps_what_it_does_not_know(session: Place) -> None:
    before = session.read(ACTIVE)
    session.write(ACTIVE, {**before, "version": 2, "summary": {"total": 99, "note": "kept"}})
    client = session.client()
    chosen = next(entry for entry in before["notifications"] if not entry["acknowledged"])
    for _ in range(2):
        response = client.post(f"/api/notifications/{chosen['id']}/acknowledge")
        assert response.status_code == 200
        assert response.get_json()["message"] == f"Notification {chosen['id']} acknowledged"
    after = session.read(ACTIVE)
    expected = [
        {**entry, "acknowledged": entry["acknowledged"] or entry["id"] == chosen["id"]}
        for entry in before["notifications"]
    ]
    assert after["notifications"] == expected
    assert after["version"] == 2
    open_ones = [entry["severity"] for entry in expected if not entry["acknowledged"]]
    assert after["summary"] == {
        "total": len(expected),
        "note": "kept",
        "unacknowledged": len(open_ones),
        **{word: open_ones.count(word) for word in ("critical", "warning", "info")},
    }


def test_each_entry_with_the_id_is_marked(place: Place, client: FlaskClient) -> None:
    place.write(ACTIVE, {"notifications": [notification("a"), notification("b")] * 2})
    assert acknowledge(client, "a") == 200
    marks = [(e["id"], e["acknowledged"]) for e in place.read(ACTIVE)["notifications"]]
    assert marks == [("a", True), ("b", False)] * 2


@pytest.mark.parametrize("identity", ["notif-1-disk.full", "notif-1-mein Auslöser", "x" * 200])
def test_whatever_id_is_listed_can_be_acknowledged(
    place: Place, client: FlaskClient, identity: str
) -> None:
    place.write(ACTIVE, [notification(identity)])
    assert acknowledge(client, identity) == 200
    assert listed(client, "?acknowledged=true") == [identity]


def test_an_entry_without_an_id_can_be_acknowledged(place: Place, client: FlaskClient) -> None:
    entry = notification("")
    del entry["id"], entry["trigger_id"]
    place.write(ACTIVE, {"notifications": [entry, {**entry, "message": "other"}]})
    first, second = listed(client)
    assert acknowledge(client, second) == 200
    assert listed(client, "?acknowledged=true") == [second]
    assert listed(client, "?acknowledged=false") == [first]
    assert all("trigger_id" in stored for stored in place.read(ACTIVE)["notifications"])


@pytest.mark.parametrize(
    ("identity", "status"),
    [
        ("nope", 404),
        ("a.b", 400),
        ("%00", 400),
        ("x" * 129, 400),
        ("..%2f..", 404),
        ("%F0%9F", 400),
    ],
)
@pytest.mark.parametrize("content", [None, {"notifications": [notification("a")]}, [1]])
def test_an_id_that_is_not_listed(
    place: Place, client: FlaskClient, content: Any, identity: str, status: int
) -> None:
    if content is not None:
        place.write(ACTIVE, content)
    assert acknowledge(client, identity) == status
    if content is None:
        assert snapshot(place.loki) == {}
    else:
        assert place.read(ACTIVE) == content


@pytest.mark.parametrize("damaged", ['{"notifications": [{"id": "a"}]}, "extra"', "", "{"])
def test_a_damaged_file_is_not_overwritten(place: Place, client: FlaskClient, damaged: str) -> None:
    path = place.write(ACTIVE, damaged)
    response = client.post("/api/notifications/a/acknowledge")
    assert response.status_code == 500
    assert str(place.home) not in response.get_data(as_text=True)
    assert path.read_text() == damaged


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"content_type": "application/json"}])
def test_a_body_is_not_needed(place: Place, client: FlaskClient, options: Any) -> None:
    place.write(ACTIVE, [notification("a")])
    assert client.post("/api/notifications/a/acknowledge", **options).status_code == 200


def _acknowledge_in_a_process(
    environment: dict[str, str], ids: list[str], start: Barrier, answers: Any
) -> None:
    app = create_app(Settings.from_env(environment))
    start.wait(PATIENCE_SECONDS)
    threads = [
        threading.Thread(target=lambda i=i: answers.put(acknowledge(app.test_client(), i)))
        for i in ids
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.slow
def test_parallel_acknowledges_of_several_processes_lose_nothing(place: Place) -> None:
    ids = [f"notif-{number}" for number in range(40)]
    place.write(ACTIVE, {"notifications": [notification(identity) for identity in ids]})
    start, answers = PROCESSES.Barrier(4), PROCESSES.Queue()
    workers = [
        PROCESSES.Process(
            target=_acknowledge_in_a_process,
            args=(place.environment(), ids[part::4], start, answers),
        )
        for part in range(4)
    ]
    for worker in workers:
        worker.start()
    assert [answers.get(timeout=PATIENCE_SECONDS) for _ in ids] == [200] * 40
    for worker in workers:
        worker.join(PATIENCE_SECONDS)
    stored = place.read(ACTIVE)
    assert [entry["id"] for entry in stored["notifications"]] == ids
    assert all(entry["acknowledged"] for entry in stored["notifications"])
    assert stored["summary"]["unacknowledged"] == 0
    assert not [name for name in snapshot(place.loki) if name.endswith(".tmp")]


# --- triggers


def test_recorded_triggers_have_the_documented_fields_and_their_own(
    ask: Ask, session: Place
) -> None:
    stored = session.read(TRIGGERS)["triggers"]
    answer = ask("/api/notifications/triggers")["triggers"]
    for shown, written in zip(answer, stored, strict=True):
        assert shown.items() >= {k: v for k, v in written.items() if k != "patterns"}.items()
        assert shown["description"] == written["message"]
    thresholds = {t["id"]: t["threshold"] for t in answer}
    assert thresholds["budget-80pct"] == 80
    assert thresholds["stuck-iteration"] == thresholds["compaction-freq"] == 3
    assert thresholds["sensitive-file"] is None


@pytest.mark.parametrize("content", [None, "{", 5, {"triggers": "x"}, {}])
def test_without_a_usable_file_there_are_the_six_defaults(
    place: Place, session: Place, client: FlaskClient, content: Any
) -> None:
    if content is not None:
        place.write(TRIGGERS, content)
    assert triggers(client) == triggers(session.client())


def test_triggers_in_the_form_of_the_reference(place: Place, client: FlaskClient) -> None:
    place.variant("triggers.api-shape.json", TRIGGERS)
    answer = triggers(client)
    assert (answer["context_threshold"]["threshold"], answer["context_threshold"]["enabled"]) == (
        80,
        True,
    )
    assert (answer["budget_limit"]["threshold"], answer["budget_limit"]["enabled"]) == (90, False)
    assert answer["budget_limit"]["type"] == "budget_threshold"
    assert put(client, {"id": "budget_limit", "threshold": 70}) == 200
    for trigger in place.read(TRIGGERS)["triggers"]:
        assert {"id", "type", "severity", "message", "threshold_pct"} <= set(trigger)
    assert triggers(client)["budget_limit"]["threshold"] == 70


def test_odd_triggers_get_documented_types(place: Place, client: FlaskClient) -> None:
    odd = {"id": "a", "enabled": "yes", "threshold": "many", "type": 5, "message": []}
    place.write(TRIGGERS, {"triggers": [1, odd, {"type": "stagnation"}, {}]})
    answer = client.get("/api/notifications/triggers").get_json()["triggers"]
    assert len(answer) == 3
    for trigger in answer:
        assert isinstance(trigger["enabled"], bool)
        assert trigger["threshold"] is None or isinstance(trigger["threshold"], int)
        assert all(isinstance(trigger[k], str) for k in ("id", "type", "message", "description"))
    assert answer[1]["threshold"] == 3


@pytest.mark.parametrize("recorded", [True, False])
def test_the_example_of_the_reference(place: Place, session: Place, recorded: bool) -> None:
    where = session if recorded else place
    client = where.client()
    example = {"id": "context_threshold", "enabled": True, "threshold": 75}
    response = client.put("/api/notifications/triggers", json={"triggers": [example]})
    assert response.status_code == 200
    assert response.get_json() == {"success": True, "message": "Triggers updated"}
    assert triggers(client)["context-90pct"]["threshold"] == 75
    stored = {trigger["id"]: trigger for trigger in where.read(TRIGGERS)["triggers"]}
    assert len(stored) == 6
    assert stored["context-90pct"]["threshold_pct"] == 75
    assert stored["context-90pct"]["severity"] == "critical"
    assert stored["sensitive-file"]["patterns"]


def test_each_id_of_the_reference_works_on_a_fresh_folder(
    place: Place, client: FlaskClient
) -> None:
    ids = {"context_threshold": 70, "task_failure": 2, "budget_limit": 60}
    assert (
        put(client, *({"id": i, "enabled": False, "threshold": t} for i, t in ids.items())) == 200
    )
    answer = triggers(client)
    for identity, threshold in {
        "context-90pct": 70,
        "task_failure": 2,
        "budget-80pct": 60,
    }.items():
        assert (answer[identity]["threshold"], answer[identity]["enabled"]) == (threshold, False)
    for trigger in place.read(TRIGGERS)["triggers"]:
        assert {"id", "type", "severity", "message"} <= set(trigger)


def test_a_change_by_id_touches_nothing_else(session: Place) -> None:
    before = session.read(TRIGGERS)["triggers"]
    session.write(TRIGGERS, {"triggers": [{**t, "mine": 1} for t in before], "version": 3})
    client = session.client()
    assert put(client, {"id": "stuck-iteration", "enabled": False}) == 200
    after = session.read(TRIGGERS)
    assert after["version"] == 3
    assert after["triggers"] == [
        {**t, "mine": 1, "enabled": t["id"] != "stuck-iteration"} for t in before
    ]


@pytest.mark.parametrize("field", ["threshold", "max_per_hour"])
def test_a_threshold_is_stored_where_the_checker_looks(session: Place, field: str) -> None:
    client = session.client()
    whole = triggers(client)["compaction-freq"]
    assert put(client, {**whole, field: 9}) == 200
    assert triggers(client)["compaction-freq"]["threshold"] == 9
    stored = {t["id"]: t for t in session.read(TRIGGERS)["triggers"]}["compaction-freq"]
    assert (stored["max_per_hour"], stored["threshold"]) == (9, 9)


def test_a_client_that_sends_everything_back_changes_nothing(
    place: Place, client: FlaskClient
) -> None:
    password = "token=FIXTURE-not-a-secret"
    stored = [
        {"id": "a", "type": "file_access", "patterns": ["\\.pem$", password], "enabled": True}
    ]
    stored[0] |= {"severity": "info", "message": f"{{file}} {password}"}
    place.write(TRIGGERS, {"triggers": stored})
    assert "FIXTURE" not in client.get("/api/notifications/triggers").get_data(as_text=True)
    assert put(client, *triggers(client).values()) == 200
    assert place.read(TRIGGERS)["triggers"] == stored


def test_a_new_trigger_needs_a_type_and_gets_what_the_checker_needs(
    place: Place, client: FlaskClient
) -> None:
    assert put(client, {"id": "nope", "enabled": True}) == 404
    assert snapshot(place.loki) == {}
    new = {"id": "context-50pct", "type": "context_threshold", "threshold": 50, "color": "red"}
    assert put(client, new, {"id": "mine", "type": "weather", "description": "Rain"}) == 200
    stored = {trigger["id"]: trigger for trigger in place.read(TRIGGERS)["triggers"]}
    assert len(stored) == 8
    assert (stored["context-50pct"]["threshold_pct"], stored["context-50pct"]["color"]) == (
        50,
        "red",
    )
    assert stored["context-50pct"]["message"] == stored["context-90pct"]["message"]
    assert (stored["mine"]["message"], stored["mine"]["severity"]) == ("Rain", "warning")
    assert triggers(client)["context-90pct"]["threshold"] == 90


SOUND = {"id": "context-90pct", "enabled": False}


@pytest.mark.parametrize(
    "body",
    [
        *("[]", "5", '"x"', "null", "", "{", "{}", '{"triggers": null}', '{"triggers": {}}'),
        *('{"triggers": [5]}', '{"triggers": [null]}', '{"triggers": "x"}', '{"triggers": [{}]}'),
        '{"triggers": [], "more": 1}',
        '{"triggers": [{"id": "context-90pct", "threshold": NaN}]}',
        '{"triggers": [{"id": "context-90pct", "threshold": 1e999}]}',
    ],
)
def test_bodies_that_are_no_list_of_changes(session: Place, body: str) -> None:
    before = snapshot(session.loki)
    response = session.client().put(
        "/api/notifications/triggers", data=body, content_type="application/json"
    )
    assert response.status_code == 400
    detail = response.get_json()["detail"]
    assert isinstance(detail, str)
    assert "_schema" not in detail
    assert snapshot(session.loki) == before


WRONG_VALUES: dict[str, list[Any]] = {
    "threshold": [-1, "80", True, [80], {}, 1e300],
    "threshold_pct": [-1, "80", True],
    "enabled": [1, "true", None, []],
    "id": ["", " ", None, 5, [], "x" * 200],
    "type": ["stagnation", 5, ""],
    "severity": ["loud"],
    "message": [5],
    "patterns": ["x", ["("]],
}


@pytest.mark.parametrize(
    "fault", [{key: value} for key, values in WRONG_VALUES.items() for value in values]
)
def test_one_invalid_value_rejects_the_whole_update(session: Place, fault: Any) -> None:
    before = snapshot(session.loki)
    assert put(session.client(), SOUND, {"id": "context-90pct", **fault}) == 400
    assert snapshot(session.loki) == before


def test_a_damaged_trigger_file_is_not_overwritten(place: Place, client: FlaskClient) -> None:
    path = place.write(TRIGGERS, '{"triggers": [')
    assert put(client, SOUND) == 500
    assert path.read_text() == '{"triggers": ['


def test_an_acknowledgement_is_described_with_the_parameter_of_the_reference(
    client: FlaskClient,
) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    assert "post" in paths["/api/notifications/{id}/acknowledge"]


def test_triggers_do_not_grow_without_end(place: Place, client: FlaskClient) -> None:
    answers = []
    for number in range(6):
        one = {"id": f"big-{number}", "type": "file_access", "note": "x" * 900_000}
        answers.append(client.put("/api/notifications/triggers", json={"triggers": [one]}))
    assert answers[-1].status_code == 400
    assert "larger" in answers[-1].get_json()["detail"]
    assert (place.loki / "notifications/triggers.json").stat().st_size < 5 * 1024 * 1024


def acknowledged(place: Place) -> set[str]:
    entries = place.read("notifications/active.json")["notifications"]
    return {entry["id"] for entry in entries if entry.get("acknowledged")}


@pytest.mark.parametrize(
    ("body", "changed", "after"),
    [
        ({"ids": ["a", "c", "a", "unknown"]}, ["a", "c"], {"a", "b", "c"}),
        ({"all": True}, ["a", "c", "d"], {"a", "b", "c", "d"}),
        ({"ids": []}, [], {"b"}),
        ({"ids": ["b"]}, [], {"b"}),
        ({"ids": ["b", "a"], "acknowledged": False}, ["b"], set()),
    ],
)
def test_many_are_acknowledged_and_taken_back_with_one_call(
    place: Place, client: FlaskClient, body: Any, changed: list[str], after: set[str]
) -> None:
    entries = [{"id": name, "trigger_id": "t", "acknowledged": name == "b"} for name in "abcd"]
    place.write("notifications/active.json", {"notifications": entries})
    response = client.post("/api/notifications/acknowledge", json=body)
    assert (response.status_code, response.get_json()["changed"]) == (200, changed)
    assert acknowledged(place) == after
    unacknowledged = place.read("notifications/active.json").get("summary", {"unacknowledged": 3})
    assert unacknowledged["unacknowledged"] == 4 - len(after)
    undo = {"ids": changed, "acknowledged": not body.get("acknowledged", True)}
    assert client.post("/api/notifications/acknowledge", json=undo).status_code == 200
    assert acknowledged(place) == {"b"}


@pytest.mark.parametrize(
    "body",
    [{}, {"ids": ["a"], "all": True}, {"all": False}, {"all": "yes"}, {"ids": "a"}, {"ids": [5]}],
)
def test_a_choice_of_notifications_that_is_none(client: FlaskClient, body: Any) -> None:
    assert client.post("/api/notifications/acknowledge", json=body).status_code == 400


def test_an_acknowledgement_without_a_change_writes_nothing(
    place: Place, client: FlaskClient
) -> None:
    response = client.post("/api/notifications/acknowledge", json={"all": True})
    assert (response.status_code, response.get_json()["changed"]) == (200, [])
    assert not (place.loki / "notifications").exists()
