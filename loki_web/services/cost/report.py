"""What `/api/cost` says: the spend, where it went, and how much of the budget is left."""

from collections.abc import Callable
from itertools import accumulate

from loki_web.services.context import Sources
from loki_web.services.cost import budget, pricing
from loki_web.services.cost.usage import Spend, Use, get_spend, sum_usd
from loki_web.store.coerce import Json

_MOST_LISTED = 1000  # iterations in the list for charts; the totals are of all


def get_cost(src: Sources) -> Json:
    """The documented totals; beyond them how far they can be trusted, and a list for charts.

    `unknown_models` are those priced as sonnet, because nobody recorded their cost and no price
    list has them. `source` says `none` when nothing was measured.
    """
    spent = get_spend(src.project)
    budgeted = budget.compute_budget(src, spent.cost_usd)
    has_limit = budgeted.limit is not None
    return {
        "total_input_tokens": spent.input_tokens,
        "total_output_tokens": spent.output_tokens,
        "estimated_cost_usd": spent.cost_usd,
        "by_phase": _grouped(spent.uses, lambda use: use.phase),
        "by_model": _grouped(spent.uses, lambda use: use.model),
        "budget_limit": budgeted.limit,
        "budget_used": budgeted.used if has_limit else None,
        "budget_remaining": budgeted.remaining,
        "by_iteration": _by_iteration(spent.uses),
        "source": spent.source,
        "unknown_models": _unknown_models(src, spent),
        "unknown_models_priced_as": pricing.FALLBACK_MODEL,
    }


def _grouped(uses: list[Use], key: Callable[[Use], str]) -> dict[str, Json]:
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


def _by_iteration(uses: list[Use]) -> list[Json]:
    so_far = accumulate(use.cost_usd for use in uses)
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
        }
        for use, cumulative in list(zip(uses, so_far, strict=True))[-_MOST_LISTED:]
    ]


def _unknown_models(src: Sources, spent: Spend) -> list[str]:
    prices = pricing.get_price_list(src.project)
    priced = {use.model for use in spent.uses if not use.is_recorded}
    return sorted(model for model in priced if not prices.knows(model))
