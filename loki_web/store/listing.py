"""Which JSON files are below a folder; a directory that has not changed is not listed again."""

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from loki_web.store import files
from loki_web.store.documents import settled
from loki_web.store.files import Version

MAX_FOLDERS = 4096
_MAX_DEPTH = 3  # a link to a folder above would have no end


@dataclass(slots=True)
class _Directory:
    version: Version
    settled: bool
    linked: bool
    files: list[tuple[str, bool]]
    folders: list[tuple[str, bool]]


@dataclass(slots=True)
class Listing:
    """The `*.json` files of a folder and, where `nested`, of the folders below it.

    A directory's own modification time tells of every name that came, went or was replaced. With
    each name stands whether it, or a folder above it, is a link: then it is resolved each time.
    """

    root: Path
    relative: str
    nested: bool
    _files: dict[str, bool] = field(default_factory=dict)
    _directories: dict[str, _Directory] = field(default_factory=dict)
    _base: str | None = None

    @property
    def names(self) -> list[str]:
        """The paths below the folder, in order, as of the last `refresh`."""
        return list(self._files)

    def refresh(self) -> list[str] | None:
        """Look at the directories again.

        :return: None where none has changed, else the names in those that were listed anew.
        """
        self._base = files.resolve(self.root, self.relative)
        fresh: dict[str, _Directory] = {}
        pending = [("", 0, False)]
        while pending and len(fresh) < MAX_FOLDERS:
            below, depth, linked = pending.pop()
            directory = self._directory(below, linked)
            if directory is None:
                continue
            fresh[below] = directory
            if self.nested and depth < _MAX_DEPTH:
                pending += [
                    (os.path.join(below, name), depth + 1, linked or is_link)
                    for name, is_link in directory.folders
                ]
        before, self._directories = self._directories, fresh
        anew = [below for below in fresh if fresh[below] is not before.get(below)]
        if not anew and len(before) == len(fresh):
            return None
        self._files = dict(sorted(file for below in fresh for file in _files(below, fresh[below])))
        return [name for below in anew for name, _ in _files(below, fresh[below])]

    def version(self, name: str) -> Version | None:
        """The version that a listed file has now; None where it is no regular file any more."""
        if self._base is None or self._files[name]:
            return files.version(self.root, os.path.join(self.relative, name))
        return _version(os.path.join(self._base, name), stat.S_ISREG)

    def is_still(self, name: str, version: Version) -> bool:
        """True where a listed file has this version now: `version` for many files, quickly."""
        if self._base is None or self._files[name]:
            return self.version(name) == version
        try:
            status = os.lstat(f"{self._base}/{name}")
        except OSError:
            return False
        return (
            status.st_mtime_ns == version.mtime_ns
            and status.st_size == version.size
            and status.st_ino == version.inode
            and stat.S_ISREG(status.st_mode)
        )

    def _directory(self, below: str, linked: bool) -> _Directory | None:
        relative = os.path.join(self.relative, below)
        real = files.resolve(self.root, relative) if linked else self._base
        if real is None:
            return None
        looked_at = time.time_ns()
        version = _version(real if linked else os.path.join(real, below), stat.S_ISDIR)
        if version is None:
            return None
        held = self._directories.get(below)
        if held and held.settled and (held.version, held.linked) == (version, linked):
            return held
        directory = _Directory(version, settled(version, looked_at), linked, [], [])
        for entry in files.entries(self.root, relative):
            is_link = entry.is_symlink()
            if entry.name.endswith(".json"):
                directory.files.append((entry.name, linked or is_link))
            elif _is_folder(entry):
                directory.folders.append((entry.name, is_link))
        return directory


def _files(below: str, directory: _Directory) -> list[tuple[str, bool]]:
    return [(os.path.join(below, name), linked) for name, linked in directory.files]


def _version(path: str, is_kind: Callable[[int], bool]) -> Version | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return Version.of(status) if is_kind(status.st_mode) else None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
