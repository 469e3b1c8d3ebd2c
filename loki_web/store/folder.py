"""One tree of files that the CLI and we both write: `.loki/` of a project, or `~/.loki/`."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from loki_web.errors import StorageError
from loki_web.store import files, following, json_text, raw_lines, tail, writing
from loki_web.store.collection import Collection
from loki_web.store.documents import Documents, being_written
from loki_web.store.journal import Journal
from loki_web.store.json_stream import JsonStream
from loki_web.store.new_folder import NewFolder

MAX_TEXT_BYTES = 1024 * 1024
MAX_COPY_BYTES = 64 * 1024 * 1024
Made = TypeVar("Made")
_TRIES = 5  # readings of a file that somebody may be rewriting in place
_COPY_TRIES = 20  # a copy that was not got is missing, so more of them
_RETRY_SECONDS = 0.02
_CANNOT_WRITE = "The state folder cannot be written"
_CANNOT_READ = "A file that this would change cannot be read, so it was left as it is"


class Folder:
    """The only way to a session's files. Every path is relative to `path`, nothing outside is read.

    Reading never raises: what is missing or damaged is None or empty. Writing raises StorageError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._documents = Documents(path)
        self._collections: dict[tuple[str, bool, Any], Collection] = {}
        self._journals: dict[str, Journal] = {}
        self._streams: dict[str, JsonStream] = {}
        self._lock = threading.Lock()

    def document(self, relative: str) -> Any:
        """The content of a JSON file, shared and not to be changed; None where there is none."""
        return self._documents.read(relative)

    def strict_document(self, relative: str) -> Any:
        """As `document`, except that nothing older stands in for a file that is damaged now."""
        return self._documents.read(relative, strict=True)

    def derived(self, relative: str, make: Callable[[Any], Made]) -> Made:
        """What `make` gives for a document, made once for each content; not to be changed."""
        return self._documents.derived(relative, make)

    def documents_below(self, relative: str, name: str) -> dict[str, tuple[files.Version, Any]]:
        """Version and content of a JSON file in each real directory of a folder that has it."""
        return {
            folder: (found, self._documents.read(f"{relative}/{folder}/{name}", version=found))
            for folder, found in files.versions_below(self.path, relative, name).items()
        }

    def collection(
        self,
        relative: str,
        *,
        nested: bool = False,
        digest: Callable[[Any], Any] | None = None,
    ) -> Collection:
        """The JSON files of a folder, see `Collection`."""
        with self._lock:
            key = (relative, nested, digest)
            if key not in self._collections:
                self._collections[key] = Collection(self.path, relative, nested, digest)
            return self._collections[key]

    def journal(self, relative: str) -> Journal:
        """A `.jsonl` file, see `Journal`."""
        with self._lock:
            return self._journals.setdefault(relative, Journal(self.path, relative))

    def stream(self, relative: str) -> JsonStream:
        """A file of JSON objects that may be printed over several lines, see `JsonStream`."""
        with self._lock:
            return self._streams.setdefault(relative, JsonStream(self.path, relative))

    def text(self, relative: str, limit: int = MAX_TEXT_BYTES) -> str | None:
        """A text file as UTF-8 with replacement, cut at `limit` bytes; None where there is none."""
        data = self._bytes(relative, limit)
        return None if data is None else data.decode("utf-8-sig", errors="replace")

    def lines(self, relative: str) -> Iterator[bytes]:
        """The lines of a file of any size, oldest first, see `store.raw_lines`."""
        return raw_lines.forwards(self.path, relative)

    def lines_backwards(self, relative: str, *, holding: tuple[bytes, ...] = ()) -> Iterator[bytes]:
        """The lines of a file of any size, newest first, see `store.raw_lines`."""
        return raw_lines.backwards(self.path, relative, holding)

    def tail(self, relative: str, lines: int) -> list[str]:
        """The last lines of a log, see `store.tail`."""
        return tail.tail(self.path, relative, lines)

    def end_of_log(self, relative: str) -> following.Place | None:
        """Where a log ends now, see `store.following`."""
        return following.end(self.path, relative)

    def log_after(
        self, relative: str, place: following.Place | None, until: int | None = None
    ) -> following.Step | None:
        """What was written to a log after a place, see `store.following`."""
        return following.step(self.path, relative, place, until)

    def version(self, relative: str) -> files.Version | None:
        """The version of a regular file, or None."""
        return files.version(self.path, relative)

    def exists(self, relative: str) -> bool:
        """True for anything of that name, a directory or a broken link too."""
        return os.path.lexists(self.path / relative)

    def is_folder(self, relative: str) -> bool:
        real = files.resolve(self.path, relative)
        return real is not None and os.path.isdir(real)

    def file_names(self, relative: str, suffix: str = "") -> list[str]:
        """The names of the regular files in a folder, in order; links out of the root left out."""
        return [
            entry.name
            for entry in files.entries(self.path, relative)
            if entry.name.endswith(suffix) and self.version(os.path.join(relative, entry.name))
        ]

    def folder_names(self, relative: str) -> list[str]:
        """The names of the real directories in a folder, in order; links left out."""
        return [
            entry.name
            for entry in files.entries(self.path, relative)
            if entry.is_dir(follow_symlinks=False)
        ]

    def names(self, relative: str) -> list[str]:
        """The names of the regular files and real directories in a folder, in order."""
        return [
            entry.name
            for entry in files.entries(self.path, relative)
            if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
        ]

    def walk(self) -> list[str]:
        """The paths of everything below that is no directory, in order; links are not followed."""
        found = []
        for parent, folders, names in os.walk(self.path):
            folders.sort()
            below = os.path.relpath(parent, self.path)
            found += [os.path.normpath(os.path.join(below, name)) for name in sorted(names)]
        return found

    def consistent_copy(self, relative: str) -> bytes | None:
        """The bytes of a file at one moment, as whole JSON where its name says so, or None."""
        whole: bytes | None = None
        for _ in range(_COPY_TRIES):
            try:
                data, found = files.read(self.path, relative, MAX_COPY_BYTES)
            except OSError:
                return whole
            whole = data if _is_whole(relative, data) else whole
            unchanged = found == self.version(relative)
            if unchanged and (whole is data or not being_written(found)):
                return whole
            time.sleep(_RETRY_SECONDS)
        return whole

    def write_json(self, relative: str, value: Any, *, mode: int | None = None) -> None:
        """Replace a JSON file as a whole."""
        self.write_bytes(relative, json_text.dump(value), mode=mode)

    def write_bytes(self, relative: str, data: bytes, *, mode: int | None = None) -> None:
        """Replace a file as a whole, making its folder where it is missing."""
        with writing.reported_as(_CANNOT_WRITE):
            writing.write_whole(self._target(relative), data, mode)

    def write_json_lines(self, relative: str, records: Iterable[Any]) -> None:
        """Replace a `.jsonl` file as a whole."""
        self.write_bytes(relative, b"".join(map(json_text.dump_line, records)))

    def append_json_line(self, relative: str, value: Any) -> None:
        """Add one record to a `.jsonl` file."""
        with writing.reported_as(_CANNOT_WRITE):
            writing.append_line(self._target(relative), json_text.dump_line(value))

    def rename(self, relative: str, name: str) -> None:
        """Give a file another name in its folder, one that is free."""
        with writing.reported_as(_CANNOT_WRITE):
            path = self._place(relative)
            os.link(path, os.path.join(os.path.dirname(path), name), follow_symlinks=False)
            os.unlink(path)

    def make_private(self, relative: str) -> None:
        """Make a folder where it is missing, and let nobody but its owner into it."""
        with writing.reported_as(_CANNOT_WRITE):
            os.chmod(self._made_folder(relative, 0o700), 0o700)

    def remove(self, relative: str) -> None:
        """Make sure that no file of this name exists; an empty directory of that name goes too."""
        with writing.reported_as(_CANNOT_WRITE):
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
        with writing.reported_as(_CANNOT_WRITE):
            hidden = writing.temporary_name(*os.path.split(path))
            os.rename(path, hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    @contextmanager
    def new_folder(self, parent: str) -> Iterator[NewFolder]:
        """A folder to be filled and then shown by its `appear_as`, in a folder of ours.

        :raises StorageError: when it cannot be made; nothing is left behind.
        """
        with writing.reported_as(_CANNOT_WRITE):
            made = NewFolder(self._made_folder(parent))
            try:
                yield made
            finally:
                made.close()

    @contextmanager
    def locked(
        self, relative: str, *, folder_mode: int = 0o755, seconds: float = writing.LOCK_SECONDS
    ) -> Iterator[None]:
        """Hold the lock of a file that several of our processes change.

        :param folder_mode: of its folder, where that is missing.
        :param seconds: how long to wait for the lock.
        """
        with (
            writing.reported_as(_CANNOT_WRITE),
            writing.locked(self._target(relative, folder_mode), seconds),
        ):
            yield

    def document_for_update(self, relative: str) -> Any:
        """The latest content of a JSON file, for a change made under its lock; None where missing.

        :raises StorageError: when there is a file that cannot be read or understood, since to
            write it would lose what it holds.
        """
        for _ in range(_TRIES):
            if not self.exists(relative):
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
            for path in writing.abandoned_temporaries(real) if real else ():
                shutil.rmtree(path, ignore_errors=True)
                with suppress(OSError):
                    os.unlink(path)

    def _bytes(self, relative: str, limit: int) -> bytes | None:
        try:
            with files.opened(self.path, relative) as (stream, _):
                return files.read_up_to(stream, limit)
        except OSError:
            return None

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
