"""No more than fifty checkpoints are kept, whoever made them."""

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
from loki_web.store.coerce import Json
from loki_web.store.folder import Folder
from loki_web.store.times import UNKNOWN, zulu

MOST = 50
_NAMED_AS_ONE = re.compile(r"(?:cp|chk)-[A-Za-z0-9_-]{1,124}")


def prune_checkpoints(folder: Folder, *, newest: str) -> None:
    """Remove the oldest by time beyond fifty, and from the index what is not there any more.

    To be called under the lock of the index. Links and directories that are no checkpoints are
    neither counted nor touched. What cannot be removed stays, and the store logs why.

    :param newest: the id of the one just made, which stays whatever the others' times say.
    """
    ages = {one.id: one.taken_at for one in find_checkpoints(folder)}
    for name in folder.folder_names(FOLDER):
        if name not in ages and _NAMED_AS_ONE.fullmatch(name):  # its maker was killed
            ages[name] = parse_id_time(name) or UNKNOWN
    oldest_first = sorted((age, name) for name, age in ages.items() if name != newest)
    victims = [name for _, name in oldest_first[: max(0, len(ages) - MOST)]]
    for name in victims:
        with suppress(StorageError):
            folder.remove_tree(f"{FOLDER}/{name}")
    if victims:
        with suppress(StorageError):
            _rewrite_index(folder)


def _rewrite_index(folder: Folder) -> None:
    """Oldest first; a line stays as it was written, and who had none gets one."""
    lines = read_index_lines(folder)
    kept = reversed(find_checkpoints(folder))
    folder.write_json_lines(INDEX, [lines.get(one.id) or _line(folder, one) for one in kept])


def _line(folder: Folder, checkpoint: Checkpoint) -> Json:
    """In our form; `loki checkpoint list` prints `timestamp`."""
    fields = summarize_checkpoint(folder, checkpoint)
    line = {key: fields[key] for key in ("id", "created_at", "git_sha", "message", "files")}
    return {**line, "timestamp": zulu(checkpoint.taken_at)}
