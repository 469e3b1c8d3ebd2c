"""Parsing of search queries, and matching of their terms in texts."""

import sqlite3

import pytest

from loki_web.services.memory import query as memory_query
from loki_web.services.memory.query import (
    find_matches,
    match_all,
    match_any,
    normalize,
    parse_terms,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hash passwords, now!", "hash passwords now"),
        ("run_migration src/auth.js", "run migration src auth js"),
        ("Crème BRÛLÉE", "creme brulee"),
        ("cre\u0300me", "creme"),
        ("Straße ＡＢＣ ﬁle", "strasse abc file"),
        ("数据 base", "数 据 base"),
        ("ключ κλειδί", "ключ κλειδι"),
        ("\0 \ud7ff '\" OR* (NEAR)", "or near"),
        ("🎉 -- ++", ""),
        ("", ""),
    ],
)
def test_a_text_is_divided_into_words(text: str, words: str) -> None:
    assert normalize(text) == words


@pytest.mark.parametrize(
    ("asked", "word", "matches"),
    [
        ("password", "passwords", True),
        ("passwords", "password", True),
        ("policies", "policy", True),
        ("migrat", "migration", True),
        ("migration", "migrat", False),
        ("process", "proces", False),
        ("a", "apple", False),
        ("a", "a", True),
        ("07", "075", False),
    ],
)
def test_a_word_matches_itself_and_what_begins_with_its_stem(
    asked: str, word: str, matches: bool
) -> None:
    (term,) = parse_terms(asked)
    assert term.matches(word) is matches


def test_terms_are_distinct_and_limited() -> None:
    assert [term.word for term in parse_terms("b a B b")] == ["b", "a"]
    assert len(parse_terms(" ".join(f"word{n}" for n in range(500)))) == memory_query.MAX_TERMS


QUESTIONS = [
    'a" OR "b',
    "title: apple",
    "NEAR(a b, 3)",
    "apple AND NOT (",
    "^apple + *",
    "'; DROP TABLE words; --",
    "{title labels} : x",
    "\0\x1f\u200b\u202e",
    "𞤀𞤁 ꙮ \U000e0001 ᠠ",
    "ss s ies",
    " ".join(f"w{n}" for n in range(300)),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_queries_are_never_parsed_as_fts_syntax(question: str) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE words USING fts5 (title)")
    for match in (match_all(parse_terms(question)), match_any(parse_terms(question))):
        if match:
            database.execute("SELECT * FROM words WHERE words MATCH ?", (match,)).fetchall()
    database.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_text_is_found_by_itself(question: str) -> None:
    asked = parse_terms(question)
    if not asked:
        return
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE words USING fts5 (title)")
    database.execute("INSERT INTO words VALUES (?)", (normalize(question),))
    rows = database.execute(
        "SELECT 1 FROM words WHERE words MATCH ?", (match_all(asked),)
    ).fetchall()
    database.close()
    found = find_matches(question, asked)
    assert found is not None
    assert found["words"] == [term.word for term in asked]
    assert rows or not any(term.word.isascii() for term in asked)


def marked(text: str, question: str) -> str:
    found = find_matches(text, parse_terms(question))
    assert found is not None
    return "".join(
        f"<{part['text']}>" if part["match"] else part["text"] for part in found["snippet"]
    )


@pytest.mark.parametrize(
    ("text", "question", "expected"),
    [
        ("Hash passwords with argon2", "password hash", "<Hash> <passwords> with argon2"),
        ("run_migration", "migration", "run_<migration>"),
        ("Crème", "creme", "<Crème>"),
        ("数据库", "据", "数<据>库"),
        ("<b>bold</b>", "bold", "<b><<bold>></b>".replace("<<", "<").replace(">>", ">")),
    ],
)
def test_matches_are_marked_where_they_stand(text: str, question: str, expected: str) -> None:
    assert marked(text, question) == expected


def test_a_long_text_is_cut_around_the_first_match() -> None:
    text = "before " * 100 + "needle " + "after " * 100
    found = marked(text, "needle")
    assert found.startswith("…before")
    assert "<needle>" in found
    assert found.endswith("…")
    assert len(found) < 250


def test_a_match_longer_than_the_part_that_is_shown_is_shown_whole() -> None:
    assert marked("x" * 500, "xxx") == f"<{'x' * 500}>"


def test_no_match_is_none() -> None:
    assert find_matches("nothing here", parse_terms("needle")) is None


def test_a_long_text_is_searched_in_part() -> None:
    text = "x " * memory_query.MAX_FIELD + "needle"
    assert find_matches(text, parse_terms("needle")) is None
    assert "needle" not in normalize(text)
