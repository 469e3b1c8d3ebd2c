"""Directories anywhere on the machine: where a path leads, and which ones below it hold a mark."""

import os
import time
from collections import deque
from collections.abc import Container, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from loki_web.store.inputs import FolderInput, Root
from loki_web.store.look import UNREPEATABLE, observe
from loki_web.text import is_clean

MAX_DIRECTORIES = 20_000
MAX_SECONDS = 5.0
MAX_REMEMBERED = 4096


def resolved(path: str) -> Path | None:
    """An absolute path without links, whether there is something or not; None for others."""
    if not os.path.isabs(path) or "\0" in path or not _is_text(path):
        return None
    real: str = observe(_root(path))
    return Path(real) if _is_text(real) else None


def is_directory(path: Path) -> bool:
    observe(_root(str(path)))
    return bool(observe(_directory(str(path))))


@lru_cache(maxsize=MAX_REMEMBERED)
def _root(path: str) -> Root:
    return Root(Path(path))


@lru_cache(maxsize=MAX_REMEMBERED)
def _directory(path: str) -> FolderInput:
    return FolderInput(_root(path), "")


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def holding(
    mark: str, places: Iterable[Path], *, depth: int, skipped: Container[str]
) -> list[Path]:
    """The places and the directories below them that have a directory `mark`, in path order.

    The nearest are looked at first. Links, hidden directories, names with control characters and
    what lies below a find are left out; so is what is not reached within MAX_DIRECTORIES
    directories or MAX_SECONDS seconds.

    :param depth: how far below its place a directory may lie; 1 for those directly in it.
    :param skipped: names of directories that are not looked into.
    """
    observe(UNREPEATABLE)
    found: list[Path] = []
    deadline = time.monotonic() + MAX_SECONDS
    waiting = deque((place, 0) for place in places if not os.path.islink(place))
    left = MAX_DIRECTORIES
    while waiting and left and time.monotonic() < deadline:
        directory, level = waiting.popleft()
        left -= 1
        names = list(islice(_directory_names(directory, deadline), MAX_DIRECTORIES))
        if mark in names:
            found.append(directory)
        if level < depth and (level == 0 or mark not in names):
            wanted = (name for name in names if not name.startswith(".") and name not in skipped)
            room = max(0, left - len(waiting))
            waiting.extend((directory / name, level + 1) for name in sorted(wanted)[:room])
    return sorted(found)


def _directory_names(directory: Path, deadline: float) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if time.monotonic() > deadline:
                    return
                if entry.is_dir(follow_symlinks=False) and is_clean(entry.name):
                    yield entry.name
    except OSError:
        return
