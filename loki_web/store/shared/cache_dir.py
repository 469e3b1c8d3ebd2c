"""Create the private folder of the files that workers share. All of them can be rebuilt."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path


def cache_folder(preferred: Path, loki_dir: Path) -> Path | None:
    """Return the cache folder of a `.loki/`, created with mode 0700 if it is missing.

    :param preferred: the parent folder. If it cannot be written or others may change it, the
        system's folder for temporary files is used.
    :return: None if neither can be used.
    """
    name = hashlib.sha256(os.fsencode(loki_dir)).hexdigest()[:16]
    created = _create(preferred, name)
    if created is None and (temporary := temporary_folder()) is not None:
        created = _create(temporary / f"loki-web-{os.getuid()}", name)
    return created


def temporary_folder() -> Path | None:
    """Return the system's folder for temporary files; None if none of its places is writable."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return None


def _create(parent: Path, name: str) -> Path | None:
    folder = parent / name
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        is_safe = all(_is_private(path) for path in (parent, folder)) and _is_firm(parent)
    except OSError:
        return None
    return folder if is_safe and os.access(folder, os.W_OK | os.X_OK) else None


def _is_firm(folder: Path) -> bool:
    """Return whether no other user can replace the folder.

    Others can do that below a folder that all may write to and that has no sticky bit.
    """
    modes = [os.stat(above).st_mode for above in folder.resolve().parents]
    return not any(mode & stat.S_IWOTH and not mode & stat.S_ISVTX for mode in modes)


def _is_private(path: Path) -> bool:
    """Return whether a path is a real folder of ours that only we may write to."""
    status = os.lstat(path)
    others_write = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not others_write
