"""The memory of a session as a whole: counts, token economics, index, timeline (`spec` 8)."""

from datetime import timedelta
from typing import Any

from loki_web.services.context import Sources
from loki_web.services.memory import episodes, patterns, skills
from loki_web.services.memory.common import presentable
from loki_web.store.coerce import (
    Json,
    as_dict,
    as_number,
    dicts_in,
    entries_under,
    first_amount,
    first_text,
)
from loki_web.store.folder import Folder
from loki_web.store.times import UNKNOWN, sort_key

_LATEST_EPISODES = 50


def summary(folder: Folder) -> Json:
    """How many episodes, patterns, anti-patterns and skills the lists have, and the economics."""
    found = patterns.patterns(folder)
    avoided = sum(map(patterns.is_anti_pattern, found))
    spent = economics(folder)
    return {
        "episodic": {
            "count": len(episodes.catalogue(folder).by_id),
            "latestDate": _latest_date(folder),
        },
        "semantic": {"patterns": len(found) - avoided, "antiPatterns": avoided},
        "procedural": {"skills": len(skills.shelf(folder).by_id)},
        "tokenEconomics": {
            key: spent[key] for key in ("discoveryTokens", "readTokens", "savingsPercent")
        },
    }


def economics(folder: Folder) -> Json:
    """Tokens spent on finding and on reading memories, and what that saved (can be negative).

    The file is nested, flat, in camel case or in snake case; every spelling is answered.
    """
    content = folder.document("memory/token_economics.json")
    entry = as_dict(presentable(content))
    metrics = as_dict(entry.get("metrics"))
    discovery = int(_amount(entry, metrics, "discoveryTokens", "discovery_tokens"))
    read = int(_amount(entry, metrics, "readTokens", "read_tokens"))
    total = first_amount(entry.get("totalTokens"), entry.get("total_tokens"))
    savings = _savings(entry, metrics)
    return {
        **entry,
        "discoveryTokens": discovery,
        "readTokens": read,
        "savingsPercent": savings,
        "discovery_tokens": discovery,
        "read_tokens": read,
        "total_tokens": discovery + read if total is None else int(total),
        "savings_percent": savings,
    }


def index(folder: Folder) -> Json:
    """The topics of the first layer, as they are stored."""
    content = folder.document("memory/index.json")
    entry = as_dict(presentable(content))
    topics = presentable(entries_under(content, "topics") or [])
    return {**entry, "topics": topics, "lastUpdated": _last_updated(entry)}


def timeline(folder: Folder) -> Json:
    """The actions and decisions of the second layer, in `entries` all of them newest first.

    Without the file the entries are the latest episodes.
    """
    content = folder.document("memory/timeline.json")
    if not isinstance(content, dict | list):
        latest = episodes.episodes(folder, limit=_LATEST_EPISODES)
        return {**_timeline_of([], []), "entries": latest, "lastUpdated": None}
    if isinstance(content, list):
        listed = dicts_in(presentable(content))
        decisions = [entry for entry in listed if _is_decision(entry)]
        actions = [entry for entry in listed if not _is_decision(entry)]
        return {**_timeline_of(actions, decisions), "lastUpdated": None}
    entry = as_dict(presentable(content))
    actions, decisions = dicts_in(entry.get("recent_actions")), dicts_in(entry.get("key_decisions"))
    others = dicts_in(entry.get("entries"))
    return {
        **entry,
        **_timeline_of(actions, decisions, others),
        "active_context": as_dict(entry.get("active_context")),
        "lastUpdated": _last_updated(entry),
    }


def consolidation(src: Sources, hours: int) -> Json:
    """What a consolidation would look at; nothing is consolidated and nothing is written.

    That is the work of the CLI's memory engine, so what was done is zero of everything.
    """
    since = src.now() - timedelta(hours=hours)
    known = episodes.catalogue(src.project).oldest_first
    recent = sum(1 for episode in known if episode.instant >= since or episode.instant == UNKNOWN)
    return {
        "status": "ok",
        "message": (
            "Nothing was changed: memories are consolidated by Loki Mode itself. "
            f"Episodes of the last {hours} hours: {recent}"
        ),
        "consolidated": 0,
        "patternsCreated": 0,
        "patternsMerged": 0,
        "episodesProcessed": 0,
        "episodesInWindow": recent,
        "state": summary(src.project),
    }


def _latest_date(folder: Folder) -> str:
    latest = episodes.episodes(folder, limit=1)
    return str(latest[0]["timestamp"]) if latest else ""


def _amount(entry: Json, metrics: Json, camel: str, snake: str) -> int | float:
    spellings = (entry.get(camel), entry.get(snake), metrics.get(snake), metrics.get(camel))
    return first_amount(*spellings) or 0


def _savings(entry: Json, metrics: Json) -> int | float:
    for found in (entry, metrics):
        for key in ("savingsPercent", "savings_percent"):
            number = as_number(found.get(key))
            if number is not None:
                return number
    return 0


def _last_updated(entry: Json) -> str | None:
    return first_text(entry.get("last_updated"), entry.get("lastUpdated")) or None


def _timeline_of(
    actions: list[Json], decisions: list[Json], others: list[Json] | None = None
) -> Json:
    entries = [*actions, *decisions, *(others or [])]
    return {
        "recent_actions": actions,
        "key_decisions": decisions,
        "active_context": {},
        "entries": sorted(entries, key=_instant, reverse=True),
    }


def _instant(entry: Json) -> Any:
    return sort_key(entry.get("timestamp"))


def _is_decision(entry: Json) -> bool:
    return (
        entry.get("is_key_decision") is True
        or entry.get("type") in ("key_decision", "decision")
        or "decision" in entry
    )
