"""Full-text search in episodes, patterns and skills, with the reason for each hit.

The index says which entries to look at. What a result shows, and why it is one, comes from the
files as they are now.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from loki_web.services.context import Sources
from loki_web.services.memory import episodes, index_rows, patterns, skills
from loki_web.services.memory import query as memory_query
from loki_web.services.memory.index_rows import EPISODE, PATTERN, SKILL
from loki_web.services.memory.query import Term
from loki_web.store.coerce import Json, first_text
from loki_web.store.folder import Folder
from loki_web.store.search_index import Answer, Hit

DEFAULT_RESULTS = 10
_TASK_TYPE_BOOST = 1.5
_SUMMARIES = {EPISODE: "outcome", PATTERN: "correctApproach", SKILL: "description"}


@dataclass(frozen=True, slots=True)
class _Result:
    """:param coverage: which part of the words the entry has, above 0 to 1."""

    kind: str
    entry: Json
    matched: list[Json]
    coverage: float
    weight: float


def retrieve(src: Sources, body: Json) -> Json:
    """Search with the words of `query`; an entry matches by one of them, or by their beginnings.

    Entries with all words come first, then those where more and rarer words stand in more telling
    places. Those of `taskType` (a phase, category or type of task) are moved up among their like.

    :param body: as it was sent, which is given back; `topK` is how many results at most.
    :return: results with a `score` above 0 to 1 and in `matched` the reason: the fields, the words
        found there, and a part of the text around them. `complete` is False while a large memory
        that has never been searched is still being indexed.
    """
    asked = memory_query.parse_terms(body["query"])
    most = body.get("topK") or DEFAULT_RESULTS
    answer = _search_index(src, asked, most) if asked else Answer([], complete=True)
    found = _find_entries(src.project, answer, asked, body.get("taskType") or "", most)
    greatest = max((one.weight for one in found), default=0.0)
    scored = [(_compute_score(one, greatest), one) for one in found]
    scored.sort(key=lambda pair: pair[0], reverse=True)
    results = [_format_result(*pair) for pair in scored[:most]]
    return {"results": results, "query": body, "complete": answer.complete}


def refresh_index(src: Sources) -> None:
    """Index all that is not indexed yet, as far as the shared index can be used."""
    while src.memory_index.refresh(index_rows.get_contents(src.project)):
        pass


def _search_index(src: Sources, asked: Sequence[Term], most: int) -> Answer:
    """More than are shown: what has most words need not have the greatest weight, and an entry may
    have changed since it was indexed.
    """
    matches = [memory_query.match_all(asked)]
    if len(asked) > 1:
        matches.append(memory_query.match_any(asked))
    return src.memory_index.search(index_rows.get_contents(src.project), matches, 2 * most + 20)


def _find_entries(
    folder: Folder, answer: Answer, asked: Sequence[Term], task_type: str, most: int
) -> list[_Result]:
    lookup = _make_lookup(folder)
    found: list[_Result] = []
    whole = 0  # how many have all words
    for hit in _deduplicate(hit for group in answer.hits for hit in group):
        entry = lookup[hit.kind](hit.id) if hit.kind in lookup else None
        matched = _match_fields(hit.kind, entry, asked) if entry else []
        if entry and matched:
            words = {word for field in matched for word in field["words"]}
            weight = hit.weight * (_TASK_TYPE_BOOST if _has_task_type(task_type, entry) else 1.0)
            found.append(_Result(hit.kind, entry, matched, len(words) / len(asked), weight))
            whole += len(words) == len(asked)
            if whole == most and not task_type:
                break  # the others have less weight
    return found


def _make_lookup(folder: Folder) -> dict[str, Callable[[str], Json | None]]:
    known = {entry["id"]: entry for entry in patterns.list_patterns(folder)}
    return {
        EPISODE: lambda identifier: episodes.find_episode(folder, identifier),
        PATTERN: known.get,
        SKILL: skills.get_all(folder).by_id.get,
    }


def _deduplicate(hits: Iterable[Hit]) -> Iterator[Hit]:
    seen: set[tuple[str, str]] = set()
    for hit in hits:
        if (hit.kind, hit.id) not in seen:
            seen.add((hit.kind, hit.id))
            yield hit


def _match_fields(kind: str, entry: Json, asked: Sequence[Term]) -> list[Json]:
    """The fields with words of the question, those that tell most first."""
    matched = []
    for name, text in index_rows.list_fields(kind, entry):
        found = memory_query.find_matches(text, asked)
        if found is not None:
            matched.append({"field": name, **found})
    return matched


def _has_task_type(task_type: str, entry: Json) -> bool:
    own = (entry.get("phase"), entry.get("category"), entry.get("task_type"))
    wanted = task_type.strip().casefold()
    return bool(wanted) and any(isinstance(word, str) and word.casefold() == wanted for word in own)


def _compute_score(found: _Result, greatest: float) -> float:
    """Above one half for an entry with all words, at most one half for every other."""
    weight = found.weight / greatest if greatest > 0 else 1.0
    return 0.5 + 0.5 * weight if found.coverage == 1 else 0.5 * found.coverage * weight


def _format_result(score: float, found: _Result) -> Json:
    entry = found.entry
    return {
        "type": found.kind,
        "id": entry["id"],
        "title": index_rows.get_title(found.kind, entry),
        "summary": first_text(entry.get(_SUMMARIES[found.kind])),
        "score": round(max(score, 0.0001), 4),
        "matched": found.matched,
        "entry": entry,
    }
