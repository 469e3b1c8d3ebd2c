"""Resolve paths anywhere on the machine, and find directories that contain a certain one."""

import os
import time
from collections import deque
from collections.abc import Container, Iterable
from functools import lru_cache
from pathlib import Path

from loki_web.store.inputs import FolderInput, Names, Root, SubfoldersInput
from loki_web.store.look import UNREPEATABLE, observe

MAX_DIRECTORIES = 20_000
MAX_SECONDS = 5.0
MAX_REMEMBERED = 4096
MAX_KEPT = 1000
MAX_LEVELS = 128  # of a path; each one that exists is watched


def resolve(path: str) -> Path | None:
    """Return an absolute path with its links resolved, even if it does not exist.

    :return: None for a relative path, one that is not valid text, and one of too many levels.
    """
    if not os.path.isabs(path) or "\0" in path or not _is_text(path):
        return None
    if path.count(os.sep) > MAX_LEVELS:
        return None
    real: str = observe(_root(path))
    return Path(real) if _is_text(real) else None


def is_directory(path: Path, relative: str = "") -> bool:
    """Return whether an absolute path is a directory.

    :param relative: a path below it; a link out of it is not followed.
    """
    observe(_root(str(path)))
    return bool(observe(_directory(str(path), relative)))


@lru_cache(maxsize=MAX_REMEMBERED)
def _root(path: str) -> Root:
    return Root(Path(path))


@lru_cache(maxsize=MAX_REMEMBERED)
def _directory(path: str, relative: str) -> FolderInput:
    return FolderInput(_root(path), relative)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def find_directories(
    mark: str, root: Path, names: Iterable[str], *, depth: int, skipped: Container[str]
) -> list[Path]:
    """Return the directories that contain a directory `mark`, sorted.

    The search is breadth-first. It skips links, hidden directories, names with control characters
    and what is below a match, and stops after MAX_DIRECTORIES directories or MAX_SECONDS seconds.
    The first MAX_KEPT directories are listed again only when they have changed.

    :param names: of the directories in `root` that are searched; they may match themselves.
    :param depth: how many levels below these to search; 1 for the directories directly in them.
    :param skipped: names of directories that are not searched.
    """
    matches: list[Path] = []
    deadline = time.monotonic() + MAX_SECONDS
    existing = _list_subfolders(str(root), "")
    pending = deque((name, 0) for name in names if name in existing)
    searched = 0
    while pending and searched < MAX_DIRECTORIES and time.monotonic() < deadline:
        directory, level = pending.popleft()
        searched += 1
        is_kept = searched <= MAX_KEPT
        if not is_kept:
            observe(UNREPEATABLE)
        subfolders = _list_subfolders(str(root), directory, is_kept=is_kept)
        if mark in subfolders:
            matches.append(root / directory)
        if level < depth and (level == 0 or mark not in subfolders):
            visible = [name for name in subfolders if name[0] != "." and name not in skipped]
            room = max(0, MAX_DIRECTORIES - searched - len(pending))
            pending.extend((f"{directory}/{name}", level + 1) for name in visible[:room])
    if pending:
        observe(UNREPEATABLE)
    return sorted(matches)


def _list_subfolders(root: str, relative: str, *, is_kept: bool = True) -> tuple[str, ...]:
    subfolders = _subfolders(root, relative) if is_kept else SubfoldersInput(_root(root), relative)
    names: Names = observe(subfolders) if is_kept else subfolders.examine()
    return names.folders


@lru_cache(maxsize=MAX_KEPT)
def _subfolders(root: str, relative: str) -> SubfoldersInput:
    return SubfoldersInput(_root(root), relative)
