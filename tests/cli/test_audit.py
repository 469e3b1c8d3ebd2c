"""`loki-web audit`: its exit code tells whether anything was altered, its lines where."""

import json
import shlex
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, is_one_complaint, run
from tests.support import places
from tests.support.places import Place
from tests.support.servers import environment
from tests.support.waiting import PATIENCE_SECONDS


@pytest.fixture
def log(place: Place) -> Path:
    """The one file of a log of twelve entries, all of one day."""
    client = replace(place, now=datetime(2026, 2, 19, 10, tzinfo=UTC)).client()
    for number in range(12):
        client.post("/api/control/" + ("pause", "resume")[number % 2])
    (path,) = (place.home / ".loki/dashboard/audit").glob("audit-*.jsonl")
    return path


def rewritten(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def test_an_intact_log_verifies(place: Place, log: Path) -> None:
    done = run(place, "audit", "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "intact, 1 file, 12 chained entries" in done.stdout


def test_the_log_of_the_real_server(tmp_path: Path) -> None:
    done = run(places.recorded(tmp_path), "audit", "verify")
    assert done.returncode == 3
    assert "NOT PROVEN, 3 files" in done.stdout


def test_no_log_is_none_that_was_altered(place: Place) -> None:
    done = run(place, "audit", "verify")
    assert done.returncode == 0
    assert "0 files, 0 chained entries" in done.stdout


def test_an_altered_entry_is_named_by_file_and_line(place: Place, log: Path) -> None:
    lines = log.read_text().splitlines()
    lines[6] = lines[6].replace('"success": true', '"success": false')
    rewritten(log, lines)
    done = run(place, "audit", "verify")
    assert done.returncode == 1
    assert f"{log.name}:7: " in done.stdout
    assert "ALTERED in 1 place" in done.stdout


def test_a_missing_entry_is_found_where_it_is_missing(place: Place, log: Path) -> None:
    lines = log.read_text().splitlines()
    rewritten(log, lines[:4] + lines[5:])
    done = run(place, "audit", "verify")
    assert done.returncode == 1
    assert done.stdout.startswith(f"{log.name}:5: ")


def test_a_line_that_a_crash_cut_short_is_no_alteration(place: Place, log: Path) -> None:
    with log.open("a") as stream:
        stream.write('{"timestamp": "2026-')
    done = run(place, "audit", "verify")
    assert done.returncode == 0
    assert f"{log.name}:13: " in done.stdout
    assert "1 torn line" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ([], 12),
        (["--action", "pause"], 6),
        (["--action", "pau"], 0),
        (["--resource-type", "session", "--limit", "5"], 5),
        (["--offset", "10"], 2),
        (["--start-date", "2099-01-01"], 0),
        (["--end-date", "2099-01-01"], 12),
        (["--resource-id", "x"], 0),
    ],
)
def test_a_query_prints_the_matching_entries(
    place: Place, log: Path, arguments: list[str], count: int
) -> None:
    found = json.loads(run(place, "audit", "query", "--json", *arguments).stdout)
    assert len(found) == count
    table = run(place, "audit", "query", *arguments).stdout.splitlines()
    assert len(table[1:]) == count


def test_texts_of_others_have_no_power_over_the_terminal(place: Place) -> None:
    entry = {
        "timestamp": "2026-02-19T10:00:00+00:00",
        "action": "a\x1b[31m\u0085",
        "user_id": "é\n",
    }
    place.write_home("dashboard/audit/audit-2026-02-19.jsonl", json.dumps(entry) + "\n")
    done = run(place, "audit", "query")
    assert len(done.stdout.splitlines()) == 2
    assert r"a\x1b[31m\x85" in done.stdout
    assert "\x1b" not in run(place, "audit", "query", "--json").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "--limit", "0"],
        ["query", "--offset", "-1"],
        ["query", "--start-date", "2026-02-30"],
        ["query", "--end-date", "../../x"],
        ["verify", "x"],
    ],
)
def test_a_wrong_argument_is_one_line(place: Place, arguments: list[str]) -> None:
    assert is_one_complaint(run(place, "audit", *arguments))


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(place: Place, log: Path) -> None:
    log.write_bytes(log.read_bytes() * 2000)
    line = f"{shlex.join(COMMAND)} audit query --limit 1000 | head -1"
    done = subprocess.run(
        ["sh", "-c", line],
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
