"""From what somebody types to words that can be looked for, and back to where they stand.

The same division into words is used for what is searched and for what is asked, so nothing that
a person types is ever read as the syntax of the search engine.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loki_web.store.coerce import Json

MAX_TERMS = 24
MAX_FIELD = 20_000  # characters of one field that are searched
_SNIPPET = 160
_LEAD = 40
_LEAST_PREFIX = 3
# Scripts without spaces are taken character by character; accents belong to their letter.
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|(?:(?![{_IDEOGRAPHS}])[^\W_][\u0300-\u036f]*)+")


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the question.

    :param stem: what a word has to begin with to match; empty where only the word itself does.
    """

    word: str
    stem: str

    def matches(self, word: str) -> bool:
        return word == self.word or bool(self.stem and word.startswith(self.stem))

    @property
    def expression(self) -> str:
        """In the syntax of FTS5; the word itself counts more than others of its stem."""
        exact = f'"{self.word}"'
        return f'({exact} OR "{self.stem}" *)' if self.stem else exact


def parse_terms(question: str) -> list[Term]:
    """The different words of a question, the first MAX_TERMS of them."""
    words = dict.fromkeys(word for word, _, _ in _split_words(question))
    return [Term(word, _get_stem(word)) for word in list(words)[:MAX_TERMS]]


def match_all(asked: Sequence[Term]) -> str:
    """An FTS5 expression for entries with all words."""
    return " AND ".join(term.expression for term in asked)


def match_any(asked: Sequence[Term]) -> str:
    """An FTS5 expression for entries with one of the words at least."""
    return " OR ".join(term.expression for term in asked)


def normalize(text: str) -> str:
    """The words of a text as the index holds them."""
    return " ".join(word for word, _, _ in _split_words(text[:MAX_FIELD]))


def find_matches(text: str, asked: Sequence[Term]) -> Json | None:
    """Which words of the question a text has, and the part of it where the first ones stand.

    :return: `words` as they were asked for, `snippet` as consecutive parts `{text, match}`; None
        where there is none of them.
    """
    text = text[:MAX_FIELD]
    if text.isascii() and not _may_match(text.lower(), asked):
        return None
    places: list[tuple[int, int]] = []
    found: dict[str, None] = {}
    for word, start, end in _split_words(text):
        hits = [term.word for term in asked if term.matches(word)]
        if hits:
            places.append((start, end))
            found.update(dict.fromkeys(hits))
    if not places:
        return None
    words = [term.word for term in asked if term.word in found]
    return {"words": words, "snippet": _make_snippet(text, places)}


def _may_match(lowered: str, asked: Sequence[Term]) -> bool:
    """False where a text has none of the words, which is quicker to see than where they stand."""
    return any((term.stem or term.word) in lowered for term in asked)


def _make_snippet(text: str, places: list[tuple[int, int]]) -> list[Json]:
    first = max(0, places[0][0] - _LEAD)
    if first:
        gap = text.find(" ", first, places[0][0])
        first = gap + 1 if gap >= 0 else first
    last = min(len(text), max(first + _SNIPPET, places[0][1]))
    parts: list[Json] = [{"text": "…", "match": False}] if first else []
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
    """Without the ending of an English plural, so that one matches the other."""
    if len(word) < _LEAST_PREFIX:
        return ""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3]
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word
