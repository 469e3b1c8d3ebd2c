"""/api/council/*: every form of the council's files, in the documented shape."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.places import Place

Ask = Callable[[str], Any]
STATE = "council/state.json"
VERDICT_TYPES = {
    "iteration": int,
    "result": str,
    "votes_complete": int,
    "votes_continue": int,
    "timestamp": str,
}


def verdicts(client: FlaskClient, query: str = "") -> Any:
    response = client.get(f"/api/council/verdicts{query}")
    assert response.status_code == 200
    return response.get_json()


def state(client: FlaskClient) -> Any:
    response = client.get("/api/council/state")
    assert response.status_code == 200
    return response.get_json()


def test_the_recorded_state_has_the_documented_fields_and_the_votes(
    ask: Ask, session: Place
) -> None:
    answer, stored = ask("/api/council/state"), session.read(STATE)
    assert answer["enabled"] is stored["enabled"]
    for key in ("total_votes", "approve_votes", "reject_votes", "done_signals"):
        assert answer[key] == stored[key]
    for verdict in answer["verdicts"]:
        assert {key: type(verdict[key]) for key in VERDICT_TYPES} == VERDICT_TYPES


def test_reviews_and_evaluations_are_verdicts_in_the_order_of_iterations(finished: Place) -> None:
    entries = verdicts(finished.client())["verdicts"]
    reviewed = [entry["iteration"] for entry in finished.read(STATE)["verdicts"]]
    rounds = [int(path.stem[6:]) for path in (finished.loki / "council/votes").glob("round-*.json")]
    assert sorted(reviewed + rounds) == [entry["iteration"] for entry in entries]
    assert [entry["iteration"] for entry in entries if entry["kind"] == "review"] == reviewed
    approved = [e["iteration"] for e in finished.read(STATE)["verdicts"] if e["approve"] == 3]
    assert [entry["iteration"] for entry in entries if entry["result"] == "complete"] == approved


@pytest.mark.parametrize(
    ("content", "enabled"),
    [
        ([1], False),
        ("{", False),
        ("", False),
        ({}, False),
        ({"enabled": "yes"}, False),
        ({"enabled": None, "last_track_iteration": 3}, False),
        ({"enabled": False, "last_track_iteration": 3}, False),
        ({"enabled": True}, True),
        ({"enabled": "True"}, True),
        ({"enabled": "false", "last_track_iteration": 3}, False),
        ({"consecutive_no_change": 0, "done_signals": 2, "last_track_iteration": 7}, True),
        (b'\xef\xbb\xbf{"enabled": true}', True),
        (b'{"enabled": true, "note": "\xff\\ud800"}', True),
    ],
)
def test_any_state_file_gives_the_documented_object(
    place: Place, client: FlaskClient, content: Any, enabled: bool
) -> None:
    place.write(STATE, content)
    answer = state(client)
    assert (answer["enabled"], answer["total_votes"], answer["verdicts"]) == (enabled, 0, [])


def test_the_council_is_disabled_without_files(client: FlaskClient) -> None:
    assert state(client)["enabled"] is False
    assert verdicts(client) == {"verdicts": [], "details": []}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"approve": 3, "reject": 0, "result": "APPROVED"}, ("complete", 3, 0)),
        ({"approve": 1, "reject": 2, "result": "REJECTED"}, ("continue", 1, 2)),
        ({"complete_votes": 2, "continue_votes": 1, "verdict": "COMPLETE"}, ("complete", 2, 1)),
        ({"votes_complete": 1, "votes_continue": 2, "result": "continue"}, ("continue", 1, 2)),
        ({"approve": "2", "reject": -1, "result": 7}, ("continue", 2, 0)),
        ({"approve": None, "reject": [], "result": None}, ("continue", 0, 0)),
    ],
)
def test_a_verdict_has_the_documented_fields(
    place: Place, client: FlaskClient, entry: Any, expected: tuple[str, int, int]
) -> None:
    place.write(STATE, {"enabled": True, "verdicts": [5, "x", {"iteration": 4, **entry}, None]})
    (entries,) = state(client)["verdicts"]
    assert (entries["result"], entries["votes_complete"], entries["votes_continue"]) == expected
    assert (entries["approve"], entries["reject"]) == expected[1:]
    assert entries["iteration"] == 4


def test_verdicts_without_an_iteration_are_all_there(place: Place, client: FlaskClient) -> None:
    words = ["REJECTED", "APPROVED"]
    place.write(STATE, {"verdicts": [{"result": word, "iteration": None} for word in words]})
    assert {entry["raw_result"] for entry in verdicts(client)["verdicts"]} == set(words)


def test_the_latest_verdict_of_each_kind_and_iteration_counts(
    place: Place, client: FlaskClient
) -> None:
    first = {"iteration": 6, "result": "REJECTED", "timestamp": "2026-02-20T09:00:00Z"}
    again = {"iteration": 6, "result": "APPROVED", "timestamp": "2026-02-20T09:05:00Z"}
    place.write(STATE, {"verdicts": [first, again]})
    place.write(
        "council/votes/round-6.json", {"verdict": "CONTINUE", "timestamp": "2026-02-20T09:07:00Z"}
    )
    entries = verdicts(client)["verdicts"]
    assert [entry["raw_result"] for entry in entries] == ["APPROVED", "CONTINUE"]


def test_rounds_are_ordered_by_number_and_damaged_ones_left_out(
    place: Place, client: FlaskClient
) -> None:
    for number in range(1, 13):
        place.write(f"council/votes/round-{number}.json", {"complete_votes": number})
    for number, content in ((13, "{"), (14, [1]), (15, "")):
        place.write(f"council/votes/round-{number}.json", content)
    place.write("council/votes/devils-advocate-round-16.json", {"round": 16})
    entries = verdicts(client, "?limit=3")["verdicts"]
    assert [entry["votes_complete"] for entry in entries] == [10, 11, 12]


def test_details_are_ordered_by_number_newest_first(place: Place, client: FlaskClient) -> None:
    for number in range(1, 13):
        place.write(f"council/votes/iteration-{number}/evidence.md", f"of {number}")
    place.write("council/votes/iteration-x/evidence.md", "of nothing")
    entries = verdicts(client, "?limit=3")["details"]
    assert [entry["iteration"] for entry in entries] == ["12", "11", "10"]
    assert [entry["evidence_preview"] for entry in entries] == ["of 12", "of 11", "of 10"]
    assert len(verdicts(client)["details"]) == 12


def test_a_detail_has_members_by_number_a_preview_and_a_contrarian_or_null(
    place: Place, client: FlaskClient
) -> None:
    votes = "council/votes/iteration-3"
    place.write(f"{votes}/evidence.md", "é" * 2000)
    for number in (10, 2, 1):
        place.write(f"{votes}/member-{number}.txt", f"VOTE:{number}")
    place.write(f"{votes}/member-11.txt", b"VOTE:\xff\n")
    place.write(f"{votes}/member-x.txt", "no member")
    (entries,) = verdicts(client)["details"]
    assert entries["evidence_preview"] == "é" * 500
    assert [member["member"] for member in entries["members"]] == [
        *("member-1", "member-2", "member-10", "member-11"),
    ]
    assert entries["members"][-1]["content"] == "VOTE:�\n"
    assert entries["contrarian"] is None
    place.write(f"{votes}/contrarian.txt", "")
    assert verdicts(client)["details"][0]["contrarian"] == ""


def test_secrets_and_what_lies_outside_are_in_no_answer(place: Place, client: FlaskClient) -> None:
    secret = "ghp_" + "a1B2" * 8
    outside = place.home / "outside"
    outside.mkdir()
    (outside / "member-1.txt").write_text("foreign")
    votes = place.loki / "council" / "votes"
    place.write("council/votes/iteration-1/evidence.md", "x" * 489 + " " + secret)
    place.write("council/votes/iteration-1/contrarian.txt", f"push with {secret}")
    place.write("council/report.md", f"# Report\ntoken: {secret}\nthe end")
    (votes / "iteration-1" / "member-1.txt").symlink_to(outside / "member-1.txt")
    (votes / "iteration-2").symlink_to(outside)
    answer = client.get("/api/council/verdicts").get_data(as_text=True)
    assert "ghp_" not in answer
    assert "foreign" not in answer
    report = client.get("/api/council/report").get_json()["report"]
    assert secret not in report
    assert report.endswith("the end")


def test_the_convergence_log_without_its_bad_lines(place: Place, client: FlaskClient) -> None:
    place.variant("convergence.log", "council/convergence.log")
    lines = (place.loki / "council/convergence.log").read_text().splitlines()
    points = client.get("/api/council/convergence").get_json()["dataPoints"]
    good = [line for line in lines if line.count("|") >= 4 and "x" not in line.split("|")]
    assert [point["iteration"] for point in points] == [int(line.split("|")[1]) for line in good]
    assert len(points) < len(lines)
    for point in points:
        assert datetime.fromisoformat(point["timestamp"]).tzinfo is None


@pytest.mark.parametrize(
    "bad", ["", "|2|3|1|0", "1771578266|2|3|1", "1771578266|2|3|1|", "soon|2|3|1|0", "\xff|1|2|3|4"]
)
def test_a_bad_line_of_the_log_costs_no_other(place: Place, client: FlaskClient, bad: str) -> None:
    text = f"\ufeff1771578175|1|0|0|0\r\n{bad}\n1771578266|2|3|1|9|more\n"
    place.write("council/convergence.log", text.encode("utf-8").replace(b"\xc3\xbf", b"\xff"))
    points = client.get("/api/council/convergence").get_json()["dataPoints"]
    assert points == [
        {
            "timestamp": "2026-02-20T09:02:55",
            "iteration": 1,
            "files_changed": 0,
            "no_change_streak": 0,
            "done_signals": 0,
        },
        {
            "timestamp": "2026-02-20T09:04:26",
            "iteration": 2,
            "files_changed": 3,
            "no_change_streak": 1,
            "done_signals": 9,
        },
    ]


def test_the_report_is_its_text_or_null(place: Place, client: FlaskClient) -> None:
    assert client.get("/api/council/report").get_json() == {"report": None}
    place.write("council/report.md", b"# Report \xff\n")
    assert client.get("/api/council/report").get_json() == {"report": "# Report �\n"}


@pytest.mark.parametrize(
    ("query", "status"),
    [("1", 200), ("1000", 200), ("0", 400), ("-1", 400), ("1001", 400), ("x", 400), ("", 400)],
)
def test_the_limit_is_checked(client: FlaskClient, query: str, status: int) -> None:
    response = client.get(f"/api/council/verdicts?limit={query}")
    assert response.status_code == status
    assert status == 200 or isinstance(response.get_json()["detail"], str)


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"content_type": "application/json"}])
def test_a_review_is_requested_by_a_file_and_repeating_has_no_effect(
    place: Place, client: FlaskClient, options: dict[str, Any]
) -> None:
    for _ in range(2):
        response = client.post("/api/council/force-review", **options)
        assert response.status_code == 200
        assert response.get_json() == {"success": True, "message": "Council review requested"}
    (signal,) = (place.loki / "signals").iterdir()
    assert signal.name == "COUNCIL_REVIEW_REQUESTED"
    assert datetime.fromisoformat(signal.read_text().strip()).tzinfo


def test_a_review_that_cannot_be_requested_is_an_error(place: Place, client: FlaskClient) -> None:
    (place.loki / "signals" / "COUNCIL_REVIEW_REQUESTED").mkdir(parents=True)
    response = client.post("/api/council/force-review")
    assert response.status_code == 500
    assert str(place.loki) not in response.get_data(as_text=True)
    assert [path.name for path in (place.loki / "signals").iterdir()] == [
        "COUNCIL_REVIEW_REQUESTED"
    ]
