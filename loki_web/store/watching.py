"""What tells that something below a root may have changed, without reading it."""

import os
from collections.abc import Iterable
from pathlib import Path

import psutil
from cachetools import LRUCache, cached

from loki_web.store import files
from loki_web.store.files import Version

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


def versions(root: Path, relatives: Iterable[str]) -> dict[str, Version]:
    """The versions of everything that stands directly in those folders, by path below `root`."""
    found = {}
    for relative in relatives:
        for entry in files.entries(root, relative):
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            found[os.path.join(relative, entry.name)] = Version.of(status)
    return found


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
