"""Processes of the session, configured secrets and authentication methods."""

from loki_web.schemas.system import AuthInfo, Processes, Secrets
from loki_web.services import system
from loki_web.services.session import supervision
from loki_web.services.session.supervision import ProcessesDict
from loki_web.services.system import AuthInfoDict, SecretsDict
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import server_sources, sources

blueprint = Blueprint("system", __name__)


@blueprint.get("/api/health/processes")
@blueprint.answers(200, Processes)
def get_processes() -> ProcessesDict:
    """Get process supervision and watchdog status."""
    return supervision.get_processes(sources())


@blueprint.get("/api/secrets/status", is_confidential=True)
@blueprint.answers(200, Secrets)
def get_secrets() -> SecretsDict:
    """Get secret management status (Docker/K8s mount detection)."""
    return system.get_secret_sources(server_sources())


@blueprint.get("/api/auth/info")
@blueprint.answers(200, AuthInfo)
def get_auth_info() -> AuthInfoDict:
    """Get information about enabled authentication methods."""
    return system.get_authentication_info(server_sources())
