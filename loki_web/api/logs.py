"""Log entries of the session, with secrets redacted."""

from loki_web.schemas.logs import LogEntry, LogsQuery
from loki_web.services.logs import reader
from loki_web.services.logs.reader import LogEntryDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources

blueprint = Blueprint("logs", __name__)


@blueprint.get("/api/logs")
@blueprint.query(LogsQuery)
@blueprint.answers(200, LogEntry, many=True)
def get_logs(query: Json) -> list[LogEntryDict]:
    """Get recent log entries from session log files."""
    return reader.list_entries(sources(), query["lines"])
