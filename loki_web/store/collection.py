"""A folder of JSON files, refreshed by the difference of names and versions."""

import logging
import math
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple, TypeVar

import orjson
from cachetools import LRUCache

from loki_web.store import files, json_text
from loki_web.store.files import Version, is_being_written, is_settled, is_settled_at
from loki_web.store.inputs import PathInput, Root
from loki_web.store.kept import Kept
from loki_web.store.listing import Listing
from loki_web.store.look import observe, state_of
from loki_web.store.notifier import notifier

MAX_ENTRY_BYTES = 1024 * 1024
MAX_ENTRIES = 100_000
MAX_HELD_BYTES = 256 * 1024 * 1024  # of files whose content is held as it is
MAX_MADE_BYTES = 1024 * 1024  # of files of which something else was made
BULK = 64  # to look for fewer files in the index costs more than to parse them
_LIVELY = 256
_ROUND_SECONDS = 0.9
_MAX_LOG = 1000
_PLAIN = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

Made = TypeVar("Made")
log = logging.getLogger(__name__)


def _same(value: Any) -> Any:
    return value


def _as_json(value: Any) -> bytes:
    return orjson.dumps(value, option=_PLAIN)


@dataclass(frozen=True)
class Digest:
    """What is held of a file instead of its content.

    :param make: returns it for the content; None leaves the file out. Must hold no secrets.
    :param dump: turns it into bytes, by which it outlasts the process: JSON when left out. Where
        it raises TypeError each process makes the digests again.
    :param load: turns the bytes into the digest; from JSON when left out.
    """

    make: Callable[[Any], Any]
    dump: Callable[[Any], bytes] = _as_json
    load: Callable[[bytes], Any] = orjson.loads


class Stamped(NamedTuple):
    """The version of a file in short.

    :ivar stamp: see `Version.stamp`.
    """

    stamp: int
    mtime_ns: int

    @property
    def mtime(self) -> float:
        """Seconds since the epoch."""
        return self.mtime_ns / 1e9


@dataclass(slots=True)
class _Entry:
    """:ivar size: of the file where its content is held, else 0.
    :ivar is_settled: False while the file has to be looked at again without being told.
    :ivar fingerprint: of the content, which tells of more changes than its digest; None where the
        digest was loaded.
    """

    stamp: int
    mtime_ns: int
    size: int
    is_settled: bool
    value: Any
    fingerprint: int | None = None

    @property
    def mark(self) -> tuple[int, int | None]:
        """What is another one when the file has changed."""
        return self.stamp, self.fingerprint


@dataclass(frozen=True, slots=True)
class Content:
    """:ivar is_settled: False where the file may still change without its version changing."""

    value: Any
    version: Version
    is_settled: bool
    fingerprint: int


@dataclass(frozen=True, slots=True)
class _Made:
    """What was made of one file."""

    size: int
    mark: tuple[int, int | None]
    value: Any


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed in a collection since a generation.

    :ivar generation: the present one.
    :ivar names: the paths of files that came, went or changed; None where everything may have.
    """

    generation: int
    names: set[str] | None


class Collection:
    """The JSON files of a folder and, where `nested`, of the folders below it.

    Where the file system tells of events, every change is seen at once. Elsewhere a name that
    comes, goes or is replaced is seen at once, and so is a change in place of one of the files that
    changed last; the rest is looked at in turns, each file once in a second.

    :param root: nothing outside it is read, whatever links there are.
    :param relative: the folder, seen from `root`.
    :param digest: what is held of each content instead of the content; None leaves the file out.
    :param named: only the files of this name, None for all that end with `.json`.
    :param kept: where digests outlast the process, so that a file is parsed once a version.
        Contents are not put there: they may hold secrets.
    """

    def __init__(
        self,
        root: Root,
        relative: str,
        nested: bool = False,
        *,
        digest: Callable[[Any], Any] | Digest | None = None,
        named: str | None = None,
        kept: Kept | None = None,
    ) -> None:
        self._generation = 0
        self._root = root
        self._folder = PathInput(root, relative)
        self._relative = relative
        self._digest = digest if isinstance(digest, Digest) else Digest(digest or _same)
        self._holds_contents = digest is None
        self._kept = None if digest is None else kept
        self._name = _name(relative, nested, named, self._digest)
        self._fresh: dict[str, int] = {}
        self._listing = Listing(relative, nested, self._watch, named)
        self._base = ""
        self._identity: tuple[int, int] | None = None
        self._entries: dict[str, _Entry] = {}
        self._held_bytes = 0
        self._lively: OrderedDict[str, None] = OrderedDict()
        self._unsettled: set[str] = set()
        self._turns = _Turns()
        self._touched: set[tuple[str, str]] = set()
        self._is_lost = True
        self._has_missed = False
        self._is_trusted = False
        self._log: deque[tuple[int, str]] = deque()
        self._log_begins = 0
        self._derived: dict[Any, tuple[int, Any]] = {}
        self._made: LRUCache[Any, _Made] = LRUCache(
            MAX_MADE_BYTES, getsizeof=lambda made: made.size
        )
        self._lock = threading.RLock()

    @property
    def is_notified(self) -> bool:
        """Whether the file system tells of each change since it was examined."""
        return self._is_trusted and not (self._touched or self._is_lost or self._unsettled)

    def examine(self) -> int:
        """Bring the entries up to date and return the generation, which grows with each change."""
        drained_at = time.time_ns()
        notifier().drain()
        base: str = state_of(self._root)
        identity = self._identity_now()
        is_same = self._is_trusted and base == self._base and identity == self._identity
        if not is_same or self._touched or self._is_lost or self._unsettled:
            with self._lock:
                self._refresh(base, is_same, drained_at)
                self._base, self._identity = base, identity
        return self._generation

    def items(self) -> list[tuple[str, Any]]:
        """`(path below the folder, content)` in name order; damaged files are left out.

        Contents are shared: do not change them.
        """
        return list(self.derived(_as_they_are))

    def pairs(self) -> list[tuple[str, Any]]:
        """The same, in a list that is not kept."""
        observe(self)
        with self._lock:
            entries = ((name, self._entries.get(name)) for name in self._names())
            return [(name, held.value) for name, held in entries if held and held.value is not None]

    def derived(self, make: Callable[[list[tuple[str, Any]]], Made]) -> Made:
        """What `make` gives for `items`, made once a generation: shared, not to be changed."""
        observe(self)
        with self._lock:
            generation, value = self._derived.get(make, (-1, None))
            if generation != self._generation:
                value = make(self.pairs())
                self._derived[make] = (self._generation, value)
            made: Made = value
            return made

    def changes(self, since: int | None) -> Changes:
        """What has changed since a generation that `changes` returned, None for the beginning."""
        observe(self)
        with self._lock:
            if since is None or since < self._log_begins:
                return Changes(self._generation, None)
            later = takewhile(lambda entry: entry[0] > since, reversed(self._log))
            return Changes(self._generation, {name for _, name in later})

    def value(self, name: str) -> Any:
        """What is held of a file, None where there is nothing; see `changes` for the names."""
        held = self._entries.get(name)
        return held.value if held else None

    def version(self, name: str) -> Stamped | None:
        """The version of a file of which there is a value, None for another."""
        held = self._entries.get(name)
        return Stamped(held.stamp, held.mtime_ns) if held and held.value is not None else None

    def versions(self, *, damaged: bool = False) -> dict[str, Stamped]:
        """The versions of the files, by path.

        :param damaged: those of damaged files too.
        """
        observe(self)
        with self._lock:
            return {
                name: Stamped(held.stamp, held.mtime_ns)
                for name, held in self._entries.items()
                if damaged or held.value is not None
            }

    def read(self, name: str) -> Content | None:
        """The content of one file as it is now; None where it cannot be read or understood."""
        try:
            with files.OpenFolders(state_of(self._root)) as folders:
                return self._read(name, folders)
        except OSError:
            return None

    def _read(self, name: str, folders: files.OpenFolders) -> Content | None:
        """:raises OSError: where the file may be there, and nothing can be opened just now."""
        read_at = time.time_ns()
        try:
            data, version = self._bytes(name, folders)
            value = json_text.parse(data)
        except json_text.Damaged:
            return None
        except OSError as error:
            if files.is_transient(error):
                raise
            return None
        return Content(value, version, is_settled(version, read_at), hash(data))

    def made_of(self, name: str, make: Callable[[str, Any], Made]) -> Made | None:
        """What `make` gives for the path and the content of one file, made once a version.

        Of what was made the latest is kept. None for a file that is not among `items`.
        """
        observe(self)
        with self._lock:
            held, kept = self._entries.get(name), self._made.get((name, make))
        if held is None:
            return None
        made: Made | None = kept.value if kept else None
        if kept and kept.mark == held.mark:
            return made
        content = self.read(name)
        if content is None:
            return made
        made = make(name, content.value)
        is_held = held.stamp == content.version.stamp
        is_held = is_held and held.fingerprint in (None, content.fingerprint)
        is_sure = self._is_trusted or content.is_settled
        if is_held and is_sure and content.version.size <= MAX_MADE_BYTES:
            with self._lock:
                self._made[name, make] = _Made(content.version.size, held.mark, made)
        return made

    def touched(self, key: str, name: str, is_folder: bool) -> None:
        """Take note of an event in one of the directories, see `store.notifier`."""
        if is_folder or self._listing.may_lead_on(name):
            self._is_lost = True
        else:
            self._touched.add((key, name))

    def lost(self) -> None:
        """Take note that anything may have changed."""
        self._is_lost = self._has_missed = True

    def _watch(self, real: str, below: str) -> bool:
        return self._root.reports and notifier().watch(real, self, below)

    def _identity_now(self) -> tuple[int, int] | None:
        status = self._folder.status()
        return (status.st_dev, status.st_ino) if status else None

    def _names(self) -> list[str]:
        return self._listing.names[-MAX_ENTRIES:]

    def _refresh(self, base: str, is_same: bool, drained_at: int) -> None:
        touched, self._touched = self._touched, set()
        has_missed, self._has_missed = self._has_missed, False
        doubtful = {path for one in touched if (path := self._listing.note(*one)) is not None}
        due = set() if is_same and not self._is_lost else self._relist(base)
        doubtful |= self._unsettled
        if has_missed:
            doubtful |= self._fresh.keys()
        linked = set(self._listing.linked)
        due |= doubtful
        due.update(linked)
        self._is_trusted = self._is_trusted and not linked
        if not self._is_trusted:
            due.update(self._lively, self._turns.due(self._names()))
        self._take_in(due, doubtful, base)
        if len(self._fresh) >= BULK:
            self._settle(drained_at)

    def _relist(self, base: str) -> set[str]:
        """Look at the directories again; the names that have to be looked at because of that."""
        was_lost, self._is_lost = self._is_lost, False
        anew = self._listing.refresh(base)
        self._is_trusted = self._listing.is_watched and not self._listing.linked
        names = self._names()
        if anew is None:
            return set(names) if was_lost else set()
        listed = set(names)
        gone = {name for name in self._entries if name not in listed}
        return gone | (listed if was_lost else listed & anew)

    def _take_in(self, due: set[str], doubtful: set[str], base: str) -> None:
        """Look at files, and read those that have changed.

        :param doubtful: those that may have changed while their version has not.
        """
        stale, gone = self._looked_at(due, doubtful)
        if not gone and not stale:
            return
        for name in gone:
            self._forget(name)
        changed = gone
        by_time = sorted(stale, key=lambda name: stale[name].mtime_ns)
        if self._kept is not None and len(stale) >= BULK:
            changed += self._load(self._kept, stale)
        with files.OpenFolders(base) as folders:
            changed += [
                name for name in by_time if name in stale and self._take(name, stale[name], folders)
            ]
        for name in by_time[-_LIVELY:]:
            self._lively[name] = None
            self._lively.move_to_end(name)
        while len(self._lively) > _LIVELY:
            self._lively.popitem(last=False)
        if changed:
            self._generation += 1
            self._note(changed)

    def _looked_at(self, due: set[str], doubtful: set[str]) -> tuple[dict[str, Version], list[str]]:
        """Which files have to be read, with their versions, and which are gone."""
        stale: dict[str, Version] = {}
        gone: list[str] = []
        for name in due:
            version = self._listing.version(name)
            held = self._entries.get(name)
            if version is None:
                self._unsettled.discard(name)
                if held is not None:
                    gone.append(name)
            elif held is None or held.stamp != version.stamp or name in doubtful:
                stale[name] = version
        return stale, gone

    def _note(self, changed: list[str]) -> None:
        if len(changed) > _MAX_LOG:
            self._log.clear()
            self._log_begins = self._generation
            return
        self._log.extend((self._generation, name) for name in changed)
        while len(self._log) > _MAX_LOG:
            self._log_begins, _ = self._log.popleft()

    def _load(self, kept: Kept, stale: dict[str, Version]) -> list[str]:
        """Take from the index what it has of files, and out of `stale`; return their names."""
        loaded: list[str] = []
        surplus: list[str] = []
        for name, stamp, data in kept.digests(self._name):
            version = stale.get(name)
            if version is None and name not in self._entries:
                surplus.append(name)
            if version is None or version.stamp != stamp or not self._has_room(version):
                continue
            try:
                value = self._digest.load(data)
            except Exception:  # whatever is wrong with it, the file is read instead
                log.warning("a digest in the index is damaged: %s", name, exc_info=True)
                continue
            if name in self._entries:
                self._forget(name)
            self._put(name, self._stamped(version, True, value))
            loaded.append(name)
            del stale[name]
        if len(surplus) >= BULK:
            kept.remove_digests(self._name, surplus)
        return loaded

    def _settle(self, drained_at: int) -> None:
        """Take the files that have settled since they were read out of those that have not, and
        put what is held of them into the index.

        Each was settled when it was read, or it is now and nothing was told of it in between.
        """
        rows = []
        for name, changed_ns in list(self._fresh.items()):
            held = self._entries[name]
            if is_settled_at(changed_ns, drained_at) if self._is_trusted else held.is_settled:
                del self._fresh[name]
                if held.value is not None and self._kept is not None:
                    rows.append((name, held.stamp, held.value))
        if self._kept is None or not rows:
            return
        try:
            self._kept.store_digests(
                self._name, ((name, stamp, self._digest.dump(value)) for name, stamp, value in rows)
            )
        except TypeError:
            self._kept = None  # digests of a kind that does not outlast the process

    def _take(self, name: str, version: Version, folders: files.OpenFolders) -> bool:
        """Read a file; whether that changed what is held of it."""
        before = self._entries.get(name)
        if before is not None:
            self._forget(name)
        entry = self._entry(name, version, before, folders)
        self._put(name, entry)
        return before is None or before.mark != entry.mark or before.value != entry.value

    def _entry(
        self, name: str, version: Version, before: _Entry | None, folders: files.OpenFolders
    ) -> _Entry:
        """What a file holds now. What it held before stands in for a file that is being written,
        and for one that cannot be opened for want of descriptors."""
        try:
            content = self._read(name, folders) if self._has_room(version) else None
            is_doubtful = content is None and is_being_written(version)
        except OSError:
            content, is_doubtful = None, True
        if content is not None:
            version = content.version
            self._fresh[name] = version.ctime_ns
            is_settled = self._is_trusted or content.is_settled
            value = self._digest.make(content.value)
            return self._stamped(version, is_settled, value, content.fingerprint)
        if is_doubtful:
            return self._stamped(version, False, before.value if before else None)
        log.warning("left out damaged file %s", os.path.join(self._relative, name))
        return self._stamped(version, True, None)

    def _stamped(
        self, version: Version, is_settled: bool, value: Any, fingerprint: int | None = None
    ) -> _Entry:
        size = version.size if self._holds_contents else 0
        return _Entry(version.stamp, version.mtime_ns, size, is_settled, value, fingerprint)

    def _put(self, name: str, entry: _Entry) -> None:
        self._entries[name] = entry
        self._held_bytes += entry.size
        if not entry.is_settled:
            self._unsettled.add(name)

    def _has_room(self, version: Version) -> bool:
        return not self._holds_contents or self._held_bytes + version.size <= MAX_HELD_BYTES

    def _forget(self, name: str) -> None:
        self._held_bytes -= self._entries.pop(name).size
        self._lively.pop(name, None)
        self._unsettled.discard(name)
        self._fresh.pop(name, None)

    def _bytes(self, name: str, folders: files.OpenFolders) -> tuple[bytes, Version]:
        """:raises OSError: when it cannot be read, or is larger than MAX_ENTRY_BYTES."""
        place = self._listing.place(name)
        if place is None:
            return files.read(self._root.path, os.path.join(self._relative, name), MAX_ENTRY_BYTES)
        return folders.read(*place, MAX_ENTRY_BYTES)


class _Turns:
    """Who has to be looked at, so that within a round everybody was."""

    def __init__(self) -> None:
        self._next = 0
        self._at = -math.inf

    def due(self, names: list[str]) -> list[str]:
        now = time.monotonic()
        count = math.ceil(len(names) * min(1.0, (now - self._at) / _ROUND_SECONDS))
        self._at = now
        start = self._next if self._next < len(names) else 0
        self._next = start + count
        if self._next <= len(names):
            return names[start : self._next]
        self._next -= len(names)
        return names[start:] + names[: self._next]


def _name(relative: str, nested: bool, named: str | None, digest: Digest) -> str:
    """What tells the digests of a collection from all others."""
    make = digest.make
    return f"{relative}|{nested}|{named}|{make.__module__}.{make.__qualname__}"


def _as_they_are(items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return items
