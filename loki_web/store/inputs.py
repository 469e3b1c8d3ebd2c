"""What a folder offers to be looked at: documents, texts, names, versions, each an `Input`.

The real path of an input is remembered. An unchanged one costs one `lstat`; links are resolved
again where there are some on the way, where the root is another one, and at each change.
"""

import logging
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from loki_web.store import files, json_text, tail, watching
from loki_web.store.files import Version, being_written, settled
from loki_web.store.look import Unsettled, state_of
from loki_web.store.notifier import notifier

MAX_DOCUMENT_BYTES = 32 * 1024 * 1024
_RETRY_SECONDS = 0.03
_STRICT_TRIES = 3

log = logging.getLogger(__name__)


class Root:
    """The folder below which everything lies; its state is its real path.

    :param events: False where no events of the file system are wanted.
    :ivar reports: whether the file system tells of all changes, those of other machines too.
    :ivar is_told: whether it tells when the root becomes another folder.
    :ivar watching: grows whenever folders have to be watched anew.
    """

    def __init__(self, path: Path, *, events: bool = True) -> None:
        self.path = path
        self.reports = False
        self.is_told = False
        self.watching = 0
        self._events = events
        self._watched: set[str] = set()
        self._identity: tuple[int, int] | None = None
        self._real_identity: tuple[int, int] | None = None
        self._base = str(path)

    def examine(self) -> str:
        identity = _identity(self.path)
        is_plain = self._base == str(self.path)
        real_identity = identity if is_plain else _identity(self._base)
        if (
            identity is None
            or not self.is_told
            or (identity, real_identity) != (self._identity, self._real_identity)
        ):
            self._base = os.path.realpath(self.path)
            self._identity, self._real_identity = identity, _identity(self._base)
            self.reports = self._events and watching.reports_changes(self._base)
            self.is_told = self._base == str(self.path) and self._watch_itself()
        return self._base

    def watch(self, folder: str) -> bool:
        """Be told of each change in a folder and in those above it, or where it is missing in the
        nearest that is there.

        :param folder: a real path, the root's own or one below it.
        :return: whether each change is told.
        """
        is_watched = False
        while self.reports and folder.startswith(self._base):
            if folder in self._watched:
                return True
            if os.path.isdir(folder):
                if not notifier().watch(folder, self, folder):
                    return False
                self._watched.add(folder)
                is_watched = True
            folder = os.path.dirname(folder)
        return is_watched

    def touched(self, key: str, name: str, is_folder: bool) -> None:
        """Take note of an event, see `store.notifier`."""
        if is_folder:
            self.lost()

    def lost(self) -> None:
        """Take note that a folder may have come, gone or been replaced."""
        self._watched.clear()
        self.is_told = False
        self.watching += 1

    def _watch_itself(self) -> bool:
        """Be told when the root or a folder above it goes or gets another name."""
        return self.reports and all(
            notifier().watch(str(folder), self, "", only_itself=True)
            for folder in (self.path, *self.path.parents)
        )


def _identity(path: Path | str) -> tuple[int, int] | None:
    """The device and inode of a real folder, None for anything else."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


class PathInput:
    """A path below a root, whatever is there."""

    def __init__(self, root: Root, relative: str) -> None:
        self._root = root
        self.relative = relative
        self._base = ""
        self._real: str | None = None
        self._is_linked = False
        self._watching = -1
        self._is_watched = False
        self._seen: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def status(self) -> os.stat_result | None:
        """The status of what is there now; None for nothing and for what lies outside the root."""
        base = self._locate()
        status = self._lstat()
        seen = (status.st_dev, status.st_ino) if status else None
        if seen != self._seen:
            self._resolve(base)
            status = self._lstat()
            self._seen = (status.st_dev, status.st_ino) if status else None
        return status

    @property
    def is_told(self) -> bool:
        """Whether the file system tells of each change since it was examined."""
        return self._is_watched and not self._is_linked and self._watching == self._root.watching

    def _locate(self) -> str:
        """Have the real path, and a watch on its folder; the real path of the root."""
        base: str = state_of(self._root)
        if base != self._base or self._is_linked:
            self._resolve(base)
        if self._watching != self._root.watching:
            self._watching = self._root.watching
            self._is_watched = self._real is not None and self._root.watch(
                os.path.dirname(self._real) if self._real != base else base
            )
        return base

    def version(self) -> Version | None:
        """The version of the regular file that is there now."""
        status = self.status()
        return Version.of(status) if status and stat.S_ISREG(status.st_mode) else None

    def _resolve(self, base: str) -> None:
        self._real = files.resolve_below(base, self.relative)
        plain = os.path.normpath(os.path.join(base, self.relative))
        self._is_linked = self._real != plain
        self._base = base

    def _lstat(self) -> os.stat_result | None:
        try:
            return os.lstat(self._real) if self._real is not None else None
        except OSError:
            return None


class VersionInput(PathInput):
    """The version of a regular file, None where there is none."""

    def examine(self) -> Version | None:
        return self.version()


class ContentInput(PathInput):
    """The content of a file that is read by other means: never the same until it is settled."""

    def examine(self) -> Any:
        version = self.version()
        return version if version is None or settled(version, time.time_ns()) else Unsettled()


class FolderInput(PathInput):
    """Whether there is a folder."""

    def examine(self) -> bool:
        status = self.status()
        return status is not None and stat.S_ISDIR(status.st_mode)


class ExistenceInput(PathInput):
    """Whether there is anything of that name, a folder or a broken link too."""

    def examine(self) -> bool:
        return os.path.lexists(os.path.join(self._locate(), self.relative))


class Names(NamedTuple):
    """What stands in a folder, each in order: regular files, real folders, links."""

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


class NamesInput(PathInput):
    """The names in a folder; those of work in progress are left out, see `files.entries`."""

    def __init__(self, root: Root, relative: str) -> None:
        super().__init__(root, relative)
        self._version: Version | None = None
        self._settled = False
        self._names = Names()

    def examine(self) -> Names:
        status = self.status()
        if status is None or self._real is None or not stat.S_ISDIR(status.st_mode):
            return Names()
        version = Version.of(status)
        if self._settled and version == self._version:
            return self._names
        with self._lock:
            read_at = time.time_ns()
            names = _names_in(files.entries_of(self._real))
            self._names = self._names if names == self._names else names
            self._version, self._settled = version, settled(version, read_at)
            return self._names


def _names_in(entries: list[os.DirEntry[str]]) -> Names:
    kinds: tuple[list[str], list[str], list[str]] = ([], [], [])
    for entry in entries:
        if entry.is_symlink():
            kinds[2].append(entry.name)
        elif entry.is_dir(follow_symlinks=False):
            kinds[1].append(entry.name)
        elif entry.is_file(follow_symlinks=False):
            kinds[0].append(entry.name)
    return Names(*map(tuple, kinds))


class FileInput(PathInput):
    """A file that is read again when its version changes, or while it is not settled.

    Its state is the same object for as long as the content is the same.
    """

    limit: int

    def __init__(self, root: Root, relative: str) -> None:
        super().__init__(root, relative)
        self._version: Version | None = None
        self._settled = False

    def examine(self) -> Any:
        version = self.version()
        if version is None:
            return self._missing()
        if version != self._version or not self._settled:
            with self._lock:
                if version != self._version or not self._settled:
                    self._load(version)
        return self._state()

    def _load(self, version: Version) -> None:
        read_at = time.time_ns()
        try:
            with files.opened(self._root.path, self.relative) as (stream, found):
                version = found
                self._take(self._read(stream, found))
        except OSError:
            self._take(None)
        self._version, self._settled = version, settled(version, read_at)

    def _read(self, stream: Any, found: Version) -> bytes:
        """The bytes that decide the state."""
        return files.read_up_to(stream, self.limit)

    def _missing(self) -> Any:
        """Return the state of a file that is not there."""
        self._version = None
        return None

    def _take(self, data: bytes | None) -> None:
        """Make the state of what was read, None where that failed."""
        raise NotImplementedError

    def _state(self) -> Any:
        raise NotImplementedError


class TextInput(FileInput):
    """A text file as UTF-8 with replacement, cut at `limit` bytes; None where there is none."""

    def __init__(self, root: Root, relative: str, limit: int) -> None:
        super().__init__(root, relative)
        self.limit = limit
        self._text: str | None = None

    def _take(self, data: bytes | None) -> None:
        self._text = None if data is None else data.decode("utf-8-sig", errors="replace")

    def _state(self) -> str | None:
        return self._text


class TailInput(FileInput):
    """The last lines of a log, see `store.tail`."""

    def __init__(self, root: Root, relative: str, lines: int) -> None:
        super().__init__(root, relative)
        self._count = lines
        self._lines: tuple[str, ...] = ()
        self._fingerprint = 0

    def _read(self, stream: Any, found: Version) -> bytes:
        return tail.end_of(stream, found.size, self._count)

    def _take(self, data: bytes | None) -> None:
        fingerprint = hash(data)
        if fingerprint != self._fingerprint:
            self._lines = tuple(tail.lines_in(data or b"", self._count))
            self._fingerprint = fingerprint

    def _missing(self) -> tuple[str, ...]:
        self._version = None
        return ()

    def _state(self) -> tuple[str, ...]:
        return self._lines


class Document:
    """The content of a JSON file; another content is another object."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


ABSENT = Document(None)


class DocumentInput(FileInput):
    """A JSON file, parsed once for each content.

    A file that is rewritten in place is met empty or cut short for a moment. Within
    WRITE_GRACE_SECONDS of its modification the last good content stands in for a damaged one, or
    where there is none the file is read once more.
    """

    limit = MAX_DOCUMENT_BYTES + 1

    def __init__(self, root: Root, relative: str) -> None:
        super().__init__(root, relative)
        self._fingerprint = 0
        self._document: Document | None = None  # None while the file is damaged
        self._last_good: Document | None = None

    def _missing(self) -> Document:
        self._version, self._document, self._last_good, self._fingerprint = None, None, None, 0
        return ABSENT

    def _load(self, version: Version) -> None:
        super()._load(version)
        if self._document is None and self._last_good is None and self._is_being_written():
            time.sleep(_RETRY_SECONDS)
            super()._load(version)
        if self._document is None and self._settled:
            log.warning("left out damaged file %s", self.relative)

    def _take(self, data: bytes | None) -> None:
        if data is None or len(data) >= self.limit:
            self._document, self._fingerprint = None, 0
            return
        fingerprint = hash(data)
        if fingerprint == self._fingerprint:
            return
        self._fingerprint = fingerprint
        try:
            self._document = self._last_good = Document(json_text.parse(data))
        except json_text.Damaged:
            self._document = None

    def _state(self) -> Document:
        if self._document is not None:
            return self._document
        return self._stand_in() or ABSENT

    @property
    def is_told(self) -> bool:
        """Not of the end of the time for which an older content stands in."""
        return super().is_told and not (self._document is None and self._is_being_written())

    def _stand_in(self) -> Document | None:
        return self._last_good if self._is_being_written() else None

    def _is_being_written(self) -> bool:
        return self._version is not None and being_written(self._version)


class StrictDocumentInput(DocumentInput):
    """A JSON file for which nothing older stands in; it is read again for a moment instead."""

    def _stand_in(self) -> Document | None:
        for _ in range(_STRICT_TRIES):
            if not self._is_being_written():
                return None
            time.sleep(_RETRY_SECONDS)
            with self._lock:
                FileInput._load(self, self._version or Version(0, 0, 0, 0, 0))
            if self._document is not None:
                return self._document
        return None
