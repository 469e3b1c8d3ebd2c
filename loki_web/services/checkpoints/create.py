"""Checkpoints of a session's state: listed, shown and made."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

from loki_web.errors import NotFound, StorageError
from loki_web.services import git
from loki_web.services.checkpoints import retention
from loki_web.services.checkpoints.records import (
    FOLDER,
    INDEX,
    METADATA,
    describe_checkpoint,
    find_checkpoints,
    summarize_checkpoint,
)
from loki_web.services.context import Sources
from loki_web.services.ids import check_id
from loki_web.services.session import state
from loki_web.store.coerce import Json
from loki_web.store.folder import Folder
from loki_web.store.new_folder import NewFolder
from loki_web.store.times import isoformat, zulu

LONGEST_MESSAGE = 500
_STATE_FILES = ("dashboard-state.json", "session.json")


def list_checkpoints(folder: Folder, *, limit: int) -> list[Json]:
    """The newest, newest first; each of them can be asked for by its id."""
    return [summarize_checkpoint(folder, one) for one in find_checkpoints(folder)[:limit]]


def get_checkpoint(folder: Folder, identity: str) -> Json:
    """Everything in the metadata of one.

    :raises BadRequest: when the id is none.
    :raises NotFound: when there is no such checkpoint.
    """
    check_id(identity, "checkpoint_id")
    found = next((one for one in find_checkpoints(folder) if one.id == identity), None)
    if found is None:
        raise NotFound("Checkpoint not found")
    return describe_checkpoint(folder, found)


def create_checkpoint(src: Sources, message: str) -> Json:
    """Copy the state files and the queues into a new checkpoint, and remove the oldest beyond 50.

    Files that are damaged on disk are not copied.

    :raises StorageError: when it cannot be made; then nothing of it is left.
    """
    folder, made_at = src.project, src.now()
    sha = git.read_head_sha(state.get_project_path(folder))
    folder.sweep(FOLDER)
    with folder.new_folder(FOLDER) as new:
        files = [METADATA, *_copied(folder, new)]
        with folder.locked(INDEX):
            record: Json = {
                "id": _free_id(folder, made_at),
                "created_at": isoformat(made_at),
                "git_sha": sha,
                "message": message,
                "files": files,
                "timestamp": zulu(made_at),  # what `loki checkpoint list` prints
            }
            # The last two are for `loki checkpoint show`.
            copies = {"files_copied": len(files) - 1, "created_by": "Loki Web"}
            new.write_json(METADATA, {**record, **copies})
            new.appear_as(record["id"])
            _enter(folder, record)
            retention.prune_checkpoints(folder, newest=record["id"])
    return record


def _copied(folder: Folder, new: NewFolder) -> Iterator[str]:
    for relative in (*_STATE_FILES, *(f"queue/{name}" for name in folder.file_names("queue"))):
        data = folder.consistent_copy(relative)
        if data is not None:
            new.write_bytes(relative, data)
            yield relative


def _free_id(folder: Folder, made_at: datetime) -> str:
    """`chk-YYYYMMDD-HHMMSS` in UTC, with `-2` and so on for further ones in the same second."""
    name = made_at.astimezone(UTC).strftime("chk-%Y%m%d-%H%M%S")
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(free for free in names if not folder.exists(f"{FOLDER}/{free}"))


def _enter(folder: Folder, record: Json) -> None:
    try:
        folder.append_json_line(INDEX, record)
    except StorageError:
        folder.remove_tree(f"{FOLDER}/{record['id']}")
        raise
