"""A folder of JSON files, refreshed by the difference of names and versions."""

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loki_web.store import files, json_text
from loki_web.store.documents import settled
from loki_web.store.files import Version

MAX_ENTRY_BYTES = 1024 * 1024
MAX_ENTRIES = 100_000

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    version: Version
    settled: bool
    value: Any


@dataclass(slots=True)
class Collection:
    """The `*.json` files of a folder and, where `nested`, of the folders directly in it.

    :param root: nothing outside it is read, whatever links there are.
    :param relative: the folder, seen from `root`.
    """

    root: Path
    relative: str
    nested: bool = False
    generation: int = 0
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def items(self) -> list[tuple[str, Any]]:
        """`(path below the folder, content)` in name order; damaged files are left out.

        `generation` grows whenever the answer changes. Contents are shared: do not change them.
        """
        with self._lock:
            self._refresh()
            return [(name, entry.value) for name, entry in self._entries.items() if entry.value]

    def names(self) -> list[str]:
        """The paths of the files below the folder, in name order, unread."""
        return [name for name, _ in self._listed()]

    def _refresh(self) -> None:
        fresh: dict[str, _Entry] = {}
        for name, found in self._listed():
            held = self._entries.get(name)
            version = _version_of(self.root, os.path.join(self.relative, name), found)
            if version is None:
                continue
            if held is None or not held.settled or held.version != version:
                held = self._load(name, version)
            fresh[name] = held
        if fresh != self._entries:
            self.generation += 1
        self._entries = fresh

    def _listed(self) -> list[tuple[str, os.DirEntry[str]]]:
        listed: list[tuple[str, os.DirEntry[str]]] = []
        for entry in files.entries(self.root, self.relative):
            if entry.name.endswith(".json"):
                listed.append((entry.name, entry))
            elif self.nested and _is_folder(entry):
                below = files.entries(self.root, os.path.join(self.relative, entry.name))
                listed += [
                    (f"{entry.name}/{inner.name}", inner)
                    for inner in below
                    if inner.name.endswith(".json")
                ]
        return listed[-MAX_ENTRIES:]

    def _load(self, name: str, version: Version) -> _Entry:
        read_at = time.time_ns()
        relative = os.path.join(self.relative, name)
        value: Any = None
        try:
            data, version = files.read(self.root, relative, MAX_ENTRY_BYTES)
            value = json_text.parse(data)
        except (OSError, json_text.Damaged):
            if settled(version, read_at):
                log.warning("left out damaged file %s", relative)
        return _Entry(version, settled(version, read_at), value)


def _version_of(root: Path, relative: str, entry: os.DirEntry[str]) -> Version | None:
    try:
        if entry.is_file(follow_symlinks=False):
            return Version.of(entry.stat(follow_symlinks=False))
    except OSError:
        return None
    return files.version(root, relative)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
