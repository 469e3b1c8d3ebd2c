"""Health of the server and status of the session."""

from http import HTTPStatus

from flask import current_app

from loki_web.schemas.session import Health, Live, Ready, Status
from loki_web.services.session import status
from loki_web.services.session.status import HealthDict, LiveDict, StatusDict
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources
from loki_web.web.readiness import EXTENSION, Readiness, ReadyDict

blueprint = Blueprint("session", __name__)


@blueprint.get("/health")
@blueprint.answers(200, Health)
def health() -> HealthDict:
    """Basic health check."""
    return status.get_health()


@blueprint.get("/health/live")
@blueprint.answers(200, Live)
def live() -> LiveDict:
    """Check whether the process answers; restart it if it does not."""
    return status.get_live()


@blueprint.get_anew("/health/ready")
@blueprint.answers(200, Ready)
@blueprint.errors({503: "Not ready; the detail has the reasons"})
def ready() -> ReadyDict | tuple[ReadyDict, int]:
    """Check whether requests should be sent here; 503 with the reasons if not."""
    readiness: Readiness = current_app.extensions[EXTENSION]
    answer = readiness.explain()
    return (answer, HTTPStatus.SERVICE_UNAVAILABLE) if answer["reasons"] else answer


@blueprint.get("/api/status")
@blueprint.answers(200, Status)
def get_status() -> StatusDict:
    """Get detailed session status."""
    return status.get_status(sources())
