"""GET /api/records: what newer sessions keep of their work."""

import json
import os
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.newer import KINDS, keep_records
from tests.support.places import Place

RECORDS = "/api/records"
SECRET = "sk-ant-api03-" + "Zq3" * 30


def get(client: FlaskClient, query: str = "") -> Any:
    response = client.get(RECORDS + query)
    assert response.status_code == 200
    return response.get_json()


def test_a_session_without_them_has_none(client: FlaskClient) -> None:
    assert get(client) == {kind: [] for kind in KINDS}


def test_each_kind_is_read_newest_first(place: Place, client: FlaskClient) -> None:
    keep_records(place)
    found = get(client)
    assert set(found) == set(KINDS)
    assert [each["iteration"] for each in found["transcripts"]] == [10, 9]
    voter = {
        "name": "test_auditor",
        "verdict": "REJECT",
        "reasoning": "two tests fail",
        "issues": ["no test of refunds"],
        "is_contrarian": False,
    }
    assert found["transcripts"][0]["voters"] == [voter]
    assert found["transcripts"][0]["outcome"] == "REJECTED"
    (review,) = found["reviews"]  # the other one has not ended
    assert (review["passed"], review["failed"], review["quality_score"]) == (3, 1, 80)
    assert review["reviewers"] == [
        {"name": "eng-qa", "verdict": "FAIL"},
        {"name": "architecture", "verdict": "PASS"},
    ]
    assert [(each["iteration"], each["cost_usd"]) for each in found["result_costs"]] == [
        (10, 0.42),
        (9, None),
    ]
    last = found["decisions"][0]
    assert (last["stage"], last["duration_ms"], last["input_tokens"]) == ("second", 5200, 900)
    assert [each["stage"] for each in found["decisions"]] == ["second", "first"]
    assert [each["name"] for each in found["escalations"]] == ["handoff-2.md", "handoff-1.md"]
    assert found["escalations"][0]["text"] == "# Stuck\n"
    (assumption,) = found["assumptions"]
    assert (assumption["gap"], assumption["kind"]) == ("No error format given", "missing")
    assert {kind: len(each) for kind, each in get(client, "?limit=1").items()} == dict.fromkeys(
        KINDS, 1
    )
    place.write("assumptions/a-2.json", {"gap": "new", "created_at": "2026-06-01T00:00:00Z"})
    assert [each["id"] for each in get(client)["assumptions"]] == ["a-2", "a-00c0ffee"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '"x"', '{"iteration": {}, "voters": 5}']
)
def test_damaged_files_are_skipped_or_empty(
    place: Place, client: FlaskClient, content: str
) -> None:
    keep_records(place)
    before = get(client)
    for name in (
        *("council/transcripts/iter-1-x.json", "quality/reviews/r/aggregate.json"),
        *("metrics/result-cost-x.json", "assumptions/b.json"),
    ):
        path = place.write(name, content)
        os.utime(path, (0, 0))
    with (place.loki / "decisions/decisions.jsonl").open("a") as lines:
        lines.write(f"{content}\n")
    (place.loki / "escalations/folder.md").mkdir()
    found = get(client)
    for kind in KINDS:
        known = [each for each in found[kind] if each in before[kind]]
        assert known == before[kind]
        assert len(found[kind]) <= len(known) + 1
    assert found["escalations"] == before["escalations"]


def test_no_secret_is_shown(place: Place, client: FlaskClient) -> None:
    """Each text of each file is replaced by one that has a secret."""
    keep_records(place)

    def poison(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: poison(each) for key, each in value.items()}
        if isinstance(value, list):
            return [poison(each) for each in value]
        return f"token={SECRET}" if isinstance(value, str) else value

    for path in [each for each in place.loki.rglob("*") if each.is_file()]:
        if path.suffix == ".json":
            path.write_text(json.dumps(poison(json.loads(path.read_text()))))
        elif path.suffix == ".jsonl":
            path.write_text(json.dumps(poison(json.loads(path.read_text().splitlines()[0]))) + "\n")
        else:
            path.write_text(f"token={SECRET}\n")
    response = client.get(RECORDS)
    assert "[redacted]" in response.get_data(as_text=True)
    assert SECRET[-20:] not in response.get_data(as_text=True)
    assert all(response.get_json()[kind] for kind in KINDS)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001"])
def test_a_bad_limit_is_refused(client: FlaskClient, limit: str) -> None:
    assert client.get(f"{RECORDS}?limit={limit}").status_code == 400
