"""Read the files of `.loki/` or `~/.loki/`, which the CLI writes at the same time."""

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from cachetools import LRUCache

from loki_web.store import files, follower, json_text
from loki_web.store import lines as store_lines
from loki_web.store.collection import Collection
from loki_web.store.files import is_being_written
from loki_web.store.inputs import (
    GONE,
    MAX_DOCUMENT_BYTES,
    ContentInput,
    DocumentInput,
    ExistenceInput,
    FolderInput,
    Names,
    NamesInput,
    NewerInput,
    Presence,
    Root,
    SectionInput,
    StrictDocumentInput,
    TextInput,
    VersionInput,
)
from loki_web.store.journal import Journal, Reader
from loki_web.store.lines import JsonStream, Lines, TailInput
from loki_web.store.look import UNREPEATABLE, Content, Inputs, observe, state_of
from loki_web.store.snapshot import Snapshot, SnapshotInput, take_snapshot
from loki_web.store.value_store import ValueStore

MAX_TEXT_BYTES = 1024 * 1024
MAX_COPY_BYTES = 64 * 1024 * 1024
RETRY_SECONDS = 0.02  # before a file is read again that another program may be rewriting
_COPY_TRIES = 20  # many, because a file that cannot be copied is missing from a checkpoint
MAX_INPUTS = 8192
R = TypeVar("R", bound=Reader)
T = TypeVar("T")


class Folder:
    """Read the files below `path`. Paths are relative to it; nothing outside is read.

    Reads never raise: missing and damaged files are None or empty. Each read is recorded, so that
    derived values stay cached until the files change, see `store.look`.

    :param events: False to poll instead of using file system events.
    :param value_store: where values are kept between runs; None to compute them in each run.
    :param find_note: returns the file that tells later processes that the folder was there.
    """

    def __init__(
        self,
        path: Path,
        *,
        events: bool = True,
        value_store: ValueStore | None = None,
        find_note: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self.path = path
        self.value_store = value_store
        self._root = Root(path, events=events)
        self._presence = Presence(self._root, find_note)
        self._inputs: LRUCache[Hashable, Any] = LRUCache(MAX_INPUTS)
        self._lock = threading.Lock()

    def count_events(self) -> int:
        """Return a number that grows with each file system event in the folders that were read."""
        return self._root.event_count

    def document(self, relative: str) -> Any:
        """Return the content of a JSON file, or None. It is shared: do not change it.

        While another program may be rewriting a damaged file, its last good content is returned.
        """
        content: Content = observe(self._input(DocumentInput, relative))
        return content.value

    def section(self, relative: str, name: str) -> Any:
        """Return the value of a name in the object of a JSON file, or None; see `document`.

        What depends on it stays cached while only other parts of the file change.
        """
        document = self._input(DocumentInput, relative)
        content: Content = observe(
            self._shared((SectionInput, relative, name), lambda: SectionInput(document, name))
        )
        return content.value

    def has_document(self, relative: str) -> bool:
        """Return whether `document` is not None; a large file is not parsed again for this."""
        content: Content = observe(self._input(DocumentInput, relative))
        return not content.is_none

    def strict_document(self, relative: str) -> Any:
        """Return the same as `document`, except that a damaged file is None."""
        content: Content = observe(self._input(StrictDocumentInput, relative))
        return content.value

    def collection(
        self,
        relative: str,
        *,
        nested: bool = False,
        digest: Callable[[Any], Any] | None = None,
        named: str | None = None,
    ) -> Collection:
        """Return the JSON files of a folder, see `Collection`.

        :param nested: include the folders below it.
        :param digest: computes what is kept instead of each content.
        :param named: only files of this name; None for all that end with `.json`.
        """
        observe(self._root)
        return self._shared(
            (Collection, relative, nested, digest, named),
            lambda: Collection(
                self._root,
                relative,
                nested,
                digest=digest,
                named=named,
                value_store=self.value_store,
            ),
        )

    def journal(self, relative: str, make: Callable[[], R]) -> Journal[R]:
        """Return a `.jsonl` file with a reader of its records, see `Journal`.

        :param make: creates the reader. Callers that pass the same function share the reader.
        """
        observe(self._root)
        return self._shared(
            (Journal, relative, make),
            lambda: Journal(self._root, relative, make, lambda: self.value_store),
        )

    def stream(self, relative: str) -> JsonStream:
        """Return a file of JSON objects that may span several lines, see `JsonStream`."""
        observe(self._root)
        return self._shared((JsonStream, relative), lambda: JsonStream(self._root, relative))

    def text(self, relative: str, limit: int = MAX_TEXT_BYTES) -> str | None:
        """Return a text file as UTF-8 with replacement, cut at `limit` bytes; None if missing."""
        content: Content = observe(self._input(TextInput, relative, limit))
        text: str | None = content.value
        return text

    def lines(self, relative: str) -> Iterator[bytes]:
        """Yield the lines of a file of any size, oldest first, see `lines.forwards`."""
        observe(self._input(ContentInput, relative))
        return store_lines.forwards(self.path, relative)

    def lines_backwards(
        self, relative: str, *, holding: store_lines.Patterns = ()
    ) -> Iterator[bytes]:
        """Yield the lines of a file of any size, newest first, see `lines.backwards`."""
        observe(self._input(ContentInput, relative))
        return store_lines.backwards(self.path, relative, holding)

    def tail(self, relative: str, lines: int) -> Lines:
        """Return the last lines of a log, oldest first, see `lines.lines_in`."""
        content: Content = observe(self._input(TailInput, relative, lines))
        last: Lines = content.value
        return last

    def lines_between(self, relative: str, start: int, stop: int) -> list[tuple[int, str]]:
        """Return the lines that begin between two offsets, see `lines.between`."""
        observe(self._input(ContentInput, relative))
        return store_lines.between(self.path, relative, start, stop)

    def end_of_log(self, relative: str, former: files.Version) -> follower.Cursor | None:
        """Return the end that a log had in a version, see `follower.find_end`."""
        observe(UNREPEATABLE)
        return follower.find_end(self.path, relative, former)

    def log_after(
        self, relative: str, cursor: follower.Cursor | None, until: int | None = None
    ) -> follower.Chunk | None:
        """Return the lines of a log after a cursor, see `follower.read_chunk`."""
        observe(UNREPEATABLE)
        return follower.read_chunk(self.path, relative, cursor, until)

    def consistent_copy(self, relative: str) -> bytes | None:
        """Return the bytes of a file at one moment, or None.

        The content of a `.json` file is valid JSON. A file that is being written is read again.
        """
        whole: bytes | None = None
        for _ in range(_COPY_TRIES):
            try:
                data, version = files.read(self.path, relative, MAX_COPY_BYTES)
            except OSError:
                return whole
            whole = data if _is_whole(relative, data) else whole
            is_unchanged = version == files.version(self.path, relative)
            if is_unchanged and (whole is data or not is_being_written(version)):
                return whole
            time.sleep(RETRY_SECONDS)
        return whole

    def take_snapshot(self, inputs: Inputs) -> Snapshot | None:
        """Return a snapshot of the files in this folder that a value was computed from.

        :param inputs: those of the value.
        :return: None if it could not tell after a restart that the value is still right.
        """
        return take_snapshot(self._root, inputs)

    def matches(self, snapshot: Snapshot) -> bool:
        """Return whether all files of a snapshot are as they were when it was taken."""
        source = SnapshotInput(self._root, snapshot)
        is_same: bool = state_of(source) == snapshot
        if is_same:
            observe(self._root)
            observe(source)
        return is_same

    def version(self, relative: str) -> files.Version | None:
        """Return the version of a regular file, or None."""
        version: files.Version | None = observe(self._input(VersionInput, relative))
        return version

    def is_too_large(self, relative: str) -> bool:
        """Return whether a document is larger than MAX_DOCUMENT_BYTES, so that it is not read."""
        version = self.version(relative)
        return version is not None and version.size > MAX_DOCUMENT_BYTES

    def is_newer(self, relative: str, other: str) -> bool:
        """Return whether a file was written after another one, which may be missing."""
        file, than = self._input(VersionInput, relative), self._input(VersionInput, other)
        newer = self._shared((NewerInput, relative, other), lambda: NewerInput(file, than))
        return bool(observe(newer))

    def exists(self, relative: str) -> bool:
        """Return whether the name exists, also as a directory or a broken link."""
        return bool(observe(self._input(ExistenceInput, relative)))

    def is_folder(self, relative: str) -> bool:
        """Return whether the path is a directory."""
        return bool(observe(self._input(FolderInput, relative)))

    def is_gone(self) -> bool:
        """Return whether the folder was there and has been removed or unmounted since."""
        observe(self._root)
        return bool(observe(self._presence) == GONE)

    def is_readable(self) -> bool:
        """Return whether the folder can be listed and entered; True if there is none."""
        try:
            os.lstat(os.path.join(self.path, "."))  # fails without the right to enter the folder
            with os.scandir(self.path):
                return True
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def begin_presence(self) -> None:
        """Note whether the folder is there when a server starts, for all its processes."""
        self._presence.begin()

    def file_names(self, relative: str, suffix: str = "") -> list[str]:
        """List the names of the regular files in a folder, sorted.

        Links to files below the root are included.
        """
        names = self._names(relative)
        linked = [name for name in names.links if self.version(os.path.join(relative, name))]
        regular = sorted([*names.files, *linked]) if linked else names.files
        return [name for name in regular if name.endswith(suffix)]

    def folder_names(self, relative: str) -> list[str]:
        """List the names of the directories in a folder, sorted. Links are skipped."""
        return list(self._names(relative).folders)

    def names(self, relative: str) -> list[str]:
        """List the names of the regular files and directories in a folder, sorted; no links."""
        names = self._names(relative)
        return sorted([*names.files, *names.folders])

    def all_names(self, relative: str) -> frozenset[str]:
        """Return the names in a folder, those of links included."""
        return frozenset(chain.from_iterable(self._names(relative)))

    def may_have(self, *names: str) -> bool:
        """Return whether one of these names is in the folder, by one look at all of its names."""
        present = self.all_names("")
        if not present:
            return self.is_folder("")  # it may be entered without the permission to list it
        return not present.isdisjoint(names)

    def other_names(self, relative: str) -> list[str]:
        """List the names in a folder that are neither regular files nor links to them."""
        names = self._names(relative)
        regular = self.file_names(relative)
        return sorted({*names.folders, *names.links, *names.others}.difference(regular))

    def walk(self) -> list[str]:
        """List the paths of all entries below that are not directories. Links are not followed."""
        observe(UNREPEATABLE)
        paths = []
        for parent, folders, names in os.walk(self.path):
            folders.sort()
            below = os.path.relpath(parent, self.path)
            paths += [os.path.normpath(os.path.join(below, name)) for name in sorted(names)]
        return paths

    def _names(self, relative: str) -> Names:
        names: Names = observe(self._input(NamesInput, relative))
        return names

    def _input(self, kind: Callable[..., T], relative: str, *more: Any) -> T:
        """Return the input of a path. Its state depends on the real path of the root too."""
        observe(self._root)
        return self._shared((kind, relative, *more), lambda: kind(self._root, relative, *more))

    def _shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the input or reader of a key. Create it at first use."""
        with self._lock:
            shared: T | None = self._inputs.get(key)
            if shared is None:
                shared = self._inputs[key] = make()
            return shared


def _is_whole(relative: str, data: bytes) -> bool:
    if not relative.endswith(".json"):
        return True
    try:
        json_text.parse(data)
    except json_text.Damaged:
        return False
    return True
