"""Which enterprise features are switched on."""

from loki_web.config.settings import Settings
from loki_web.errors import Forbidden
from loki_web.store.coerce import Json


def get_enterprise_status(settings: Settings) -> Json:
    """The switches. `audit_enabled` says whether the log can be queried: it is always written,
    unless LOKI_AUDIT_DISABLED is set."""
    on = {
        "auth_enabled": settings.enterprise_auth,
        "oidc_enabled": settings.oidc_enabled,
        "audit_enabled": settings.enterprise_audit,
    }
    return {**on, "enterprise_mode": any(on.values())}


def require_token_auth(settings: Settings) -> None:
    """:raises Forbidden: while tokens are not what opens this server."""
    if not settings.enterprise_auth:
        raise Forbidden("Tokens can be managed only with LOKI_ENTERPRISE_AUTH=true")
