"""Learning signals of the session: metrics, trends and aggregations."""

from loki_web.schemas import learning as shapes
from loki_web.schemas.base import OptionalBody
from loki_web.services.learning import aggregation, queries, signal_index
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources, writable_sources

blueprint = Blueprint("learning", __name__)


@blueprint.get("/api/learning/metrics")
@blueprint.query(shapes.SignalFilter)
@blueprint.answers(200, shapes.Metrics)
def get_metrics(query: Json) -> Json:
    """Get learning metrics from events and metrics files."""
    return queries.get_metrics(sources(), **query)


@blueprint.get("/api/learning/trends")
@blueprint.query(shapes.SignalFilter)
@blueprint.answers(200, shapes.Trends)
def get_trends(query: Json) -> Json:
    """Get learning trend data grouped by hour."""
    return queries.get_trends(sources(), **query)


@blueprint.get("/api/learning/signals")
@blueprint.query(shapes.SignalPage)
@blueprint.answers(200, shapes.Signal, many=True)
def get_signals(query: Json) -> list[Json]:
    """Get raw learning signals."""
    return queries.list_records(sources(), **query)


@blueprint.get("/api/learning/aggregation")
@blueprint.answers(200, shapes.LatestAggregation)
def get_aggregation() -> Json:
    """Get latest learning aggregation result."""
    return aggregation.get_latest(sources())


@blueprint.post("/api/learning/aggregate")
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.Aggregation)
def aggregate(_: Json) -> Json:
    """Aggregate learning signals from events.jsonl into structured metrics."""
    return aggregation.aggregate(writable_sources())


@blueprint.get("/api/learning/preferences")
@blueprint.query(shapes.LatestSignals)
@blueprint.answers(200, shapes.PreferenceSignal, many=True)
def get_preferences(query: Json) -> list[Json]:
    """Get aggregated user preferences."""
    return queries.list_records_of_type(sources(), signal_index.USER_PREFERENCE, query["limit"])


@blueprint.get("/api/learning/errors")
@blueprint.query(shapes.LatestSignals)
@blueprint.answers(200, shapes.ErrorSignal, many=True)
def get_errors(query: Json) -> list[Json]:
    """Get aggregated error patterns."""
    return queries.list_records_of_type(sources(), signal_index.ERROR_PATTERN, query["limit"])


@blueprint.get("/api/learning/success")
@blueprint.query(shapes.LatestSignals)
@blueprint.answers(200, shapes.SuccessSignal, many=True)
def get_success(query: Json) -> list[Json]:
    """Get aggregated success patterns."""
    return queries.list_records_of_type(sources(), signal_index.SUCCESS_PATTERN, query["limit"])


@blueprint.get("/api/learning/tools")
@blueprint.query(shapes.LatestSignals)
@blueprint.answers(200, shapes.ToolSignal, many=True)
def get_tools(query: Json) -> list[Json]:
    """Get tool efficiency rankings."""
    return queries.list_records_of_type(sources(), signal_index.TOOL_EFFICIENCY, query["limit"])
