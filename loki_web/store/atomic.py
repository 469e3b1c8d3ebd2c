"""How the server writes: whole files by rename, whole lines by append, under a lock where others
of its own processes write too. `kill -9` at any moment leaves whole files."""

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

LOCK_SECONDS = 10.0
_LOCK_POLL_SECONDS = 0.005
_NEW_SECONDS = 5.0  # how long the pid in its name alone can vouch for a temporary
_TEMPORARY = re.compile(r"\..+\.(\d+)\.[0-9a-f]{8}\.loki-web\.tmp")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

log = logging.getLogger(__name__)


@contextmanager
def reported_as(detail: str) -> Iterator[None]:
    """Turn what the operating system says into a public sentence; the log keeps the cause.

    :raises StorageError: with `detail`, for every OSError inside.
    """
    try:
        yield
    except OSError as error:
        log.error("%s: %s", detail, error)
        raise StorageError(detail) from None


def write_whole(path: str, data: bytes, mode: int | None = None) -> None:
    """Replace or create a file so that readers see the old content or the new, never a part.

    :param mode: permission bits; those of the file that is replaced when left out.
    :raises OSError: and then the old file is as it was.
    """
    folder, name = os.path.split(path)
    before = _regular_file(path)
    temporary = temporary_name(folder, name)
    # Only the kernel can apply the umask without changing it for the other threads.
    descriptor = os.open(temporary, _CREATE, 0o600 if before or mode is not None else 0o666)
    try:
        with open(descriptor, "wb") as stream:
            hold(descriptor)
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


def write_new(path: str, data: bytes) -> None:
    """Write a file that nobody can see yet, so in place.

    :raises OSError: when it exists or cannot be written.
    """
    with open(os.open(path, _CREATE, 0o666), "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def append_line(path: str, line: bytes) -> None:
    """Add one line, its end included, in one write; a torn last line is ended first.

    :raises OSError: when it cannot be written, and then nothing was added.
    """
    descriptor = os.open(path, _APPEND, 0o644)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        torn = found.st_size > 0 and os.pread(descriptor, 1, found.st_size - 1) != b"\n"
        _append(descriptor, b"\n" + line if torn else line, found.st_size)
    finally:
        os.close(descriptor)
    if not found.st_size:
        sync_folder(os.path.dirname(path))


@contextmanager
def locked(path: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of `path` (a `.lock` file beside it) against threads and processes of ours.

    The CLI's memory engine and state manager lock the same companion; readers of a folder pass
    over names that end so.

    :raises StorageError: when somebody holds it for longer than `seconds`.
    :raises OSError: when the lock file cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(f"{path}.lock", flags, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while not _acquired(descriptor):
            if time.monotonic() > deadline:
                raise StorageError("The file is being changed by somebody else; try again")
            time.sleep(_LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def temporary_name(folder: str, name: str) -> str:
    """A name beside `name` that no reader lists and that tells whose it is."""
    return os.path.join(folder, f".{name}.{os.getpid()}.{secrets.token_hex(4)}.loki-web.tmp")


def hold(descriptor: int) -> None:
    """Show others that a temporary is being worked on, until its descriptor is closed."""
    with suppress(OSError):  # a file system without locks: the pid has to vouch for it
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def abandoned_temporaries(folder: str) -> list[str]:
    """Our temporary files and folders directly in `folder` that nobody works on any more."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    matches = [match for name in names if (match := _TEMPORARY.fullmatch(name))]
    return [
        path for match in matches if _is_abandoned(path := f"{folder}/{match[0]}", int(match[1]))
    ]


def sync_folder(folder: str) -> None:
    """Make the names in a folder outlast a power cut, where its file system can do that."""
    with suppress(OSError):  # the change is made and seen by everybody all the same
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_abandoned(path: str, pid: int) -> bool:
    """Its lock is free. For a moment after it was made its maker may not have locked it yet; for
    longer the pid says nothing, since in containers the same ones come back after every start."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        new = abs(time.time() - os.fstat(descriptor).st_ctime) < _NEW_SECONDS
        return not (new and _runs(pid)) and _acquired(descriptor)
    finally:
        os.close(descriptor)


def _runs(pid: int) -> bool:
    """A killed process that nobody has waited for yet makes nothing any more."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _append(descriptor: int, data: bytes, size: int) -> None:
    """One write at the end; what a full disk took only in part is taken back."""
    written = 0
    try:
        written = os.write(descriptor, data)
        if written < len(data):
            raise OSError(errno.ENOSPC, "only a part of the line could be written")
        os.fsync(descriptor)
    except OSError:
        if written and os.fstat(descriptor).st_size == size + written:
            os.ftruncate(descriptor, size)
        raise


def _regular_file(path: str) -> os.stat_result | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _take_owner_and_mode(descriptor: int, before: os.stat_result | None, mode: int | None) -> None:
    if before is not None:
        with suppress(PermissionError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        mode = stat.S_IMODE(before.st_mode) if mode is None else mode
    if mode is not None:
        os.fchmod(descriptor, mode)
