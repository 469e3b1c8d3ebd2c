"""What the session printed."""

from loki_web.api.blueprint import Blueprint
from loki_web.api.context import sources
from loki_web.schemas.logs import LogEntry, LogsQuery
from loki_web.services.logs import reader
from loki_web.store.coerce import Json

blueprint = Blueprint("logs", __name__)


@blueprint.get("/api/logs")
@blueprint.query(LogsQuery)
@blueprint.answers(200, LogEntry, many=True)
def get_logs(query: Json) -> list[Json]:
    """Get recent log entries from session log files."""
    return reader.recent(sources().project, query["lines"])
