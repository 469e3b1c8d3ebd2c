"""Cost of the session and the model prices that it is computed with."""

from loki_web.schemas.cost import Cost, Pricing
from loki_web.services.cost import pricing, report
from loki_web.services.cost.pricing import PricingDict
from loki_web.services.cost.report import CostDict
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources

blueprint = Blueprint("cost", __name__)


@blueprint.get("/api/cost")
@blueprint.answers(200, Cost)
def get_cost() -> CostDict:
    """Get cost visibility data from `.loki/metrics/efficiency/` and budget.json."""
    return report.get_cost(sources())


@blueprint.get("/api/pricing")
@blueprint.answers(200, Pricing)
def get_pricing() -> PricingDict:
    """Get current model pricing, from `.loki/pricing.json` or the defaults."""
    return pricing.get_pricing(sources())
