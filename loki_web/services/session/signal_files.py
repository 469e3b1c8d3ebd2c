"""Files that the runner looks for; that they exist is all that counts (`spec` 3.5)."""

from datetime import datetime

from loki_web.store.folder import Folder
from loki_web.store.times import isoformat


def write_signal_file(folder: Folder, relative: str, now: datetime) -> None:
    """Make sure that the marker exists; a directory of that name is one already.

    :raises StorageError: when it cannot be written.
    """
    if not folder.is_folder(relative):
        folder.write_bytes(relative, f"{isoformat(now)}\n".encode())
