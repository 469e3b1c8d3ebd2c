"""One tree of files that the CLI and we both write: `.loki/` of a project, or `~/.loki/`."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from loki_web.store import files, following, raw_lines, tail
from loki_web.store.collection import Collection
from loki_web.store.documents import Documents
from loki_web.store.journal import Journal
from loki_web.store.json_stream import JsonStream
from loki_web.store.writable_folder import WritableFolder

MAX_TEXT_BYTES = 1024 * 1024
Made = TypeVar("Made")


class Folder(WritableFolder):
    """The only way to a session's files. Every path is relative to `path`, nothing outside is read.

    Reading never raises: what is missing or damaged is None or empty. Writing raises StorageError.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
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

    def lines_backwards(self, relative: str, *, holding: raw_lines.Marks = ()) -> Iterator[bytes]:
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

    def _bytes(self, relative: str, limit: int) -> bytes | None:
        try:
            with files.opened(self.path, relative) as (stream, _):
                return files.read_up_to(stream, limit)
        except OSError:
            return None
