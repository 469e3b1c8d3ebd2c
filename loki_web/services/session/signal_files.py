"""Signal files: only their existence matters (docs/files.md, section 3.5)."""

from loki_web.services.context import WritableSources


def write_signal_file(sources: WritableSources, relative: str) -> None:
    """Create an empty signal file, which needs no space on the disk.

    A file or directory of that name counts as the signal; a link does not.

    :param relative: its path below `.loki/`.
    :raises StorageError: when it cannot be written.
    """
    sources.project.create_empty(relative)
