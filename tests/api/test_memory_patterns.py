"""GET /api/memory/patterns and /api/memory/skills in all stored forms."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.memory_shapes import PATTERN_FIELDS, get, has
from tests.support.places import Place

Ask = Callable[[str], Any]
NEWER = "2026-02-02T00:00:00Z"
SECRET = "sk-ant-abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("wrapped", [True, False])
def test_wrapped_and_bare_patterns(place: Place, client: FlaskClient, wrapped: bool) -> None:
    place.variant("patterns.list.json", "memory/semantic/patterns.json")
    if wrapped:
        bare = place.read("memory/semantic/patterns.json")
        place.write("memory/semantic/patterns.json", {"version": "1.0", "patterns": bare})
    listed = get(client, "/api/memory/patterns")
    assert [(entry["id"], entry["category"]) for entry in listed] == [
        ("sem-11aa22bb", "performance"),
        ("pattern-20260220091500", "anti-pattern"),
    ]
    assert all(has(entry, PATTERN_FIELDS) for entry in listed)
    assert get(client, "/api/memory/summary")["semantic"] == {"patterns": 1, "antiPatterns": 1}


def test_patterns_in_maps_by_id(place: Place, client: FlaskClient) -> None:
    place.write("memory/semantic/patterns.json", {"patterns": {"p-1": {"pattern": "Do"}, "n": 1}})
    place.write("memory/semantic/anti-patterns.json", {"anti_patterns": {"a": {"what_fails": "x"}}})
    place.write("memory/index.json", {"topics": {"t-1": {"summary": "s"}}})
    assert [entry["id"] for entry in get(client, "/api/memory/patterns")] == ["p-1", "a"]
    assert get(client, "/api/memory/summary")["semantic"] == {"patterns": 1, "antiPatterns": 1}
    assert get(client, "/api/memory/index")["topics"] == [{"id": "t-1", "summary": "s"}]


@pytest.mark.parametrize(
    ("variant", "fails"),
    [
        ("anti-patterns.json", ["Mocking the database in e2e tests", "Retrying 4xx"]),
        ("anti-patterns.list.json", ["x"]),
    ],
)
def test_both_forms_of_anti_patterns(
    place: Place, client: FlaskClient, variant: str, fails: list[str]
) -> None:
    place.write("memory/semantic/patterns.json", [{"id": "p", "pattern": "Do"}])
    place.variant(variant, "memory/semantic/anti-patterns.json")
    listed = get(client, "/api/memory/patterns")
    avoided = [entry for entry in listed if entry["category"] == "anti-pattern"]
    assert [entry["pattern"] for entry in avoided] == fails
    assert all(entry["incorrectApproach"] == entry["what_fails"] for entry in avoided)
    assert all(entry["correctApproach"] == entry["prevention"] for entry in avoided)
    assert all(entry["conditions"] == [entry["why"]] for entry in avoided)
    for entry in listed:
        assert get(client, f"/api/memory/patterns/{entry['id']}") == entry
    counts = get(client, "/api/memory/summary")["semantic"]
    assert counts == {"patterns": 1, "antiPatterns": len(fails)}


def test_anti_patterns_wrapped_like_patterns(place: Place, client: FlaskClient) -> None:
    place.write("memory/semantic/anti-patterns.json", {"patterns": [{"id": "a", "pattern": "No"}]})
    (entry,) = get(client, "/api/memory/patterns")
    assert (entry["id"], entry["category"]) == ("a", "anti-pattern")


def test_the_newest_pattern_of_an_id_counts_then_the_first(
    place: Place, client: FlaskClient
) -> None:
    place.write(
        "memory/semantic/patterns.json",
        [
            {"id": "a", "pattern": "first", "last_used": "2026-02-01T00:00:00+00:00Z"},
            {"id": "a", "pattern": "newest", "updated_at": "2026-02-02T00:00:00Z"},
            {"id": "b", "pattern": "first"},
            {"id": "b", "pattern": "second"},
        ],
    )
    place.write("memory/semantic/anti-patterns.json", [{"id": "b", "what_fails": "third"}])
    listed = get(client, "/api/memory/patterns")
    assert [entry["pattern"] for entry in listed] == ["newest", "first"]
    assert get(client, "/api/memory/summary")["semantic"] == {"patterns": 2, "antiPatterns": 0}


@pytest.mark.parametrize(
    ("patterns", "anti_patterns"),
    [
        ([{"id": "a", "pattern": "x"}], [{"id": "a", "what_fails": "x", "updated_at": NEWER}]),
        ([{"id": "a", "pattern": "x", "updated_at": NEWER}], [{"id": "a", "what_fails": "x"}]),
        ([{"id": 5, "pattern": "x"}, {"id": "5", "pattern": "y"}], []),
        ([{"pattern": "x"}, {"pattern": "x"}, {"pattern": "y"}], [{"what_fails": "x"}]),
        ([{"id": "a b", "pattern": "x"}, {"id": SECRET, "pattern": "x"}, {"id": True}], []),
        ([{"id": word, "category": word} for word in ("anti_pattern", "Antipattern", "x")], []),
        ([{"id": "a", "category": " Anti-Pattern "}, {"id": "b", "category": 5}], [5, {"x": 1}]),
        ([{"pattern": f"key {SECRET}"}, {"pattern": "key [redacted]"}], []),
    ],
)
def test_the_summary_counts_the_patterns_that_are_listed(
    place: Place, client: FlaskClient, patterns: list[Any], anti_patterns: list[Any]
) -> None:
    place.write("memory/semantic/patterns.json", patterns)
    place.write("memory/semantic/anti-patterns.json", anti_patterns)
    counts = get(client, "/api/memory/summary")["semantic"]
    listed = [entry["category"] for entry in get(client, "/api/memory/patterns")]
    avoided = listed.count("anti-pattern")
    assert counts == {"patterns": len(listed) - avoided, "antiPatterns": avoided}


def test_sound_patterns_stay_beside_bad_ones(place: Place, client: FlaskClient) -> None:
    odd = {"id": "odd", "pattern": 5, "category": None, "confidence": "0.9", "usage_count": "x"}
    more = {"conditions": "When", "links": 7, "correct_approach": [], "source_episodes": [1, "e"]}
    place.write("memory/semantic/patterns.json", [None, 5, "x", [], {}, {**odd, **more}])
    (entry,) = get(client, "/api/memory/patterns")
    assert has(entry, PATTERN_FIELDS)
    assert (entry["confidence"], entry["conditions"], entry["links"]) == (0.9, ["When"], [])
    assert entry["source_episodes"] == ["e"]


def test_a_skill_is_found_by_its_id_then_by_its_file(place: Place, client: FlaskClient) -> None:
    place.write("memory/skills/deploy.json", {"id": "skill-deploy", "name": "Deploy"})
    place.write("memory/skills/skill-deploy.json", {"id": "other", "name": "Other"})
    place.write("memory/skills/deploy.md", "# Deploy")
    assert get(client, "/api/memory/skills/skill-deploy")["name"] == "Deploy"
    assert get(client, "/api/memory/skills/deploy")["name"] == "Deploy"
    assert get(client, "/api/memory/skills/other")["name"] == "Other"
    assert get(client, "/api/memory/summary")["procedural"] == {"skills": 2}
