"""Write whole files by rename and whole lines by append, under a lock between processes.

Files stay whole even if the writer is killed with `kill -9`.
"""

import errno
import fcntl
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from loki_web.errors import StorageError
from loki_web.store.files import give_to_owner, lstat

LOCK_SECONDS = 5.0
_LONG_WAIT_SECONDS = 1.0
_LOCK_POLL_SECONDS = 0.005
_NEW_SECONDS = 5.0  # a temporary this young belongs to the pid in its name, locked or not
_TEMPORARY = re.compile(r"\..+\.(\d+)\.[0-9a-f]{8}\.loki-web\.tmp")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

log = logging.getLogger(__name__)

_stuck: set[tuple[int, int]] = set()  # device and inode of lock files whose lock timed out


@contextmanager
def report_errors_as(detail: str) -> Iterator[None]:
    """Convert each OSError inside the block to a StorageError, and log the cause.

    :param detail: the public text of the error.
    :raises StorageError: with `detail`, for each OSError raised inside.
    """
    try:
        yield
    except OSError as error:
        log.error("%s: %s", detail, error)
        raise StorageError(detail) from None


def write_whole(path: str, data: bytes, mode: int | None = None) -> None:
    """Replace or create a file so that readers see the old or the new content, never a part.

    :param mode: permission bits; by default those of the file that is replaced.
    :raises OSError: if the file cannot be written; the old file is unchanged then.
    """
    folder, name = os.path.split(path)
    before = _regular_file(path)
    temporary = temporary_name(folder, name)
    # Only the kernel can apply the umask without changing it for the other threads.
    descriptor = os.open(temporary, _CREATE, 0o600 if before or mode is not None else 0o666)
    try:
        with open(descriptor, "wb") as stream:
            lock_temporary(descriptor)
            give_to_owner(folder, descriptor)
            _take_owner_and_mode(descriptor, before, mode)
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
            os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(folder)


def create_empty(path: str) -> None:
    """Create an empty file.

    :raises OSError: if the name exists or cannot be created.
    """
    folder = os.path.dirname(path)
    descriptor = os.open(path, _CREATE, 0o666)
    try:
        give_to_owner(folder, descriptor)
    finally:
        os.close(descriptor)
    sync_folder(folder)


def write_new(path: str, data: bytes) -> None:
    """Create a file in place. Use it only in folders that readers cannot see yet.

    :raises OSError: if the file exists or cannot be written.
    """
    with open(os.open(path, _CREATE, 0o666), "wb") as stream:
        give_to_owner(os.path.dirname(path), stream.fileno())
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def append_line(path: str, line: bytes) -> None:
    """Append a line in one write. If the last line of the file has no line end, add that first.

    :param line: the bytes of the line with its line end.
    :raises OSError: if the line cannot be written; nothing is appended then.
    """
    descriptor = os.open(path, _APPEND, 0o644)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        is_torn = status.st_size > 0 and os.pread(descriptor, 1, status.st_size - 1) != b"\n"
        if not status.st_size:
            give_to_owner(os.path.dirname(path), descriptor)
        _append(descriptor, b"\n" + line if is_torn else line, status.st_size)
    finally:
        os.close(descriptor)
    if not status.st_size:
        sync_folder(os.path.dirname(path))


def can_append(path: str) -> bool:
    """Return whether permissions, the kind of file and the disk allow to append to a file.

    A missing file needs the nearest existing folder above it.
    """
    try:
        status = os.lstat(path)
        is_right = stat.S_ISREG(status.st_mode) and os.access(path, os.W_OK)
    except FileNotFoundError:
        folder = os.path.dirname(path)
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        is_right, path = os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK), folder
    except OSError:
        return False
    disk = os.statvfs(path)
    has_space = disk.f_bavail > 0 or not disk.f_blocks  # some file systems tell no size
    return is_right and has_space and not disk.f_flag & os.ST_RDONLY


@contextmanager
def locked(path: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Lock the file `<path>.lock` against other threads and processes while the block runs.

    The CLI's memory engine and state manager lock the same file. Folder listings skip names that
    end with `.lock`.

    :param seconds: how long to wait for the lock. If a long wait times out, later calls do not wait
        until the lock was acquired once: waiting calls would occupy all threads.
    :raises StorageError: if the lock is not free within `seconds`.
    :raises OSError: if the lock file cannot be created.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(f"{path}.lock", flags, 0o600)
    try:
        give_to_owner(os.path.dirname(path), descriptor)
        status = os.fstat(descriptor)
        file = status.st_dev, status.st_ino
        deadline = time.monotonic() + seconds
        while not _try_lock(descriptor):
            if file in _stuck or time.monotonic() > deadline:
                if seconds >= _LONG_WAIT_SECONDS:
                    _stuck.add(file)
                raise StorageError("Another process is changing this file. Try again.")
            time.sleep(_LOCK_POLL_SECONDS)
        _stuck.discard(file)
        yield
    finally:
        os.close(descriptor)


def make_folders(path: str) -> None:
    """Create a folder and the missing ones above it, each owned as the folder that it is made in.

    :raises OSError: if it cannot be created.
    """
    parent = os.path.dirname(path)
    if not os.path.lexists(parent):
        make_folders(parent)
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return
    give_to_owner(parent, path)


def temporary_name(folder: str, name: str) -> str:
    """Return the path of a temporary file for `name`: hidden, and with our pid in its name."""
    return os.path.join(folder, f".{name}.{os.getpid()}.{secrets.token_hex(4)}.loki-web.tmp")


def is_temporary(name: str, *, of: str) -> bool:
    """Return whether a name is that of a temporary for the name `of`."""
    return name.startswith(f".{of}.") and _TEMPORARY.fullmatch(name) is not None


def lock_temporary(descriptor: int) -> None:
    """Lock a temporary, so that others do not remove it before its descriptor is closed."""
    with suppress(OSError):  # no locks on this file system: only the pid protects a temporary
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def abandoned_temporaries(folder: str) -> list[str]:
    """List our temporary files and folders directly in `folder` whose writers are gone."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    matches = [match for name in names if (match := _TEMPORARY.fullmatch(name))]
    return [
        path for match in matches if _is_abandoned(path := f"{folder}/{match[0]}", int(match[1]))
    ]


def sync_folder(folder: str) -> None:
    """Flush the entries of a folder to disk, if its file system supports that."""
    with suppress(OSError):  # readers see the change anyway, it only may not survive a power cut
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_abandoned(path: str, pid: int) -> bool:
    """Return whether the writer of a temporary is gone: its lock is free.

    A running writer may not have locked a temporary yet that is younger than _NEW_SECONDS. Later
    its pid proves nothing, because containers use the same pids after each start.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        is_new = abs(time.time() - os.fstat(descriptor).st_ctime) < _NEW_SECONDS
        return not (is_new and _runs(pid)) and _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _runs(pid: int) -> bool:
    """Return whether a process runs. A zombie writes nothing any more, so it does not count."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _append(descriptor: int, data: bytes, size: int) -> None:
    """Append data in one write, and truncate the file again if only a part fits on the disk.

    :param size: the size of the file before.
    """
    count = 0
    try:
        count = os.write(descriptor, data)
        if count < len(data):
            raise OSError(errno.ENOSPC, "only a part of the line could be written")
        os.fsync(descriptor)
    except OSError:
        if count and os.fstat(descriptor).st_size == size + count:
            os.ftruncate(descriptor, size)
        raise


def _regular_file(path: str) -> os.stat_result | None:
    status = lstat(path)
    return status if status and stat.S_ISREG(status.st_mode) else None


def _take_owner_and_mode(descriptor: int, before: os.stat_result | None, mode: int | None) -> None:
    if before is not None:
        with suppress(PermissionError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        mode = stat.S_IMODE(before.st_mode) if mode is None else mode
    if mode is not None:
        os.fchmod(descriptor, mode)
