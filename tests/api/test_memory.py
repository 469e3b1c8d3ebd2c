"""The memory endpoints with the recorded session, changed files and malformed files."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.memory_shapes import (
    EPISODE_FIELDS,
    GETS,
    NONSENSE,
    PATTERN_FIELDS,
    SKILL_FIELDS,
    episode,
    get,
    has,
)
from tests.support.places import Place, write

Ask = Callable[[str], Any]

NOT_IDS = ["%2e%2e", "..%2f..%2fetc", "a%0A", "a%00", "a" * 129, "%C3%A4", "a.b", "a%20b"]


def test_recorded_summary_agrees_with_the_lists(ask: Ask) -> None:
    summary = ask("/api/memory/summary")
    episodes = ask("/api/memory/episodes?limit=1000")
    patterns = ask("/api/memory/patterns")
    avoided = [entry for entry in patterns if entry["category"] == "anti-pattern"]
    assert episodes
    assert summary["episodic"] == {"count": len(episodes), "latestDate": episodes[0]["timestamp"]}
    assert summary["semantic"] == {
        "patterns": len(patterns) - len(avoided),
        "antiPatterns": len(avoided),
    }
    assert summary["procedural"] == {"skills": len(ask("/api/memory/skills"))}
    economics = ask("/api/memory/economics")
    assert summary["tokenEconomics"] == {key: economics[key] for key in summary["tokenEconomics"]}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("episodes", EPISODE_FIELDS), ("patterns", PATTERN_FIELDS), ("skills", SKILL_FIELDS)],
)
def test_recorded_entries_have_every_field_and_can_be_fetched(
    ask: Ask, kind: str, fields: dict[str, Any]
) -> None:
    entries = ask(f"/api/memory/{kind}")
    assert entries
    for entry in entries:
        assert has(entry, fields)
        assert ask(f"/api/memory/{kind}/{entry['id']}") == entry


def test_recorded_episodes_keep_what_is_stored(ask: Ask, session: Place) -> None:
    stored = [
        json.loads(path.read_text()) for path in session.loki.glob("memory/episodic/*/*.json")
    ]
    answered = {entry["id"]: entry for entry in ask("/api/memory/episodes")}
    for entry in stored:
        found = answered[entry["id"]]
        assert found["context"] == entry["context"]
        assert found["taskId"] == found["task_id"] == entry["task_id"]
        assert (found["phase"], found["goal"]) == (
            entry["context"]["phase"],
            entry["context"]["goal"],
        )
        assert found["actionLog"] == entry["action_log"]
        assert found["tokensUsed"] == entry["tokens_used"]
        assert found["durationSeconds"] == entry["duration_seconds"]


def test_recorded_times_can_be_read_by_a_browser(ask: Ask) -> None:
    for path in GETS:
        assert "+00:00Z" not in json.dumps(ask(path))


def test_each_change_is_in_the_next_answer(place: Place, client: FlaskClient) -> None:
    path = place.write("memory/episodic/2026-02-01/a.json", episode("a", goal="old"))
    place.write("memory/skills/s.json", {"id": "s", "name": "old"})
    place.write("memory/semantic/patterns.json", {"patterns": [{"id": "p", "pattern": "old"}]})

    def everything() -> tuple[Any, ...]:
        return (
            [entry["goal"] for entry in get(client, "/api/memory/episodes")],
            [entry["name"] for entry in get(client, "/api/memory/skills")],
            [entry["pattern"] for entry in get(client, "/api/memory/patterns")],
        )

    assert everything() == (["old"], ["old"], ["old"])
    place.write("memory/episodic/2026-02-01/a.json", episode("a", goal="new"))
    place.write("memory/skills/s.json", {"id": "s", "name": "new"})
    place.write("memory/semantic/patterns.json", {"patterns": [{"id": "p", "pattern": "new"}]})
    assert everything() == (["new"], ["new"], ["new"])
    path.unlink()
    (place.loki / "memory/skills/s.json").unlink()
    (place.loki / "memory/semantic/patterns.json").unlink()
    assert everything() == ([], [], [])


@pytest.mark.parametrize("content", [*NONSENSE, "", "{", "[" * 100_000, b"\xff\xfe", "NaN"])
@pytest.mark.parametrize("path", GETS)
def test_no_content_breaks_an_answer(
    place: Place, client: FlaskClient, path: str, content: Any
) -> None:
    for name in ("index", "timeline", "token_economics", "semantic/patterns"):
        place.write(f"memory/{name}.json", content)
    place.write("memory/semantic/anti-patterns.json", content)
    place.write("memory/episodic/2026-02-01/bad.json", content)
    place.write("memory/episodic/2026-02-01/good.json", episode("good"))
    place.write("memory/skills/bad.json", content)
    place.write("memory/skills/good.json", {"id": "good"})
    answer = get(client, path)
    kind = path.rpartition("/")[2]
    fields: dict[str, dict[str, Any]] = {
        "episodes": EPISODE_FIELDS,
        "patterns": PATTERN_FIELDS,
        "skills": SKILL_FIELDS,
    }
    if kind in fields:
        assert all(has(entry, fields[kind]) for entry in answer)
    if kind in ("episodes", "skills"):
        assert "good" in {entry["id"] for entry in answer}


def test_the_summary_agrees_with_the_lists_whatever_lies_about(
    place: Place, client: FlaskClient
) -> None:
    for n, content in enumerate(NONSENSE):
        place.write(f"memory/episodic/2026-02-01/{n}.json", content)
        place.write(f"memory/skills/{n}.json", content)
    summary = get(client, "/api/memory/summary")
    episodes = get(client, "/api/memory/episodes?limit=1000")
    skills = get(client, "/api/memory/skills")
    assert summary["episodic"]["count"] == len(episodes)
    assert summary["procedural"]["skills"] == len(skills)
    for kind, entries in (("episodes", episodes), ("skills", skills)):
        assert [get(client, f"/api/memory/{kind}/{entry['id']}") for entry in entries] == entries


@pytest.mark.timeout(20)
def test_a_path_outside_of_the_session_is_not_served(
    place: Place, client: FlaskClient, tmp_path: Path
) -> None:
    outside = write(tmp_path / "outside" / "secret.json", {"id": "secret", "name": "secret"})
    neighbour = write(place.loki.with_name(".loki-other") / "x.json", {"id": "near"})
    for kind in ("episodic", "skills"):
        place.write(f"memory/{kind}/good.json", {"id": "good"})
        (place.loki / f"memory/{kind}/secret.json").symlink_to(outside)
        (place.loki / f"memory/{kind}/near.json").symlink_to(neighbour)
        (place.loki / f"memory/{kind}/linked").symlink_to(outside.parent)
        os.mkfifo(place.loki / f"memory/{kind}/fifo.json")
    (place.loki / "memory/semantic").symlink_to(outside.parent)
    for kind in ("episodes", "skills"):
        assert [entry["id"] for entry in get(client, f"/api/memory/{kind}")] == ["good"]
        assert client.get(f"/api/memory/{kind}/good").status_code == 200
        for gone in ("secret", "near"):
            assert client.get(f"/api/memory/{kind}/{gone}").status_code == 404
    assert get(client, "/api/memory/patterns") == []


def test_a_whole_folder_of_episodes_that_leads_out_has_none(
    place: Place, client: FlaskClient, tmp_path: Path
) -> None:
    outside = write(tmp_path / "outside" / "secret.json", {"id": "secret"}).parent
    (place.loki / "memory").mkdir()
    (place.loki / "memory/episodic").symlink_to(outside)
    assert get(client, "/api/memory/episodes") == []
    assert get(client, "/api/memory/summary")["episodic"]["count"] == 0


@pytest.mark.parametrize("identifier", NOT_IDS)
@pytest.mark.parametrize("kind", ["episodes", "patterns", "skills"])
def test_a_malformed_id_is_refused(session: Place, kind: str, identifier: str) -> None:
    response = session.client().get(f"/api/memory/{kind}/{identifier}")
    assert response.status_code in (400, 404)
    assert isinstance(response.get_json()["detail"], str)


@pytest.mark.parametrize("kind", ["episodes", "patterns", "skills"])
def test_an_unknown_id_is_not_found(session: Place, kind: str) -> None:
    response = session.client().get(f"/api/memory/{kind}/unknown")
    assert response.status_code == 404
    assert response.get_json()["detail"].endswith(" not found")


def test_secrets_do_not_leave(place: Place, client: FlaskClient) -> None:
    key = "sk-ant-" + "a1B2" * 8
    place.write("memory/episodic/a.json", episode("a", context={"goal": f"Use {key}"}, agent=key))
    place.write("memory/episodic/b.json", episode(key, action_log=[{"action": key}]))
    place.write("memory/semantic/patterns.json", [{"id": "p", "pattern": "x", "conditions": [key]}])
    place.write("memory/skills/s.json", {"id": "s", "steps": [f"export API_KEY={key}"]})
    place.write("memory/index.json", {"topics": [{"summary": key}]})
    place.write("memory/timeline.json", [{"action": key}])
    place.write("memory/token_economics.json", {"session_id": key})
    for path in GETS:
        assert key not in client.get(path).get_data(as_text=True)
    found = client.post("/api/memory/retrieve", json={"query": "use export api"})
    assert found.get_json()["results"]
    assert key not in found.get_data(as_text=True)
    (index,) = place.home.glob(".cache/loki-web/*/index-*.sqlite3")
    assert key.lower().encode() not in index.read_bytes().lower()
