"""One tree of files that the CLI and we both write: `.loki/` of a project, or `~/.loki/`."""

import os
import threading
from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from cachetools import LRUCache

from loki_web.store import files, follower
from loki_web.store import lines as store_lines
from loki_web.store.collection import Collection, Digest
from loki_web.store.derived import Values
from loki_web.store.inputs import (
    ContentInput,
    DocumentInput,
    ExistenceInput,
    FolderInput,
    Names,
    NamesInput,
    Root,
    StrictDocumentInput,
    TailInput,
    TextInput,
    VersionInput,
)
from loki_web.store.journal import Journal, Reader
from loki_web.store.json_stream import JsonStream
from loki_web.store.kept import Kept
from loki_web.store.look import UNREPEATABLE, Content, observe
from loki_web.store.writable import WritableFolder

MAX_TEXT_BYTES = 1024 * 1024
MAX_INPUTS = 8192
R = TypeVar("R", bound=Reader)
T = TypeVar("T")


class Folder(WritableFolder):
    """The only way to a session's files. Every path is relative to `path`, nothing outside is read.

    Reading never raises: what is missing or damaged is None or empty. What is read is recorded, so
    that values made of it are kept until it changes, see `store.look`. Writing raises StorageError.

    :param events: False where no events of the file system are wanted.
    :param kept: where computed values outlast the process, None for nowhere.
    """

    def __init__(self, path: Path, *, events: bool = True, kept: Kept | None = None) -> None:
        super().__init__(path)
        self.kept = kept
        self._root = Root(path, events=events)
        self._inputs: LRUCache[Hashable, Any] = LRUCache(MAX_INPUTS)
        self._lock = threading.Lock()

    @cached_property
    def values(self) -> Values:
        """The values that are derived from this folder, see `store.derived`."""
        return Values()

    def document(self, relative: str) -> Any:
        """The content of a JSON file, shared and not to be changed; None where there is none."""
        found: Content = observe(self._input(DocumentInput, relative))
        return found.value

    def strict_document(self, relative: str) -> Any:
        """As `document`, except that nothing older stands in for a file that is damaged now."""
        found: Content = observe(self._input(StrictDocumentInput, relative))
        return found.value

    def collection(
        self,
        relative: str,
        *,
        nested: bool = False,
        digest: Callable[[Any], Any] | Digest | None = None,
        named: str | None = None,
    ) -> Collection:
        """The JSON files of a folder, see `Collection`."""
        observe(self._root)
        return self._kept(
            (Collection, relative, nested, digest, named),
            lambda: Collection(
                self._root, relative, nested, digest=digest, named=named, kept=self.kept
            ),
        )

    def journal(self, relative: str, make: Callable[[], R]) -> Journal[R]:
        """A `.jsonl` file as a reader sees it, see `Journal`.

        :param make: makes the reader, the same function for everybody who shares it.
        """
        observe(self._root)
        return self._kept(
            (Journal, relative, make),
            lambda: Journal(self._root, relative, make, lambda: self.kept),
        )

    def stream(self, relative: str) -> JsonStream:
        """A file of JSON objects that may be printed over several lines, see `JsonStream`."""
        observe(self._root)
        return self._kept((JsonStream, relative), lambda: JsonStream(self._root, relative))

    def text(self, relative: str, limit: int = MAX_TEXT_BYTES) -> str | None:
        """A text file as UTF-8 with replacement, cut at `limit` bytes; None where there is none."""
        found: Content = observe(self._input(TextInput, relative, limit))
        text: str | None = found.value
        return text

    def lines(self, relative: str) -> Iterator[bytes]:
        """The lines of a file of any size, oldest first, see `store.raw_lines`."""
        observe(self._input(ContentInput, relative))
        return store_lines.forwards(self.path, relative)

    def lines_backwards(self, relative: str, *, holding: store_lines.Marks = ()) -> Iterator[bytes]:
        """The lines of a file of any size, newest first, see `store.raw_lines`."""
        observe(self._input(ContentInput, relative))
        return store_lines.backwards(self.path, relative, holding)

    def tail(self, relative: str, lines: int) -> list[str]:
        """The last lines of a log, shared and not to be changed, see `store.tail`."""
        found: Content = observe(self._input(TailInput, relative, lines))
        last: list[str] = found.value
        return last

    def end_of_log(self, relative: str) -> follower.Place | None:
        """Where a log ends now, see `store.following`."""
        observe(UNREPEATABLE)
        return follower.end(self.path, relative)

    def log_after(
        self, relative: str, place: follower.Place | None, until: int | None = None
    ) -> follower.Step | None:
        """What was written to a log after a place, see `store.following`."""
        observe(UNREPEATABLE)
        return follower.step(self.path, relative, place, until)

    def version(self, relative: str) -> files.Version | None:
        """The version of a regular file, or None."""
        found: files.Version | None = observe(self._input(VersionInput, relative))
        return found

    def exists(self, relative: str) -> bool:
        """True for anything of that name, a directory or a broken link too."""
        return bool(observe(self._input(ExistenceInput, relative)))

    def is_folder(self, relative: str) -> bool:
        return bool(observe(self._input(FolderInput, relative)))

    def file_names(self, relative: str, suffix: str = "") -> list[str]:
        """The names of the regular files in a folder, in order; links out of the root left out."""
        names = self._names(relative)
        linked = [name for name in names.links if self.version(os.path.join(relative, name))]
        found = sorted([*names.files, *linked]) if linked else names.files
        return [name for name in found if name.endswith(suffix)]

    def folder_names(self, relative: str) -> list[str]:
        """The names of the real directories in a folder, in order; links left out."""
        return list(self._names(relative).folders)

    def names(self, relative: str) -> list[str]:
        """The names of the regular files and real directories in a folder, in order."""
        found = self._names(relative)
        return sorted([*found.files, *found.folders])

    def walk(self) -> list[str]:
        """The paths of everything below that is no directory, in order; links are not followed."""
        observe(UNREPEATABLE)
        found = []
        for parent, folders, names in os.walk(self.path):
            folders.sort()
            below = os.path.relpath(parent, self.path)
            found += [os.path.normpath(os.path.join(below, name)) for name in sorted(names)]
        return found

    def _names(self, relative: str) -> Names:
        found: Names = observe(self._input(NamesInput, relative))
        return found

    def _input(self, kind: Callable[..., T], relative: str, *more: Any) -> T:
        """The input of a path; what is observed of it depends on where the root is, too."""
        observe(self._root)
        return self._kept((kind, relative, *more), lambda: kind(self._root, relative, *more))

    def _kept(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            found: T | None = self._inputs.get(key)
            if found is None:
                found = self._inputs[key] = make()
            return found
