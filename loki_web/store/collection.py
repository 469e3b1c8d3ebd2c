"""A folder of JSON files, refreshed by the difference of names and versions."""

import logging
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from loki_web.store import files, json_text
from loki_web.store.documents import being_written, settled
from loki_web.store.files import Version
from loki_web.store.listing import Listing
from loki_web.store.recent import Recent

MAX_ENTRY_BYTES = 1024 * 1024
MAX_ENTRIES = 100_000
MAX_HELD_BYTES = 256 * 1024 * 1024  # of files whose content is held as it is
MAX_MADE_BYTES = 16 * 1024 * 1024  # of files of which something else was made
_LIVELY = 256
_ROUND_SECONDS = 0.9

Made = TypeVar("Made")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    version: Version
    settled: bool
    value: Any


@dataclass(frozen=True, slots=True)
class Content:
    """:param settled: False where the file may still change without its version changing."""

    value: Any
    version: Version
    settled: bool


class Collection:
    """The `*.json` files of a folder and, where `nested`, of the folders below it.

    A name that comes, goes or is replaced is seen at once, and so is a change in place of one of
    the files that changed last. The rest is looked at in turns, each file once in a second.

    :param root: nothing outside it is read, whatever links there are.
    :param relative: the folder, seen from `root`.
    :param digest: what is held of each content instead of the content; None leaves the file out.
    """

    def __init__(
        self,
        root: Path,
        relative: str,
        nested: bool = False,
        digest: Callable[[Any], Any] | None = None,
    ) -> None:
        self.generation = 0
        self._root = root
        self._relative = relative
        self._digest = digest
        self._listing = Listing(root, relative, nested)
        self._names: list[str] = []
        self._entries: dict[str, _Entry] = {}
        self._held_bytes = 0
        self._lively: OrderedDict[str, None] = OrderedDict()
        self._unsettled: set[str] = set()
        self._turns = _Turns()
        self._derived: dict[Any, tuple[int, Any]] = {}
        self._made = Recent(MAX_MADE_BYTES)
        self._lock = threading.Lock()

    def items(self) -> list[tuple[str, Any]]:
        """`(path below the folder, content)` in name order; damaged files are left out.

        `generation` grows whenever the answer changes. Contents are shared: do not change them.
        """
        return list(self.derived(_as_they_are))

    def derived(self, make: Callable[[list[tuple[str, Any]]], Made]) -> Made:
        """What `make` gives for `items`, made once a generation: shared, not to be changed."""
        with self._lock:
            self._refresh()
            generation, value = self._derived.get(make, (-1, None))
            if generation != self.generation:
                pairs = ((name, self._entries.get(name)) for name in self._names)
                value = make([(name, held.value) for name, held in pairs if held and held.value])
                self._derived[make] = (self.generation, value)
            made: Made = value
            return made

    def versions(self) -> dict[str, Version]:
        """The versions that the latest `items` or `derived` came from, by path."""
        with self._lock:
            return {name: held.version for name, held in self._entries.items() if held.value}

    def read(self, name: str) -> Content | None:
        """The content of one file as it is now; None where it cannot be read or understood."""
        read_at = time.time_ns()
        try:
            path = os.path.join(self._relative, name)
            data, version = files.read(self._root, path, MAX_ENTRY_BYTES)
            return Content(json_text.parse(data), version, settled(version, read_at))
        except (OSError, json_text.Damaged):
            return None

    def made_of(self, name: str, make: Callable[[str, Any], Made]) -> Made | None:
        """What `make` gives for the path and the content of one file, made once a version.

        Of what was made the latest is kept. None for a file that is not among `items`.
        """
        with self._lock:
            held, kept = self._entries.get(name), self._made.get((name, make))
        if held is None:
            return None
        made: Made | None = kept.value if kept else None
        if kept and kept.version == held.version:
            return made
        content = self.read(name)
        if content is None:
            return made
        made = make(name, content.value)
        if content.settled:
            with self._lock:
                self._made.keep((name, make), content.version, made)
        return made

    def _refresh(self) -> None:
        changed, due = self._refresh_names()
        due.update(self._lively, self._unsettled, self._turns.due(self._names))
        stale: list[tuple[int, str, Version]] = []
        for name in due:
            held = self._entries.get(name)
            if held and held.settled and self._listing.is_still(name, held.version):
                continue
            version = self._listing.version(name)
            if version is None:
                changed |= self._forget(name)
            else:
                stale.append((version.mtime_ns, name, version))
        for _, name, version in sorted(stale, key=lambda found: found[:2]):
            self._take(name, version)
        self.generation += changed or bool(stale)

    def _refresh_names(self) -> tuple[bool, set[str]]:
        """Whether files are gone, and the names in directories that were listed anew."""
        anew = self._listing.refresh()
        if anew is None:
            return False, set()
        self._names = self._listing.names[-MAX_ENTRIES:]
        listed = set(self._names)
        gone = [name for name in self._entries if name not in listed]
        for name in gone:
            self._forget(name)
        return bool(gone), listed.intersection(anew)

    def _take(self, name: str, version: Version) -> None:
        held = self._entries.get(name)
        self._forget(name)
        entry = self._loaded(name, version, held)
        self._entries[name] = entry
        self._held_bytes += entry.version.size
        if not entry.settled:
            self._unsettled.add(name)
        self._lively[name] = None
        if len(self._lively) > _LIVELY:
            self._lively.popitem(last=False)

    def _loaded(self, name: str, version: Version, before: _Entry | None) -> _Entry:
        trusted = settled(version, time.time_ns())
        fits = self._digest is not None or self._held_bytes + version.size <= MAX_HELD_BYTES
        content = self.read(name) if fits else None
        if content is not None:
            value = self._digest(content.value) if self._digest else content.value
            return _Entry(content.version, content.settled, value)
        if before is not None and being_written(version):
            return _Entry(version, False, before.value)
        if trusted:
            log.warning("left out damaged file %s", os.path.join(self._relative, name))
        return _Entry(version, trusted, None)

    def _forget(self, name: str) -> bool:
        held = self._entries.pop(name, None)
        self._held_bytes -= held.version.size if held else 0
        self._lively.pop(name, None)
        self._unsettled.discard(name)
        return held is not None


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
