"""Records that newer sessions keep of their work (docs/files.md, section 20)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypedDict

from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.store import json_text
from loki_web.store.coerce import Json, as_amount, as_count, as_flag, dicts_in, first_text, texts_in
from loki_web.store.derived import derived
from loki_web.store.times import isoformat, sort_key, tidy_time

_TRANSCRIPTS, _REVIEWS, _ASSUMPTIONS = "council/transcripts", "quality/reviews", "assumptions"
_ESCALATIONS, _DECISIONS = "escalations", "decisions/decisions.jsonl"
_RESULT_COST = re.compile(r"result-cost-([0-9]{1,9})\.json")
_MOST_BYTES = 64 * 1024  # of an escalation
_MOST_CHARACTERS = 16 * 1024
_MOST_ITEMS = 100  # of a list inside of a record


class VoterDict(TypedDict):
    """The vote of a member of the council."""

    name: str
    verdict: str
    reasoning: str
    issues: list[str]
    is_contrarian: bool


class TranscriptDict(TypedDict):
    """A vote of the council, with the reasons of its members."""

    id: str
    iteration: int
    timestamp: str
    outcome: str
    approve_count: int
    reject_count: int
    threshold: int
    voters: list[VoterDict]


class ReviewerDict(TypedDict):
    """The verdict of a reviewer."""

    name: str
    verdict: str


class ReviewDict(TypedDict):
    """A finished code review."""

    id: str
    iteration: int
    passed: int
    failed: int
    has_blocking: bool
    inconclusive: bool
    quality_score: float | None
    reviewers: list[ReviewerDict]


class ResultCostDict(TypedDict):
    """The cost of an iteration as the provider's command line reports it; null if it does not."""

    iteration: int
    cost_usd: float | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_creation_tokens: int


class DecisionDict(TypedDict):
    """A call of the provider; null is what was not recorded."""

    timestamp: str
    stage: str
    outcome: str
    provider: str
    model: str
    duration_ms: float | None
    input_tokens: int
    output_tokens: int


class EscalationDict(TypedDict):
    """A hand-over to people, in Markdown; the time is that of its file."""

    name: str
    timestamp: str
    text: str


class AssumptionDict(TypedDict):
    """An assumption that fills a gap of the specification."""

    id: str
    timestamp: str
    gap: str
    assumption: str
    why: str
    severity: str
    kind: str
    confirmed: bool
    acknowledged: bool


class RecordsDict(TypedDict):
    """The newest records of each kind, newest first; empty where a session keeps none."""

    transcripts: list[TranscriptDict]
    reviews: list[ReviewDict]
    result_costs: list[ResultCostDict]
    decisions: list[DecisionDict]
    escalations: list[EscalationDict]
    assumptions: list[AssumptionDict]


@derived
def get_records(sources: Sources, limit: int) -> RecordsDict:
    """Return the newest records of each kind, with all texts redacted.

    :param limit: the maximum number of each kind.
    """
    return {
        "transcripts": _list_transcripts(sources, limit),
        "reviews": _list_reviews(sources, limit),
        "result_costs": _list_result_costs(sources, limit),
        "decisions": list(islice(_read_decisions(sources), limit)),
        "escalations": _list_escalations(sources, limit),
        "assumptions": _list_assumptions(sources, limit),
    }


def _list_transcripts(sources: Sources, limit: int) -> list[TranscriptDict]:
    files = _read_files(sources, _TRANSCRIPTS)
    files.sort(key=lambda file: _by_iteration(file[1]), reverse=True)
    return [
        {
            "id": _text(entry.get("iteration_id"), name.removesuffix(".json")),
            "iteration": as_count(entry.get("iteration")),
            "timestamp": tidy_time(entry.get("timestamp")),
            "outcome": _text(entry.get("outcome")),
            "approve_count": as_count(entry.get("approve_count")),
            "reject_count": as_count(entry.get("reject_count")),
            "threshold": as_count(entry.get("threshold")),
            "voters": [_build_voter(voter) for voter in _items(entry.get("voters"))],
        }
        for name, entry in files[:limit]
    ]


def _build_voter(voter: Json) -> VoterDict:
    return {
        "name": _text(voter.get("name"), voter.get("role")),
        "verdict": _text(voter.get("verdict")),
        "reasoning": _text(voter.get("reasoning")),
        "issues": [_text(issue) for issue in texts_in(voter.get("issues"))[:_MOST_ITEMS]],
        "is_contrarian": as_flag(voter.get("is_contrarian")),
    }


def _list_reviews(sources: Sources, limit: int) -> list[ReviewDict]:
    files = _read_files(sources, _REVIEWS, nested=True, named="aggregate.json")
    files.sort(key=lambda file: (as_count(file[1].get("iteration")), file[0]), reverse=True)
    return [
        {
            "id": _text(entry.get("review_id"), path.rpartition("/")[0]),
            "iteration": as_count(entry.get("iteration")),
            "passed": as_count(entry.get("pass_count")),
            "failed": as_count(entry.get("fail_count")),
            "has_blocking": as_flag(entry.get("has_blocking")),
            "inconclusive": as_flag(entry.get("inconclusive")),
            "quality_score": _amount(entry.get("quality_score")),
            "reviewers": _parse_verdicts(entry.get("verdicts")),
        }
        for path, entry in files[:limit]
    ]


def _parse_verdicts(verdicts: Any) -> list[ReviewerDict]:
    """Return the verdicts of `eng-qa:FAIL architecture:PASS`."""
    pairs = [word.rpartition(":") for word in _text(verdicts).split()[:_MOST_ITEMS]]
    return [{"name": name, "verdict": verdict} for name, _, verdict in pairs if name]


def _list_result_costs(sources: Sources, limit: int) -> list[ResultCostDict]:
    matches = map(_RESULT_COST.fullmatch, sources.project.file_names("metrics", ".json"))
    numbered = sorted(((int(match[1]), match[0]) for match in matches if match), reverse=True)
    documents = ((number, sources.project.document(f"metrics/{name}")) for number, name in numbered)
    entries = ((number, each) for number, each in documents if isinstance(each, dict))
    return [
        {
            "iteration": number,
            "cost_usd": _amount(entry.get("total_cost_usd")),
            "input_tokens": as_count(entry.get("input_tokens")),
            "output_tokens": as_count(entry.get("output_tokens")),
            "cache_read_tokens": as_count(entry.get("cache_read_tokens")),
            "cache_creation_tokens": as_count(entry.get("cache_creation_tokens")),
        }
        for number, entry in islice(entries, limit)
    ]


def _read_decisions(sources: Sources) -> Iterator[DecisionDict]:
    """Yield the lines of the file, newest first; numbers are strings in it."""
    for line in sources.project.lines_backwards(_DECISIONS):
        try:
            entry = json_text.parse(line)
        except json_text.Damaged:
            continue
        if isinstance(entry, dict):
            yield {
                "timestamp": tidy_time(entry.get("recorded_at")),
                "stage": _text(entry.get("stage")),
                "outcome": _text(entry.get("outcome")),
                "provider": _text(entry.get("provider")),
                "model": _text(entry.get("model_id")),
                "duration_ms": _amount(entry.get("duration_ms")),
                "input_tokens": as_count(entry.get("tokens_in")),
                "output_tokens": as_count(entry.get("tokens_out")),
            }


def _list_escalations(sources: Sources, limit: int) -> list[EscalationDict]:
    files: list[tuple[int, str]] = []
    for name in sources.project.file_names(_ESCALATIONS, ".md"):
        version = sources.project.version(f"{_ESCALATIONS}/{name}")
        if version is not None:
            files.append((version.mtime_ns, name))
    return [
        {
            "name": _text(name),
            "timestamp": isoformat(datetime.fromtimestamp(mtime_ns / 1e9, UTC)),
            "text": _text(sources.project.text(f"{_ESCALATIONS}/{name}", _MOST_BYTES)),
        }
        for mtime_ns, name in sorted(files, reverse=True)[:limit]
    ]


def _list_assumptions(sources: Sources, limit: int) -> list[AssumptionDict]:
    files = _read_files(sources, _ASSUMPTIONS)
    files.sort(key=lambda file: sort_key(file[1].get("created_at")), reverse=True)
    return [
        {
            "id": _text(entry.get("id"), name.removesuffix(".json")),
            "timestamp": tidy_time(entry.get("created_at")),
            "gap": _text(entry.get("gap")),
            "assumption": _text(entry.get("assumption")),
            "why": _text(entry.get("why")),
            "severity": _text(entry.get("severity")),
            "kind": _text(entry.get("class")),
            "confirmed": as_flag(entry.get("confirmed")),
            "acknowledged": as_flag(entry.get("acknowledged")),
        }
        for name, entry in files[:limit]
    ]


def _read_files(
    sources: Sources, folder: str, *, nested: bool = False, named: str | None = None
) -> list[tuple[str, Json]]:
    """Return the objects in the JSON files of a folder, with the names of the files."""
    files = sources.project.collection(folder, nested=nested, named=named).pairs()
    return [(name, content) for name, content in files if isinstance(content, dict)]


def _by_iteration(entry: Json) -> tuple[int, datetime]:
    return as_count(entry.get("iteration")), sort_key(entry.get("timestamp"))


def _items(value: Any) -> list[Json]:
    return dicts_in(value)[:_MOST_ITEMS]


def _amount(value: Any) -> float | None:
    amount = as_amount(value)
    return None if amount is None else float(amount)


def _text(*candidates: Any) -> str:
    """Return the first text, redacted before it is cut: half a secret would not be recognized."""
    return redact(first_text(*candidates))[:_MOST_CHARACTERS]
