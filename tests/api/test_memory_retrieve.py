"""POST /api/memory/retrieve: results, ranking and matches."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.memory_shapes import (
    EPISODE_FIELDS,
    PATTERN_FIELDS,
    SKILL_FIELDS,
    episode,
    get,
    has,
)
from tests.support.places import Place

FIELDS: dict[str, dict[str, Any]] = {
    "episode": EPISODE_FIELDS,
    "pattern": PATTERN_FIELDS,
    "skill": SKILL_FIELDS,
}


def retrieve(client: FlaskClient, query: str, **more: Any) -> list[dict[str, Any]]:
    body = {"query": query, **more}
    response = client.post("/api/memory/retrieve", json=body)
    assert response.status_code == 200, response.get_data(as_text=True)
    answer = response.get_json()
    assert answer["query"] == body
    assert answer["complete"] is True
    results: list[dict[str, Any]] = answer["results"]
    return results


def ids(client: FlaskClient, query: str, **more: Any) -> list[str]:
    return [result["id"] for result in retrieve(client, query, **more)]


@pytest.fixture
def garden(place: Place) -> Place:
    """A memory about fruit."""
    day = "memory/episodic/2026-02-01"
    place.write(
        f"{day}/a.json",
        episode("e1", context={"phase": "ACT", "goal": "Plant an apple tree"}, outcome="success"),
    )
    actions = [{"t": 0, "action": "water", "target": "the plum", "result": "apple juice"}]
    place.write(
        f"{day}/p.json",
        episode("e2", context={"phase": "VERIFY", "goal": "Water the plum"}, action_log=actions),
    )
    place.write(
        "memory/semantic/patterns.json",
        {
            "patterns": [
                {"id": "sem-1", "pattern": "Prune trees in winter", "category": "care"},
                {"id": "sem-2", "pattern": "Avoid: Frost", "category": "anti-pattern"},
            ]
        },
    )
    place.write(
        "memory/semantic/anti-patterns.json",
        {
            "anti_patterns": [
                {"what_fails": "Salting", "why": "Kills roots", "prevention": "Compost"}
            ]
        },
    )
    place.write(
        "memory/skills/graft.json", {"id": "graft", "name": "Graft", "steps": ["Cut a twig"]}
    )
    return place


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("apple", "e1"),
        ("APPLES", "e1"),
        ("water", "e2"),
        ("juice", "e2"),
        ("prune winter", "sem-1"),
        ("trees winter apple", "sem-1"),
        ("frost", "sem-2"),
        ("twig", "graft"),
        ("grafting graft", "graft"),
        ("anti-pattern frost", "sem-2"),
    ],
)
def test_the_best_match_comes_first(garden: Place, query: str, first: str) -> None:
    assert ids(garden.client(), query)[0] == first


def test_a_pattern_is_first_for_its_own_text(session: Place) -> None:
    client = session.client()
    for pattern in get(client, "/api/memory/patterns"):
        assert ids(client, pattern["pattern"])[0] == pattern["id"]


def test_entries_with_all_words_come_before_others(garden: Place) -> None:
    results = retrieve(garden.client(), "apple plum")
    assert [result["id"] for result in results] == ["e2", "e1"]
    assert results[0]["score"] > 0.5 >= results[1]["score"] > 0


def write_goals(place: Place, goals: list[str]) -> None:
    for number, goal in enumerate(goals):
        place.write(
            f"memory/episodic/2026-02-02/{number}.json",
            episode(f"g{number:02}", context={"phase": "ACT", "goal": goal}),
        )


def test_many_entries_with_the_words_themselves_come_before_longer_words(place: Place) -> None:
    write_goals(place, ["Graft the peaches"] * 30 + ["Graft a peach. Water, prune, weed"] * 30)
    results = retrieve(place.client(), "graft a peach", topK=5)
    assert {result["id"] for result in results} <= {f"g{number}" for number in range(30, 60)}
    assert {result["score"] for result in results} == {1.0}


@pytest.mark.parametrize("count", [2, 40])
def test_frequent_words_find_what_no_other_word_finds(place: Place, count: int) -> None:
    write_goals(place, ["Weed the garden"] * count + ["Prune an apple tree"])
    last = f"g{count:02}"
    assert ids(place.client(), "the zebra apple")[:2] == [last, "g00"]
    assert ids(place.client(), "the zebra")[0] == "g00"


def test_each_result_says_why_it_matches_and_is_the_whole_entry(garden: Place) -> None:
    client = garden.client()
    kinds = {"episode": "episodes", "pattern": "patterns", "skill": "skills"}
    results = retrieve(client, "apple tree twig compost frost", topK=100)
    assert {result["type"] for result in results} == set(kinds)
    for result in results:
        entry = get(client, f"/api/memory/{kinds[result['type']]}/{result['id']}")
        assert result["entry"] == entry
        assert has(entry, FIELDS[result["type"]])
        assert 0 < result["score"] <= 1
        assert result["title"]
        assert isinstance(result["summary"], str)
        assert result["matched"]
        for matched in result["matched"]:
            marked = [part["text"] for part in matched["snippet"] if part["match"]]
            assert marked
            assert matched["words"]
            assert all(
                any(text.lower().startswith(word[:4]) for word in matched["words"])
                for text in marked
            )
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)


def test_the_reason_names_field_words_and_place(garden: Place) -> None:
    (result,) = retrieve(garden.client(), "root compost")
    assert result["matched"] == [
        {
            "field": "conditions",
            "words": ["root"],
            "snippet": [{"text": "Kills ", "match": False}, {"text": "roots", "match": True}],
        },
        {
            "field": "correctApproach",
            "words": ["compost"],
            "snippet": [{"text": "Compost", "match": True}],
        },
    ]


def test_task_type_moves_its_entries_up(place: Place) -> None:
    for phase in ("ACT", "VERIFY", "REFLECT"):
        place.write(
            f"memory/episodic/{phase}.json",
            episode(phase.lower(), context={"phase": phase, "goal": "Check the fence"}),
        )
    client = place.client()
    for phase in ("act", "VERIFY", "Reflect"):
        found = ids(client, "fence", taskType=phase)
        assert found[0] == phase.lower()
        assert len(found) == 3


@pytest.mark.parametrize("most", [1, 3, 100])
def test_top_k_bounds_the_results(place: Place, most: int) -> None:
    for n in range(12):
        place.write(f"memory/episodic/{n}.json", episode(f"e{n}", goal=f"apple {n}"))
    client = place.client()
    assert len(ids(client, "apple", topK=most)) == min(most, 12)
    assert len(ids(client, "apple")) == 10


def test_each_change_is_found_at_once(garden: Place) -> None:
    client = garden.client()
    assert ids(client, "apple") == ["e1", "e2"]
    path = garden.write("memory/episodic/2026-02-01/a.json", episode("e1", goal="Plant a pear"))
    garden.write("memory/skills/graft.json", {"id": "graft", "name": "Apple"})
    garden.write("memory/semantic/patterns.json", [{"id": "sem-9", "pattern": "An apple a day"}])
    assert set(ids(client, "apple")) == {"graft", "sem-9", "e2"}
    assert ids(client, "pear") == ["e1"]
    assert ids(client, "frost") == []
    path.unlink()
    assert ids(client, "pear") == []


def test_twins_are_found_once(place: Place, client: FlaskClient) -> None:
    place.write("memory/episodic/a.json", episode("same", "2026-02-01T00:00:00Z", goal="old apple"))
    place.write("memory/episodic/b.json", episode("same", "2026-02-02T00:00:00Z", goal="new apple"))
    (found,) = retrieve(client, "apple")
    assert found["entry"]["goal"] == "new apple"
    assert retrieve(client, "old") == []


def test_several_servers_share_the_index_and_may_lose_it(garden: Place) -> None:
    clients = [garden.client() for _ in range(3)]
    assert [ids(client, "frost") for client in clients] == [["sem-2"]] * 3
    (index,) = garden.home.glob(".cache/loki-web/*/index-*.sqlite3")
    index.write_bytes(b"damaged")
    assert [ids(client, "frost") for client in clients] == [["sem-2"]] * 3


def test_a_search_needs_no_cache_folder(garden: Place) -> None:
    (garden.home / "file").write_text("")
    client = garden.client(LOKI_CACHE_DIR=str(garden.home / "file" / "below"))
    assert ids(client, "frost") == ["sem-2"]


@pytest.mark.parametrize(
    "query",
    ["!!!", '"', 'apple" OR "x', "NEAR(", "*", "title:apple", "a AND", "\0", "ä", "x" * 1000],
)
def test_any_text_can_be_searched(garden: Place, query: str) -> None:
    retrieve(garden.client(), query)


def test_an_empty_memory_has_no_results(client: FlaskClient) -> None:
    assert retrieve(client, "anything") == []


def test_unknown_keys_of_a_question_are_returned(garden: Place) -> None:
    more = {"taskType": None, "topK": None, "limit": 5, "nested": {"a": [1]}}
    assert ids(garden.client(), "frost", **more) == ["sem-2"]


REFUSED: list[Any] = [
    *(
        [],
        5,
        "x",
        None,
        {"query": None},
        {"goal": 5},
        {"goal": " "},
        {"query": 5},
        {"query": ["a"]},
        {"query": {}},
    ),
    *({"query": ""}, {"query": " \t\n"}, {"query": "x" * 1001}, {"query": "x" * 1_000_000}),
    *({"query": space} for space in ("\x1c", "\x85", "\ufeff", "\u3000")),
    *({"query": "a", "topK": most} for most in (0, -1, 101, "5", 1.5, True)),
    *({"goal": "a", "top_k": most} for most in (0, 101, "5")),
    *({"query": "a", "taskType": kind} for kind in (5, "x" * 1001)),
]


@pytest.mark.parametrize("body", REFUSED)
def test_a_body_that_asks_nothing_is_refused(client: FlaskClient, body: Any) -> None:
    response = client.post("/api/memory/retrieve", json=body)
    assert response.status_code == 400
    assert isinstance(response.get_json()["detail"], str)


@pytest.mark.parametrize("body", [{}, {"topK": 5}, {"taskType": "ACT", "other": [1]}])
def test_a_body_without_a_question_has_no_results(client: FlaskClient, body: Any) -> None:
    answer = client.post("/api/memory/retrieve", json=body).get_json()
    assert (answer["results"], answer["query"]) == ([], body)


def test_question_and_number_have_other_names(garden: Place) -> None:
    client = garden.client()
    bodies = [{"query": "apple"}, {"goal": "apple"}, {"goal": "apple", "top_k": 1}]
    answers = [client.post("/api/memory/retrieve", json=body).get_json() for body in bodies]
    found, same, fewer = ([result["id"] for result in one["results"]] for one in answers)
    assert len(found) == 2
    assert (same, fewer) == (found, found[:1])


def test_a_missing_body_is_refused(client: FlaskClient) -> None:
    assert client.post("/api/memory/retrieve").status_code == 400
