"""What may be spent, and what is left of it."""

from loki_web.api.blueprint import Blueprint
from loki_web.api.context import sources
from loki_web.schemas.budget import Budget
from loki_web.services.cost import budget
from loki_web.store.coerce import Json

blueprint = Blueprint("budget", __name__)


@blueprint.get("/api/budget")
@blueprint.answers(200, Budget)
def get_budget() -> Json:
    """Get current budget status and cost limits."""
    return budget.budget(sources())
