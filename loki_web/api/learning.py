"""Learning signals of the session: metrics, trends and aggregations."""

from loki_web.schemas import learning as shapes
from loki_web.schemas.base import OptionalBody
from loki_web.services.learning import aggregation, queries
from loki_web.services.learning.aggregation import AggregationDict, LatestAggregationDict
from loki_web.services.learning.queries import MetricsDict, TrendsDict
from loki_web.services.learning.views import (
    ErrorSignalDict,
    PreferenceSignalDict,
    SignalDict,
    SuccessSignalDict,
    ToolSignalDict,
)
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources, writable_sources

blueprint = Blueprint("learning", __name__)


@blueprint.get("/api/learning/metrics")
@blueprint.query(shapes.SignalFilter)
@blueprint.answers(200, shapes.Metrics)
def get_metrics(query: Json) -> MetricsDict:
    """Get learning metrics from events and metrics files."""
    return queries.get_metrics(sources(), **query)


@blueprint.get("/api/learning/trends")
@blueprint.query(shapes.SignalFilter)
@blueprint.answers(200, shapes.Trends)
def get_trends(query: Json) -> TrendsDict:
    """Get learning trend data grouped by hour."""
    return queries.get_trends(sources(), **query)


@blueprint.get("/api/learning/signals")
@blueprint.query(shapes.SignalPage)
@blueprint.answers(200, shapes.Signal, many=True)
def get_signals(query: Json) -> list[SignalDict]:
    """Get raw learning signals."""
    return queries.list_records(sources(), **query)


@blueprint.get("/api/learning/aggregation")
@blueprint.answers(200, shapes.LatestAggregation)
def get_aggregation() -> LatestAggregationDict:
    """Get latest learning aggregation result."""
    return aggregation.get_latest(sources())


@blueprint.post("/api/learning/aggregate")
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.Aggregation)
def aggregate(_: Json) -> AggregationDict:
    """Aggregate learning signals from events.jsonl into structured metrics."""
    return aggregation.aggregate(writable_sources())


@blueprint.get("/api/learning/preferences")
@blueprint.query(shapes.LatestSignals)
@blueprint.answers(200, shapes.PreferenceSignal, many=True)
def get_preferences(query: Json) -> list[PreferenceSignalDict]:
    """Get aggregated user preferences."""
    return queries.list_preferences(sources(), query["limit"])


@blueprint.get("/api/learning/errors")
@blueprint.query(shapes.LatestSignals)
@blueprint.answers(200, shapes.ErrorSignal, many=True)
def get_errors(query: Json) -> list[ErrorSignalDict]:
    """Get aggregated error patterns."""
    return queries.list_errors(sources(), query["limit"])


@blueprint.get("/api/learning/success")
@blueprint.query(shapes.LatestSignals)
@blueprint.answers(200, shapes.SuccessSignal, many=True)
def get_success(query: Json) -> list[SuccessSignalDict]:
    """Get aggregated success patterns."""
    return queries.list_successes(sources(), query["limit"])


@blueprint.get("/api/learning/tools")
@blueprint.query(shapes.LatestSignals)
@blueprint.answers(200, shapes.ToolSignal, many=True)
def get_tools(query: Json) -> list[ToolSignalDict]:
    """Get tool efficiency rankings."""
    return queries.list_tool_uses(sources(), query["limit"])
