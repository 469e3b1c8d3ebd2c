"""Keep the JSON files of a folder in memory, and read only those that have changed."""

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain, takewhile
from typing import Any, NamedTuple, TypeVar

from cachetools import LRUCache

from loki_web.store import files, json_text
from loki_web.store.entries import RELEASED, Entries, Entry
from loki_web.store.files import Version, is_being_written, is_settled, is_settled_at
from loki_web.store.inputs import PathInput, Root
from loki_web.store.listing import Listing
from loki_web.store.look import observe, state_of
from loki_web.store.notifier import get_notifier
from loki_web.store.value_store import ValueStore

MAX_ENTRY_BYTES = 1024 * 1024
MAX_ENTRIES = 100_000
MAX_CONTENT_BYTES = 256 * 1024 * 1024  # for each collection without a digest
MAX_RESULT_BYTES = 256 * 1024  # file sizes of the cached results of `derive_one`
BULK = 64  # parsing fewer files is faster than loading digests
_MAX_RECENT = 256
_ROUND_SECONDS = 0.9
_MAX_LOG = 1000
_FORMAT = "3"  # of the stored digests

R = TypeVar("R")
log = logging.getLogger(__name__)


class _Fresh(NamedTuple):
    """A file that was read by this process and has not been stored.

    :ivar fingerprint: the hash of the content, which may change while version and digest do not.
    """

    ctime_ns: int
    fingerprint: int


class Content(NamedTuple):
    """The content of a file that was read.

    :ivar is_settled: False if the file may still change without a new version.
    """

    value: Any
    version: Version
    is_settled: bool
    fingerprint: int


@dataclass(frozen=True, slots=True)
class _Result:
    """A cached result of `derive_one`, from a content with this version and fingerprint."""

    size: int
    stamp: int
    fingerprint: int
    value: Any

    def is_of(self, stamp: int, fingerprint: int | None) -> bool:
        """Return whether it comes from the content with that stamp and, if known, fingerprint."""
        return self.stamp == stamp and fingerprint in (None, self.fingerprint)


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of a collection since a generation.

    :ivar generation: the current one.
    :ivar names: the paths of new, removed and changed files; None if all files may have changed.
    """

    generation: int
    names: set[str] | None


class Collection:
    """The JSON files of a folder and, if `nested`, of the folders below it.

    With file system events every change is detected at once. Without them new, removed and
    replaced files are detected at once, and so are changes in place of the _MAX_RECENT files that
    changed last. The other files are examined in rotation, each once a second.

    :param root: no file outside it is read; links out of it are skipped.
    :param relative: the path of the folder below `root`.
    :param digest: computes what is kept instead of each content: a JSON value without secrets, a
        tuple for an array, because it takes less memory; None as a result skips the file.
    :param named: read only files of this name; None for all that end with `.json`.
    :param value_store: where digests are kept between runs, so that each version of a file is
        parsed once. Contents are never stored there, because they may contain secrets.
    """

    def __init__(
        self,
        root: Root,
        relative: str,
        nested: bool = False,
        *,
        digest: Callable[[Any], Any] | None = None,
        named: str | None = None,
        value_store: ValueStore | None = None,
    ) -> None:
        self._generation = 0
        self._root = root
        self._folder = PathInput(root, relative)
        self._relative = relative
        self._digest = digest
        self._value_store = None if digest is None else value_store
        self._name = f"{relative}|{nested}|{named}|{getattr(digest, '__qualname__', '')}"
        self._fresh: dict[str, _Fresh] = {}
        self._listing = Listing(relative, nested, self._watch, named)
        self._base = ""
        self._identity: tuple[int, int] | None = None
        self._entries = Entries()
        self._sizes: dict[str, int] = {}  # of the files whose contents are kept
        self._content_bytes = 0
        self._recent: LRUCache[str, None] = LRUCache(_MAX_RECENT)
        self._unsettled: set[str] = set()
        self._rotation = _Rotation()
        self._touched: set[tuple[str, str]] = set()
        self._is_lost = True
        self._has_missed = False
        self._is_refreshing = False
        self._marks = threading.Lock()  # of the three that events set, in any thread
        self._is_trusted = False
        self._log: deque[tuple[int, str]] = deque()
        self._log_begins = 0
        self._derived: dict[Any, tuple[int, Any]] = {}
        self._results: LRUCache[Any, _Result] = LRUCache(
            MAX_RESULT_BYTES, getsizeof=lambda result: result.size
        )
        self._lock = threading.RLock()

    @property
    def is_notified(self) -> bool:
        """Whether an event is sent for each change since the collection was examined."""
        is_reported = self._listing.exists or self._folder.is_watched
        is_marked = self._touched or self._is_lost or self._unsettled
        return self._is_trusted and is_reported and not is_marked

    def examine(self) -> int:
        """Bring the entries up to date. Return the generation, which grows with each change."""
        drained_at = time.time_ns()
        get_notifier().drain()
        base: str = state_of(self._root)
        identity = self._identity_now()
        is_same = self._is_trusted and base == self._base and identity == self._identity
        is_marked = self._touched or self._is_lost or self._is_refreshing
        if not is_same or is_marked or self._unsettled:
            with self._lock:
                self._is_refreshing = True  # before the marks go: others wait for the result
                try:
                    self._refresh(base, is_same, drained_at)
                finally:
                    self._is_refreshing = False
                self._base, self._identity = base, identity
        return self._generation

    def items(self) -> list[tuple[str, Any]]:
        """Return `(path below the folder, content)` sorted by path, without damaged files.

        Contents are shared: do not change them.
        """
        return list(self.derive(_unchanged_items))

    def pairs(self) -> list[tuple[str, Any]]:
        """Return the same as `items`, without caching the list."""
        observe(self)
        with self._lock:
            return [
                (name, current)
                for name, value in self._entries.values_of(self._names())
                if (current := self.value(name) if value is RELEASED else value) is not None
            ]

    def derive(self, function: Callable[[list[tuple[str, Any]]], R]) -> R:
        """Return the result of a function of `items`, computed once a generation.

        The result is shared: do not change it.
        """
        observe(self)
        with self._lock:
            generation, value = self._derived.get(function, (-1, None))
            if generation != self._generation:
                value = function(self.pairs())
                self._derived[function] = (self._generation, value)
            result: R = value
            return result

    def changes(self, since: int | None) -> Changes:
        """Return the changes since a generation.

        :param since: the generation of an earlier result; None for the first call.
        """
        observe(self)
        with self._lock:
            if since is None or since < self._log_begins:
                return Changes(self._generation, None)
            later = takewhile(lambda entry: entry[0] > since, reversed(self._log))
            return Changes(self._generation, {name for _, name in later})

    def value(self, name: str) -> Any:
        """Return the content or digest of a file as of the last refresh, or None.

        :param name: a path as in `items` and `changes`.
        """
        with self._lock:
            entry = self._entries.get(name)
        if entry is None or entry.value is not RELEASED:
            return entry.value if entry else None
        content = self.read(name)
        return self._value_of(content) if content else None

    def release_values(self) -> None:
        """Forget the values that have settled: `value` reads their files again.

        For a caller that has used them, and needs only the changes from then on.
        """
        with self._lock:
            self._entries.release(self.is_settled)

    def is_settled(self, name: str) -> bool:
        """Return whether the version of a file changes with the next change of its content."""
        return name not in self._fresh and name not in self._unsettled

    def version(self, name: str) -> Entry | None:
        """Return the entry of a file that has a value; None for others."""
        with self._lock:
            entry = self._entries.get(name)
        return entry if entry and entry.value is not None else None

    def versions(self, *, damaged: bool = False) -> dict[str, Entry]:
        """Return the entries of the files by path.

        :param damaged: include damaged files.
        """
        observe(self)
        with self._lock:
            entries = self._entries.items()
            return {name: entry for name, entry in entries if damaged or entry.value is not None}

    def stamps(self) -> dict[str, int]:
        """Return the stamps of the versions of the files that have a value, by path."""
        observe(self)
        with self._lock:
            return self._entries.stamps()

    def modified_since(self, mtime: float) -> list[str]:
        """Return the paths of the files that were written at a time or later.

        :param mtime: seconds since the epoch.
        """
        observe(self)
        with self._lock:
            return self._entries.modified_since(mtime)

    def count_unusable(self) -> int:
        """Return how many files are damaged or too large."""
        observe(self)
        with self._lock:
            return self._entries.count_unusable()

    def read(self, name: str) -> Content | None:
        """Read the current content of a file; None if it is damaged or cannot be read.

        If the next try may succeed, the file counts as changed until then.
        """
        try:
            with files.OpenFolders(state_of(self._root)) as folders:
                return self._read(name, folders)
        except OSError:
            with self._lock:
                self._unsettled.add(name)
                self._fresh.pop(name, None)  # so that reading it again counts as a change
            return None

    def _read(self, name: str, folders: files.OpenFolders) -> Content | None:
        """Return the content of a file; None if it is damaged, too large or not readable.

        :raises OSError: if the next try may succeed: there was a lack of descriptors, or the file
            was moved or removed after it was listed.
        """
        read_at = time.time_ns()
        try:
            data, version = self._bytes(name, folders)
            value = json_text.parse(data)
        except json_text.Damaged:
            return None
        except OSError as error:
            if files.is_passing(error):
                raise
            return None
        return Content(value, version, is_settled(version, read_at), hash(data))

    def derive_one(self, name: str, function: Callable[[str, Any], R]) -> R | None:
        """Return the result of a function of the path and the content of one file.

        It is computed once for each version; results that are used least are evicted. If the file
        cannot be read now, the previous result is returned.

        :return: None for a file that is not in the collection.
        """
        observe(self)
        with self._lock:
            entry, cached = self._entries.get(name), self._results.get((name, function))
            fresh = self._fresh.get(name)
        if entry is None:
            return None
        result: R | None = cached.value if cached else None
        fingerprint = fresh.fingerprint if fresh else None
        if cached and cached.is_of(entry.stamp, fingerprint):
            return result
        content = self.read(name)
        if content is None:
            return result
        result = function(name, content.value)
        size, stamp = content.version.size, content.version.stamp
        computed = _Result(size, stamp, content.fingerprint, result)
        is_sure = self._is_trusted or content.is_settled
        if computed.is_of(entry.stamp, fingerprint) and is_sure and size <= MAX_RESULT_BYTES:
            with self._lock:
                self._results[name, function] = computed
        return result

    def touched(self, key: str, name: str, is_folder: bool) -> None:
        """Handle an event in one of the directories, see `store.notifier`."""
        self._root.event_count += 1
        with self._marks:
            if is_folder or self._listing.may_be_folder(name):
                self._is_lost = True
            else:
                self._touched.add((key, name))

    def lost(self) -> None:
        """Handle lost events: examine all files again."""
        self._root.event_count += 1
        with self._marks:
            self._is_lost = self._has_missed = True

    def _take_marks(self) -> tuple[set[tuple[str, str]], bool, bool]:
        """Return what events have set since the last call: touched files, lost, missed."""
        with self._marks:
            marks = self._touched, self._is_lost, self._has_missed
            self._touched, self._is_lost, self._has_missed = set(), False, False
        return marks

    def _watch(self, real: str, below: str) -> bool:
        return self._root.reports and get_notifier().watch(real, self, below)

    def _identity_now(self) -> tuple[int, int] | None:
        status = self._folder.status()
        return (status.st_dev, status.st_ino) if status else None

    def _names(self) -> list[str]:
        return self._listing.names[-MAX_ENTRIES:]

    def _refresh(self, base: str, is_same: bool, drained_at: int) -> None:
        """Find the files that may have changed, and read those that have.

        :param base: the real path of the root.
        :param is_same: whether events have reported all changes since the last refresh.
        :param drained_at: when the events were read, in nanoseconds since the epoch.
        """
        touched, was_lost, has_missed = self._take_marks()
        doubtful = {path for one in touched if (path := self._listing.note(*one)) is not None}
        due = set() if is_same and not was_lost else self._relist(base, was_lost)
        doubtful |= self._unsettled
        if has_missed:
            doubtful |= self._fresh.keys()
        linked = set(self._listing.linked)
        due |= doubtful
        due.update(linked)
        self._is_trusted = self._is_trusted and not linked
        if not self._is_trusted:
            due.update(self._recent, self._rotation.due(self._names()))
        self._read_changed(due, doubtful, base)
        if len(self._fresh) >= max(BULK, len(self._entries) // BULK):
            self._settle(drained_at)

    def _relist(self, base: str, was_lost: bool) -> set[str]:
        """List the directories again. Return the paths of the files to examine because of it."""
        relisted = self._listing.refresh(base)
        self._is_trusted = self._is_reported()
        names = self._names()
        if relisted is None:
            return set(names) if was_lost else set()
        paths = set(names)
        gone = {name for name in self._entries if name not in paths}
        due = paths if was_lost else paths & relisted
        due |= gone
        return due

    def _is_reported(self) -> bool:
        """Return whether events report each later change, of a missing folder its creation."""
        if not self._listing.exists:
            return self._folder.is_watched
        return self._listing.is_watched and not self._listing.linked

    def _read_changed(self, due: set[str], doubtful: set[str], base: str) -> None:
        """Examine files, and read those that have changed.

        :param doubtful: the files to read even if their version is the same.
        """
        changed = self._restore() if len(due) >= BULK and not self._entries else []
        if not self._entries and self._digest is not None:
            changed += self._read_first(due, base)
            due = due.difference(changed)
        stale, gone = self._compare(due, doubtful)
        if not (gone or stale or changed):
            return
        for name in gone:
            self._forget(name)
        changed += gone
        latest = nlargest(_MAX_RECENT, stale, key=lambda name: stale[name].mtime_ns)
        with files.OpenFolders(base) as folders:
            for name in sorted(stale, key=lambda name: stale[name].mtime_ns):
                if self._take(name, stale[name], folders):
                    changed.append(name)
        for name in reversed(latest):
            self._recent[name] = None
        if changed:
            self._generation += 1
            self._note(changed)

    def _read_first(self, due: set[str], base: str) -> list[str]:
        """Read files of which nothing is known, without examining each before. Return their paths.

        Files that are damaged or cannot be read are left out.
        """
        paths = []
        with files.OpenFolders(base) as folders:
            for name in sorted(due):
                with suppress(OSError):
                    content = self._read(name, folders)
                    if content is not None:
                        self._keep(name, content)
                        paths.append(name)
        self._recent.update(dict.fromkeys(reversed(self._entries.latest(_MAX_RECENT))))
        return paths

    def _compare(self, due: set[str], doubtful: set[str]) -> tuple[dict[str, Version], list[str]]:
        """Return the files to read with their versions, and the files that are gone."""
        stale: dict[str, Version] = {}
        gone: list[str] = []
        for name, version in chain(
            self._listing.find_changed(due.difference(doubtful), self._entries.get_stamp),
            self._listing.find_changed(due & doubtful, lambda _: None),  # read in any case
        ):
            if version is not None:
                stale[name] = version
                continue
            self._unsettled.discard(name)
            if name in self._entries:
                gone.append(name)
        return stale, gone

    def _note(self, changed: list[str]) -> None:
        """Append the changed files to the log that `changes` reads."""
        if len(changed) > _MAX_LOG:
            self._log.clear()
            self._log_begins = self._generation
            return
        self._log.extend((self._generation, name) for name in changed)
        while len(self._log) > _MAX_LOG:
            self._log_begins, _ = self._log.popleft()

    def _restore(self) -> list[str]:
        """Begin with the stored digests of the files that are listed. Return their paths.

        Their versions are examined after that, as those of all entries.
        """
        data = self._value_store.load(self._name, _FORMAT) if self._value_store else None
        if data is None:
            return []
        names = self._names()
        self._entries.load(data, names)
        loaded = list(self._entries)
        if loaded != names:
            for name in set(loaded).difference(names):
                self._entries.remove(name)
            loaded = list(self._entries)
        if not self._is_trusted:
            self._recent.update(dict.fromkeys(reversed(self._entries.latest(_MAX_RECENT))))
        return loaded

    def _settle(self, drained_at: int) -> None:
        """Store all digests, if files have settled since they were read.

        A digest is stored only if the file was settled when it was read, or is settled now and no
        event has reported a change in between.
        """
        settled = [
            name
            for name, fresh in self._fresh.items()
            if (
                is_settled_at(fresh.ctime_ns, drained_at)
                if self._is_trusted
                else name not in self._unsettled
            )
        ]
        for name in settled:
            del self._fresh[name]
        if self._value_store is None or not settled:
            return
        self._value_store.store(self._name, _FORMAT, self._entries.dump(self.is_settled))

    def _take(self, name: str, version: Version, folders: files.OpenFolders) -> bool:
        """Read a file. Return whether its content or digest has changed.

        If the file is being written, or cannot be opened now, the previous value is kept.
        """
        before, fresh_before = self._entries.get(name), self._fresh.get(name)
        if before is not None:
            self._forget(name)
        try:
            content = self._read(name, folders) if self._has_room(version) else None
            is_doubtful = content is None and is_being_written(version)
        except OSError:
            content, is_doubtful = None, True
        if content is not None:
            entry = self._keep(name, content)
        else:
            if not is_doubtful:
                path = os.path.join(self._relative, name)
                if version.size > MAX_ENTRY_BYTES:
                    log.warning("skipped file %s: it is too large", path)
                else:
                    log.warning("skipped damaged file %s", path)
            value = before.value if before and is_doubtful else None
            entry = self._put(name, version, value, is_doubtful)
        return before != entry or fresh_before != self._fresh.get(name)

    def _keep(self, name: str, content: Content) -> Entry:
        """Set the entry of a file that was read."""
        version = content.version
        self._fresh[name] = _Fresh(version.ctime_ns, content.fingerprint)
        is_doubtful = not (self._is_trusted or content.is_settled)
        return self._put(name, version, self._value_of(content), is_doubtful)

    def _put(self, name: str, version: Version, value: Any, is_doubtful: bool) -> Entry:
        entry = Entry(version.stamp, version.mtime_ns, value)
        self._entries.put(name, entry)
        if self._digest is None:
            self._sizes[name] = version.size
            self._content_bytes += version.size
        if is_doubtful:
            self._unsettled.add(name)
        return entry

    def _value_of(self, content: Content) -> Any:
        return content.value if self._digest is None else self._digest(content.value)

    def _has_room(self, version: Version) -> bool:
        return self._digest is not None or self._content_bytes + version.size <= MAX_CONTENT_BYTES

    def _forget(self, name: str) -> None:
        self._entries.remove(name)
        self._content_bytes -= self._sizes.pop(name, 0)
        self._recent.pop(name, None)
        self._unsettled.discard(name)
        self._fresh.pop(name, None)

    def _bytes(self, name: str, folders: files.OpenFolders) -> tuple[bytes, Version]:
        """Return the bytes and the version of a file.

        :raises OSError: if it cannot be read or is larger than MAX_ENTRY_BYTES.
        """
        place = self._listing.place(name)
        if place is None:
            return files.read(self._root.path, os.path.join(self._relative, name), MAX_ENTRY_BYTES)
        return folders.read(*place, MAX_ENTRY_BYTES)


class _Rotation:
    """Selects files to examine, so that each is examined once in _ROUND_SECONDS."""

    def __init__(self) -> None:
        self._next = 0
        self._at = -math.inf

    def due(self, names: list[str]) -> list[str]:
        """Return the next names, as many as the time since the last call requires."""
        now = time.monotonic()
        count = math.ceil(len(names) * min(1.0, (now - self._at) / _ROUND_SECONDS))
        self._at = now
        start = self._next if self._next < len(names) else 0
        self._next = start + count
        if self._next <= len(names):
            return names[start : self._next]
        self._next -= len(names)
        return names[start:] + names[: self._next]


def _unchanged_items(items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return items
