"""Secret sources, authentication methods and enterprise switches of this server."""

from pathlib import Path
from typing import TypedDict

from loki_web.config.settings import SECRET_NAMES
from loki_web.errors import Forbidden
from loki_web.services.context import Sources
from loki_web.store.folder import Folder

_DOCKER_MOUNT = Path("/run/secrets")
_KUBERNETES_MOUNT = Path("/var/run/secrets")
_KUBERNETES_MARK = "kubernetes.io"


class SecretsDict(TypedDict):
    """Where keys are configured; names only."""

    docker_secrets: bool
    k8s_secrets: bool
    env_secrets: list[str]


class AuthInfoDict(TypedDict):
    """The authentication methods that are enabled."""

    enterprise_auth: bool
    oidc_enabled: bool
    oidc_issuer: str | None
    auth_methods: list[str]


class EnterpriseStatusDict(TypedDict):
    """The enterprise features that are enabled."""

    auth_enabled: bool
    oidc_enabled: bool
    audit_enabled: bool
    enterprise_mode: bool


def get_secret_sources(
    sources: Sources,
    docker_mount: Path = _DOCKER_MOUNT,
    kubernetes_mount: Path = _KUBERNETES_MOUNT,
) -> SecretsDict:
    """Return which keys are set in the environment, and whether keys are mounted as files.

    Only names are returned; no value, and no part of one, leaves the server. On most systems both
    mounts are the same directory; a key file in it is then reported as Docker's.
    """
    is_same = docker_mount.resolve() == kubernetes_mount.resolve()
    docker = Folder(docker_mount)
    kubernetes = docker if is_same else Folder(kubernetes_mount)
    in_cluster = kubernetes.is_folder(_KUBERNETES_MARK)
    return {
        "docker_secrets": _has_key_file(docker),
        "k8s_secrets": in_cluster or (not is_same and _has_key_file(kubernetes)),
        "env_secrets": list(sources.settings.secret_names),
    }


def get_authentication_info(sources: Sources) -> AuthInfoDict:
    """Return the authentication methods that are enabled."""
    settings = sources.settings
    oidc = settings.oidc_enabled
    return {
        "enterprise_auth": settings.enterprise_auth,
        "oidc_enabled": oidc,
        "oidc_issuer": settings.oidc_issuer if oidc else None,
        "auth_methods": ["token"] * settings.enterprise_auth + ["oidc"] * oidc,
    }


def get_enterprise_status(sources: Sources) -> EnterpriseStatusDict:
    """Return which enterprise features are enabled.

    `audit_enabled` says whether the audit log can be queried. The log itself is always written,
    unless LOKI_AUDIT_DISABLED is set.
    """
    settings = sources.settings
    auth, oidc, audit = (
        settings.enterprise_auth,
        settings.oidc_enabled,
        settings.enterprise_audit,
    )
    return {
        "auth_enabled": auth,
        "oidc_enabled": oidc,
        "audit_enabled": audit,
        "enterprise_mode": auth or oidc or audit,
    }


def require_token_auth(sources: Sources) -> None:
    """Refuse to manage tokens without token authentication.

    :raises Forbidden: while LOKI_ENTERPRISE_AUTH is off.
    """
    if not sources.settings.enterprise_auth:
        raise Forbidden("Tokens can be managed only with LOKI_ENTERPRISE_AUTH=true")


def _has_key_file(folder: Folder) -> bool:
    return any(folder.version(name.lower()) is not None for name in SECRET_NAMES)
