"""Signal files: only their existence matters (docs/files.md, section 3.5)."""

from datetime import datetime

from loki_web.store.folder import Folder
from loki_web.store.times import isoformat


def write_signal_file(folder: Folder, relative: str, now: datetime) -> None:
    """Create the signal file, with the time in it. A directory of that name counts as the signal.

    :param relative: its path below `.loki/`.
    :raises StorageError: when it cannot be written.
    """
    if not folder.is_folder(relative):
        folder.write_bytes(relative, f"{isoformat(now)}\n".encode())
