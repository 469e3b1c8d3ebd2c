"""Summary, token economics, index and timeline of the memory (docs/files.md, section 8)."""

from datetime import timedelta
from typing import Any

from loki_web.services.context import Sources
from loki_web.services.memory import episodes, patterns, skills
from loki_web.services.memory.common import clean_value
from loki_web.store.coerce import (
    Json,
    as_dict,
    as_number,
    dicts_in,
    entries_under,
    first_amount,
    first_text,
)
from loki_web.store.times import UNKNOWN_TIME, microseconds, sort_key

_LATEST_EPISODES = 50


def get_summary(sources: Sources) -> Json:
    """Return the numbers of episodes, patterns, anti-patterns and skills, and the economics."""
    known_patterns = patterns.list_patterns(sources)
    anti_patterns = sum(map(patterns.is_anti_pattern, known_patterns))
    economics = get_economics(sources)
    return {
        "episodic": {
            "count": len(episodes.get_catalog(sources).by_id),
            "latestDate": _get_latest_date(sources),
        },
        "semantic": {
            "patterns": len(known_patterns) - anti_patterns,
            "antiPatterns": anti_patterns,
        },
        "procedural": {"skills": len(skills.get_all(sources).by_id)},
        "tokenEconomics": {
            key: economics[key] for key in ("discoveryTokens", "readTokens", "savingsPercent")
        },
    }


def get_economics(sources: Sources) -> Json:
    """Return the tokens spent on discovering and reading memories, and the percentage saved.

    The percentage can be negative. The file is nested or flat, in camel case or snake case; both
    spellings are returned.
    """
    content = sources.project.document("memory/token_economics.json")
    entry = as_dict(clean_value(content))
    metrics = as_dict(entry.get("metrics"))
    discovery = int(_get_amount(entry, metrics, "discoveryTokens", "discovery_tokens"))
    read = int(_get_amount(entry, metrics, "readTokens", "read_tokens"))
    total = first_amount(entry.get("totalTokens"), entry.get("total_tokens"))
    savings = _get_savings(entry, metrics)
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


def get_index(sources: Sources) -> Json:
    """Return the memory index (layer 1): the stored topics, redacted."""
    content = sources.project.document("memory/index.json")
    entry = as_dict(clean_value(content))
    topics = clean_value(entries_under(content, "topics") or [])
    return {**entry, "topics": topics, "lastUpdated": _get_last_updated(entry)}


def get_timeline(sources: Sources) -> Json:
    """Return the timeline (layer 2): actions, decisions, and all `entries` newest first.

    Without the file, the entries are the latest episodes.
    """
    content = sources.project.document("memory/timeline.json")
    if not isinstance(content, dict | list):
        latest = episodes.list_episodes(sources, limit=_LATEST_EPISODES)
        return {**_make_timeline([], []), "entries": latest, "lastUpdated": None}
    if isinstance(content, list):
        listed = dicts_in(clean_value(content))
        decisions = [entry for entry in listed if _is_decision(entry)]
        actions = [entry for entry in listed if not _is_decision(entry)]
        return {**_make_timeline(actions, decisions), "lastUpdated": None}
    entry = as_dict(clean_value(content))
    actions, decisions = dicts_in(entry.get("recent_actions")), dicts_in(entry.get("key_decisions"))
    others = dicts_in(entry.get("entries"))
    return {
        **entry,
        **_make_timeline(actions, decisions, others),
        "active_context": as_dict(entry.get("active_context")),
        "lastUpdated": _get_last_updated(entry),
    }


def preview_consolidation(sources: Sources, hours: int) -> Json:
    """Count the episodes that a consolidation would process; nothing is changed.

    The CLI's memory engine consolidates memories, so all counts of work done are 0.

    :param hours: the age of the oldest episode; episodes without a time are counted too.
    """
    since = microseconds(sources.now() - timedelta(hours=hours))
    catalog = episodes.get_catalog(sources).oldest_first
    recent = sum(1 for episode in catalog if episode.time >= since or episode.time == UNKNOWN_TIME)
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
        "state": get_summary(sources),
    }


def _get_latest_date(sources: Sources) -> str:
    latest = episodes.list_episodes(sources, limit=1)
    return str(latest[0]["timestamp"]) if latest else ""


def _get_amount(entry: Json, metrics: Json, camel: str, snake: str) -> int | float:
    spellings = (entry.get(camel), entry.get(snake), metrics.get(snake), metrics.get(camel))
    return first_amount(*spellings) or 0


def _get_savings(entry: Json, metrics: Json) -> int | float:
    for source in (entry, metrics):
        for key in ("savingsPercent", "savings_percent"):
            number = as_number(source.get(key))
            if number is not None:
                return number
    return 0


def _get_last_updated(entry: Json) -> str | None:
    return first_text(entry.get("last_updated"), entry.get("lastUpdated")) or None


def _make_timeline(
    actions: list[Json], decisions: list[Json], others: list[Json] | None = None
) -> Json:
    entries = [*actions, *decisions, *(others or [])]
    return {
        "recent_actions": actions,
        "key_decisions": decisions,
        "active_context": {},
        "entries": sorted(entries, key=_get_instant, reverse=True),
    }


def _get_instant(entry: Json) -> Any:
    return sort_key(entry.get("timestamp"))


def _is_decision(entry: Json) -> bool:
    return (
        entry.get("is_key_decision") is True
        or entry.get("type") in ("key_decision", "decision")
        or "decision" in entry
    )
