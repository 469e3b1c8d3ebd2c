"""The completion council: what it decided, on what grounds, and how the session moves (`spec` 12).

It decides in two ways that are written in two places: forced reviews stand in `council/state.json`
with their grounds in `votes/iteration-<n>/`, routine evaluations in `votes/round-<n>.json`.
"""

import re
from datetime import datetime
from typing import Any

from loki_web.services.redaction import redact
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
from loki_web.store.folder import Folder
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
_TRACKED = ("last_track_iteration", "consecutive_no_change", "done_signals")
_MOST_RECENT = 100  # verdicts in the state
_MOST_MEMBERS = 32
_MOST_POINTS = 1000  # the CLI keeps seven
_PREVIEW_LENGTH = 500  # characters
_PREVIEW_BYTES = 8 * 1024  # more than the preview, so that no secret is cut before it is known
_MEMBER_BYTES = 16 * 1024


def get_state(folder: Folder) -> Json:
    """The council's state with the latest verdicts of both kinds, oldest first.

    `total_votes` is the file's own count, that of single votes in forced reviews, so that it is
    the sum of `approve_votes` and `reject_votes`; votes of routine evaluations are not in it.
    """
    found = as_dict(folder.document("council/state.json"))
    counts = {key: as_count(found.get(key)) for key in ("approve_votes", "reject_votes")}
    answer: Json = {
        "enabled": _is_enabled(found),
        "total_votes": as_count(found.get("total_votes"), default=sum(counts.values())),
        "verdicts": _verdicts(folder)[-_MOST_RECENT:],
        "initialized": as_flag(found.get("initialized")),
        **counts,
    }
    for key in (*_TRACKED, "last_check_iteration", "files_changed"):
        answer[key] = as_count(found.get(key))
    interval = as_amount(found.get("check_interval"))
    return answer if interval is None else {**answer, "check_interval": int(interval)}


def list_verdicts(folder: Folder, *, limit: int) -> Json:
    """The newest verdicts, the latest of them last, and the grounds of forced reviews.

    The grounds are in `details`, those of the greatest iteration first.
    """
    matches = map(_ITERATION_FOLDER.fullmatch, folder.folder_names(_VOTES))
    numbers = sorted(((int(match[1]), match[1]) for match in matches if match), reverse=True)
    return {
        "verdicts": _verdicts(folder)[-limit:],
        "details": [_detail(folder, number) for _, number in numbers[:limit]],
    }


def get_convergence(folder: Folder) -> Json:
    """The points of the convergence log as they were written; lines that are none are left out."""
    lines = folder.tail("council/convergence.log", _MOST_POINTS)
    points = (_point(line.removeprefix("\ufeff")) for line in lines)
    return {"dataPoints": [point for point in points if point]}


def get_report(folder: Folder) -> Json:
    """The final report in markdown, None until there is one."""
    text = folder.text("council/report.md")
    return {"report": redact(text) if text and text.strip() else None}


def force_review(folder: Folder, now: datetime) -> Json:
    """Ask the runner for a review at its next iteration; once more changes nothing."""
    folder.write_bytes(REVIEW_SIGNAL, f"{isoformat(now)}\n".encode())
    return {"success": True, "message": "Council review requested"}


def _is_enabled(found: Json) -> bool:
    """As the file says. Where it lost the word, what is written only for a council tells."""
    return as_flag(found.get("enabled"), default="enabled" not in found and _TRACKED[0] in found)


@derived
def _verdicts(folder: Folder) -> list[Json]:
    """One an iteration and kind, the latest of it, by iteration and then by time."""
    latest: dict[tuple[int, str], Json] = {}
    reviews = _reviews(folder)
    for verdict in reviews + folder.collection(_VOTES).derived(_evaluations):
        latest[verdict["iteration"], verdict["kind"]] = verdict
    return sorted(latest.values(), key=_order)


def _order(verdict: Json) -> tuple[int, datetime]:
    return verdict["iteration"], sort_key(verdict["timestamp"])


@derived
def _reviews(folder: Folder) -> list[Json]:
    content = folder.document("council/state.json")
    return [_verdict(entry, REVIEW) for entry in dicts_in(as_dict(content).get("verdicts"))]


def _evaluations(files: list[tuple[str, Any]]) -> list[Json]:
    matches = ((_ROUND_FILE.fullmatch(name), content) for name, content in files)
    return [
        _verdict({**content, "iteration": int(match[1])}, EVALUATION)
        for match, content in matches
        if match and isinstance(content, dict)
    ]


def _verdict(entry: Json, kind: str) -> Json:
    """In the reference's words, with both pairs of counts and the word on disk."""
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


def _detail(folder: Folder, number: str) -> Json:
    place = f"{_VOTES}/iteration-{number}"
    names = folder.file_names(place, ".txt")
    matches = [match for match in map(_MEMBER_FILE.fullmatch, names) if match]
    members = sorted(matches, key=lambda match: int(match[2]))[:_MOST_MEMBERS]
    contrarian = _text(folder, f"{place}/contrarian.txt", _MEMBER_BYTES)
    evidence = _text(folder, f"{place}/evidence.md", _PREVIEW_BYTES) or ""
    return {
        "iteration": number,
        "evidence_preview": evidence[:_PREVIEW_LENGTH],
        "members": [
            {
                "member": match[1],
                "content": _text(folder, f"{place}/{match[0]}", _MEMBER_BYTES) or "",
            }
            for match in members
        ],
        "contrarian": contrarian,
    }


def _text(folder: Folder, relative: str, limit: int) -> str | None:
    text = folder.text(relative, limit)
    return None if text is None else redact(text)


def _point(line: str) -> Json | None:
    """`<epoch>|<iteration>|<files changed>|<no-change streak>|<done signals>`, maybe with more."""
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
