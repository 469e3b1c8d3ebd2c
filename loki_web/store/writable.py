"""The writing side of a folder: whole files, whole lines, folders that appear and vanish."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from loki_web.errors import StorageError
from loki_web.store import atomic, files, json_text
from loki_web.store.files import being_written
from loki_web.store.new_folder import NewFolder

MAX_COPY_BYTES = 64 * 1024 * 1024
_TRIES = 5  # readings of a file that somebody may be rewriting in place
_COPY_TRIES = 20  # a copy that was not got is missing, so more of them
_RETRY_SECONDS = 0.02
_CANNOT_WRITE = "The state folder cannot be written"
_CANNOT_READ = "A file that this would change cannot be read, so it was left as it is"


class WritableFolder:
    """Changes below `path`, nothing outside, each wholly done or not at all.

    All methods raise StorageError where the file system refuses; its text is for everybody.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def consistent_copy(self, relative: str) -> bytes | None:
        """The bytes of a file at one moment, as whole JSON where its name says so, or None."""
        whole: bytes | None = None
        for _ in range(_COPY_TRIES):
            try:
                data, found = files.read(self.path, relative, MAX_COPY_BYTES)
            except OSError:
                return whole
            whole = data if _is_whole(relative, data) else whole
            unchanged = found == files.version(self.path, relative)
            if unchanged and (whole is data or not being_written(found)):
                return whole
            time.sleep(_RETRY_SECONDS)
        return whole

    def write_json(self, relative: str, value: Any, *, mode: int | None = None) -> None:
        """Replace a JSON file as a whole."""
        self.write_bytes(relative, json_text.dump(value), mode=mode)

    def write_bytes(self, relative: str, data: bytes, *, mode: int | None = None) -> None:
        """Replace a file as a whole, making its folder where it is missing."""
        with atomic.reported_as(_CANNOT_WRITE):
            atomic.write_whole(self._target(relative), data, mode)

    def write_json_lines(self, relative: str, records: Iterable[Any]) -> None:
        """Replace a `.jsonl` file as a whole."""
        self.write_bytes(relative, b"".join(map(json_text.dump_line, records)))

    def append_json_line(self, relative: str, value: Any) -> None:
        """Add one record to a `.jsonl` file."""
        with atomic.reported_as(_CANNOT_WRITE):
            atomic.append_line(self._target(relative), json_text.dump_line(value))

    def rename(self, relative: str, name: str) -> None:
        """Give a file another name in its folder, one that is free."""
        with atomic.reported_as(_CANNOT_WRITE):
            path = self._place(relative)
            os.link(path, os.path.join(os.path.dirname(path), name), follow_symlinks=False)
            os.unlink(path)

    def make_private(self, relative: str) -> None:
        """Make a folder where it is missing, and let nobody but its owner into it."""
        with atomic.reported_as(_CANNOT_WRITE):
            os.chmod(self._made_folder(relative, 0o700), 0o700)

    def remove(self, relative: str) -> None:
        """Make sure that no file of this name exists; an empty directory of that name goes too."""
        with atomic.reported_as(_CANNOT_WRITE):
            path = self._place(relative)
            with suppress(FileNotFoundError, NotADirectoryError):
                if os.path.isdir(path) and not os.path.islink(path):
                    os.rmdir(path)
                else:
                    os.unlink(path)

    def remove_tree(self, relative: str) -> None:
        """Delete a real directory, at one moment for all readers, never following a link."""
        path = self._place(relative)
        if os.path.islink(path) or not os.path.isdir(path):
            return
        with atomic.reported_as(_CANNOT_WRITE):
            hidden = atomic.temporary_name(*os.path.split(path))
            os.rename(path, hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    @contextmanager
    def new_folder(self, parent: str) -> Iterator[NewFolder]:
        """A folder to be filled and then shown by its `appear_as`, in a folder of ours.

        :raises StorageError: when it cannot be made; nothing is left behind.
        """
        with atomic.reported_as(_CANNOT_WRITE):
            made = NewFolder(self._made_folder(parent))
            try:
                yield made
            finally:
                made.close()

    @contextmanager
    def locked(
        self, relative: str, *, folder_mode: int = 0o755, seconds: float = atomic.LOCK_SECONDS
    ) -> Iterator[None]:
        """Hold the lock of a file that several of our processes change.

        :param folder_mode: of its folder, where that is missing.
        :param seconds: how long to wait for the lock.
        """
        with (
            atomic.reported_as(_CANNOT_WRITE),
            atomic.locked(self._target(relative, folder_mode), seconds),
        ):
            yield

    def document_for_update(self, relative: str) -> Any:
        """The latest content of a JSON file, for a change made under its lock; None where missing.

        :raises StorageError: when there is a file that cannot be read or understood, since to
            write it would lose what it holds.
        """
        for _ in range(_TRIES):
            if not os.path.lexists(self.path / relative):
                return None
            try:
                data, _version = files.read(self.path, relative, MAX_COPY_BYTES)
                return json_text.parse(data)
            except (OSError, json_text.Damaged):
                time.sleep(_RETRY_SECONDS)
        raise StorageError(_CANNOT_READ)

    def sweep(self, *relatives: str) -> None:
        """Remove what processes of ours left half-written in these folders when they died."""
        for relative in relatives:
            real = files.resolve(self.path, relative)
            for path in atomic.abandoned_temporaries(real) if real else ():
                shutil.rmtree(path, ignore_errors=True)
                with suppress(OSError):
                    os.unlink(path)

    def _place(self, relative: str) -> str:
        """Where a name is or will be, links in the folders before it resolved."""
        folder, name = os.path.split(relative)
        real = files.resolve(self.path, folder)
        if real is None:
            raise StorageError(_CANNOT_WRITE)
        return os.path.join(real, name)

    def _target(self, relative: str, folder_mode: int = 0o755) -> str:
        folder, name = os.path.split(relative)
        return os.path.join(self._made_folder(folder, folder_mode), name)

    def _made_folder(self, relative: str, mode: int = 0o755) -> str:
        real = files.resolve(self.path, relative)
        if real is None or not self.path.parent.is_dir():
            raise StorageError(_CANNOT_WRITE)
        os.makedirs(real, mode=mode, exist_ok=True)
        return real


def _is_whole(relative: str, data: bytes) -> bool:
    if not relative.endswith(".json"):
        return True
    try:
        json_text.parse(data)
    except json_text.Damaged:
        return False
    return True
