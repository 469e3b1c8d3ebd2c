"""The cost report: totals, by phase, model and iteration, and the budget."""

from collections.abc import Callable
from itertools import accumulate
from typing import NotRequired, TypedDict

from loki_web.services.context import Sources
from loki_web.services.cost import budget, pricing
from loki_web.services.cost.usage import Spend, Use, get_spend, sum_usd

_MAX_ITERATIONS = 1000  # in the list for charts; the totals include all


class UsageDict(TypedDict):
    """Tokens and USD of one phase or one model."""

    input_tokens: int
    output_tokens: int
    cost_usd: float


class IterationCostDict(TypedDict):
    """Tokens and USD of one iteration; `cumulative` includes those before it."""

    iteration: int
    cost_usd: float
    cumulative: float
    input_tokens: int
    output_tokens: int
    model: str
    phase: str
    timestamp: str
    session: NotRequired[int]


class CostDict(TypedDict):
    """The cost of the session; a limit of None means no limit. Amounts are USD."""

    total_input_tokens: int
    total_output_tokens: int
    estimated_cost_usd: float
    by_phase: dict[str, UsageDict]
    by_model: dict[str, UsageDict]
    budget_limit: float | None
    budget_used: float | None
    budget_remaining: float | None
    by_iteration: NotRequired[list[IterationCostDict]]
    source: NotRequired[str]
    unknown_models: NotRequired[list[str]]
    unknown_models_priced_as: NotRequired[str]


def get_cost(sources: Sources) -> CostDict:
    """Return the documented totals, how reliable they are, and a list by iteration for charts.

    `unknown_models` are priced as sonnet, because their cost was not recorded and they are in no
    price list. `source` is `none` when nothing was measured. Amounts are USD.
    """
    spent = get_spend(sources)
    limits = budget.compute_budget(sources, spent.cost_usd)
    has_limit = limits.limit is not None
    return {
        "total_input_tokens": spent.input_tokens,
        "total_output_tokens": spent.output_tokens,
        "estimated_cost_usd": spent.cost_usd,
        "by_phase": _group(spent.uses, lambda use: use.phase),
        "by_model": _group(spent.uses, lambda use: use.model),
        "budget_limit": limits.limit,
        "budget_used": limits.used if has_limit else None,
        "budget_remaining": limits.remaining,
        "by_iteration": _list_iterations(spent.uses),
        "source": spent.source,
        "unknown_models": _find_unknown_models(sources, spent),
        "unknown_models_priced_as": pricing.FALLBACK_MODEL,
    }


def _group(uses: list[Use], key: Callable[[Use], str]) -> dict[str, UsageDict]:
    groups: dict[str, list[Use]] = {}
    for use in uses:
        groups.setdefault(key(use), []).append(use)
    return {
        name: {
            "input_tokens": sum(use.input_tokens for use in group),
            "output_tokens": sum(use.output_tokens for use in group),
            "cost_usd": sum_usd(use.cost_usd for use in group),
        }
        for name, group in groups.items()
    }


def _list_iterations(uses: list[Use]) -> list[IterationCostDict]:
    running_totals = accumulate(use.cost_usd for use in uses)
    return [
        {
            "iteration": use.iteration,
            "cost_usd": sum_usd([use.cost_usd]),
            "cumulative": sum_usd([cumulative]),
            "input_tokens": use.input_tokens,
            "output_tokens": use.output_tokens,
            "model": use.model,
            "phase": use.phase,
            "timestamp": use.timestamp,
            "session": use.session,
        }
        for use, cumulative in list(zip(uses, running_totals, strict=True))[-_MAX_ITERATIONS:]
    ]


def _find_unknown_models(sources: Sources, spent: Spend) -> list[str]:
    prices = pricing.get_price_list(sources)
    priced = {use.model for use in spent.uses if not use.is_recorded}
    return sorted(model for model in priced if not prices.has_prices(model))
