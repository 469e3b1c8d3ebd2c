"""Signal files: only their existence matters (docs/files.md, section 3.5)."""

from loki_web.services.context import WritableSources
from loki_web.store.times import isoformat


def write_signal_file(sources: WritableSources, relative: str) -> None:
    """Create the signal file, with the time in it. A directory of that name counts as the signal.

    :param relative: its path below `.loki/`.
    :raises StorageError: when it cannot be written.
    """
    if not sources.project.is_folder(relative):
        sources.project.write_bytes(relative, f"{isoformat(sources.now())}\n".encode())
