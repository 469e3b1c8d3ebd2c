"""How callers can identify themselves."""

from loki_web.config.settings import Settings
from loki_web.store.coerce import Json


def get_authentication_info(settings: Settings) -> Json:
    """The methods that are switched on."""
    oidc = settings.oidc_enabled
    return {
        "enterprise_auth": settings.enterprise_auth,
        "oidc_enabled": oidc,
        "oidc_issuer": settings.oidc_issuer if oidc else None,
        "auth_methods": ["token"] * settings.enterprise_auth + ["oidc"] * oidc,
    }
