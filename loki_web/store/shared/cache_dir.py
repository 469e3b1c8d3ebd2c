"""A private folder for what all workers share and can lose, outside of what the CLI owns."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path


def cache_folder(preferred: Path, loki_dir: Path) -> Path | None:
    """A folder of our own for one `.loki/`, mode 0700.

    :param preferred: the parent to make it in; where that cannot be written, one in the system's
        folder for temporary files is taken.
    :return: None where neither can be had.
    """
    name = hashlib.sha256(os.fsencode(loki_dir)).hexdigest()[:16]
    fallback = Path(tempfile.gettempdir()) / f"loki-web-{os.getuid()}"
    return _made(preferred, name) or _made(fallback, name)


def _made(parent: Path, name: str) -> Path | None:
    folder = parent / name
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        ours = all(_is_private(path) for path in (parent, folder)) and _is_firm(parent)
    except OSError:
        return None
    return folder if ours and os.access(folder, os.W_OK | os.X_OK) else None


def _is_firm(folder: Path) -> bool:
    """Whether nobody else can put another folder in its place, as in one that all may write to."""
    modes = [os.stat(above).st_mode for above in folder.resolve().parents]
    return not any(mode & stat.S_IWOTH and not mode & stat.S_ISVTX for mode in modes)


def _is_private(path: Path) -> bool:
    status = os.lstat(path)
    others_write = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not others_write
