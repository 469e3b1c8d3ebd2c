"""How much may be spent, how much of it is, and whether that was too much."""

from dataclasses import dataclass

from loki_web.services.context import Sources
from loki_web.services.cost.usage import get_spend, sum_usd
from loki_web.store.coerce import Json, as_amount, as_dict, as_flag, first_amount
from loki_web.store.times import tidy_time

_FILE = "metrics/budget.json"
_SIGNAL = "signals/BUDGET_EXCEEDED"


@dataclass(frozen=True)
class Budget:
    """USD to six decimals.

    :param limit: None where there is no limit; 0 is one.
    :param used: the greater of what the runner recorded and what was computed: the runner's
        figure lags by an iteration, the files of earlier iterations may be gone.
    """

    limit: float | None
    used: float
    exceeded: bool
    exceeded_at: str | None

    @property
    def remaining(self) -> float | None:
        return None if self.limit is None else max(0.0, sum_usd([self.limit, -self.used]))


def get_budget(src: Sources) -> Json:
    """The documented budget, and the names that the old server had for the same."""
    found = compute_budget(src, get_spend(src.project).cost_usd)
    return {
        "budget_limit": found.limit,
        "budget_used": found.used,
        "budget_remaining": found.remaining,
        "budget_exceeded": found.exceeded,
        "exceeded_at": found.exceeded_at,
        "current_cost": found.used,
        "exceeded": found.exceeded,
        "remaining": found.remaining,
    }


def compute_budget(src: Sources, spent: float) -> Budget:
    """The budget of a session that has spent so much (`spec` 17).

    The file's limit goes before the one of LOKI_BUDGET_LIMIT. It is exceeded when the file or
    the runner's signal says so, and when all of it is used.
    """
    stored = as_dict(src.project.document(_FILE))
    amount = first_amount(
        stored.get("limit"), stored.get("budget_limit"), src.settings.budget_limit
    )
    limit = None if amount is None else sum_usd([amount])
    used = sum_usd([max(spent, as_amount(stored.get("budget_used")) or 0.0)])
    signalled = src.project.exists(_SIGNAL)
    flagged = as_flag(stored.get("exceeded"))
    exceeded = flagged or signalled or (limit is not None and used >= limit)
    signal = as_dict(src.project.document(_SIGNAL)) if signalled else {}
    moment = tidy_time(stored.get("exceeded_at")) or tidy_time(signal.get("timestamp"))
    return Budget(
        limit=limit,
        used=used,
        exceeded=exceeded,
        exceeded_at=moment or None if exceeded else None,
    )
