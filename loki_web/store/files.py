"""The one safe way to open a file that somebody else may have put there.

Only regular files (a FIFO would hang the reader, a directory fail), only below the root after all
links are resolved, never more bytes than the caller asked for.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

WRITE_GRACE_SECONDS = 2.0
_CLOCK_GRAIN_NS = 50_000_000
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY
# Where there is O_PATH, it also enters folders that may not be listed.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class Version(NamedTuple):
    """What tells one content of a file from the next."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Version":
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )

    @property
    def mtime(self) -> float:
        """Seconds since the epoch."""
        return self.mtime_ns / 1e9


def settled(version: Version, read_at_ns: int) -> bool:
    """Return False where a later write could leave the version as it is.

    The clock that stamps files has a grain: a file that was read within it may change without its
    version changing. Only `ctime` tells, which nobody can set.
    """
    return abs(read_at_ns - version.ctime_ns) > _CLOCK_GRAIN_NS


def is_transient(error: OSError) -> bool:
    """Return whether a file may well be there, and cannot be opened for want of resources."""
    return error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def being_written(version: Version) -> bool:
    """Return True while a damaged file may be one that somebody is just rewriting in place."""
    return abs(time.time() - version.mtime) < WRITE_GRACE_SECONDS


def resolve(root: Path, relative: str) -> str | None:
    """The real path of `relative` below `root`, or None where a link leads out of it."""
    return resolve_below(os.path.realpath(root), relative)


def resolve_below(base: str, relative: str) -> str | None:
    """The same below a folder whose own path is real."""
    try:
        real = os.path.realpath(os.path.join(base, relative))
    except ValueError:  # an embedded NUL
        return None
    return real if is_below(base, real) else None


def is_below(base: str, real: str) -> bool:
    """Return whether a real path is that of a folder or of something in it."""
    return real == base or real.startswith(base.rstrip(os.sep) + os.sep)


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
    folder, name = os.path.split(real)
    inside = _folder_descriptor(base, folder)
    try:
        return os.open(name, _FLAGS, dir_fd=inside)
    finally:
        os.close(inside)


def _folder_descriptor(base: str, real: str) -> int:
    inside = os.open(base, _ENTER)
    for name in filter(None, real[len(base) :].split(os.sep)):
        try:
            entered = os.open(name, _ENTER | os.O_NOFOLLOW, dir_fd=inside)
        finally:
            os.close(inside)
        inside = entered
    return inside


class OpenFolders:
    """Reads many files of a few folders below one root, each folder opened once.

    :param base: the real path of the root.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._descriptors: dict[str, int] = {}

    def __enter__(self) -> "OpenFolders":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def read(self, folder: str, name: str, limit: int) -> tuple[bytes, Version]:
        """Return all bytes of a file of at most `limit` bytes.

        :param folder: a real path below the root.
        :raises OSError: as `files.read`.
        """
        inside = self._descriptors.get(folder)
        if inside is None:
            inside = self._descriptors[folder] = _folder_descriptor(self._base, folder)
        descriptor = os.open(name, _FLAGS, dir_fd=inside)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            if status.st_size > limit:
                raise OSError(errno.EFBIG, "larger than what is read")
            data = os.read(descriptor, limit + 1)
            while len(data) <= limit and (more := os.read(descriptor, limit + 1 - len(data))):
                data += more
        finally:
            os.close(descriptor)
        if len(data) > limit:
            raise OSError(errno.EFBIG, "larger than what is read")
        return data, Version.of(status)


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
    return [] if real is None else entries_of(real)


def entries_of(real: str) -> list[os.DirEntry[str]]:
    """The same for a folder whose path is real."""
    try:
        with os.scandir(real) as found:
            listed = [entry for entry in found if counts(entry.name)]
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


def counts(name: str) -> bool:
    if name.startswith(".") or name.endswith((".tmp", ".lock")) or ".tmp." in name:
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
