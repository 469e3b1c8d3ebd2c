"""Full-text search in episodes, patterns and skills, with the matches of each result.

The index gives the candidates. Results and their matches come from the current files.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from loki_web.services.context import Sources
from loki_web.services.memory import episodes, index_rows, patterns, skills
from loki_web.services.memory import query as memory_query
from loki_web.services.memory.index_rows import EPISODE, PATTERN, SKILL
from loki_web.services.memory.query import Term
from loki_web.store.coerce import Json, first_text
from loki_web.store.search_index import Answer, Hit

DEFAULT_RESULTS = 10
_TASK_TYPE_BOOST = 1.5
_SUMMARIES = {EPISODE: "outcome", PATTERN: "correctApproach", SKILL: "description"}


class MatchedDict(memory_query.MatchDict):
    """The match in one field."""

    field: str


class ResultDict(TypedDict):
    """A search result; `entry` is the episode, pattern or skill."""

    type: str
    id: str
    title: str
    summary: str
    score: float
    matched: list[MatchedDict]
    entry: Json


class RetrievalDict(TypedDict):
    """Search results, best first; `complete` is False while the memory is being indexed."""

    results: list[ResultDict]
    query: Json
    complete: bool


@dataclass(frozen=True, slots=True)
class _Match:
    """An entry that matches the query.

    :param coverage: the share of the query's terms that the entry has, above 0 to 1.
    """

    kind: str
    entry: Mapping[str, Any]
    matched: list[MatchedDict]
    coverage: float
    weight: float


def retrieve(sources: Sources, body: Json) -> RetrievalDict:
    """Search for entries with at least one term of `query`, or a word that begins with its stem.

    Entries with all terms come first; the others are ranked by the number and rarity of their
    terms and by field (title, labels, body). If many entries have exactly the words of the query,
    those with only longer words are left out; if many have one of its less frequent words, those
    with only words like "the". Entries of `taskType` (a phase, category or type of
    task) rank higher among entries with as many terms.

    :param body: the request body, which is returned in `query`; `topK` limits the results. `goal`
        and `top_k` are other names of `query` and `topK`. Without a question nothing is found.
    :return: results with a `score` above 0 to 1.
    """
    terms = memory_query.parse_terms(body.get("query") or body.get("goal") or "")
    limit = body.get("topK") or body.get("top_k") or DEFAULT_RESULTS
    answer = _search_index(sources, terms, limit) if terms else Answer([], complete=True)
    matches = _find_entries(sources, answer, terms, body.get("taskType") or "", limit)
    greatest = max((match.weight for match in matches), default=0.0)
    scored = [(_compute_score(match, greatest), match) for match in matches]
    scored.sort(key=lambda pair: pair[0], reverse=True)
    results = [_format_result(*pair) for pair in scored[:limit]]
    return {"results": results, "query": body, "complete": answer.complete}


def refresh_index(sources: Sources) -> None:
    """Index all entries that are new or changed, as far as the shared index is available."""
    while sources.memory_index.refresh(index_rows.get_contents(sources)):
        pass


def _search_index(sources: Sources, terms: Sequence[Term], limit: int) -> Answer:
    """Return the candidates from the index, more than `limit`.

    The entry with most terms need not have the greatest weight, and an entry may have changed since
    it was indexed. Expressions with fewer prefixes and fewer entries take less time: they are tried
    first.
    """
    most = 2 * limit + 20
    exact, every = memory_query.match_exactly(terms), memory_query.match_all(terms)
    rare = memory_query.match_any(memory_query.list_rare(terms))
    some = memory_query.match_any(terms)
    quick = {exact, rare} - {every, some, ""}  # their weights are not comparable with others
    expressions = [each for each in dict.fromkeys((exact, every, rare, some)) if each]
    answer = sources.memory_index.search(index_rows.get_contents(sources), expressions, most)
    hits = [
        group
        for expression, group in zip(expressions, answer.hits, strict=True)
        if expression not in quick or len(group) == most
    ]
    return Answer(hits, answer.complete)


def _find_entries(
    sources: Sources, answer: Answer, terms: Sequence[Term], task_type: str, limit: int
) -> list[_Match]:
    """Return the candidates that match in their current files, at least `limit` if there are."""
    lookup = _make_lookup(sources)
    matches: list[_Match] = []
    complete = 0  # matches with all terms
    for hit in _deduplicate(hit for group in answer.hits for hit in group):
        entry = lookup[hit.kind](hit.id) if hit.kind in lookup else None
        matched = _match_fields(hit.kind, entry, terms) if entry else []
        if entry and matched:
            words = {word for field in matched for word in field["words"]}
            weight = hit.weight * (_TASK_TYPE_BOOST if _has_task_type(task_type, entry) else 1.0)
            matches.append(_Match(hit.kind, entry, matched, len(words) / len(terms), weight))
            complete += len(words) == len(terms)
            if complete == limit and not task_type:
                break  # the remaining hits have less weight
    return matches


def _make_lookup(sources: Sources) -> dict[str, Callable[[str], Mapping[str, Any] | None]]:
    patterns_by_id = {entry["id"]: entry for entry in patterns.list_patterns(sources)}
    return {
        EPISODE: lambda identifier: episodes.find_episode(sources, identifier),
        PATTERN: patterns_by_id.get,
        SKILL: skills.get_all(sources).by_id.get,
    }


def _deduplicate(hits: Iterable[Hit]) -> Iterator[Hit]:
    seen: set[tuple[str, str]] = set()
    for hit in hits:
        if (hit.kind, hit.id) not in seen:
            seen.add((hit.kind, hit.id))
            yield hit


def _match_fields(kind: str, entry: Mapping[str, Any], terms: Sequence[Term]) -> list[MatchedDict]:
    """Return the matching fields: title first, then labels, then body."""
    fields: list[MatchedDict] = []
    for name, text in index_rows.list_fields(kind, entry):
        match = memory_query.find_matches(text, terms)
        if match is not None:
            fields.append({"field": name, **match})
    return fields


def _has_task_type(task_type: str, entry: Mapping[str, Any]) -> bool:
    own = (entry.get("phase"), entry.get("category"), entry.get("task_type"))
    folded = task_type.strip().casefold()
    return bool(folded) and any(isinstance(word, str) and word.casefold() == folded for word in own)


def _compute_score(match: _Match, greatest: float) -> float:
    """Return a score above 0.5 for an entry with all terms, at most 0.5 for all others."""
    weight = match.weight / greatest if greatest > 0 else 1.0
    return 0.5 + 0.5 * weight if match.coverage == 1 else 0.5 * match.coverage * weight


def _format_result(score: float, match: _Match) -> ResultDict:
    entry = match.entry
    return {
        "type": match.kind,
        "id": entry["id"],
        "title": index_rows.get_title(match.kind, entry),
        "summary": first_text(entry.get(_SUMMARIES[match.kind])),
        "score": round(max(score, 0.0001), 4),
        "matched": match.matched,
        "entry": {**entry},
    }
