"""The completion council: state, verdicts, convergence and report (docs/files.md, section 12).

There are two kinds of verdicts: forced reviews are in `council/state.json`, with their evidence in
`votes/iteration-<n>/`; routine evaluations are in `votes/round-<n>.json`.
"""

import re
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from loki_web.services.context import Sources, WritableSources
from loki_web.services.redaction import redact
from loki_web.services.types import SuccessDict
from loki_web.store.coerce import (
    Json,
    as_amount,
    as_count,
    as_dict,
    as_flag,
    dicts_in,
    first_amount,
    first_text,
)
from loki_web.store.derived import derived
from loki_web.store.times import isoformat, parse_time, sort_key, tidy_time, zoneless

COMPLETE, CONTINUE = "complete", "continue"
REVIEW, EVALUATION = "review", "evaluation"
REVIEW_SIGNAL = "signals/COUNCIL_REVIEW_REQUESTED"
_VOTES = "council/votes"
_FOR_COMPLETION = {"APPROVED", "APPROVE", "COMPLETE"}
_ITERATION_FOLDER = re.compile(r"iteration-([0-9]{1,9})")
_ROUND_FILE = re.compile(r"round-([0-9]{1,9})\.json")
_MEMBER_FILE = re.compile(r"(member-([0-9]{1,9}))\.txt")
_WHOLE = re.compile(r"[0-9]{1,15}", re.ASCII)
_COUNT_NAMES = (
    ("votes_complete", "complete_votes", "approve"),
    ("votes_continue", "continue_votes", "reject"),
)
_LAST_TRACKED = "last_track_iteration"  # written only by a council that is enabled
_MAX_RECENT = 100  # verdicts in the state
_MAX_MEMBERS = 32
_MAX_POINTS = 1000  # the CLI keeps 7
_PREVIEW_LENGTH = 500  # characters
_PREVIEW_BYTES = 8 * 1024  # longer than the preview: half a secret would not be recognized as one
_MEMBER_BYTES = 16 * 1024
_REASON_LENGTH = 4096  # characters


class VoteDict(TypedDict):
    """The vote of a member in a routine evaluation; `vote` and `reason` may be empty."""

    member: str
    role: str
    vote: str
    reason: str


class VerdictDict(TypedDict):
    """The verdict of an iteration.

    :ivar result: `complete` or `continue`; `raw_result` is the word on disk.
    :ivar kind: `review` or `evaluation`.
    """

    iteration: int
    result: str
    votes_complete: int
    votes_continue: int
    timestamp: str
    approve: NotRequired[int]
    reject: NotRequired[int]
    raw_result: NotRequired[str]
    kind: NotRequired[str]
    votes: NotRequired[list[VoteDict]]


class CouncilStateDict(TypedDict):
    """The state of the council, with the latest verdicts, oldest first."""

    enabled: bool
    total_votes: int
    verdicts: list[VerdictDict]
    initialized: NotRequired[bool]
    approve_votes: NotRequired[int]
    reject_votes: NotRequired[int]
    consecutive_no_change: NotRequired[int]
    done_signals: NotRequired[int]
    last_check_iteration: NotRequired[int]
    last_track_iteration: NotRequired[int]
    files_changed: NotRequired[int]
    check_interval: NotRequired[int]


class MemberDict(TypedDict):
    """What a member of the council wrote."""

    member: str
    content: str


class DetailDict(TypedDict):
    """The evidence of a forced review."""

    iteration: str
    evidence_preview: str
    members: list[MemberDict]
    contrarian: str | None


class VerdictsDict(TypedDict):
    """Verdicts, oldest first, and the evidence of forced reviews, newest first."""

    verdicts: list[VerdictDict]
    details: list[DetailDict]


class PointDict(TypedDict):
    """How much an iteration changed; the time is in UTC, without a zone."""

    timestamp: str
    iteration: int
    files_changed: int
    no_change_streak: int
    done_signals: int


class ConvergenceDict(TypedDict):
    """The points of the convergence log."""

    dataPoints: list[PointDict]  # the reference's name


class ReportDict(TypedDict):
    """The final report in Markdown, None until there is one."""

    report: str | None


def get_state(sources: Sources) -> CouncilStateDict:
    """Return the council's state with the latest 100 verdicts of both kinds, oldest first.

    `total_votes` is the count in the file: the single votes in forced reviews, the sum of
    `approve_votes` and `reject_votes`. It does not include votes of routine evaluations.
    """
    content = as_dict(sources.project.document("council/state.json"))
    approved, rejected = (
        as_count(content.get("approve_votes")),
        as_count(content.get("reject_votes")),
    )
    answer: CouncilStateDict = {
        "enabled": _is_enabled(content),
        "total_votes": as_count(content.get("total_votes"), default=approved + rejected),
        "verdicts": _merge_verdicts(sources)[-_MAX_RECENT:],
        "initialized": as_flag(content.get("initialized")),
        "approve_votes": approved,
        "reject_votes": rejected,
        "last_track_iteration": as_count(content.get(_LAST_TRACKED)),
        "consecutive_no_change": as_count(content.get("consecutive_no_change")),
        "done_signals": as_count(content.get("done_signals")),
        "last_check_iteration": as_count(content.get("last_check_iteration")),
        "files_changed": as_count(content.get("files_changed")),
    }
    interval = as_amount(content.get("check_interval"))
    if interval is not None:
        answer["check_interval"] = int(interval)
    return answer


def list_verdicts(sources: Sources, *, limit: int) -> VerdictsDict:
    """Return the newest verdicts, oldest first, and the evidence of forced reviews.

    :param limit: how many verdicts and how many reviews to return.
    :return: `verdicts`, and `details` with the evidence, the greatest iteration first.
    """
    matches = map(_ITERATION_FOLDER.fullmatch, sources.project.folder_names(_VOTES))
    numbers = sorted(((int(match[1]), match[1]) for match in matches if match), reverse=True)
    return {
        "verdicts": _merge_verdicts(sources)[-limit:],
        "details": [_read_detail(sources, number) for _, number in numbers[:limit]],
    }


def get_convergence(sources: Sources) -> ConvergenceDict:
    """Return the points of the convergence log in their order; malformed lines are skipped."""
    lines = sources.project.tail("council/convergence.log", _MAX_POINTS)
    points = (_parse_point(line.removeprefix("\ufeff")) for line in lines)
    return {"dataPoints": [point for point in points if point]}


def get_report(sources: Sources) -> ReportDict:
    """Return `report`: the final report in markdown, None until there is one."""
    text = sources.project.text("council/report.md")
    return {"report": redact(text) if text and text.strip() else None}


def force_review(sources: WritableSources) -> SuccessDict:
    """Request a review by the runner at its next iteration; repeating this has no effect."""
    sources.project.write_bytes(REVIEW_SIGNAL, f"{isoformat(sources.now())}\n".encode())
    return {"success": True, "message": "Council review requested"}


def _is_enabled(content: Json) -> bool:
    """Return the flag `enabled`; if it is missing, whether a council has written its progress."""
    is_lost = "enabled" not in content
    return as_flag(content.get("enabled"), default=is_lost and _LAST_TRACKED in content)


@derived
def _merge_verdicts(sources: Sources) -> list[VerdictDict]:
    """Return the latest verdict for each iteration and kind, by iteration and then by time.

    Verdicts without an iteration are all returned.
    """
    latest: dict[tuple[int, str], VerdictDict] = {}
    verdicts = _read_reviews(sources) + sources.project.collection(_VOTES).derive(
        _parse_evaluations
    )
    for number, verdict in enumerate(verdicts, 1):
        latest[verdict["iteration"] or -number, verdict["kind"]] = verdict
    return sorted(latest.values(), key=_get_order)


def _get_order(verdict: VerdictDict) -> tuple[int, datetime]:
    return verdict["iteration"], sort_key(verdict["timestamp"])


@derived
def _read_reviews(sources: Sources) -> list[VerdictDict]:
    content = sources.project.document("council/state.json")
    return [_build_verdict(entry, REVIEW) for entry in dicts_in(as_dict(content).get("verdicts"))]


def _parse_evaluations(files: list[tuple[str, Any]]) -> list[VerdictDict]:
    matches = ((_ROUND_FILE.fullmatch(name), content) for name, content in files)
    return [
        {
            **_build_verdict({**content, "iteration": int(match[1])}, EVALUATION),
            "votes": [
                _build_vote(entry) for entry in dicts_in(content.get("votes"))[:_MAX_MEMBERS]
            ],
        }
        for match, content in matches
        if match and isinstance(content, dict)
    ]


def _build_vote(entry: Json) -> VoteDict:
    member = entry.get("member")
    return {
        "member": redact(str(member) if isinstance(member, int) else first_text(member)),
        "role": redact(first_text(entry.get("role"))),
        "vote": redact(first_text(entry.get("vote"))),
        "reason": redact(first_text(entry.get("reason"))[:_REASON_LENGTH]),
    }


def _build_verdict(entry: Json, kind: str) -> VerdictDict:
    """Return the documented fields, and the old server's names `approve` and `reject`.

    `result` is `complete` or `continue`, `raw_result` the word on disk.
    """
    word = first_text(entry.get("result"), entry.get("verdict")).strip()
    complete, continuing = (
        as_count(first_amount(*(entry.get(name) for name in names))) for names in _COUNT_NAMES
    )
    return {
        "iteration": as_count(entry.get("iteration")),
        "result": COMPLETE if word.upper() in _FOR_COMPLETION else CONTINUE,
        "votes_complete": complete,
        "votes_continue": continuing,
        "timestamp": tidy_time(entry.get("timestamp")),
        "approve": complete,
        "reject": continuing,
        "raw_result": redact(word),
        "kind": kind,
    }


def _read_detail(sources: Sources, number: str) -> DetailDict:
    path = f"{_VOTES}/iteration-{number}"
    names = sources.project.file_names(path, ".txt")
    matches = [match for match in map(_MEMBER_FILE.fullmatch, names) if match]
    members = sorted(matches, key=lambda match: int(match[2]))[:_MAX_MEMBERS]
    contrarian = _read_text(sources, f"{path}/contrarian.txt", _MEMBER_BYTES)
    evidence = _read_text(sources, f"{path}/evidence.md", _PREVIEW_BYTES) or ""
    return {
        "iteration": number,
        "evidence_preview": evidence[:_PREVIEW_LENGTH],
        "members": [
            {
                "member": match[1],
                "content": _read_text(sources, f"{path}/{match[0]}", _MEMBER_BYTES) or "",
            }
            for match in members
        ],
        "contrarian": contrarian,
    }


def _read_text(sources: Sources, relative: str, limit: int) -> str | None:
    text = sources.project.text(relative, limit)
    return None if text is None else redact(text)


def _parse_point(line: str) -> PointDict | None:
    """Parse `<epoch>|<iteration>|<files changed>|<no-change streak>|<done signals>`.

    Further fields are ignored. Return None for a malformed line.
    """
    moment, *numbers = (part.strip() for part in line.split("|"))
    at = parse_time(moment)
    if at is None or len(numbers) < 4 or not all(map(_WHOLE.fullmatch, numbers[:4])):
        return None
    iteration, files_changed, no_change_streak, done_signals = map(int, numbers[:4])
    return {
        "timestamp": zoneless(at),
        "iteration": iteration,
        "files_changed": files_changed,
        "no_change_streak": no_change_streak,
        "done_signals": done_signals,
    }
