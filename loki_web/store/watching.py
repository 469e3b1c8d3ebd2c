"""What tells that something below a root may have changed, without reading it."""

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

from loki_web.store import files

_SILENT_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse", "virtiofs", "vboxsf", "afs", "ceph")


def folders(root: Path, relatives: Iterable[str]) -> dict[str, int]:
    """The real paths of those folders that exist below `root`, each with its inode."""
    found = {}
    for relative in relatives:
        real = files.resolve(root, relative)
        try:
            if real is not None and os.path.isdir(real):
                found[real] = os.stat(real).st_ino
        except OSError:
            continue
    return found


def reports_changes(path: Path) -> bool:
    """False where the file system does not tell of what other machines write: it must be polled."""
    real = os.path.realpath(path)
    holding = [
        part
        for part in psutil.disk_partitions(all=True)
        if real == part.mountpoint or real.startswith(part.mountpoint.rstrip("/") + "/")
    ]
    nearest = max(holding, key=lambda part: len(part.mountpoint), default=None)
    return nearest is None or not nearest.fstype.startswith(_SILENT_FILE_SYSTEMS)
