"""The use of the context window, from `context/tracking.json` (docs/files.md, section 10.4)."""

from typing import Any, NotRequired, TypedDict

from loki_web.services.context import Sources
from loki_web.services.cost.usage import sum_usd
from loki_web.services.redaction import redact_within
from loki_web.services.session import state
from loki_web.store.coerce import Json, as_amount, as_count, as_dict, as_flag, dicts_in, first_text
from loki_web.store.times import tidy_time

_DEFAULT_WINDOW = 200_000
_WINDOWS = {"claude": 200_000, "codex": 200_000, "gemini": 1_000_000}
_TOKEN_KINDS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")


class AgentWindowDict(TypedDict):
    """The context window of one agent, in tokens."""

    id: str
    tokens_used: int
    capacity: int
    usage_percent: float


class BreakdownDict(TypedDict):
    """Tokens by the kind of content."""

    code: int
    prompts: int
    memory: int
    tool_output: int


class ContextWindowDict(TypedDict):
    """The context window, in tokens, and the tracker's own records."""

    total_capacity: int
    total_used: int
    usage_percent: float
    agents: list[AgentWindowDict]
    breakdown: BreakdownDict
    session_id: NotRequired[str]
    provider: NotRequired[str]
    updated_at: NotRequired[str | None]
    current: NotRequired[Json]
    compactions: NotRequired[list[Json]]
    per_iteration: NotRequired[list[Json]]
    totals: NotRequired[Json]


def get_context_window(sources: Sources) -> ContextWindowDict:
    """Return the documented state (docs/files.md, section 17.2) and the tracker's own records.

    The tracker does not tell kinds of content apart, so in `breakdown` new input tokens count as
    `prompts` and cached ones as `memory`.
    """
    tracking = redact_within(as_dict(sources.project.document("context/tracking.json")))
    current = _normalize_current(as_dict(tracking.get("current")))
    used = current["total_tokens"]
    capacity = _get_capacity(sources, tracking, used)
    percent = round(100 * used / capacity, 2)
    orchestrator: AgentWindowDict = {
        "id": "orchestrator",
        "tokens_used": used,
        "capacity": capacity,
        "usage_percent": percent,
    }
    return {
        "total_capacity": capacity,
        "total_used": used,
        "usage_percent": percent,
        "agents": [orchestrator] if tracking else [],
        "breakdown": {
            "code": 0,
            "prompts": current["input_tokens"],
            "memory": current["cache_read_tokens"],
            "tool_output": 0,
        },
        "session_id": first_text(tracking.get("session_id")),
        "provider": first_text(tracking.get("provider"), state.get_provider(sources)),
        "updated_at": tidy_time(tracking.get("updated_at")) or None,
        "current": {"context_window_pct": percent, **current},
        "compactions": [
            _normalize_compaction(entry) for entry in dicts_in(tracking.get("compactions"))
        ],
        "per_iteration": [
            _normalize_iteration(entry) for entry in dicts_in(tracking.get("per_iteration"))
        ],
        "totals": _normalize_totals(as_dict(tracking.get("totals"))),
    }


def _get_capacity(sources: Sources, tracking: Json, used: int) -> int:
    """Return the size of the window in tokens, which is in no file.

    It is the configured size, the one of the provider in the file, the one that follows from the
    recorded percentage, or the one of the session's provider.
    """
    provider = first_text(tracking.get("provider")).strip().lower()
    percent = as_amount(as_dict(tracking.get("current")).get("context_window_pct"))
    implied = round(as_amount(used * 100 / percent) or 0) if percent else 0
    return (
        sources.settings.context_window_size
        or _WINDOWS.get(provider)
        or implied
        or _WINDOWS.get(state.get_provider(sources).lower(), _DEFAULT_WINDOW)
    )


def _normalize_current(record: Json) -> Json:
    tokens = _count_tokens(record)
    used = as_count(
        record.get("total_tokens"), default=tokens["input_tokens"] + tokens["cache_read_tokens"]
    )
    current = {
        **record,
        **tokens,
        "total_tokens": used,
        "estimated_cost_usd": _to_usd(record.get("estimated_cost_usd")),
    }
    percent = as_amount(current.pop("context_window_pct", None))
    return current if percent is None else {**current, "context_window_pct": percent}


def _normalize_iteration(record: Json) -> Json:
    return {
        **record,
        "iteration": as_count(record.get("iteration")),
        **_count_tokens(record),
        "cost_usd": _to_usd(record.get("cost_usd")),
        "timestamp": tidy_time(record.get("timestamp")),
        "compacted": as_flag(record.get("compacted")),
    }


def _normalize_compaction(record: Json) -> Json:
    return {
        **record,
        "at_iteration": as_count(record.get("at_iteration")),
        "timestamp": tidy_time(record.get("timestamp")),
        "tokens_before": as_count(record.get("tokens_before")),
    }


def _normalize_totals(record: Json) -> Json:
    names = ("total_input", "total_output", "compaction_count", "iterations_tracked")
    counts = {name: as_count(record.get(name)) for name in names}
    return {**record, **counts, "total_cost_usd": _to_usd(record.get("total_cost_usd"))}


def _count_tokens(record: Json) -> Json:
    return {name: as_count(record.get(name)) for name in _TOKEN_KINDS}


def _to_usd(value: Any) -> float:
    return sum_usd([as_amount(value) or 0])
