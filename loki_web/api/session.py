"""Health of the server and status of the session."""

from http import HTTPStatus

from flask import current_app

from loki_web.schemas.session import Health, Live, Ready, Status
from loki_web.services.session import status
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources
from loki_web.web.readiness import EXTENSION, Readiness

blueprint = Blueprint("session", __name__)


@blueprint.get("/health")
@blueprint.answers(200, Health)
def health() -> Json:
    """Basic health check."""
    return {"status": "healthy", "service": "loki-dashboard"}


@blueprint.get("/health/live")
@blueprint.answers(200, Live)
def live() -> Json:
    """Whether the process answers; restart it if it does not."""
    return {"status": "live"}


@blueprint.get_anew("/health/ready")
@blueprint.answers(200, Ready)
@blueprint.errors(s503="Not ready; the detail has the reasons")
def ready() -> tuple[Json, int]:
    """Whether requests should be sent here; 503 with the reasons if not."""
    readiness: Readiness = current_app.extensions[EXTENSION]
    reasons, warnings = readiness.explain()
    answer: Json = {"status": "ready", "reasons": reasons, "warnings": warnings}
    if not reasons:
        return answer, HTTPStatus.OK
    answer |= {"status": "not ready", "detail": ". ".join(reasons)}
    return answer, HTTPStatus.SERVICE_UNAVAILABLE


@blueprint.get("/api/status")
@blueprint.answers(200, Status)
def get_status() -> Json:
    """Get detailed session status."""
    return status.get_status(sources())
