"""The sessions to measure with: the same each time, and whole for our own server."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from benchmarks import sessions
from benchmarks.sessions import SIZES, Session
from benchmarks.writer import Writer
from tests.support import answers
from tests.support.places import Place, snapshot

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
S = SIZES["S"]


@pytest.fixture
def small(tmp_path: Path) -> Session:
    return sessions.session("S", tmp_path, now=NOW.timestamp())


@pytest.fixture
def client(small: Session) -> FlaskClient:
    place = Place(small.home, small.loki, NOW)
    cache = str(small.folder / "cache")
    return place.client(LOKI_CACHE_DIR=cache, LOKI_ENTERPRISE_AUDIT="true")


def contents(session: Session) -> dict[str, bytes]:
    return {name: data for name, (_, data) in snapshot(session.home).items()}


def test_the_same_day_gives_the_same_bytes(small: Session, tmp_path: Path) -> None:
    before = contents(small)
    small.discard()
    again = sessions.session("S", tmp_path, now=NOW.timestamp())
    assert contents(again) == before


def test_a_session_is_kept_until_it_is_discarded(small: Session, tmp_path: Path) -> None:
    marker = small.loki / "marker"
    marker.touch()
    sessions.session("S", tmp_path, now=NOW.timestamp())
    assert marker.exists()
    small.discard()
    sessions.session("S", tmp_path, now=NOW.timestamp())
    assert not marker.exists()


def test_a_session_of_another_day_is_made_again(small: Session, tmp_path: Path) -> None:
    before = contents(small)
    later = sessions.session("S", tmp_path, now=NOW.timestamp() + 86_400)
    assert contents(later) != before


def test_every_route_answers(client: FlaskClient) -> None:
    paths = [path for route in answers.gets() for path in answers.addresses(client.get, route)]
    unanswered = {path for path in paths if client.get(path).status_code != 200}
    assert unanswered == {"/api/enterprise/tokens"}  # a setting opens it
    assert len(paths) > len(answers.gets())  # ids were found


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/api/tasks", S.tasks),
        ("/api/agents", S.agents),
        ("/api/notifications?limit=1000", S.notifications),
        ("/api/checkpoints?limit=200", S.checkpoints),
        ("/api/memory/episodes?limit=1000", S.episodes),
        ("/api/memory/patterns", S.patterns),
        ("/api/memory/skills", S.skills),
        ("/api/learning/signals?timeRange=30d&limit=1000", S.events + S.signals),
        ("/api/logs?lines=10000", S.log_lines),
        ("/api/registry/projects", S.projects),
        ("/api/enterprise/audit?limit=1000", S.audit),
    ],
)
def test_the_server_sees_all_of_it(client: FlaskClient, path: str, count: int) -> None:
    assert len(answers.strict_json(client.get(path))) == count


def test_the_metrics_count_all_of_it(client: FlaskClient) -> None:
    text = client.get("/metrics").text
    assert f"loki_events_total {S.events}" in text.replace(".0\n", "\n")


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("/api/logs?lines=100", 100),
        ("/api/memory/episodes", 50),
        ("/api/notifications", 50),
        ("/api/checkpoints", 20),
        ("/api/learning/signals", 50),
        ("/api/learning/tools", 50),
    ],
)
def test_limited_lists_are_full_at_the_smallest_size(
    client: FlaskClient, path: str, length: int
) -> None:
    assert len(answers.strict_json(client.get(path))) == length


def test_the_log_has_something_to_redact(client: FlaskClient) -> None:
    entries = answers.strict_json(client.get("/api/logs?lines=10000"))
    redacted = [entry for entry in entries if "[redacted]" in entry["message"]]
    assert 0 < len(redacted) < len(entries) / 10


@pytest.fixture
def written(small: Session) -> Session:
    Writer(small).write_each_once()
    return small


def test_changes_of_the_writer_are_counted(client: FlaskClient, written: Session) -> None:
    def get(path: str) -> Any:
        return answers.strict_json(client.get(path))

    assert get("/api/status")["iteration"] == S.iterations + 1
    assert len(get("/api/memory/episodes?limit=1000")) == S.episodes + 1
    assert len(get("/api/logs?lines=10000")) == S.log_lines + 1
    assert len(get("/api/learning/signals?timeRange=30d&limit=1000")) == S.events + S.signals + 5
    tasks = get("/api/tasks")
    assert len(tasks) == S.tasks
    assert sum(task["status"] == "done" for task in tasks) == S.tasks * 0.5 + 1


def test_a_session_that_was_written_to_is_made_again(written: Session, tmp_path: Path) -> None:
    again = sessions.session("S", tmp_path, now=NOW.timestamp())
    assert len((again.loki / "events.jsonl").read_text().splitlines()) == S.events
