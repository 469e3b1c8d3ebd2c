"""The budget: limit, use and whether it is exceeded (docs/files.md, section 10.2)."""

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from loki_web.services.context import Sources
from loki_web.services.cost.usage import get_spend, sum_usd
from loki_web.store.coerce import as_amount, as_dict, as_flag, first_amount
from loki_web.store.times import tidy_time

_FILE = "metrics/budget.json"
_SIGNAL = "signals/BUDGET_EXCEEDED"


@dataclass(frozen=True)
class Budget:
    """Amounts are USD, rounded to six decimals.

    :param limit: None for no limit; 0 is a limit.
    :param used: the greater of the recorded and the computed amount. The runner records it one
        iteration late; the computed one misses iterations whose files are gone.
    """

    limit: float | None
    used: float
    exceeded: bool
    exceeded_at: str | None

    @property
    def remaining(self) -> float | None:
        """What is left, at least 0; None for no limit."""
        return None if self.limit is None else max(0.0, sum_usd([self.limit, -self.used]))


class BudgetDict(TypedDict):
    """The budget in USD; a limit of None means no limit."""

    budget_limit: float | None
    budget_used: float
    budget_remaining: float | None
    budget_exceeded: bool
    exceeded_at: NotRequired[str | None]
    current_cost: NotRequired[float]
    exceeded: NotRequired[bool]
    remaining: NotRequired[float | None]


def get_budget(sources: Sources) -> BudgetDict:
    """Return the documented budget, and the same values under the names of the old server."""
    budget = compute_budget(sources, get_spend(sources).cost_usd)
    return {
        "budget_limit": budget.limit,
        "budget_used": budget.used,
        "budget_remaining": budget.remaining,
        "budget_exceeded": budget.exceeded,
        "exceeded_at": budget.exceeded_at,
        "current_cost": budget.used,
        "exceeded": budget.exceeded,
        "remaining": budget.remaining,
    }


def compute_budget(sources: Sources, spent: float) -> Budget:
    """Return the budget of a session (docs/files.md, section 17).

    The limit in the file overrides LOKI_BUDGET_LIMIT. The budget is exceeded when the file or the
    runner's signal says so, or when all of it is used.

    :param spent: the computed cost in USD.
    """
    content = as_dict(sources.project.document(_FILE))
    amount = first_amount(
        content.get("limit"), content.get("budget_limit"), sources.settings.budget_limit
    )
    limit = None if amount is None else sum_usd([amount])
    used = sum_usd([max(spent, as_amount(content.get("budget_used")) or 0.0)])
    signalled = sources.project.exists(_SIGNAL)
    flagged = as_flag(content.get("exceeded"))
    exceeded = flagged or signalled or (limit is not None and used >= limit)
    signal = as_dict(sources.project.document(_SIGNAL)) if signalled else {}
    moment = tidy_time(content.get("exceeded_at")) or tidy_time(signal.get("timestamp"))
    return Budget(
        limit=limit,
        used=used,
        exceeded=exceeded,
        exceeded_at=moment or None if exceeded else None,
    )
