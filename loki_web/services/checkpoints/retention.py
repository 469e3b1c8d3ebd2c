"""Remove the oldest checkpoints, those of the CLI included, when there are more than 50."""

import re
from contextlib import suppress

from loki_web.errors import StorageError
from loki_web.services.checkpoints.records import (
    FOLDER,
    INDEX,
    Checkpoint,
    find_checkpoints,
    parse_id_time,
    read_index_lines,
    summarize_checkpoint,
)
from loki_web.services.context import Sources, WritableSources
from loki_web.store.coerce import Json
from loki_web.store.times import UNKNOWN, format_utc

MOST = 50
_CHECKPOINT_NAME = re.compile(r"(?:cp|chk)-[A-Za-z0-9_-]{1,124}")


def prune_checkpoints(sources: WritableSources, *, newest: str) -> None:
    """Remove the oldest checkpoints beyond 50, and the index lines of removed ones.

    The caller must hold the lock of the index. Links and other directories are neither counted nor
    removed. A checkpoint that cannot be removed stays, and the store logs the reason.

    :param newest: the id of the one just created, which is never removed, even if others have a
        later time.
    """
    ages = {checkpoint.id: checkpoint.taken_at for checkpoint in find_checkpoints(sources)}
    for name in sources.project.folder_names(FOLDER):
        if name not in ages and _CHECKPOINT_NAME.fullmatch(name):  # its writer was killed
            ages[name] = parse_id_time(name) or UNKNOWN
    oldest_first = sorted((age, name) for name, age in ages.items() if name != newest)
    excess = [name for _, name in oldest_first[: max(0, len(ages) - MOST)]]
    for name in excess:
        with suppress(StorageError):
            sources.project.remove_tree(f"{FOLDER}/{name}")
    if excess:
        with suppress(StorageError):
            _rewrite_index(sources)


def _rewrite_index(sources: WritableSources) -> None:
    """Write one line for each checkpoint, oldest first; existing lines are not changed."""
    lines = read_index_lines(sources)
    oldest_first = reversed(find_checkpoints(sources))
    sources.project.write_json_lines(
        INDEX,
        [
            lines.get(checkpoint.id) or _build_line(sources, checkpoint)
            for checkpoint in oldest_first
        ],
    )


def _build_line(sources: Sources, checkpoint: Checkpoint) -> Json:
    """Return the line of a checkpoint; `loki checkpoint list` prints its `timestamp`."""
    fields = summarize_checkpoint(sources, checkpoint)
    line = {key: fields[key] for key in ("id", "created_at", "git_sha", "message", "files")}
    return {**line, "timestamp": format_utc(checkpoint.taken_at)}
