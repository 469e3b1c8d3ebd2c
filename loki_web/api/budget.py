"""Budget of the session: limit, spending so far and what is left."""

from loki_web.schemas.budget import Budget
from loki_web.services.cost import budget
from loki_web.services.cost.budget import BudgetDict
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources

blueprint = Blueprint("budget", __name__)


@blueprint.get("/api/budget")
@blueprint.answers(200, Budget)
def get_budget() -> BudgetDict:
    """Get current budget status and cost limits."""
    return budget.get_budget(sources())
