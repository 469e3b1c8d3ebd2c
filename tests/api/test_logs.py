"""GET /api/logs: choice of the file, parsing of lines, and how much is read."""

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from loki_web.services.logs import reader
from loki_web.store import files
from loki_web.store.folder import Folder
from loki_web.store.lines import TailInput
from tests.support.children import backdate
from tests.support.places import Place
from tests.support.waiting import wait_until
from tests.support.work import bytes_read

LEVELS = {"debug", "info", "warning", "error", "critical"}
WRITTEN = datetime(2026, 2, 20, 9, 13, 40, tzinfo=UTC)
KEY = "sk-ant-api03-9fK2xQ7bVn4TzL8w"


def read(client: FlaskClient, lines: int | None = None) -> list[dict[str, Any]]:
    response = client.get("/api/logs" if lines is None else f"/api/logs?lines={lines}")
    assert response.status_code == 200
    entries: list[dict[str, Any]] = response.get_json()
    for entry in entries:
        assert set(entry) - {"timestamp_estimated"} == {"message", "level", "timestamp"}
        assert entry.get("timestamp_estimated", True) is True
        assert entry["level"] in LEVELS
        datetime.strptime(entry["timestamp"], "%Y-%m-%dT%H:%M:%S")
        assert 0 < len(entry["message"]) <= reader.MAX_MESSAGE
    return entries


def written_log(place: Place, *lines: str, name: str = "agent.log") -> None:
    path = place.write(f"logs/{name}", "".join(f"{line}\n" for line in lines))
    os.utime(path, (WRITTEN.timestamp(), WRITTEN.timestamp()))


def is_settled(folder: Folder, relative: str) -> bool:
    version = folder.version(relative)
    return version is not None and files.is_settled(version, time.time_ns())


def only(place: Place, client: FlaskClient, line: str) -> tuple[str, str, str]:
    written_log(place, line)
    (entry,) = read(client)
    return entry["message"], entry["level"], entry["timestamp"].replace("T", " ")


AT_WRITING = "2026-02-20 09:13:40"


@pytest.mark.parametrize(
    ("line", "message", "level", "timestamp"),
    [
        ("[2026-02-07T01:32:00] [INFO] message", "message", "info", "2026-02-07 01:32:00"),
        ("2026-02-07 01:32:00 INFO message", "message", "info", "2026-02-07 01:32:00"),
        ("01:32:00 INFO message", "message", "info", "2026-02-20 01:32:00"),
        ("[01:32:00] WARN: message", "message", "warning", "2026-02-20 01:32:00"),
        ("2026-02-07T01:32:00.120Z info message", "message", "info", "2026-02-07 01:32:00"),
        ("2026-02-07T01:32:00+02:00 ERROR x", "x", "error", "2026-02-06 23:32:00"),
        ("2026-02-07T01:32:00.5+00:00Z ERROR x", "x", "error", "2026-02-07 01:32:00"),
        ("2026-02-07 01:32:00,123 - ERROR - x", "x", "error", "2026-02-07 01:32:00"),
        ("[2026-02-07T01:32:00Z][FATAL] x", "x", "critical", "2026-02-07 01:32:00"),
        ("2026-01-01 10:00:00 Starting up", "Starting up", "info", "2026-01-01 10:00:00"),
        ("2026-01-01 10:00:00 Errors: 0", "Errors: 0", "info", "2026-01-01 10:00:00"),
        ("2026-01-01 10:00:00 [x] y", "[x] y", "info", "2026-01-01 10:00:00"),
        ("2026-02-07 01:32:00 UTC INFO x", "x", "info", "2026-02-07 01:32:00"),
        ("[2026-02-07T01:32:00 GMT] ERROR x", "x", "error", "2026-02-07 01:32:00"),
        ("2026-02-07 01:32:00,5 CET - WARN - x", "x", "warning", "2026-02-07 00:32:00"),
        ("2026-02-07 01:32:00 START x", "START x", "info", "2026-02-07 01:32:00"),
        ("01:32:00 UTC INFO message", "message", "info", "2026-02-20 01:32:00"),
        ("1770427920123 INFO x", "x", "info", "2026-02-07 01:32:00"),
        ("[1770427920123] [ERROR] x", "x", "error", "2026-02-07 01:32:00"),
        ("1770427920.5 | debug | x", "x", "debug", "2026-02-07 01:32:00"),
        ("1770427920123 apples", "1770427920123 apples", "info", AT_WRITING),
        ("23:59:58 INFO late", "late", "info", "2026-02-19 23:59:58"),
        ("2026-13-45 10:00:00 INFO x", "2026-13-45 10:00:00 INFO x", "info", AT_WRITING),
        ("99:99:99 INFO x", "99:99:99 INFO x", "info", AT_WRITING),
        ("\x1b[0;32m[INFO]\x1b[0m Phase changed", "Phase changed", "info", AT_WRITING),
        ("\x1b[1;33m[WARN]\x1b[0m slow", "slow", "warning", AT_WRITING),
        ("[WARNING] slow", "slow", "warning", AT_WRITING),
        ("[ERROR] broken", "broken", "error", AT_WRITING),
        ("[STEP] next", "next", "info", AT_WRITING),
        ("[DEBUG] detail", "detail", "debug", AT_WRITING),
        ("[TRACE] detail", "detail", "debug", AT_WRITING),
        ("[CRITICAL] fire", "fire", "critical", AT_WRITING),
        ("[loki] Gemini model: x", "[loki] Gemini model: x", "info", AT_WRITING),
        ("ERROR: build failed", "ERROR: build failed", "error", AT_WRITING),
        ("Error handling was added", "Error handling was added", "info", AT_WRITING),
        ("no level at all", "no level at all", "info", AT_WRITING),
        ('  File "x.py", line 1', '  File "x.py", line 1', "info", AT_WRITING),
        ("10%\r50%\r100% done\r", "100% done", "info", AT_WRITING),
        ("a\x00b\x07c\x1b]0;title\x07d\x9be", "abcde", "info", AT_WRITING),
        ("[INFO]", "[INFO]", "info", AT_WRITING),
        (
            "=== Session started at Fri Feb 20 09:01:52 UTC 2026 ===",
            "=== Session started at Fri Feb 20 09:01:52 UTC 2026 ===",
            "info",
            "2026-02-20 09:01:52",
        ),
        *(
            (text, text, "info", "2026-02-20 09:01:52")
            for text in (
                "=== Session ended at Fri Feb 20 10:01:52 CET 2026 with exit code 0 ===",
                "=== Session started at Fr 20. Feb 2026 10:01:52 CET ===",
                "=== Session started at ven. 20 f\u00e9vr. 2026 10:01:52 CET ===",
                "=== Session started at Fri Feb 20 06:01:52 AM -03 2026 ===",
                "  NEW SESSION - 2026\u5e74 02\u6708 20\u65e5 \u661f\u671f\u4e94 17:01:52 CST",
            )
        ),
        (
            "  NEW SESSION - Fri Feb  6 11:01:52 PM UTC 2026",
            "  NEW SESSION - Fri Feb  6 11:01:52 PM UTC 2026",
            "info",
            "2026-02-06 23:01:52",
        ),
    ],
)
def test_each_form_of_a_line_is_parsed(
    place: Place, client: FlaskClient, line: str, message: str, level: str, timestamp: str
) -> None:
    assert only(place, client, line) == (message, level, timestamp)


def turn(kind: str, *blocks: Any) -> dict[str, Any]:
    return {"type": kind, "message": {"role": kind, "content": list(blocks)}, "session_id": "s"}


def tool(name: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_01", "name": name, "input": given}


def result(content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_01", "content": content, **more}


@pytest.mark.parametrize(
    ("line", "message", "level"),
    [
        (turn("assistant", {"type": "text", "text": "I will do it.\n"}), "I will do it.", "info"),
        (turn("assistant", tool("Read", file_path="a.md")), "[Tool: Read] a.md", "info"),
        (turn("assistant", tool("Bash", command="ls")), "[Tool: Bash] ls", "info"),
        (turn("assistant", tool("Odd", x=[1])), "[Tool: Odd]", "info"),
        (
            turn("assistant", tool("Task", subagent_type="eng-qa", description="test it")),
            "[Agent Spawned: eng-qa] test it",
            "info",
        ),
        (
            turn(
                "assistant",
                tool("TodoWrite", todos=[{"content": "now", "status": "in_progress"}, 5]),
            ),
            "[Tool: TodoWrite] now",
            "info",
        ),
        (
            turn("assistant", {"type": "text", "text": "One."}, tool("Bash", command="ls")),
            "One.\n[Tool: Bash] ls",
            "info",
        ),
        (turn("user", result("fine")), "[Result] fine", "info"),
        (turn("user", result([{"type": "text", "text": "fine"}])), "[Result] fine", "info"),
        (turn("user", result("bad", is_error=True)), "[Result] bad", "warning"),
        (turn("user", result(None)), "[Result]", "info"),
        (turn("assistant"), "[assistant]", "info"),
        (turn("assistant", 5, None, {"type": 5}), "[assistant]", "info"),
        ({"type": "assistant", "message": 5}, "[assistant]", "info"),
        ({"type": "user", "message": {"content": "hello"}}, "hello", "info"),
        ({"type": "system", "subtype": "init", "model": "m"}, "[System: init] m", "info"),
        (
            {"type": "result", "subtype": "success", "is_error": False, "result": "done"},
            "[Session result: success] done",
            "info",
        ),
        (
            {"type": "result", "subtype": "error_max_turns", "is_error": True},
            "[Session result: error_max_turns]",
            "error",
        ),
        ({"level": "error", "message": "broken"}, "broken", "error"),
        ({"level": "WARN", "msg": "slow"}, "slow", "warning"),
        ({"level": 30, "msg": "plain"}, "plain", "info"),
        ({"other": 1}, '{"other": 1}', "info"),
    ],
)
def test_lines_of_json_are_readable(
    place: Place, client: FlaskClient, line: Any, message: str, level: str
) -> None:
    assert only(place, client, json.dumps(line)) == (message, level, AT_WRITING)


@pytest.mark.parametrize("line", ['{"type": "assistant", "message', "{}x", "{", "{" * 5000, "[1]"])
def test_lines_that_only_look_like_json_stay_as_they_are(
    place: Place, client: FlaskClient, line: str
) -> None:
    assert only(place, client, line)[0][:4000] == line[:4000]


def test_a_long_message_of_the_stream_is_read_and_cut(place: Place, client: FlaskClient) -> None:
    message, _, _ = only(place, client, json.dumps(turn("user", result("word " * 100_000))))
    assert message.startswith("[Result] word word")
    assert message.endswith("…")


def test_a_line_without_a_time_has_that_of_the_nearest(place: Place, client: FlaskClient) -> None:
    stamped = {"type": "system", "subtype": "x", "timestamp": "2026-02-20T08:00:09.5Z"}
    written_log(
        place, "before", "2026-02-20 08:00:00 INFO a", "b", "", "  ", json.dumps(stamped), "c"
    )
    times = [(entry["message"], entry["timestamp"][11:]) for entry in read(client)]
    assert times == [
        ("before", "08:00:00"),
        ("a", "08:00:00"),
        ("b", "08:00:00"),
        ("[System: x]", "08:00:09"),
        ("c", "08:00:09"),
    ]


def test_times_that_are_not_in_the_line_are_marked(place: Place, client: FlaskClient) -> None:
    written_log(
        place, "a", "2026-02-20 08:00:00 INFO b", "c", "d", "e", "2026-02-20 08:30:00 INFO f", "g"
    )
    marked = [
        (entry["message"], entry["timestamp"][11:16], "timestamp_estimated" in entry)
        for entry in read(client)
    ]
    assert marked == [
        *(("a", "08:00", True), ("b", "08:00", False), ("c", "08:00", True)),
        *(("d", "08:00", True), ("e", "08:30", True), ("f", "08:30", False), ("g", "08:30", True)),
    ]
    for lines in range(1, 7):
        assert [entry["message"] for entry in read(client, lines)] == list("abcdefg"[-lines:])
        assert [entry["timestamp"][11:16] for entry in read(client, lines)] == [
            time for _, time, _ in marked[-lines:]
        ]


@pytest.mark.parametrize("name", ["agent.log", "session.log"])
def test_fewer_lines_are_the_end_of_more(session: Place, name: str) -> None:
    if name == "session.log":
        session.variant(name, "logs/session.log")
    client = session.client()
    everything = read(client, 10_000)
    assert len(everything) > 5
    for lines in (1, 2, len(everything) - 1, len(everything)):
        assert read(client, lines) == everything[-lines:]


def test_lines_in_which_nothing_is_to_be_seen_do_not_count(
    place: Place, client: FlaskClient
) -> None:
    written_log(place, "one", "\x1b[0m", "", "\x00\x00", "two", "\r", "\x1b[2K\r")
    assert [entry["message"] for entry in read(client, 2)] == ["one", "two"]


def test_a_hundred_lines_unless_more_are_asked_for(place: Place, client: FlaskClient) -> None:
    written_log(place, *(f"line {number}" for number in range(300)))
    assert [entry["message"] for entry in read(client)] == [f"line {n}" for n in range(200, 300)]
    assert len(read(client, 10_000)) == 300


@pytest.mark.parametrize(
    "query",
    ["-1", "0", "10001", "1000000000000", "1e3", "abc", "", "1.5", "１０", " 5", "+5", "5&lines=6"],
)
def test_a_number_of_lines_out_of_range_is_refused(client: FlaskClient, query: str) -> None:
    response = client.get(f"/api/logs?lines={query}")
    assert response.status_code == 400
    assert isinstance(response.get_json()["detail"], str)


@pytest.mark.parametrize(
    ("ages", "chosen"),
    [
        ({"agent.log": 0, "autonomy-20260220.log": 0}, "agent.log"),
        ({"agent.log": 0.4, "autonomy-20260220.log": 0}, "agent.log"),
        (
            {"autonomy-20260220.log": 0, "background-20260220-090102.log": 0},
            "autonomy-20260220.log",
        ),
        ({"background-20260220-090102.log": 0, "zzz.log": 0}, "background-20260220-090102.log"),
        ({"agent.log": 60, "autonomy-20260220.log": 0}, "autonomy-20260220.log"),
        ({"agent.log": 60, "mine.log": 5}, "mine.log"),
        ({"agent.log": 60, "api.log": 0, "dashboard.log": 0, "dashboard-2.log": 0}, "agent.log"),
        ({"agent.log": 60, "test-unit.log": 0, "my-test.log": 0}, "agent.log"),
        ({"agent.log": 60, "newest.txt": 0, ".hidden.log": 0}, "agent.log"),
        ({"agent.log": 0, "session.log": 3600}, "agent.log"),
        ({"agent.log": 0, "session.log": 61}, "agent.log"),
        ({"agent.log": 0, "session.log": 50}, "session.log"),
        ({"agent.log": 3600, "session.log": 3650}, "session.log"),
        ({"api.log": 0, "session.log": 3600}, "session.log"),
        ({"agent.log": 60, "latest.log": 0}, "latest.log"),
        ({"agent.log": 60, "contest.log": 0}, "contest.log"),
        ({"agent.log": 60, "attestation-1.log": 0}, "attestation-1.log"),
        ({"agent.log": 60, "unit_test.log": 0, "TEST.log": 0, "e2e.tests.2.log": 0}, "agent.log"),
        ({"api.log": 0, "test.log": 0}, None),
        ({}, None),
    ],
)
def test_the_log_is_the_preferred_or_the_newest_file(
    place: Place, client: FlaskClient, ages: dict[str, float], chosen: str | None
) -> None:
    for name, age in ages.items():
        backdate(place.write(f"logs/{name}", f"from {name}\n"), age)
    assert [entry["message"] for entry in read(client)] == ([f"from {chosen}"] if chosen else [])


def test_an_empty_log_is_passed_over(place: Place, client: FlaskClient) -> None:
    backdate(place.write("logs/autonomy-1.log", "older\n"), 60)
    place.write("logs/agent.log", "")
    place.write("logs/session.log", "")
    assert [entry["message"] for entry in read(client)] == ["older"]


def test_links_out_of_the_folder_are_not_followed(place: Place, client: FlaskClient) -> None:
    backdate(place.write("logs/agent.log", "honest\n"), 60)
    outside = place.home / "outside.log"
    outside.write_text("foreign\n")
    (place.loki / "logs" / "x.log").symlink_to(outside)
    (place.loki / "logs" / "session.log").symlink_to("/etc/passwd")
    assert [entry["message"] for entry in read(client)] == ["honest"]


def test_a_linked_folder_outside_is_not_read(place: Place, client: FlaskClient) -> None:
    outside = place.home / "elsewhere"
    outside.mkdir()
    (outside / "agent.log").write_text("foreign\n")
    (place.loki / "logs").symlink_to(outside)
    assert read(client) == []


def a_directory(path: Path) -> None:
    path.mkdir(parents=True)


def a_pipe(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


@pytest.mark.parametrize("make", [a_directory, a_pipe])
@pytest.mark.parametrize("name", ["session.log", "agent.log"])
def test_an_irregular_file_does_not_block_the_request(
    place: Place, client: FlaskClient, make: Callable[[Path], None], name: str
) -> None:
    make(place.loki / "logs" / name)
    backdate(place.write("logs/mine.log", "honest\n"), 60)
    assert [entry["message"] for entry in read(client)] == ["honest"]


def test_bytes_that_are_no_text_are_replaced(place: Place, client: FlaskClient) -> None:
    place.write(
        "logs/agent.log",
        b'\xef\xbb\xbf[INFO] first\n\xff\xfe broken\n{"msg": "\\ud800 lone"}\n\xc3\xa4 sound\n',
    )
    messages = [entry["message"] for entry in read(client)]
    assert messages == ["first", "\ufffd\ufffd broken", "\ufffd lone", "ä sound"]


def test_secrets_are_taken_out_and_the_words_stay(place: Place, client: FlaskClient) -> None:
    command = f"curl -H 'Authorization: Bearer {KEY}' host"
    written_log(
        place,
        f"[INFO] using {KEY} now",
        json.dumps(turn("assistant", tool("Bash", command=command))),
        json.dumps(turn("user", result(f"line\npassword={KEY}\nend"))),
        json.dumps(turn("user", result("x " * 2 * reader.MAX_MESSAGE + KEY))),
        "x" * (reader.MAX_MESSAGE - 10) + f" {KEY}",
        "tokens_used=42",
    )
    messages = [entry["message"] for entry in read(client)]
    assert messages[:3] == [
        "using [redacted] now",
        "[Tool: Bash] curl -H 'Authorization: [redacted]' host",
        "[Result] line\npassword=[redacted]\nend",
    ]
    assert messages[-1] == "tokens_used=42"
    assert len(messages) == 6
    assert KEY[:10] not in "".join(messages)


def test_a_key_block_that_began_above_is_taken_out(place: Place, client: FlaskClient) -> None:
    body = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"] * 20
    block = ["-----BEGIN PRIVATE KEY-----", *body, "-----END PRIVATE KEY-----"]
    written_log(place, "[INFO] first", *block, "[INFO] last")
    for lines in (1, 2, 3, 10, 30):
        messages = [entry["message"] for entry in read(client, lines)]
        assert messages[-1] == "last"
        assert set(messages[1:-1]) <= {"[redacted]"}
    written_log(place, *block[:-2])
    assert [entry["message"] for entry in read(client, 1)] == ["[redacted]"]


def test_new_lines_become_entries_as_if_read_with_those_above(place: Place) -> None:
    lines = ["2026-02-20 08:00:00 INFO a", "b", "-----BEGIN PRIVATE KEY-----", "c" * 64, "d" * 64]
    together = reader.parse_entries(lines, written_at=WRITTEN)
    for count in range(1, len(lines)):
        later = reader.parse_entries(lines[count:], above=lines[:count], written_at=WRITTEN)
        assert later == together[count:]


def peak_kilobytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def test_a_log_of_gigabytes_costs_as_little_as_a_short_one(
    place: Place, client: FlaskClient
) -> None:
    written_log(place, "warm")
    read(client)
    path = place.loki / "logs" / "agent.log"
    with path.open("wb") as stream:
        stream.truncate(2 << 30)
        stream.seek(2 << 30)
        stream.write(b"\n[INFO] the end\n")
    before, read_before = peak_kilobytes(), bytes_read()
    assert [entry["message"] for entry in read(client)][-1] == "the end"
    assert bytes_read() - read_before < 20 << 20
    assert peak_kilobytes() - before < 20 * 1024


@pytest.mark.parametrize(("end", "after"), [("", []), ("\n", []), ("\nlast\n", ["last"])])
def test_one_line_of_a_hundred_megabytes_is_cut(
    place: Place, client: FlaskClient, end: str, after: list[str]
) -> None:
    path = place.write("logs/agent.log", "first\n")
    with path.open("a") as stream:
        for _ in range(100):
            stream.write("x" * (1 << 20))
        stream.write(end)
    entry, *rest = read(client)
    assert entry["message"].startswith("xxx")
    assert len(entry["message"]) < 100_000
    assert [line["message"] for line in rest] == after
    path.unlink()


@pytest.mark.slow
def test_no_fragment_of_a_short_line_is_read_as_a_line(place: Place, client: FlaskClient) -> None:
    line = "whole " + "y" * 1000
    written_log(place, *[line] * 9_000)
    assert {entry["message"] for entry in read(client, 10_000)} == {line}


@pytest.mark.slow
def test_ten_thousand_lines_are_read(place: Place, client: FlaskClient) -> None:
    line = json.dumps(turn("assistant", tool("Bash", command=f"echo {KEY} token=abc")))
    written_log(place, *[line] * 20_000)
    folder = Folder(place.loki)
    wait_until(lambda: is_settled(folder, "logs/agent.log"), "a file that is read once")
    before = bytes_read()
    assert len(read(client, 10_000)) == 10_000
    assert bytes_read() - before < 2 * 10_000 * len(line)


@pytest.mark.slow
def test_different_numbers_of_lines_do_not_each_hold_the_end_of_the_log(place: Place) -> None:
    place.write("logs/session.log", "".join(f"line {n}\n" for n in range(3000)))
    sources = place.sources()
    assert [len(reader.list_entries(sources, lines)) for lines in range(1, 100)] == [*range(1, 100)]
    held = [one for one in gc.get_objects() if isinstance(one, TailInput)]
    assert 0 < len([one for one in held if one._root is sources.project._root]) <= 3
