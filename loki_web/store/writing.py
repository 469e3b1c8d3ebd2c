"""How the server writes: whole files by rename, whole lines by append, under a lock where others
of its own processes write too. `kill -9` at any moment leaves whole files."""

import fcntl
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from loki_web.errors import StorageError
from loki_web.store.journal import last_line_is_torn

_LOCK_SECONDS = 10.0
_LOCK_POLL_SECONDS = 0.005
_TEMPORARY = re.compile(r"\..+\.(\d+)\.[0-9a-f]{8}\.loki-web\.tmp")

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
    temporary = temporary_name(folder, name)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            _keep_owner_and_mode(stream.fileno(), path, mode)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def append_line(path: str, line: bytes) -> None:
    """Add one line, its end included, in one write; a torn last line is ended first.

    :raises OSError: when it cannot be written.
    """
    prefix = b"\n" if last_line_is_torn(path) else b""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, prefix + line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock of `path` (a `.lock` file beside it) against threads and processes of ours.

    :raises StorageError: when somebody holds it for longer than ten seconds.
    :raises OSError: when the lock file cannot be made.
    """
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
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


def abandoned_temporaries(folder: str) -> list[str]:
    """Our temporary files and folders directly in `folder` whose process is gone."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    matches = [match for name in names if (match := _TEMPORARY.fullmatch(name))]
    return [os.path.join(folder, match[0]) for match in matches if not _lives(int(match[1]))]


def _lives(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}") if os.path.isdir("/proc/self") else False


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _keep_owner_and_mode(descriptor: int, path: str, mode: int | None) -> None:
    try:
        before = os.stat(path)
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(descriptor, mode if mode is not None else 0o666 & ~umask)
        return
    with suppress(PermissionError):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, mode if mode is not None else before.st_mode & 0o7777)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
