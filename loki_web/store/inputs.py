"""What a folder offers to be looked at: documents, texts, names, versions, each an `Input`.

The real path of an input is remembered. An unchanged one costs one `lstat`; links are resolved
again where there are some on the way, where the root is another one, and at each change.
"""

import logging
import os
import stat
import threading
import time
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

from loki_web.store import files, json_text, tail, watching
from loki_web.store.files import Version, being_written, settled
from loki_web.store.look import Content, Unsettled, state_of
from loki_web.store.notifier import notifier

MAX_DOCUMENT_BYTES = 32 * 1024 * 1024
_RETRY_SECONDS = 0.03
_STRICT_TRIES = 3

log = logging.getLogger(__name__)


Identity = tuple[int, int, int]  # device, inode and kind


class Root:
    """The folder below which everything lies; its state is its real path.

    :param events: False where no events of the file system are wanted.
    :ivar reports: whether the file system tells of all changes, those of other machines too.
    :ivar watching: grows whenever folders have to be watched anew.
    """

    def __init__(self, path: Path, *, events: bool = True) -> None:
        self.path = path
        self.reports = False
        self.watching = 0
        self._events = events
        self._watched: set[str] = set()
        self._watched_itself = -1
        self._identities: tuple[Identity | None, Identity | None] = None, None
        self._base = str(path)

    @property
    def is_told(self) -> bool:
        """Whether the file system tells when the root becomes another folder."""
        return self._watched_itself == self.watching

    def examine(self) -> str:
        identity = _folder_at(self.path)
        is_plain = self._base == str(self.path)
        identities = identity, identity if is_plain else _folder_at(self._base)
        if identity is None or not self.is_told or identities != self._identities:
            self._base = os.path.realpath(self.path)
            self._identities = identity, _folder_at(self._base)
            self.reports = self._events and watching.reports_changes(self._base)
            now = self.watching
            if self._base == str(self.path) and self._watch_itself():
                self._watched_itself = now
        return self._base

    def watch(self, folder: str) -> bool:
        """Be told of each change in a folder and in those above it, as far as they are there.

        :param folder: a real path, the root's own or one below it.
        :return: whether each change is told.
        """
        watched, base = self._watched, self._base
        if not self.reports or not files.is_below(base, folder):
            return False
        if folder in watched:
            return True
        path = base
        for name in folder[len(base) :].split(os.sep):  # from the root down: it tells of the lower
            path = os.path.join(path, name) if name else path
            if path not in watched:
                if not notifier().watch(path, self, path):
                    return path != base and not os.path.lexists(path)
                watched.add(path)
        return True

    def touched(self, key: str, name: str, is_folder: bool) -> None:
        """Take note of an event, see `store.notifier`."""
        if is_folder:
            self.lost()

    def lost(self) -> None:
        """Take note that a folder may have come, gone or been replaced."""
        self._watched = set()  # another one: who is just watching a folder adds it to the old one
        self.watching += 1

    def _watch_itself(self) -> bool:
        """Be told when the root or a folder above it goes or gets another name."""
        return self.reports and all(
            notifier().watch(str(folder), self, "", only_itself=True)
            for folder in (self.path, *self.path.parents)
        )


def _identity(status: os.stat_result | None) -> Identity | None:
    return (status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode)) if status else None


def _folder_at(path: Path | str) -> Identity | None:
    """The identity of a real folder, None for anything else."""
    status = _lstat(path)
    return _identity(status) if status and stat.S_ISDIR(status.st_mode) else None


def _lstat(path: Path | str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class _Way:
    """The folders that lead from a root to a path; its state is what each of them is.

    What is reached through a folder that was moved elsewhere and left a link behind is the same
    file as before, wherever it lies.
    """

    root: Root
    folder: str

    def examine(self) -> tuple[str, tuple[Identity | None, ...]]:
        base: str = state_of(self.root)
        names = self.folder.split(os.sep) if self.folder else []
        paths = accumulate(names, os.path.join, initial=base)
        return base, tuple(_identity(_lstat(path)) for path in islice(paths, 1, None))


class PathInput:
    """A path below a root, whatever is there."""

    def __init__(self, root: Root, relative: str) -> None:
        self._root = root
        self.relative = relative
        self._way = _Way(root, os.path.dirname(os.path.normpath(relative)))
        self._passed: Any = None
        self._real: str | None = None
        self._is_linked = False
        self._watching = -1
        self._is_watched = False
        self._seen: Identity | None = None
        self._lock = threading.Lock()

    def status(self) -> os.stat_result | None:
        """The status of what is there now; None for nothing and for what lies outside the root."""
        base = self._locate()
        status = self._status()
        if _identity(status) != self._seen:
            self._resolve(base)
            status = self._status()
            self._seen = _identity(status)
        return status

    @property
    def is_watched(self) -> bool:
        """Whether the file system tells of each change of the path since it was examined."""
        return self._is_watched and not self._is_linked and self._watching == self._root.watching

    @property
    def is_told(self) -> bool:
        """Whether it tells of each change of the state."""
        return self.is_watched

    def _locate(self) -> str:
        """Have the real path, and a watch on its folder; the real path of the root."""
        way = state_of(self._way)
        base: str = way[0]
        if way != self._passed or self._is_linked:
            self._resolve(base)
            self._passed = way
        watching, real = self._root.watching, self._real
        if watching != self._watching:
            self._is_watched = real is not None and self._root.watch(
                real if real == base else self._telling(real)
            )
            self._watching = watching
        return base

    def _telling(self, real: str) -> str:
        """The folder whose events tell of what is at a real path."""
        return os.path.dirname(real)

    def version(self) -> Version | None:
        """The version of the regular file that is there now."""
        status = self.status()
        return Version.of(status) if status and stat.S_ISREG(status.st_mode) else None

    def _resolve(self, base: str) -> None:
        real = files.resolve_below(base, self.relative)
        if real != self._real:
            self._real, self._watching = real, -1
        self._is_linked = real != os.path.normpath(os.path.join(base, self.relative))

    def _status(self) -> os.stat_result | None:
        return _lstat(self._real) if self._real is not None else None


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

    def _telling(self, real: str) -> str:
        return real

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

    Its state is the same for as long as the content is the same.
    """

    limit: int

    def __init__(self, root: Root, relative: str) -> None:
        super().__init__(root, relative)
        self._version: Version | None = None
        self._settled = False
        self._epoch = -1
        self._is_unread = False  # it is there, but nothing could be opened just now
        self._fingerprint: int | None = None  # of what was read
        self._content = Content(None)
        self._absent = Content(self._parsed(None))

    def examine(self) -> Any:
        version = self.version()
        if version is None:
            with self._lock:
                return self._missing()
        if self._is_stale(version):
            with self._lock:
                if self._is_stale(version):
                    self._load(version)
        return self._state()

    def _is_stale(self, version: Version) -> bool:
        """Whether the file has another version, or may have changed without getting one."""
        if self._is_unread:
            return True
        if version != self._version or self._settled:
            return version != self._version
        notifier().drain()
        return not (self.is_watched and notifier().epoch == self._epoch)

    @property
    def is_told(self) -> bool:
        return self.is_watched and not self._is_unread

    def _load(self, version: Version) -> None:
        notifier().drain()
        epoch, read_at = notifier().epoch, time.time_ns()
        try:
            with files.opened(self._root.path, self.relative) as (stream, found):
                version = found
                self._take(self._read(stream, found))
                self._is_unread = False
        except OSError as error:
            self._is_unread = files.is_transient(error)
            if not self._is_unread:
                self._take(None)
        # Last, for others look at these without the lock.
        self._version, self._settled, self._epoch = version, settled(version, read_at), epoch

    def _read(self, stream: Any, found: Version) -> bytes:
        """The bytes that decide the state."""
        return files.read_up_to(stream, self.limit)

    def _missing(self) -> Content:
        """Return the state of a file that is not there."""
        self._version = self._fingerprint = None
        return self._absent

    def _take(self, data: bytes | None) -> None:
        """Make the state of what was read, None where that failed."""
        fingerprint = hash(data)
        if fingerprint != self._fingerprint:
            self._content, self._fingerprint = Content(self._parsed(data)), fingerprint

    def _parsed(self, data: bytes | None) -> Any:
        """What the state holds for what was read, None where there is nothing or that failed."""
        raise NotImplementedError

    def _state(self) -> Content:
        return self._content


class TextInput(FileInput):
    """A text file as UTF-8 with replacement, cut at `limit` bytes; None where there is none."""

    def __init__(self, root: Root, relative: str, limit: int) -> None:
        super().__init__(root, relative)
        self.limit = limit

    def _parsed(self, data: bytes | None) -> str | None:
        return None if data is None else data.decode("utf-8-sig", errors="replace")


class TailInput(FileInput):
    """The last lines of a log, see `store.tail`."""

    def __init__(self, root: Root, relative: str, lines: int) -> None:
        self._count = lines
        super().__init__(root, relative)

    def _read(self, stream: Any, found: Version) -> bytes:
        return tail.end_of(stream, found.size, self._count)

    def _parsed(self, data: bytes | None) -> list[str]:
        return tail.lines_in(data or b"", self._count)


class DocumentInput(FileInput):
    """A JSON file, parsed once for each content.

    A file that is rewritten in place is met empty or cut short for a moment. Within
    WRITE_GRACE_SECONDS of its modification the last good content stands in for a damaged one, or
    where there is none the file is read once more.
    """

    limit = MAX_DOCUMENT_BYTES + 1

    def __init__(self, root: Root, relative: str) -> None:
        super().__init__(root, relative)
        self._document: Content | None = None  # None while the file is damaged
        self._last_good: Content | None = None

    def _missing(self) -> Content:
        self._document = self._last_good = None
        return super()._missing()

    def _load(self, version: Version) -> None:
        super()._load(version)
        if self._document is None and self._last_good is None and self._is_being_written():
            time.sleep(_RETRY_SECONDS)
            super()._load(version)
        if self._document is None and self._settled:
            log.warning("left out damaged file %s", self.relative)

    def _take(self, data: bytes | None) -> None:
        if data is None or len(data) >= self.limit:
            self._document = self._fingerprint = None
            return
        fingerprint = hash(data)
        if fingerprint == self._fingerprint:
            return
        self._fingerprint = fingerprint
        try:
            self._document = self._last_good = Content(json_text.parse(data))
        except json_text.Damaged:
            self._document = None

    def _parsed(self, data: bytes | None) -> None:
        """Only what is parsed by `_take` is a document."""

    def _state(self) -> Content:
        return self._document or self._stand_in() or self._absent

    @property
    def is_told(self) -> bool:
        """Not of the end of the time for which an older content stands in."""
        return super().is_told and not (self._document is None and self._is_being_written())

    def _stand_in(self) -> Content | None:
        return self._last_good if self._is_being_written() else None

    def _is_being_written(self) -> bool:
        return self._version is not None and being_written(self._version)


class StrictDocumentInput(DocumentInput):
    """A JSON file for which nothing older stands in; it is read again for a moment instead."""

    def _stand_in(self) -> Content | None:
        for _ in range(_STRICT_TRIES):
            if not self._is_being_written():
                return None
            time.sleep(_RETRY_SECONDS)
            with self._lock:
                FileInput._load(self, self._version or Version(0, 0, 0, 0, 0))
            if self._document is not None:
                return self._document
        return None
