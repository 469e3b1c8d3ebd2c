"""Parsing of search queries into terms, and matching of terms in texts.

Queries and indexed texts are split into words by the same rules, so a user's input is never
interpreted as FTS5 syntax.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

MAX_TERMS = 24
MAX_FIELD = 20_000  # characters of one field that are searched
_SNIPPET = 160
_LEAD = 40
_LEAST_PREFIX = 3
# Scripts without spaces are split into characters; accents stay with their letter.
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|(?:(?![{_IDEOGRAPHS}])[^\W_][\u0300-\u036f]*)+")

# In most entries: a search for one of them weighs all of these, which takes most of its time.
_FREQUENT_WORDS = """
    a an and are as at be been but by can for from had has have how if in into is it its no not of
    on or our should so than that the their them then there these they this those to was we were
    what when where which who why will with would you your
"""
_FREQUENT = frozenset(_FREQUENT_WORDS.split())


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the query.

    :param stem: the prefix of other matching words; empty if only the word itself matches.
    """

    word: str
    stem: str

    def matches(self, word: str) -> bool:
        """Return whether a normalized word is the term's word or begins with its stem."""
        return word == self.word or bool(self.stem and word.startswith(self.stem))

    @property
    def expression(self) -> str:
        """The term in FTS5 syntax; the exact word ranks higher than others with its stem."""
        exact = f'"{self.word}"'
        return f'({exact} OR "{self.stem}" *)' if self.stem else exact


class PartDict(TypedDict):
    """A part of a snippet, and whether it matches the query."""

    text: str
    match: bool


class MatchDict(TypedDict):
    """The matching words of the query, and the text around the first match in parts."""

    words: list[str]
    snippet: list[PartDict]


def parse_terms(question: str) -> list[Term]:
    """Return the distinct words of a query, at most the first MAX_TERMS."""
    words = dict.fromkeys(word for word, _, _ in _split_words(question))
    return [Term(word, _get_stem(word)) for word in list(words)[:MAX_TERMS]]


def match_exactly(terms: Sequence[Term]) -> str:
    """Return an FTS5 expression for entries with the words of all terms."""
    return " AND ".join(f'"{term.word}"' for term in terms)


def match_all(terms: Sequence[Term]) -> str:
    """Return an FTS5 expression for entries with all terms."""
    return " AND ".join(term.expression for term in terms)


def match_any(terms: Sequence[Term]) -> str:
    """Return an FTS5 expression for entries with at least one of the terms."""
    return " OR ".join(term.expression for term in terms)


def list_rare(terms: Sequence[Term]) -> list[Term]:
    """Return the terms that are not among the most frequent words of English."""
    return [term for term in terms if term.word not in _FREQUENT]


def normalize(text: str) -> str:
    """Return the words of a text as they are indexed, separated by spaces."""
    return " ".join(word for word, _, _ in _split_words(text[:MAX_FIELD]))


def find_matches(text: str, terms: Sequence[Term]) -> MatchDict | None:
    """Find the terms in a text.

    :return: None without a match.
    """
    text = text[:MAX_FIELD]
    if text.isascii() and not _may_match(text.lower(), terms):
        return None
    places: list[tuple[int, int]] = []
    matching: set[str] = set()
    for word, start, end in _split_words(text):
        hits = [term.word for term in terms if term.matches(word)]
        if hits:
            places.append((start, end))
            matching.update(hits)
    if not places:
        return None
    words = [term.word for term in terms if term.word in matching]
    return {"words": words, "snippet": _make_snippet(text, places)}


def _may_match(lowered: str, terms: Sequence[Term]) -> bool:
    """Return False if no term is in a text: quicker than a search for the places."""
    return any((term.stem or term.word) in lowered for term in terms)


def _make_snippet(text: str, places: list[tuple[int, int]]) -> list[PartDict]:
    first = max(0, places[0][0] - _LEAD)
    if first:
        gap = text.find(" ", first, places[0][0])
        first = gap + 1 if gap >= 0 else first
    last = min(len(text), max(first + _SNIPPET, places[0][1]))
    parts: list[PartDict] = [{"text": "…", "match": False}] if first else []
    at = first
    for start, end in places:
        if end > last:
            break
        parts += [
            {"text": text[at:start], "match": False},
            {"text": text[start:end], "match": True},
        ]
        at = end
    parts.append({"text": text[at:last] + ("…" if last < len(text) else ""), "match": False})
    return [part for part in parts if part["text"]]


def _split_words(text: str) -> Iterator[tuple[str, int, int]]:
    for match in _WORD.finditer(text):
        word = _fold(match[0])
        if word:
            yield word, match.start(), match.end()


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower()
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def _get_stem(word: str) -> str:
    """Return a word without an English plural ending, so that singular and plural match."""
    if len(word) < _LEAST_PREFIX:
        return ""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3]
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word
