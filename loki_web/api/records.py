"""Records that newer sessions keep: transcripts, reviews, decisions, escalations, assumptions."""

from loki_web.schemas import records as shapes
from loki_web.services import records
from loki_web.services.records import RecordsDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources

blueprint = Blueprint("records", __name__)


@blueprint.get("/api/records")
@blueprint.query(shapes.RecordsQuery)
@blueprint.answers(200, shapes.Records)
def get_records(query: Json) -> RecordsDict:
    """Get the newest records of each kind, newest first; empty where a session keeps none."""
    return records.get_records(sources(), query["limit"])
