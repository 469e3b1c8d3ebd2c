"""Log entries of the session, with secrets redacted."""

from loki_web.schemas.logs import CURSOR_HEADER, LogEntry, LogsQuery
from loki_web.services.logs import reader, search
from loki_web.services.logs.reader import LogEntryDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources

blueprint = Blueprint("logs", __name__)


@blueprint.get("/api/logs")
@blueprint.query(LogsQuery)
@blueprint.answers(
    200,
    LogEntry,
    many=True,
    headers={
        CURSOR_HEADER: "Where a search has to go on: the next value of `before`, or of `after`. "
        "Absent when everything was searched."
    },
)
@blueprint.errors({404: "The log of the cursor is no longer there"})
def get_logs(query: Json) -> tuple[list[LogEntryDict], dict[str, str]]:
    """Get recent log entries from session log files.

    With any parameter besides `lines`, the whole log is searched, a part of it with each request:
    go on with the cursor in the header `X-Loki-Cursor`, also if no entry was found.
    """
    if query.keys() == {"lines"}:
        return reader.list_entries(sources(), query["lines"]), {}
    entries, cursor = search.find_entries(sources(), **query)
    return entries, {CURSOR_HEADER: str(cursor)} if cursor else {}
