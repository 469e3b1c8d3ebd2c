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
from typing import Any, TypeVar

from cachetools import LRUCache

from loki_web.store import files, json_text
from loki_web.store.files import Version, being_written, settled
from loki_web.store.inputs import PathInput, Root
from loki_web.store.listing import Listing
from loki_web.store.look import observe, state_of
from loki_web.store.notifier import notifier

MAX_ENTRY_BYTES = 1024 * 1024
MAX_ENTRIES = 100_000
MAX_HELD_BYTES = 256 * 1024 * 1024  # of files whose content is held as it is
MAX_MADE_BYTES = 16 * 1024 * 1024  # of files of which something else was made
_LIVELY = 256
_ROUND_SECONDS = 0.9
_MAX_LOG = 10_000

Made = TypeVar("Made")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    """:ivar is_settled: False where the file may have changed without its version changing.
    :ivar fingerprint: of the content, which tells of more changes than its digest.
    """

    version: Version
    is_settled: bool
    value: Any
    fingerprint: int | None = None

    @property
    def mark(self) -> tuple[Version, int | None]:
        """What is another one when the file has changed."""
        return self.version, self.fingerprint


@dataclass(frozen=True, slots=True)
class Content:
    """:ivar settled: False where the file may still change without its version changing."""

    value: Any
    version: Version
    settled: bool
    fingerprint: int


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
    """

    def __init__(
        self,
        root: Root,
        relative: str,
        nested: bool = False,
        *,
        digest: Callable[[Any], Any] | None = None,
        named: str | None = None,
    ) -> None:
        self._generation = 0
        self._root = root
        self._folder = PathInput(root, relative)
        self._relative = relative
        self._digest = digest
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
        self._is_trusted = False
        self._log: deque[tuple[int, str]] = deque(maxlen=_MAX_LOG)
        self._derived: dict[Any, tuple[int, Any]] = {}
        self._made: LRUCache[Any, tuple[_Entry, Any]] = LRUCache(
            MAX_MADE_BYTES, getsizeof=lambda kept: kept[0].version.size
        )
        self._lock = threading.RLock()

    @property
    def is_told(self) -> bool:
        """Whether the file system tells of each change since it was examined."""
        return self._is_trusted and not (self._touched or self._is_lost or self._unsettled)

    def examine(self) -> int:
        """Bring the entries up to date and return the generation, which grows with each change."""
        notifier().drain()
        base: str = state_of(self._root)
        identity = self._identity_now()
        is_same = self._is_trusted and base == self._base and identity == self._identity
        if not is_same or self._touched or self._is_lost or self._unsettled:
            with self._lock:
                self._refresh(base, is_same)
                self._base, self._identity = base, identity
        return self._generation

    def items(self) -> list[tuple[str, Any]]:
        """`(path below the folder, content)` in name order; damaged files are left out.

        Contents are shared: do not change them.
        """
        return list(self.derived(_as_they_are))

    def derived(self, make: Callable[[list[tuple[str, Any]]], Made]) -> Made:
        """What `make` gives for `items`, made once a generation: shared, not to be changed."""
        observe(self)
        with self._lock:
            generation, value = self._derived.get(make, (-1, None))
            if generation != self._generation:
                pairs = ((name, self._entries.get(name)) for name in self._names())
                value = make(
                    [(name, held.value) for name, held in pairs if held and held.value is not None]
                )
                self._derived[make] = (self._generation, value)
            made: Made = value
            return made

    def changes(self, since: int | None) -> Changes:
        """What has changed since a generation that `changes` returned, None for the beginning."""
        observe(self)
        with self._lock:
            is_full = len(self._log) == _MAX_LOG
            if since is None or (is_full and self._log[0][0] > since):
                return Changes(self._generation, None)
            later = takewhile(lambda change: change[0] > since, reversed(self._log))
            return Changes(self._generation, {name for _, name in later})

    def value(self, name: str) -> Any:
        """What is held of a file, None where there is nothing; see `changes` for the names."""
        held = self._entries.get(name)
        return held.value if held else None

    def versions(self, *, damaged: bool = False) -> dict[str, Version]:
        """The versions of the files, by path.

        :param damaged: those of damaged files too.
        """
        observe(self)
        with self._lock:
            return {
                name: held.version
                for name, held in self._entries.items()
                if damaged or held.value is not None
            }

    def read(self, name: str) -> Content | None:
        """The content of one file as it is now; None where it cannot be read or understood."""
        with files.OpenFolders(state_of(self._root)) as folders:
            return self._read(name, folders)

    def _read(self, name: str, folders: files.OpenFolders) -> Content | None:
        read_at = time.time_ns()
        try:
            data, version = self._bytes(name, folders)
            return Content(json_text.parse(data), version, settled(version, read_at), hash(data))
        except (OSError, json_text.Damaged):
            return None

    def made_of(self, name: str, make: Callable[[str, Any], Made]) -> Made | None:
        """What `make` gives for the path and the content of one file, made once a version.

        Of what was made the latest is kept. None for a file that is not among `items`.
        """
        observe(self)
        with self._lock:
            held, kept = self._entries.get(name), self._made.get((name, make))
        if held is None:
            return None
        made: Made | None = kept[1] if kept else None
        if kept and kept[0].mark == held.mark:
            return made
        content = self.read(name)
        if content is None:
            return made
        made = make(name, content.value)
        is_held = held.mark == (content.version, content.fingerprint)
        if (
            is_held
            and (self._is_trusted or content.settled)
            and held.version.size <= MAX_MADE_BYTES
        ):
            with self._lock:
                self._made[name, make] = held, made
        return made

    def touched(self, key: str, name: str, is_folder: bool) -> None:
        """Take note of an event in one of the directories, see `store.notifier`."""
        if is_folder or self._listing.may_lead_on(name):
            self._is_lost = True
        else:
            self._touched.add((key, name))

    def lost(self) -> None:
        """Take note that anything may have changed."""
        self._is_lost = True

    def _watch(self, real: str, below: str) -> bool:
        return self._root.reports and notifier().watch(real, self, below)

    def _identity_now(self) -> tuple[int, int] | None:
        status = self._folder.status()
        return (status.st_dev, status.st_ino) if status else None

    def _names(self) -> list[str]:
        return self._listing.names[-MAX_ENTRIES:]

    def _refresh(self, base: str, is_same: bool) -> None:
        touched, self._touched = self._touched, set()
        due = {path for one in touched if (path := self._listing.note(*one)) is not None}
        if not is_same or self._is_lost:
            due |= self._relist(base)
        due |= self._unsettled
        linked = self._listing.linked
        due.update(linked)
        self._is_trusted = self._is_trusted and not linked
        if not self._is_trusted:
            due.update(self._lively, self._turns.due(self._names()))
        self._take_in(due, base)

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

    def _take_in(self, due: set[str], base: str) -> None:
        stale: list[tuple[int, str, Version]] = []
        gone: list[str] = []
        for name in due:
            version = self._listing.version(name)
            held = self._entries.get(name)
            if version is None:
                self._unsettled.discard(name)
                if held is not None:
                    gone.append(name)
            elif held is None or not held.is_settled or held.version != version:
                stale.append((version.mtime_ns, name, version))
        if not gone and not stale:
            return
        for name in gone:
            self._forget(name)
        with files.OpenFolders(base) as folders:
            gone += [name for _, name, one in sorted(stale) if self._take(name, one, folders)]
        if gone:
            self._generation += 1
            self._log.extend((self._generation, name) for name in gone)

    def _take(self, name: str, version: Version, folders: files.OpenFolders) -> bool:
        """Read a file; whether that changed what is held of it."""
        held = self._entries.get(name)
        self._forget(name)
        entry = self._loaded(name, version, held, folders)
        self._entries[name] = entry
        self._held_bytes += entry.version.size
        if not entry.is_settled and not (self._is_trusted and entry.fingerprint is not None):
            self._unsettled.add(name)
        self._lively[name] = None
        if len(self._lively) > _LIVELY:
            self._lively.popitem(last=False)
        return held is None or held.mark != entry.mark or held.value != entry.value

    def _loaded(
        self, name: str, version: Version, before: _Entry | None, folders: files.OpenFolders
    ) -> _Entry:
        fits = self._digest is not None or self._held_bytes + version.size <= MAX_HELD_BYTES
        content = self._read(name, folders) if fits else None
        if content is not None:
            value = self._digest(content.value) if self._digest else content.value
            return _Entry(content.version, content.settled, value, content.fingerprint)
        if being_written(version):
            return _Entry(version, False, before.value if before else None)
        log.warning("left out damaged file %s", os.path.join(self._relative, name))
        return _Entry(version, True, None)

    def _forget(self, name: str) -> None:
        held = self._entries.pop(name, None)
        self._held_bytes -= held.version.size if held else 0
        self._lively.pop(name, None)
        self._unsettled.discard(name)

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


def _as_they_are(items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return items
