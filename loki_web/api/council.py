"""Completion council: its state, verdicts, votes and final report."""

from loki_web.schemas import council as shapes
from loki_web.schemas.base import OptionalBody
from loki_web.services import council
from loki_web.services.council import ConvergenceDict, CouncilStateDict, ReportDict, VerdictsDict
from loki_web.services.types import SuccessDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources, writable_sources

blueprint = Blueprint("council", __name__)


@blueprint.get("/api/council/state")
@blueprint.answers(200, shapes.CouncilState)
def get_state() -> CouncilStateDict:
    """Get whether the council is enabled, its votes and recent verdicts."""
    return council.get_state(sources())


@blueprint.get("/api/council/verdicts")
@blueprint.query(shapes.VerdictsQuery)
@blueprint.answers(200, shapes.Verdicts)
def get_verdicts(query: Json) -> VerdictsDict:
    """Get the council's decisions and the votes behind them."""
    return council.list_verdicts(sources(), limit=query["limit"])


@blueprint.get("/api/council/convergence")
@blueprint.answers(200, shapes.Convergence)
def get_convergence() -> ConvergenceDict:
    """Get how much each iteration changed, to detect stagnation."""
    return council.get_convergence(sources())


@blueprint.get("/api/council/report")
@blueprint.answers(200, shapes.Report)
def get_report() -> ReportDict:
    """Get the final report in Markdown, null until it is written."""
    return council.get_report(sources())


@blueprint.post("/api/council/force-review")
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.ReviewRequested)
def force_review(_: Json) -> SuccessDict:
    """Request a council review in the next iteration."""
    return council.force_review(writable_sources())
