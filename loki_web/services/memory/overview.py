"""Summary, token economics, index and timeline of the memory (docs/files.md, section 8)."""

from datetime import timedelta
from typing import Any, TypedDict, cast

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


class EpisodeCountDict(TypedDict):
    """The number of episodes and the time of the latest, `""` if none has one."""

    count: int
    latestDate: str


class PatternCountsDict(TypedDict):
    """The numbers of patterns and anti-patterns."""

    patterns: int
    antiPatterns: int


class SkillCountDict(TypedDict):
    """The number of skills."""

    skills: int


class EconomicsDict(TypedDict):
    """Tokens spent on discovering and reading memories, and the percentage saved."""

    discoveryTokens: int
    readTokens: int
    savingsPercent: float


class SummaryDict(TypedDict):
    """What the memory holds."""

    episodic: EpisodeCountDict
    semantic: PatternCountsDict
    procedural: SkillCountDict
    tokenEconomics: EconomicsDict


class IndexDict(TypedDict):
    """The stored topics."""

    topics: list[Json]
    lastUpdated: str | None


class TimelineDict(TypedDict):
    """Actions and decisions; `entries` are both, newest first."""

    entries: list[Json]
    recent_actions: list[Json]
    key_decisions: list[Json]
    active_context: Json
    lastUpdated: str | None


class ConsolidationDict(TypedDict):
    """What a consolidation would process."""

    status: str
    message: str
    consolidated: int
    patternsCreated: int
    patternsMerged: int
    episodesProcessed: int
    episodesInWindow: int
    state: SummaryDict


def get_summary(sources: Sources) -> SummaryDict:
    """Return the numbers of episodes, patterns, anti-patterns and skills, and the economics."""
    known_patterns, anti_patterns = patterns.count_patterns(sources)
    economics = get_economics(sources)
    return {
        "episodic": {
            "count": len(episodes.get_catalog(sources).by_id),
            "latestDate": _get_latest_date(sources),
        },
        "semantic": {"patterns": known_patterns, "antiPatterns": anti_patterns},
        "procedural": {"skills": skills.count_skills(sources)},
        "tokenEconomics": {
            "discoveryTokens": economics["discoveryTokens"],
            "readTokens": economics["readTokens"],
            "savingsPercent": economics["savingsPercent"],
        },
    }


def get_economics(sources: Sources) -> EconomicsDict:
    """Return the tokens spent on discovering and reading memories, and the percentage saved.

    The percentage can be negative. The file is nested or flat, in camel case or snake case; both
    spellings are returned.
    """
    content = sources.project.document("memory/token_economics.json")
    entry = as_dict(clean_value(content))
    metrics = as_dict(entry.get("metrics"))
    discovery_tokens = int(_get_amount(entry, metrics, "discoveryTokens", "discovery_tokens"))
    read_tokens = int(_get_amount(entry, metrics, "readTokens", "read_tokens"))
    total = first_amount(entry.get("totalTokens"), entry.get("total_tokens"))
    savings = _get_savings(entry, metrics)
    documented: EconomicsDict = {
        "discoveryTokens": discovery_tokens,
        "readTokens": read_tokens,
        "savingsPercent": savings,
    }
    snake_case = {
        "discovery_tokens": discovery_tokens,
        "read_tokens": read_tokens,
        "total_tokens": discovery_tokens + read_tokens if total is None else int(total),
        "savings_percent": savings,
    }
    return cast(EconomicsDict, {**entry, **documented, **snake_case})


def get_index(sources: Sources) -> IndexDict:
    """Return the memory index (layer 1): the stored topics, redacted."""
    content = sources.project.document("memory/index.json")
    entry = as_dict(clean_value(content))
    topics = clean_value(entries_under(content, "topics") or [])
    documented: IndexDict = {"topics": topics, "lastUpdated": _get_last_updated(entry)}
    return cast(IndexDict, {**entry, **documented})


def get_timeline(sources: Sources) -> TimelineDict:
    """Return the timeline (layer 2): actions, decisions, and all `entries` newest first.

    Without the file, the entries are the latest episodes.
    """
    content = sources.project.document("memory/timeline.json")
    if not isinstance(content, dict | list):
        latest = episodes.list_episodes(sources, limit=_LATEST_EPISODES)
        return {**_make_timeline([], []), "entries": [{**episode} for episode in latest]}
    if isinstance(content, list):
        entries = dicts_in(clean_value(content))
        decisions = [entry for entry in entries if _is_decision(entry)]
        actions = [entry for entry in entries if not _is_decision(entry)]
        return _make_timeline(actions, decisions)
    entry = as_dict(clean_value(content))
    actions, decisions = dicts_in(entry.get("recent_actions")), dicts_in(entry.get("key_decisions"))
    others = dicts_in(entry.get("entries"))
    documented: TimelineDict = {
        **_make_timeline(actions, decisions, others),
        "active_context": as_dict(entry.get("active_context")),
        "lastUpdated": _get_last_updated(entry),
    }
    return cast(TimelineDict, {**entry, **documented})


def preview_consolidation(sources: Sources, hours: int) -> ConsolidationDict:
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
    return latest[0]["timestamp"] if latest else ""


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
) -> TimelineDict:
    entries = [*actions, *decisions, *(others or [])]
    return {
        "recent_actions": actions,
        "key_decisions": decisions,
        "active_context": {},
        "entries": sorted(entries, key=_get_instant, reverse=True),
        "lastUpdated": None,
    }


def _get_instant(entry: Json) -> Any:
    return sort_key(entry.get("timestamp"))


def _is_decision(entry: Json) -> bool:
    return (
        entry.get("is_key_decision") is True
        or entry.get("type") in ("key_decision", "decision")
        or "decision" in entry
    )
