"""GET /api/registry/learnings: the learnings of all projects."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.places import VARIANTS, Place

LEARNINGS = "/api/registry/learnings"


def _entry(description: str, **fields: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-02-20T09:13:02Z",
        "project": "demo",
        "category": "testing",
        "description": description,
        **fields,
    }


def _descriptions(client: FlaskClient, kind: str, query: str = "") -> list[str]:
    return [entry["description"] for entry in client.get(LEARNINGS + query).get_json()[kind]]


def test_recorded_learnings_without_their_headers(ask: Callable[[str], Any]) -> None:
    answer = ask(LEARNINGS)
    assert {kind: len(entries) for kind, entries in answer.items()} == {
        "patterns": 1,
        "mistakes": 1,
        "successes": 1,
    }
    for entries in answer.values():
        assert set(entries[0]) == {"timestamp", "project", "category", "description"}


def test_no_learnings_are_three_empty_lists(client: FlaskClient) -> None:
    assert client.get(LEARNINGS).get_json() == {"patterns": [], "mistakes": [], "successes": []}


def test_pretty_printed_and_compact_entries(place: Place, client: FlaskClient) -> None:
    content = (VARIANTS / "learnings.pretty.jsonl").read_bytes()
    place.write_home("learnings/mistakes.jsonl", content)
    answer = client.get(LEARNINGS).get_json()["mistakes"]
    assert len(answer) == content.count(b'"description"')
    times = [entry["timestamp"] for entry in answer]
    assert times == sorted(times, reverse=True)


def test_both_files_of_successes_are_one_list_newest_first(
    place: Place, client: FlaskClient
) -> None:
    first = _entry("first", timestamp="2026-02-20T09:00:00Z")
    second = _entry("second", timestamp="2026-02-20T09:00:00.5+00:00Z")
    third = _entry("third", timestamp="2026-02-20T11:00:01+01:00")
    place.write_home("learnings/successes.jsonl", json.dumps(second))
    place.write_home("learnings/successs.jsonl", json.dumps(third) + "\n" + json.dumps(first))
    assert _descriptions(client, "successes") == ["third", "second", "first"]
    stamps = [entry["timestamp"] for entry in client.get(LEARNINGS).get_json()["successes"]]
    assert not any(stamp.endswith("+00:00Z") for stamp in stamps)


@pytest.mark.parametrize(
    "bad",
    [
        *("5", "null", "[]", '"x"', "{", '{"a": {', "plain text", '{"description": 5}', "{}"),
        *('{"description": ""}', "{" * 100_000, '{"description": "cut', "[" * 100_000, "\x00"),
    ],
)
def test_a_bad_piece_leaves_its_neighbours(place: Place, client: FlaskClient, bad: str) -> None:
    lines = [json.dumps(_entry("before"), indent=2), bad, json.dumps(_entry("after"))]
    place.write_home("learnings/patterns.jsonl", "\n".join(lines))
    assert set(_descriptions(client, "patterns")) == {"before", "after"}


def test_bytes_that_are_no_text_lose_one_character(place: Place, client: FlaskClient) -> None:
    line = json.dumps(_entry("a b")).encode().replace(b"a b", b"a\xffb")
    place.write_home("learnings/patterns.jsonl", line)
    assert _descriptions(client, "patterns") == ["a�b"]


def test_odd_fields_become_texts(place: Place, client: FlaskClient) -> None:
    odd = _entry("x", timestamp=[1], project=5, category=None)
    place.write_home("learnings/patterns.jsonl", json.dumps(odd))
    (entry,) = client.get(LEARNINGS).get_json()["patterns"]
    assert entry == {"timestamp": "", "project": "", "category": "", "description": "x"}


def test_secrets_are_taken_out(place: Place, client: FlaskClient) -> None:
    place.write_home("learnings/mistakes.jsonl", json.dumps(_entry("password=hunter2hunter2")))
    assert "hunter2" not in client.get(LEARNINGS).get_data(as_text=True)


def test_appended_lines_are_in_the_next_answer(place: Place, client: FlaskClient) -> None:
    path = place.write_home("learnings/patterns.jsonl", json.dumps(_entry("one")) + "\n")
    assert _descriptions(client, "patterns") == ["one"]
    with path.open("a") as stream:
        stream.write(json.dumps(_entry("two"), indent=2))
    assert set(_descriptions(client, "patterns")) == {"one", "two"}
    path.unlink()
    assert _descriptions(client, "patterns") == []


def test_the_limit_counts_each_kind(place: Place, client: FlaskClient) -> None:
    for kind in ("patterns", "mistakes"):
        lines = [
            json.dumps(_entry(str(number), timestamp=1771578000 + number)) for number in range(150)
        ]
        place.write_home(f"learnings/{kind}.jsonl", "\n".join(lines))
    assert len(_descriptions(client, "patterns")) == 100
    assert _descriptions(client, "mistakes", "?limit=2") == ["149", "148"]
    assert len(_descriptions(client, "mistakes", "?limit=1000")) == 150


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "1e3", "abc", "", "5&limit=5"])
def test_a_bad_limit_is_refused(client: FlaskClient, limit: str) -> None:
    assert client.get(f"{LEARNINGS}?limit={limit}").status_code == 400


def test_a_link_out_of_the_folder_is_not_followed(place: Place, client: FlaskClient) -> None:
    secret = place.write("secret.jsonl", json.dumps(_entry("outside")))
    folder = place.home / ".loki" / "learnings"
    folder.mkdir(parents=True)
    (folder / "patterns.jsonl").symlink_to(secret)
    assert _descriptions(client, "patterns") == []
