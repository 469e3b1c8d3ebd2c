"""Create checkpoints of a session's state (docs/files.md, section 11)."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import NotRequired

from loki_web.errors import StorageError
from loki_web.services.checkpoints import retention
from loki_web.services.checkpoints.records import (
    FOLDER,
    INDEX,
    METADATA,
    CheckpointDict,
)
from loki_web.services.context import Sources, WritableSources
from loki_web.services.session import state
from loki_web.store.times import format_utc, isoformat
from loki_web.store.writable import NewFolder

LONGEST_MESSAGE = 500
_STATE_FILES = ("dashboard-state.json", "session.json")
_GIT_TIMEOUT_SECONDS = 2.0
_SHA = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# `rev-parse` needs no object, hook, filter, pager, monitor or remote of the repository, so it is
# safe in a repository of another user (safe.directory). The server's own environment is not passed
# on: GIT_DIR and similar variables would select another repository.
_GIT_ARGUMENTS = (
    *("-c", "safe.directory=*", "-c", "core.fsmonitor=false"),
    *("rev-parse", "--verify", "HEAD"),
)
_GIT_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "LC_ALL": "C",
}


class CreatedCheckpointDict(CheckpointDict):
    """A new checkpoint. `timestamp` is what `loki checkpoint list` prints."""

    timestamp: NotRequired[str]


def create_checkpoint(sources: WritableSources, message: str) -> CreatedCheckpointDict:
    """Copy the state files and the queues into a new checkpoint, and remove the oldest beyond 50.

    Files that are damaged on disk are not copied.

    :return: the line of the index: id, time, commit, message and the names of the copied files.
    :raises StorageError: when it cannot be written; then nothing of it is left.
    """
    created_at = sources.now()
    sha = _read_head_sha(state.get_project_path(sources))
    sources.project.sweep(FOLDER)
    with sources.project.new_folder(FOLDER) as new:
        files = [METADATA, *_copy_files(sources, new)]
        with sources.project.locked(INDEX):
            record: CreatedCheckpointDict = {
                "id": _find_free_id(sources, created_at),
                "created_at": isoformat(created_at),
                "git_sha": sha,
                "message": message,
                "files": files,
                "timestamp": format_utc(created_at),
            }
            # `loki checkpoint show` prints these two.
            copies = {"files_copied": len(files) - 1, "created_by": "Loki Web"}
            new.write_json(METADATA, {**record, **copies})
            new.appear_as(record["id"])
            _append_to_index(sources, record)
            retention.prune_checkpoints(sources, newest=record["id"])
    return record


def _copy_files(sources: Sources, new: NewFolder) -> Iterator[str]:
    for relative in (
        *_STATE_FILES,
        *(f"queue/{name}" for name in sources.project.file_names("queue")),
    ):
        data = sources.project.consistent_copy(relative)
        if data is not None:
            new.write_bytes(relative, data)
            yield relative


def _find_free_id(sources: Sources, created_at: datetime) -> str:
    """Return `chk-YYYYMMDD-HHMMSS` in UTC, with `-2` and so on if that id is in use."""
    name = created_at.astimezone(UTC).strftime("chk-%Y%m%d-%H%M%S")
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(free for free in names if not sources.project.exists(f"{FOLDER}/{free}"))


def _append_to_index(sources: WritableSources, record: CheckpointDict) -> None:
    try:
        sources.project.append_json_line(INDEX, record)
    except StorageError:
        sources.project.remove_tree(f"{FOLDER}/{record['id']}")
        raise


def _read_head_sha(project: Path) -> str:
    """Return the full SHA of the commit that is checked out in the project.

    :return: `""` without git, without a repository, without a commit, or after 2 seconds.
    """
    git = shutil.which("git")
    if git is None:
        return ""
    try:
        result = subprocess.run(  # noqa: S603  # fixed arguments, no shell
            [os.path.abspath(git), *_GIT_ARGUMENTS],
            cwd=project,
            env=_GIT_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_GIT_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    sha = result.stdout.strip()
    return sha.decode() if result.returncode == 0 and _SHA.fullmatch(sha) else ""
