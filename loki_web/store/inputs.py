"""The inputs of a folder: documents, texts, names and versions of files, each an `Input`.

The real path of an input is cached: examining an unchanged input costs one `lstat`. The path is
resolved again at each change, when the root is replaced, and always if there are links on it.
"""

import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from loki_web.store import atomic, files, json_text
from loki_web.store.files import Version, is_being_written, is_settled
from loki_web.store.look import Content, Unsettled, state_of
from loki_web.store.notifier import Ancestry, get_notifier
from loki_web.store.packing import LARGE_BYTES, pack, unpack
from loki_web.text import is_clean

MAX_DOCUMENT_BYTES = 32 * 1024 * 1024
_RETRY_SECONDS = 0.03
_STRICT_TRIES = 3
THERE, NEVER, GONE = "there", "never", "gone"

log = logging.getLogger(__name__)


Identity = tuple[int, int, int]  # device, inode and kind


class Root:
    """The root folder. Its state is its real path.

    :param events: False to poll instead of using file system events.
    :ivar reports: whether the file system sends events for all changes.
    :ivar watching: a number that grows whenever folders have to be watched again.
    :ivar event_count: a number that grows with each event in a watched folder.
    """

    def __init__(self, path: Path, *, events: bool = True) -> None:
        self.path = path
        self.reports = False
        self.watching = 0
        self.event_count = 0
        self._events = events
        self._watched: set[str] = set()
        self._watched_itself = -1
        self._ancestry: Ancestry | None = None
        self._identities: tuple[Identity | None, Identity | None] = None, None
        self._base = str(path)

    @property
    def is_notified(self) -> bool:
        """Return whether an event is sent when the root is moved, removed or replaced."""
        return self._watched_itself == self.watching

    def examine(self) -> str:
        """Return the real path of the root, even if it is missing."""
        identity = _folder_at(self.path)
        is_plain = self._base == str(self.path)
        identities = identity, identity if is_plain else _folder_at(self._base)
        if identity is None or not self.is_notified or identities != self._identities:
            self._locate(identity)
        return self._base

    def watch(self, folder: str) -> bool:
        """Watch a folder and the folders between the root and it, as far as they exist.

        :param folder: the real path of the root or of a folder below it.
        :return: whether an event is sent for each change in the folder.
        """
        watched, base = self._watched, self._base
        if not self.reports or not files.is_below(base, folder):
            return False
        if folder in watched:
            return True
        path = base
        for name in folder[len(base) :].split(os.sep):  # parents first: they report new folders
            path = os.path.join(path, name) if name else path
            if path not in watched:
                # Another file system may be mounted inside.
                if path != base and not files.reports_changes(path):
                    return path != base and not os.path.lexists(path)
                if not get_notifier().watch(path, self, path):
                    return path != base and not os.path.lexists(path)
                watched.add(path)
        return True

    def touched(self, key: str, name: str, is_folder: bool) -> None:
        """Handle an event, see `store.notifier`."""
        self.event_count += 1
        if is_folder:
            self.lost()

    def lost(self) -> None:
        """Watch all folders again, since one may have been created, removed or replaced."""
        self.event_count += 1
        self._watched = set()  # a new set: a `watch` that is running adds to the old one
        self.watching += 1

    def _locate(self, identity: Identity | None) -> None:
        """Find the real path, and watch for its removal.

        :param identity: of the folder at the path; None if there is none.
        """
        now, path = self.watching, str(self.path)
        is_tried = identity is not None and self._base == path and _is_normal(path)
        is_watched = is_tried and self._watch_itself(identity)
        if not is_watched:
            self._base = files.real_path(self.path) or path
            self.reports = self._events and files.reports_changes(self._base)
            if self._base == path and not is_tried:
                is_watched = self._watch_itself(identity)
        self._identities = identity, identity if is_watched else _folder_at(self._base)
        if is_watched:
            self._watched_itself = now

    def _watch_itself(self, identity: Identity | None) -> bool:
        """Watch for the removal or renaming of the root or a folder above it.

        :return: whether it is watched. The path is real then, since no link is watched.
        """
        if identity is None:
            return False
        get_notifier().drain()  # a folder above may have been replaced since it was watched
        self.reports = self._events and files.reports_changes_on(identity[0], self.path)
        self._ancestry = get_notifier().get_ancestry(str(self.path))
        return self.reports and self._ancestry.watch(self)


class Presence:
    """Whether a root is there. Its state is one of THERE, NEVER and GONE.

    It is gone if it was there and is missing, or if the file system that it was on has been
    unmounted and has left an empty folder.

    :param find_note: returns the file in which processes note the device that the root is on, for
        those that start later; None to know only what this process has seen.
    """

    def __init__(self, root: Root, find_note: Callable[[], Path | None]) -> None:
        self._root = root
        self._find_note = find_note
        self._device: int | None = None
        self._state = NEVER

    @property
    def is_notified(self) -> bool:
        """Whether an event is sent when the root is moved, removed or unmounted."""
        return self._state == THERE and self._root.is_notified

    def examine(self) -> str:
        """Return whether the folder is there, was never there, or is gone; log once when it is."""
        before, self._state = self._state, self._look()
        if self._state == GONE != before:
            log.error("the state folder %s is gone", self._root.path)
        elif before == GONE != self._state:
            log.warning("the state folder %s is back", self._root.path)
        return self._state

    def begin(self) -> None:
        """Note the present state at the start of a server: a state before it does not count."""
        note = self._find_note()
        if note is not None:
            with suppress(OSError):
                note.unlink()
        self.examine()

    def _look(self) -> str:
        if self._device is None:
            self._device = self._read_note()
        try:
            device = os.stat(self._root.path).st_dev
            if self._device not in (None, device) and not os.listdir(self._root.path):
                return GONE
        except OSError:
            return NEVER if self._device is None else GONE
        if not (self._state == THERE and self._device == device):
            self._device = device
            self._write_note(device)
        return THERE

    def _read_note(self) -> int | None:
        note = self._find_note()
        try:
            return int(note.read_text()) if note is not None else None
        except (OSError, ValueError):
            return None

    def _write_note(self, device: int) -> None:
        note = self._find_note()
        if note is not None and self._read_note() != device:
            with suppress(OSError):  # then only this process knows
                atomic.write_whole(str(note), str(device).encode(), 0o600)


def _is_normal(path: str) -> bool:
    """Return whether a path is absolute, without `..` and repeated slashes."""
    return os.path.isabs(path) and path[:2] != "//" and os.path.normpath(path) == path


def _identity(status: os.stat_result | None) -> Identity | None:
    return (status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode)) if status else None


def _folder_at(path: Path | str) -> Identity | None:
    """Return the identity of a real folder; None for anything else."""
    status = files.lstat(path)
    return _identity(status) if status and stat.S_ISDIR(status.st_mode) else None


@dataclass(frozen=True, slots=True)
class _Parents:
    """The folders between a root and a path. Its state is the identity of each of them.

    A folder may be moved and replaced by a link to it: then the file is the same as before, but
    its real path is another one.
    """

    root: Root
    folder: str

    def examine(self) -> tuple[str, tuple[Identity | None, ...]]:
        """Return the real path of the root, and the identities from the root down."""
        base: str = state_of(self.root)
        names = self.folder.split(os.sep) if self.folder else []
        paths = accumulate(names, os.path.join, initial=base)
        return base, tuple(_identity(files.lstat(path)) for path in islice(paths, 1, None))


@lru_cache(maxsize=1024)
def _folder_of(relative: str) -> str:
    return os.path.dirname(os.path.normpath(relative))


class PathInput:
    """A path below a root. Subclasses define its state.

    :ivar is_unread: whether it could not be read, and may be at the next try.
    """

    is_unread = False

    def __init__(self, root: Root, relative: str) -> None:
        self._root = root
        self.relative = relative
        self._parents = _Parents(root, _folder_of(relative))
        self._resolved_for: Any = None
        self._real: str | None = None
        self._is_linked = False
        self._watching = -1
        self._is_watched = False
        self._lock = threading.Lock()

    def examine(self) -> Any:
        """Return the state."""
        raise NotImplementedError

    def status(self) -> os.stat_result | None:
        """Return the current status of the path; None if it is missing or outside the root."""
        base = self._locate()
        status = self._status()
        if status is not None and stat.S_ISLNK(status.st_mode):
            self._resolve(base)
            status = self._status()
        self.is_unread = self.is_unread and status is not None
        return status

    @property
    def root(self) -> Root:
        """The root that it is below."""
        return self._root

    @property
    def is_watched(self) -> bool:
        """Return whether each change of the path since it was examined sends an event."""
        return self._is_watched and not self._is_linked and self._watching == self._root.watching

    @property
    def is_notified(self) -> bool:
        """Return whether an event is sent for each change of the state."""
        return self.is_watched and not self.is_unread

    def _locate(self) -> str:
        """Bring the real path and the watch on its folder up to date.

        :return: the real path of the root.
        """
        parents = state_of(self._parents)
        base: str = parents[0]
        if parents != self._resolved_for or self._is_linked:
            self._resolve(base)
            self._resolved_for = parents
        watching, real = self._root.watching, self._real
        if watching != self._watching:
            self._is_watched = real is not None and self._root.watch(
                real if real == base else self._folder_to_watch(real)
            )
            self._watching = watching
        return base

    def _folder_to_watch(self, real: str) -> str:
        """Return the folder whose events report changes of a real path."""
        return os.path.dirname(real)

    def version(self) -> Version | None:
        """Return the current version of a regular file; None for anything else."""
        status = self.status()
        return Version.from_status(status) if status and stat.S_ISREG(status.st_mode) else None

    def _resolve(self, base: str) -> None:
        real = files.resolve_below(base, self.relative)
        if real != self._real:
            self._real, self._watching = real, -1
        self._is_linked = real != os.path.normpath(os.path.join(base, self.relative))

    def _status(self) -> os.stat_result | None:
        return files.lstat(self._real) if self._real is not None else None


class VersionInput(PathInput):
    """The version of a regular file; None if there is none."""

    def examine(self) -> Version | None:
        """Return the version; None if there is no regular file."""
        return self.version()


class ContentInput(PathInput):
    """A file that is read without this class. The state is its version once that is settled."""

    def examine(self) -> Any:
        """Return the version; a state that equals no other while the version is not settled."""
        version = self.version()
        return version if version is None or is_settled(version, time.time_ns()) else Unsettled()


class FolderInput(PathInput):
    """Whether a path is a folder."""

    def examine(self) -> bool:
        """Return whether the path is a folder."""
        status = self.status()
        return status is not None and stat.S_ISDIR(status.st_mode)


class ExistenceInput(PathInput):
    """Whether a path exists, also as a folder or a broken link."""

    def examine(self) -> bool:
        """Return whether the path exists."""
        return os.path.lexists(os.path.join(self._locate(), self.relative))


class Names(NamedTuple):
    """The sorted names of the regular files, real folders, links and all others in a folder."""

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class NamesInput(PathInput):
    """The names in a folder, without hidden and temporary files, see `files.entries`."""

    def __init__(self, root: Root, relative: str) -> None:
        super().__init__(root, relative)
        self._version: Version | None = None
        self._settled = False
        self._names = Names()

    def _folder_to_watch(self, real: str) -> str:
        return real

    def examine(self) -> Names:
        """Return the names; none if the folder is missing."""
        status = self.status()
        if status is None or self._real is None or not stat.S_ISDIR(status.st_mode):
            return Names()
        version = Version.from_status(status)
        if self._settled and version == self._version:
            return self._names
        with self._lock:
            read_at = time.time_ns()
            base, names = state_of(self._root), Names()
            self.is_unread = False
            try:
                with files.entries_of(base, self._real, self._is_wanted) as entries:
                    names = self._names_in(entries)
            except OSError as error:
                self.is_unread = files.is_passing(error)
            self._names = self._names if names == self._names else names
            self._version = version
            self._settled = is_settled(version, read_at) and not self.is_unread
            return self._names

    _is_wanted: Callable[[str], bool] = staticmethod(files.is_listed)

    def _names_in(self, entries: list[os.DirEntry[str]]) -> Names:
        kinds: tuple[list[str], ...] = ([], [], [], [])
        for entry in entries:
            if entry.is_symlink():
                kinds[2].append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                kinds[1].append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                kinds[0].append(entry.name)
            else:
                kinds[3].append(entry.name)
        return Names(*map(tuple, kinds))


class SubfoldersInput(NamesInput):
    """The names of the real folders in a folder, hidden ones included."""

    _is_wanted: Callable[[str], bool] = staticmethod(is_clean)

    def _names_in(self, entries: list[os.DirEntry[str]]) -> Names:
        return Names(
            folders=tuple(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        )


class _LargeContent(Content):
    """The content of a large file: compressed, and parsed at its first use in a look.

    It is never None.
    """

    __slots__ = ("_packed", "_parse")

    def __init__(self, data: bytes, parse: Callable[[bytes], Any], parsed: Any) -> None:
        super().__init__(parsed)
        self._packed = pack(data)
        self._parse = parse

    @property
    def value(self) -> Any:
        if self._value is _UNPARSED:
            self._value = self._parse(unpack(self._packed))
        return self._value

    def unparsed(self) -> "_LargeContent":
        """Return the same state without the parsed value."""
        copied = copy(self)
        copied._value = _UNPARSED
        return copied


_UNPARSED = object()


def _make_content(data: bytes | None, parse: Callable[[bytes], Any], parsed: Any) -> Content:
    """Return the content of a file.

    :param parse: returns the parsed value of the data again.
    """
    if data is not None and len(data) > LARGE_BYTES and parsed is not None:
        return _LargeContent(data, parse, parsed)
    return Content(parsed)


class FileInput(PathInput):
    """A file that is read again when its version changes, or while that is not settled.

    The state stays the same while the content is the same.
    """

    limit: int

    def __init__(self, root: Root, relative: str) -> None:
        super().__init__(root, relative)
        self._version: Version | None = None
        self._settled = False
        self._epoch = -1
        self._fingerprint: int | None = None  # the hash of the data
        self._content = Content(None)
        self._absent = Content(self._parse(None))

    def examine(self) -> Any:
        """Return the content, read again only if the file may have changed."""
        version = self.version()
        if version is None:
            with self._lock:
                return self._missing()
        if self._is_stale(version):
            with self._lock:
                if self._is_stale(version):
                    self._load(version)
        content = self._state()
        if isinstance(content, _LargeContent):
            with self._lock:
                self._release(content)
        return content

    def _is_stale(self, version: Version) -> bool:
        """Return whether the file has a new version, or may have changed without one."""
        if self.is_unread:
            return True
        if version != self._version or self._settled:
            return version != self._version
        get_notifier().drain()
        return not (self.is_watched and get_notifier().epoch == self._epoch)

    def _load(self, version: Version) -> None:
        get_notifier().drain()
        epoch, read_at = get_notifier().epoch, time.time_ns()
        try:
            with files.opened_below(state_of(self._root), self.relative) as (stream, version):
                self._take(self._read(stream, version))
                self.is_unread = False
        except OSError as error:
            self.is_unread = files.is_passing(error)
            if not files.is_transient(error):
                self._take(None)
        # Last, because other threads read these without the lock.
        self._version, self._settled, self._epoch = version, is_settled(version, read_at), epoch

    def _read(self, stream: BinaryIO, version: Version) -> bytes:
        """Read the bytes that determine the state."""
        return files.read_up_to(stream, self.limit)

    def _missing(self) -> Content:
        """Return the state of a missing file."""
        self._version = self._fingerprint = None
        return self._absent

    def _take(self, data: bytes | None) -> None:
        """Set the state from the data of the file.

        :param data: None if it could not be read.
        """
        fingerprint = hash(data)
        if fingerprint != self._fingerprint:
            self._content = _make_content(data, self._parse, self._parse(data))
            self._fingerprint = fingerprint

    def _parse(self, data: bytes | None) -> Any:
        """Return the value of the state.

        :param data: None if the file is missing or could not be read.
        """
        raise NotImplementedError

    def _state(self) -> Content:
        return self._content

    def _release(self, content: _LargeContent) -> None:
        """Keep a content without its parsed value, which the current look holds."""
        if self._content is content:
            self._content = content.unparsed()


class TextInput(FileInput):
    """A text file as UTF-8 with replacement, cut at `limit` bytes; None if it is missing."""

    def __init__(self, root: Root, relative: str, limit: int) -> None:
        super().__init__(root, relative)
        self.limit = limit

    def _parse(self, data: bytes | None) -> str | None:
        return None if data is None else json_text.decode(data)


class DocumentInput(FileInput):
    """A JSON file, parsed once for each content.

    A file that is rewritten in place is empty or truncated for a moment. If a file is damaged
    within WRITE_GRACE_SECONDS of its modification, the state is its last good content; if there is
    none, the file is read a second time.
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
        if self._document is None and self._settled and not self.is_unread:
            if version.size >= self.limit:
                log.warning("skipped file %s: it is too large", self.relative)
            else:
                log.warning("skipped damaged file %s", self.relative)

    def _take(self, data: bytes | None) -> None:
        if data is None or len(data) >= self.limit:
            self._document = self._fingerprint = None
            return
        fingerprint = hash(data)
        if fingerprint == self._fingerprint:
            return
        self._fingerprint = fingerprint
        try:
            value = json_text.parse(data)
            self._document = self._last_good = _make_content(data, json_text.parse, value)
        except json_text.Damaged:
            self._document = None

    def _parse(self, data: bytes | None) -> None:
        """Return None: a file that is not parsed by `_take` has no document."""

    def _state(self) -> Content:
        return self._document or self._stand_in() or self._absent

    def _release(self, content: _LargeContent) -> None:
        if self._last_good is content:
            self._last_good = content.unparsed()
            self._document = self._last_good if self._document else None

    @property
    def is_notified(self) -> bool:
        """Whether an event is sent for each change of the state.

        No event is sent when the time ends for which the last good content is used.
        """
        return super().is_notified and not (self._document is None and self._is_being_written())

    def _stand_in(self) -> Content | None:
        return self._last_good if self._is_being_written() else None

    def _is_being_written(self) -> bool:
        return self._version is not None and is_being_written(self._version)


class _LargeSection(Content):
    """The value of a name in a document, which is parsed when the value is used."""

    __slots__ = ("_document", "_name")

    def __init__(self, token: int, document: Content, name: str) -> None:
        self.token, self._value = token, _UNPARSED
        self._document, self._name = document, name

    @property
    def value(self) -> Any:
        return _value_of(self._document, self._name)


def _value_of(document: Content, name: str) -> Any:
    content = document.value
    return content.get(name) if isinstance(content, dict) else None


class ComputedInput:
    """An input whose state is computed from those of files.

    :ivar files: what it is computed from.
    """

    def __init__(self, *files: PathInput) -> None:
        self.files = files

    @property
    def is_notified(self) -> bool:
        """Return whether each change of one of the files sends an event."""
        return all(file.is_notified for file in self.files)


class NewerInput(ComputedInput):
    """Compare when two files were written. The state is whether the first one is newer."""

    def __init__(self, file: VersionInput, other: VersionInput) -> None:
        super().__init__(file, other)

    def examine(self) -> bool:
        """Return whether the first file is there, and the other one is missing or older."""
        version, than = map(state_of, self.files)
        return version is not None and (than is None or version.mtime_ns > than.mtime_ns)


class SectionInput(ComputedInput):
    """The value of a name in the object of a JSON file; None if there is none.

    The state stays the same when only other parts of the file change.
    """

    def __init__(self, document: DocumentInput, name: str) -> None:
        super().__init__(document)
        self._document = document
        self._name = name
        self._seen: int | None = None  # the token of the document
        self._fingerprint: int | None = None  # the hash of the value
        self._content = Content(None)
        self._is_large = False
        self._lock = threading.Lock()

    def examine(self) -> Content:
        """Return the content. It is compared with that before only if the file has changed."""
        document: Content = state_of(self._document)
        with self._lock:
            if document.token != self._seen:
                self._take(_value_of(document, self._name))
                self._seen = document.token
            if self._is_large:
                return _LargeSection(self._content.token, document, self._name)
            return self._content

    def _take(self, value: Any) -> None:
        text = json_text.compact(value)
        fingerprint = hash(text)
        if fingerprint != self._fingerprint:
            self._is_large = len(text) > LARGE_BYTES
            self._content = Content(None if self._is_large else value)
            self._fingerprint = fingerprint


class StrictDocumentInput(DocumentInput):
    """A JSON file whose older content is never used. A damaged file is read a few times again."""

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
