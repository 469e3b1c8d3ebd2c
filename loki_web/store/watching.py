"""Where changes are told by the file system."""

import os
from pathlib import Path

import psutil
from cachetools import LRUCache, cached

_SILENT_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse", "virtiofs", "vboxsf", "afs", "ceph")


def reports_changes(path: Path | str) -> bool:
    """False where the file system does not tell of what other machines write: it must be polled."""
    try:
        return _reports_changes(os.stat(path).st_dev, os.path.realpath(path))
    except OSError:
        return False


@cached(LRUCache(64), key=lambda device, real: device)
def _reports_changes(device: int, real: str) -> bool:
    """The same for a device, of which a real path is one."""
    holding = [
        part
        for part in psutil.disk_partitions(all=True)
        if real == part.mountpoint or real.startswith(part.mountpoint.rstrip("/") + "/")
    ]
    nearest = max(holding, key=lambda part: len(part.mountpoint), default=None)
    return nearest is None or not nearest.fstype.startswith(_SILENT_FILE_SYSTEMS)
