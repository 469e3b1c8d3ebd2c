"""Pause, resume or stop the session."""

from loki_web.schemas import control as shapes
from loki_web.schemas.base import OptionalBody
from loki_web.services.session import control
from loki_web.services.session.control import StoppedDict
from loki_web.services.types import SuccessDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import writable_sources

blueprint = Blueprint("control", __name__)


@blueprint.post("/api/control/pause")
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.Paused)
@blueprint.errors({409: "The state folder is gone"})
def pause(_: Json) -> SuccessDict:
    """Pause the current session by creating a PAUSE file."""
    return control.pause_session(writable_sources())


@blueprint.post("/api/control/resume")
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.Resumed)
def resume(_: Json) -> SuccessDict:
    """Resume a paused session by removing PAUSE/STOP files."""
    return control.resume_session(writable_sources())


@blueprint.post("/api/control/stop")
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.Stopped)
@blueprint.errors({409: "The state folder is gone"})
def stop(_: Json) -> StoppedDict:
    """Stop the session by creating a STOP file and sending SIGTERM to the Loki process."""
    return control.stop_session(writable_sources())
