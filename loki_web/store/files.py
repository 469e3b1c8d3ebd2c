"""The one safe way to open a file that somebody else may have put there.

Only regular files (a FIFO would hang the reader, a directory fail), only below the root after all
links are resolved, never more bytes than the caller asked for.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY
# Where there is O_PATH, it also enters folders that may not be listed.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one content of a file from the next."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Version":
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)

    @property
    def mtime(self) -> float:
        """Seconds since the epoch."""
        return self.mtime_ns / 1e9


def resolve(root: Path, relative: str) -> str | None:
    """The real path of `relative` below `root`, or None where a link leads out of it."""
    base = os.path.realpath(root)
    try:
        real = os.path.realpath(os.path.join(base, relative))
    except ValueError:  # an embedded NUL
        return None
    if real != base and not real.startswith(base.rstrip(os.sep) + os.sep):
        return None
    return real


@contextmanager
def opened(root: Path, relative: str) -> Iterator[tuple[BinaryIO, Version]]:
    """The file, open for reading, with the version that its descriptor has.

    :raises OSError: when it is missing, unreadable, not a regular file or outside `root`.
    """
    real = resolve(root, relative)
    if real is None:
        raise OSError(errno.EPERM, "outside the folder")
    with open(_descriptor(os.path.realpath(root), real), "rb", buffering=0) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        yield stream, Version.of(status)


def _descriptor(base: str, real: str) -> int:
    """Of the file at `real`, where all links are resolved: a folder on the way that has become one
    since then is not followed."""
    *folders, name = real[len(base) :].strip(os.sep).split(os.sep)
    inside = os.open(base, _ENTER)
    try:
        for folder in folders:
            entered = os.open(folder, _ENTER | os.O_NOFOLLOW, dir_fd=inside)
            os.close(inside)
            inside = entered
        return os.open(name, _FLAGS, dir_fd=inside)
    finally:
        os.close(inside)


def version(root: Path, relative: str) -> Version | None:
    """The version of a regular file below `root`; None for anything else."""
    real = resolve(root, relative)
    if real is None:
        return None
    try:
        status = os.lstat(real)
    except OSError:
        return None
    return Version.of(status) if stat.S_ISREG(status.st_mode) else None


def read(root: Path, relative: str, limit: int) -> tuple[bytes, Version]:
    """All bytes of a file of at most `limit` bytes.

    :raises OSError: as `opened`, and when the file is larger.
    """
    with opened(root, relative) as (stream, found):
        data = read_up_to(stream, limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, "larger than what is read")
    return data, found


def read_up_to(stream: BinaryIO, count: int) -> bytes:
    """`count` bytes from where the stream stands, or fewer at its end."""
    blocks = []
    while count > 0 and (block := stream.read(min(count, 1 << 20))):
        blocks.append(block)
        count -= len(block)
    return b"".join(blocks)


def entries(root: Path, relative: str) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; empty where there is none or it lies outside `root`.

    Hidden files, temporary files and lock files are somebody's work in progress and left out, as
    are names that are not UTF-8.
    """
    real = resolve(root, relative)
    if real is None:
        return []
    try:
        with os.scandir(real) as found:
            listed = [entry for entry in found if _counts(entry.name)]
    except OSError:
        return []
    return sorted(listed, key=lambda entry: entry.name)


def versions_below(root: Path, relative: str, name: str) -> dict[str, Version]:
    """The version of the regular file `name` in each real directory of a folder that has one.

    No link is followed below the folder, so all of them cost what one path costs to resolve.
    """
    found: dict[str, Version] = {}
    for entry in entries(root, relative):
        if entry.is_dir(follow_symlinks=False):
            with suppress(OSError):
                status = os.lstat(os.path.join(entry.path, name))
                if stat.S_ISREG(status.st_mode):
                    found[entry.name] = Version.of(status)
    return found


def _counts(name: str) -> bool:
    if name.startswith(".") or name.endswith((".tmp", ".lock")) or ".tmp." in name:
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
