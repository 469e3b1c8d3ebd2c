"""Checkpoints: copies of the session's state files and queues."""

from loki_web.schemas.checkpoints import (
    Checkpoint,
    CheckpointsQuery,
    CreatedCheckpoint,
    NewCheckpoint,
)
from loki_web.services.checkpoints import create, records
from loki_web.services.checkpoints.create import CreatedCheckpointDict
from loki_web.services.checkpoints.records import CheckpointDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources, writable_sources

blueprint = Blueprint("checkpoints", __name__)
_ID = blueprint.identified_by("checkpoint_id", "Id of the checkpoint")


@blueprint.get("/api/checkpoints")
@blueprint.query(CheckpointsQuery)
@blueprint.answers(200, Checkpoint, many=True)
def get_checkpoints(query: Json) -> list[CheckpointDict]:
    """List recent checkpoints, most recent first."""
    return records.list_checkpoints(sources(), limit=query["limit"])


@blueprint.get("/api/checkpoints/<checkpoint_id>", parameters=_ID)
@blueprint.answers(200, Checkpoint)
@blueprint.errors({404: "Checkpoint not found"})
def get_checkpoint(checkpoint_id: str) -> CheckpointDict:
    """Get the metadata of a checkpoint."""
    return records.get_checkpoint(sources(), checkpoint_id)


@blueprint.post("/api/checkpoints")
@blueprint.body(NewCheckpoint)
@blueprint.answers(201, CreatedCheckpoint)
def create_checkpoint(body: Json) -> CreatedCheckpointDict:
    """Create a checkpoint of the state files and queues. Only the latest 50 are kept."""
    return create.create_checkpoint(writable_sources(), body["message"])
