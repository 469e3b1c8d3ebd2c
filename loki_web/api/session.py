"""Health of the server and status of the session."""

from loki_web.schemas.session import Health, Status
from loki_web.services.session import status
from loki_web.services.session.status import HealthDict, StatusDict
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources

blueprint = Blueprint("session", __name__)


@blueprint.get("/health")
@blueprint.answers(200, Health)
def health() -> HealthDict:
    """Basic health check."""
    return status.get_health()


@blueprint.get("/api/status")
@blueprint.answers(200, Status)
def get_status() -> StatusDict:
    """Get detailed session status."""
    return status.get_status(sources())
