"""Where keys could come from. Names only: no part of a value leaves the server or is kept."""

from pathlib import Path

from loki_web.config.settings import SECRET_NAMES, Settings
from loki_web.store.coerce import Json
from loki_web.store.folder import Folder

_DOCKER_MOUNT = Path("/run/secrets")
_KUBERNETES_MOUNT = Path("/var/run/secrets")
_KUBERNETES_MARK = "kubernetes.io"


def get_secret_sources(
    settings: Settings,
    docker_mount: Path = _DOCKER_MOUNT,
    kubernetes_mount: Path = _KUBERNETES_MOUNT,
) -> Json:
    """Which keys are set in the environment, and whether keys are mounted as files.

    On most systems both mounts are one directory, and then a key file in it is Docker's.
    """
    same = docker_mount.resolve() == kubernetes_mount.resolve()
    in_cluster = Folder(kubernetes_mount).is_folder(_KUBERNETES_MARK)
    return {
        "docker_secrets": _has_key_file(docker_mount),
        "k8s_secrets": in_cluster or (not same and _has_key_file(kubernetes_mount)),
        "env_secrets": list(settings.secret_names),
    }


def _has_key_file(mount: Path) -> bool:
    folder = Folder(mount)
    return any(folder.version(name.lower()) is not None for name in SECRET_NAMES)
