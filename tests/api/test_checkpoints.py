"""/api/checkpoints: the formats of three writers in one list, and invalid input."""

import json
import os
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import places
from tests.support.places import Place
from tests.support.work import bytes_read

Ask = Callable[[str], Any]
CHECKPOINTS = "state/checkpoints"
INDEX = f"{CHECKPOINTS}/index.jsonl"
DOCUMENTED = {"id": str, "created_at": str, "git_sha": str, "message": str, "files": list}


def listed(client: FlaskClient, query: str = "?limit=200") -> list[Any]:
    response = client.get(f"/api/checkpoints{query}")
    assert response.status_code == 200
    entries: list[Any] = response.get_json()
    return entries


def metadata(place: Place, identity: str, content: Any) -> None:
    place.write(f"{CHECKPOINTS}/{identity}/metadata.json", content)


def index(place: Place, *lines: Any) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    place.write(INDEX, "".join(f"{text}\n" for text in texts))


def assert_uniform(client: FlaskClient, entries: list[Any]) -> None:
    """Check the documented fields and types, the order, and that each id can be requested."""
    for entry in entries:
        assert {key: type(entry[key]) for key in DOCUMENTED} == DOCUMENTED
        assert entry["files"][0] == "metadata.json"
        one = client.get(f"/api/checkpoints/{entry['id']}")
        assert one.status_code == 200
        assert one.get_json()["id"] == entry["id"]
    times = [datetime.fromisoformat(entry["created_at"]) for entry in entries]
    assert times == sorted(times, reverse=True)


def test_recorded_checkpoints_are_uniform_and_newest_first(session: Place) -> None:
    client = session.client()
    answer = listed(client)
    directories = [path.name for path in (session.loki / CHECKPOINTS).iterdir() if path.is_dir()]
    assert sorted(entry["id"] for entry in answer) == sorted(directories)
    assert_uniform(client, answer)
    assert all(entry["git_sha"] for entry in answer)


def test_only_existing_checkpoints_of_a_finished_session_are_listed(finished: Place) -> None:
    client = finished.client()
    answer = listed(client)
    assert_uniform(client, answer)
    directories = [path.name for path in (finished.loki / CHECKPOINTS).iterdir() if path.is_dir()]
    assert sorted(entry["id"] for entry in answer) == sorted(directories)


def test_reading_writes_nothing(session: Place) -> None:
    before = places.snapshot(session.loki)
    client = session.client()
    for entry in listed(client):
        client.get(f"/api/checkpoints/{entry['id']}")
    assert places.snapshot(session.loki) == before


def test_the_list_is_empty_without_checkpoints(client: FlaskClient) -> None:
    assert listed(client) == []


def test_index_lines_without_a_directory_are_not_listed(place: Place, client: FlaskClient) -> None:
    place.variant("checkpoints.index.mixed.jsonl", INDEX)
    assert listed(client) == []


def test_lines_of_all_forms_lend_what_the_metadata_lacks(place: Place, client: FlaskClient) -> None:
    place.variant("checkpoints.index.mixed.jsonl", INDEX)
    lines = (place.loki / INDEX).read_text().splitlines()
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    for line in whole:
        metadata(place, line["id"], {})
    by_id = {entry["id"]: entry for entry in listed(client)}
    assert set(by_id) == {line["id"] for line in whole}
    assert_uniform(client, listed(client))
    for line in whole:
        entry = by_id[line["id"]]
        told = line.get("created_at") or line.get("timestamp") or line.get("ts")
        assert datetime.fromisoformat(entry["created_at"]) == datetime.fromisoformat(told)
        assert entry["message"] == line.get("message", line.get("task"))
        assert entry["git_sha"] == line.get("git_sha", line.get("sha"))


@pytest.mark.parametrize(
    "line",
    ["5", "[1]", "null", "", "{", '{"id": 7}', '{"id": "../../x"}', '{"id": "a\\n"}', "\xff"],
)
def test_a_bad_index_line_costs_no_other(place: Place, client: FlaskClient, line: str) -> None:
    index(place, {"id": "a", "message": "before"}, line, {"id": "b", "message": "after"})
    for identity in ("a", "b", "unnamed"):
        metadata(place, identity, {"git_sha": identity})
    messages = {entry["id"]: entry["message"] for entry in listed(client)}
    assert messages == {"a": "before", "b": "after", "unnamed": ""}


def test_the_last_line_of_an_id_counts(place: Place, client: FlaskClient) -> None:
    index(place, {"id": "a", "message": "first"}, {"id": "a", "message": "again"})
    metadata(place, "a", {})
    assert [entry["message"] for entry in listed(client)] == ["again"]


@pytest.mark.parametrize(
    ("identity", "content", "created_at"),
    [
        ("x", {"created_at": "2026-02-12T15:01:05.5+00:00"}, "2026-02-12T15:01:05.500000+00:00"),
        ("x", {"timestamp": "2026-02-12T14:30:22Z"}, "2026-02-12T14:30:22+00:00"),
        ("x", {"ts": "2026-02-12T16:30:22+02:00"}, "2026-02-12T14:30:22+00:00"),
        ("x", {"created_at": 1771578175}, "2026-02-20T09:02:55+00:00"),
        (
            "x",
            {"created_at": [], "timestamp": "soon", "ts": 1771578175},
            "2026-02-20T09:02:55+00:00",
        ),
        ("cp-12-1771578175", {}, "2026-02-20T09:02:55+00:00"),
        ("cp-20260212-143022", {}, "2026-02-12T14:30:22+00:00"),
        ("chk-20260212-143022-2", {"created_at": None}, "2026-02-12T14:30:22+00:00"),
        ("chk-20261399-143022", {}, "2026-02-01T00:00:00+00:00"),
        ("named", {}, "2026-02-01T00:00:00+00:00"),
        ("named", "{", "2026-02-01T00:00:00+00:00"),
        ("named", "[1]", "2026-02-01T00:00:00+00:00"),
    ],
)
def test_the_time_comes_from_the_content_the_id_or_the_file(
    place: Place, client: FlaskClient, identity: str, content: Any, created_at: str
) -> None:
    metadata(place, identity, content)
    written = datetime.fromisoformat("2026-02-01T00:00:00+00:00").timestamp()
    os.utime(place.loki / CHECKPOINTS / identity / "metadata.json", (written, written))
    assert [entry["created_at"] for entry in listed(client)] == [created_at]


def test_time_orders_and_not_the_name(place: Place, client: FlaskClient) -> None:
    for identity in ("cp-10-1771578100", "cp-9-1771578300", "chk-20260220-090320", "a-b"):
        metadata(place, identity, {})
    metadata(place, "a-b", {"timestamp": "2026-02-20T09:03:05.9Z"})
    order = ["cp-9-1771578300", "chk-20260220-090320", "a-b", "cp-10-1771578100"]
    assert [entry["id"] for entry in listed(client)] == order
    assert [entry["id"] for entry in listed(client, "?limit=2")] == order[:2]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe{",
        b'{"message": "\\ud800", "git_sha": NaN}',
        {"id": "../other", "message": {"a": 1}, "git_sha": 7, "files": "x"},
        {"files": [1, None, "a", {"b": 2}], "created_at": {"a": []}},
        "[" * 5000,
    ],
)
def test_odd_metadata_is_listed_with_neutral_values(
    place: Place, client: FlaskClient, content: Any
) -> None:
    metadata(place, "odd", content)
    metadata(place, "sound", {"message": "sound", "created_at": "2026-02-12T15:01:05Z"})
    answer = listed(client)
    assert {entry["id"] for entry in answer} == {"odd", "sound"}
    assert_uniform(client, answer)


def test_directories_that_are_no_checkpoints_are_not_shown(
    place: Place, client: FlaskClient
) -> None:
    outside = place.home / "outside"
    places.write(outside / "metadata.json", {"message": "foreign"})
    checkpoints = place.loki / CHECKPOINTS
    (checkpoints / "empty").mkdir(parents=True)
    (checkpoints / "linked").symlink_to(outside)
    (checkpoints / "half").mkdir()
    (checkpoints / "half" / "metadata.json").symlink_to(outside / "metadata.json")
    metadata(place, "bad id", {})
    metadata(place, ".hidden", {})
    index(place, *({"id": name} for name in ("empty", "linked", "half", "missing")))
    assert listed(client) == []
    for name in ("empty", "linked", "half", "missing", "index"):
        assert client.get(f"/api/checkpoints/{name}").status_code == 404


def test_a_checkpoint_is_returned_with_all_its_metadata(place: Place, client: FlaskClient) -> None:
    content = {
        "id": "cp-3-1771578175",
        "timestamp": "2026-02-20T09:02:55.5+00:00Z",
        "iteration": 3,
        "task_description": "use password=hunter2 here",
        "nested": {"list": [1, {"api_key": "abcdefghijkl"}]},
        "nothing": None,
    }
    metadata(place, "cp-3-1771578175", content)
    place.write(f"{CHECKPOINTS}/cp-3-1771578175/queue/pending.json", [])
    answer = client.get("/api/checkpoints/cp-3-1771578175").get_json()
    assert answer["created_at"] == "2026-02-20T09:02:55.500000+00:00"
    assert answer["timestamp"] == "2026-02-20T09:02:55.5+00:00"
    assert answer["files"] == ["metadata.json", "queue"]
    assert (answer["iteration"], answer["nothing"]) == (3, None)
    assert answer["message"].startswith("use password=")
    assert "hunter2" not in json.dumps(answer)
    assert "abcdefghijkl" not in json.dumps(answer)
    assert "hunter2" not in json.dumps(listed(client))


@pytest.mark.parametrize(
    ("identity", "statuses"),
    [
        ("a%0A", {400}),
        ("a%00", {400}),
        ("%C3%A4", {400}),
        ("a" * 129, {400}),
        ("a" * 5000, {400, 414}),
        ("a.b", {400}),
        ("%2e%2e%2e", {400}),
        ("..", {400, 404}),
        ("%2e%2e", {400, 404}),
        (".", {400, 404}),
        ("..%2f..%2fetc", {400, 404}),
        ("a" * 128, {404}),
        ("missing", {404}),
    ],
)
def test_bad_and_unknown_ids(client: FlaskClient, identity: str, statuses: set[int]) -> None:
    response = client.get(f"/api/checkpoints/{identity}")
    assert response.status_code in statuses
    assert isinstance(response.get_json()["detail"], str)


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        *(("1", 200), ("200", 200), ("0", 400), ("-1", 400), ("201", 400), ("1000000000000", 400)),
        *(("abc", 400), ("", 400), ("1.5", 400), ("1&limit=2", 400)),
    ],
)
def test_the_limit_is_checked(client: FlaskClient, limit: str, status: int) -> None:
    assert client.get(f"/api/checkpoints?limit={limit}").status_code == status


def test_twenty_are_listed_by_default(place: Place, client: FlaskClient) -> None:
    for number in range(30):
        metadata(place, f"cp-{number}-{1771578100 + number}", {})
    assert [entry["id"] for entry in listed(client, "")] == [
        f"cp-{number}-{1771578100 + number}" for number in range(29, 9, -1)
    ]


def test_a_change_is_seen_by_the_next_request(place: Place, client: FlaskClient) -> None:
    metadata(place, "a", {"message": "one", "created_at": "2026-02-12T15:01:05Z"})
    assert listed(client)[0]["message"] == "one"
    metadata(place, "a", {"message": "two", "created_at": "2026-02-12T15:01:05Z"})
    metadata(place, "b", {"message": "new", "created_at": "2026-02-12T15:01:06Z"})
    assert [entry["message"] for entry in listed(client)] == ["new", "two"]


def test_many_checkpoints_cost_a_request_little(place: Place, client: FlaskClient) -> None:
    for number in range(200):
        metadata(place, f"cp-{number}-{1771578100 + number}", {"message": "m", "iteration": number})
    index(place, *({"id": f"cp-{n}-{1771578100 + n}", "iter": n} for n in range(200)))
    assert len(listed(client)) == 200
    before = bytes_read()
    listed(client)
    assert bytes_read() - before < 10_000
