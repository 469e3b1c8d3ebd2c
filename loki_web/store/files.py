"""Open files safely that other programs may have written or replaced.

Only regular files are opened (reading a FIFO would block), only below the root after all links are
resolved, and never more bytes are read than the caller allows.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

import psutil
from cachetools import LRUCache, cached

WRITE_GRACE_SECONDS = 2.0
_CLOCK_GRAIN_NS = 50_000_000
_SILENT_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse", "virtiofs", "vboxsf", "afs", "ceph")
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY
# With O_PATH, folders without read permission can be entered too.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_HAS_PROC = os.path.isdir("/proc/self/fd")
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Those of a version, in its order.
_get_fields = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")


class Version(NamedTuple):
    """The attributes of a file that change with its content."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def from_status(cls, status: os.stat_result) -> "Version":
        """Return the version in the result of `stat`."""
        return tuple.__new__(cls, _get_fields(status))

    @property
    def stamp(self) -> int:
        """The version as one number of 64 bits."""
        return hash(self)

    @property
    def mtime(self) -> float:
        """Seconds since the epoch."""
        return self.mtime_ns / 1e9


def get_stamp(status: os.stat_result) -> int:
    """Return the stamp of the version in the result of `stat`, without making the version."""
    return hash(_get_fields(status))


def is_settled(version: Version, read_at_ns: int) -> bool:
    """Return False if a write after the read could leave the version unchanged.

    File times have a granularity: a file that was read within it of its last change may change
    again without a new version. `ctime` decides, because programs cannot set it.

    :param read_at_ns: the wall clock before the read, in nanoseconds since the epoch.
    """
    return is_settled_at(version.ctime_ns, read_at_ns)


def is_settled_at(changed_ns: int, read_at_ns: int) -> bool:
    """Return the same as `is_settled`, for the `ctime` of a file in nanoseconds."""
    return abs(read_at_ns - changed_ns) > _CLOCK_GRAIN_NS


def lstat(path: Path | str) -> os.stat_result | None:
    """Return the status of a path, of a link itself; None if there is none, as for no path."""
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        return None


def is_special(path: Path | str) -> bool:
    """Return whether a path exists and is not a regular file; reading it could block."""
    status = lstat(path)
    return status is not None and not stat.S_ISREG(status.st_mode)


def is_transient(error: OSError) -> bool:
    """Return whether a file could not be opened for lack of descriptors or memory."""
    return error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def is_passing(error: OSError) -> bool:
    """Return whether the next try may succeed, although the version is the same.

    There was a lack of descriptors or memory, or a folder on the path was replaced meanwhile.
    """
    return error.errno not in (errno.EACCES, errno.EFBIG)


def is_being_written(version: Version) -> bool:
    """Return True if a damaged file was changed so recently that its writer may not be done."""
    return abs(time.time() - version.mtime) < WRITE_GRACE_SECONDS


def locate(root: Path, relative: str) -> tuple[str, str] | None:
    """Return the real paths of a root and of `relative` below it.

    :return: None if one of them cannot be resolved, or a link leads out of the root.
    """
    base = real_path(root)
    real = None if base is None else resolve_below(base, relative)
    return None if base is None or real is None else (base, real)


def resolve(root: Path, relative: str) -> str | None:
    """Return the real path of `relative` below `root`; None as `locate`."""
    located = locate(root, relative)
    return located[1] if located else None


def resolve_below(base: str, relative: str) -> str | None:
    """Return the same as `resolve`, for a root whose path is real."""
    if _has_no_link(base, relative):
        return f"{base.rstrip(os.sep)}/{relative}" if relative else base
    real = real_path(os.path.join(base, relative))
    return real if real is not None and is_below(base, real) else None


def _has_no_link(base: str, relative: str) -> bool:
    """Return whether a path below a real one is certainly real; this is faster than `realpath`."""
    path = base.rstrip(os.sep)
    for name in relative.split(os.sep) if relative else ():
        if name in ("", ".", ".."):
            return False
        path = f"{path}/{name}"
        try:
            if stat.S_ISLNK(os.lstat(path).st_mode):
                return False
        except FileNotFoundError:
            return True
        except (OSError, ValueError):
            return False
    return True


def real_path(path: Path | str) -> str | None:
    """Return a path with its links resolved, even if it does not exist.

    :return: None if it cannot be resolved: a link may not be read (`/proc/1/root`), there are more
        links than the kernel follows, or the path contains a NUL.
    """
    text = os.fspath(path)
    if text[:1] == os.sep and _has_no_link(os.sep, text[1:]):
        return text
    try:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            os.stat(path)  # realpath would follow hundreds of links
        return os.path.realpath(path)
    except (OSError, ValueError, RecursionError):
        return None


def is_below(base: str, real: str) -> bool:
    """Return whether a real path is `base` or lies below it."""
    return real == base or real.startswith(base.rstrip(os.sep) + os.sep)


def leads_out(path: Path) -> bool:
    """Return whether a folder is a link to one that is not below its parent."""
    real, parent = real_path(path), real_path(path.parent)
    return os.path.islink(path) and not (real and parent and is_below(parent, real))


@contextmanager
def opened(root: Path, relative: str) -> Iterator[tuple[BinaryIO, Version]]:
    """Open a file for reading, and give the stream and the version of the open file.

    :raises OSError: if it is missing, unreadable, not a regular file or outside `root`.
    """
    base = real_path(root)
    if base is None:
        raise OSError(errno.EPERM, "outside the folder")
    with opened_below(base, relative) as (stream, current):
        yield stream, current


@contextmanager
def opened_below(base: str, relative: str) -> Iterator[tuple[BinaryIO, Version]]:
    """Do the same as `opened`, for a root whose path is real."""
    real = resolve_below(base, relative)
    if real is None:
        raise OSError(errno.EPERM, "outside the folder")
    with open(_descriptor(base, real), "rb", buffering=0) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        yield stream, Version.from_status(status)


def _descriptor(base: str, real: str) -> int:
    """Open the file at a real path. A folder that was replaced by a link since is not followed."""
    folder, name = os.path.split(real)
    inside = _folder_descriptor(base, folder)
    try:
        return os.open(name, _FLAGS, dir_fd=inside)
    finally:
        os.close(inside)


@contextmanager
def entered(base: str, real: str, create: int | None = None) -> Iterator[str]:
    """Open a folder, and yield a path that leads to it even if its name is replaced meanwhile.

    :param base: the real path of the root.
    :param real: the real path of the folder. A link that has replaced a part of it is not followed.
    :param create: the mode with which it is created if it is missing; None not to create it.
    :raises OSError: if it cannot be entered, and as the block does, with the real path.
    """
    inside = _folder_descriptor(base, real, create)
    path = f"/proc/self/fd/{inside}" if _HAS_PROC else real
    try:
        yield path
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = error.filename.replace(path, real, 1)
        raise
    finally:
        os.close(inside)


def _folder_descriptor(base: str, real: str, create: int | None = None, how: int = _ENTER) -> int:
    """Open a folder. A link that has replaced a part of its real path is not followed.

    :param create: the mode with which it is created if it is missing; None not to create it.
    :param how: the flags with which it is opened; the folders above it need not be readable.
    """
    names = [name for name in real[len(base) :].split(os.sep) if name]
    if create is not None:
        _make_folder(base, 0o777 if names else create)
    inside = os.open(base, (_ENTER if names else how) | os.O_NOFOLLOW)
    for position, name in enumerate(names, start=1):
        is_last = position == len(names)
        try:
            if create is not None:
                _make_folder(name, create if is_last else 0o777, inside)
            entered = os.open(name, (how if is_last else _ENTER) | os.O_NOFOLLOW, dir_fd=inside)
        finally:
            os.close(inside)
        inside = entered
    return inside


def _make_folder(path: str, mode: int, inside: int | None = None) -> None:
    """Create a folder if it is missing.

    :param inside: the open folder that `path` is relative to.
    """
    with suppress(FileExistsError):
        os.mkdir(path, mode, dir_fd=inside)
        give_to_owner(os.path.dirname(path) if inside is None else inside, path, inside=inside)


def give_to_owner(folder: str | int, new: str | int, *, inside: int | None = None) -> None:
    """Give what root has made in a folder to the owner and group of that folder.

    The CLI of that user could not remove, change or lock it otherwise.

    :param new: an open file, or the path of a folder.
    :param inside: the open folder that `new` is relative to.
    """
    if os.geteuid():
        return
    is_open = isinstance(new, int)  # a link that has replaced a folder is not followed
    with suppress(OSError):  # not on each file system
        owner = os.stat(folder)
        uid, gid = owner.st_uid, owner.st_gid
        status = os.stat(new, dir_fd=inside, follow_symlinks=is_open)
        if (status.st_uid, status.st_gid) != (uid, gid):
            os.chown(new, uid, gid, dir_fd=inside, follow_symlinks=is_open)


class OpenFolders:
    """Open folders below one root, to read many files in them. Each folder is opened once.

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

    def status(self, folder: str, name: str) -> os.stat_result | None:
        """Return the status of a name in a folder, faster than by its path; None on any error.

        :param folder: a real path below the root.
        """
        try:
            inside = self._descriptors.get(folder) or self._enter(folder)
            return os.stat(name, dir_fd=inside, follow_symlinks=False)
        except OSError:
            return None

    def _enter(self, folder: str) -> int:
        inside = self._descriptors.get(folder)
        if inside is None:
            inside = self._descriptors[folder] = _folder_descriptor(self._base, folder)
        return inside

    def read(self, folder: str, name: str, limit: int) -> tuple[bytes, Version]:
        """Return all bytes of a file of at most `limit` bytes.

        :param folder: a real path below the root.
        :raises OSError: as `files.read` does.
        """
        descriptor = os.open(name, _FLAGS, dir_fd=self._enter(folder))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            if status.st_size > limit:
                raise OSError(errno.EFBIG, "larger than what is read")
            data = os.read(descriptor, status.st_size + 1)
            if len(data) > status.st_size:  # the file has grown
                while len(data) <= limit and (more := os.read(descriptor, limit + 1 - len(data))):
                    data += more
        finally:
            os.close(descriptor)
        if len(data) > limit:
            raise OSError(errno.EFBIG, "larger than what is read")
        return data, Version.from_status(status)


def version(root: Path, relative: str) -> Version | None:
    """Return the version of a regular file below `root`; None for anything else."""
    real = resolve(root, relative)
    status = lstat(real) if real else None
    return Version.from_status(status) if status and stat.S_ISREG(status.st_mode) else None


def read(root: Path, relative: str, limit: int) -> tuple[bytes, Version]:
    """Return all bytes of a file of at most `limit` bytes, and its version.

    :raises OSError: as `opened` does, and if the file is larger.
    """
    with opened(root, relative) as (stream, current):
        data = read_up_to(stream, limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, "larger than what is read")
    return data, current


def read_up_to(stream: BinaryIO, count: int) -> bytes:
    """Read `count` bytes from the position of the stream, or fewer at its end."""
    blocks = []
    while count > 0 and (block := stream.read(min(count, 1 << 20))):
        blocks.append(block)
        count -= len(block)
    return b"".join(blocks)


def read_at(stream: BinaryIO, offset: int, count: int) -> bytes:
    """Read `count` bytes from an offset, or fewer at the end of the file."""
    stream.seek(offset)
    return read_up_to(stream, count)


def is_listed(name: str) -> bool:
    """Return False for hidden, temporary and lock files, and for names that are not UTF-8."""
    if name.startswith(".") or name.endswith((".tmp", ".lock")) or ".tmp." in name:
        return False
    try:
        return name.isascii() or bool(name.encode())
    except UnicodeEncodeError:
        return False


@contextmanager
def entries_of(
    base: str, real: str, is_wanted: Callable[[str], bool] = is_listed
) -> Iterator[list[os.DirEntry[str]]]:
    """List the entries of a folder by name. Use them inside the block.

    :param base: the real path of the root.
    :param real: the real path of the folder. A link that has replaced it is not followed.
    :param is_wanted: whether a name is listed.
    :raises OSError: if the folder cannot be listed.
    """
    inside = _folder_descriptor(base, real, how=_LIST)
    try:
        with os.scandir(inside) as scanned:
            entries = [entry for entry in scanned if is_wanted(entry.name)]
        yield sorted(entries, key=lambda entry: entry.name)
    finally:
        os.close(inside)


def reports_changes(path: Path | str) -> bool:
    """Return whether the file system sends events for all changes of a folder.

    Network and shared file systems send none for the writes of other machines: poll these.
    """
    try:
        return reports_changes_on(os.stat(path).st_dev, path)
    except (OSError, ValueError):
        return False


@cached(LRUCache(64), key=lambda device, path: device)
def reports_changes_on(device: int, path: Path | str) -> bool:
    """Return the same for the device that an existing path is on."""
    mounts = [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]
    real = real_path(path) or str(path)
    return not file_system_at(real, mounts).startswith(_SILENT_FILE_SYSTEMS)


def file_system_at(real: str, mounts: Iterable[tuple[str, str]]) -> str:
    """Return the type of the file system that a real path is on; "" if unknown.

    :param mounts: folder and type, in the order in which they were mounted: of several on one
        folder, the last hides the others.
    """
    nearest, kind = "", ""
    for folder, mounted in mounts:
        if is_below(folder, real) and len(folder) >= len(nearest):
            nearest, kind = folder, mounted
    return kind
