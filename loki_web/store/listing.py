"""Which JSON files are below a folder; a directory that has not changed is not listed again."""

import os
import stat
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

from loki_web.store import files
from loki_web.store.files import Version, is_settled

MAX_FOLDERS = 4096
_MAX_DEPTH = 3  # a link to a folder above would have no end


@dataclass(slots=True)
class _Directory:
    """:ivar path: its real path.
    :ivar is_watched: whether each change in it is told.
    :ivar files: their paths below the folder.
    :ivar links: those of them that are links, or lie behind one.
    """

    path: str
    version: Version
    is_settled: bool
    is_linked: bool
    is_watched: bool
    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    folders: list[tuple[str, bool]] = field(default_factory=list)


class Listing:
    """The JSON files of a folder and, where `nested`, of the folders below it.

    A directory's own modification time tells of every name that came, went or was replaced. A
    name that is a link, or lies below one, is resolved each time.

    :param watch: asked, with the real path of a directory and its path below the folder, before
        that is listed; returns whether each later change in it is told.
    :param named: only files of this name, None for all that end with `.json`.
    :ivar linked: the files that are links, or lie behind one.
    """

    def __init__(
        self, relative: str, nested: bool, watch: Callable[[str, str], bool], named: str | None
    ) -> None:
        self.names: list[str] = []
        self._relative = relative
        self._nested = nested
        self._watch = watch
        self._named = named
        self._base = ""
        self.linked: set[str] = set()
        self._directories: dict[str, _Directory] = {}

    @property
    def is_watched(self) -> bool:
        """Whether each change in any of the directories is told."""
        return bool(self._directories) and all(
            one.is_watched and not one.is_linked for one in self._directories.values()
        )

    def refresh(self, base: str) -> set[str] | None:
        """Look at the directories again.

        :param base: the real path of the root.
        :return: None where none has changed, else the names in those that were listed anew.
        """
        self._base = base
        fresh: dict[str, _Directory] = {}
        pending = [("", 0, True)]
        while pending and len(fresh) < MAX_FOLDERS:
            below, depth, is_linked = pending.pop()
            directory = self._directory(below, is_linked)
            if directory is None:
                continue
            fresh[below] = directory
            if self._nested and depth < _MAX_DEPTH:
                pending += [
                    (os.path.join(below, name), depth + 1, directory.is_linked or is_link)
                    for name, is_link in directory.folders
                ]
        before, self._directories = self._directories, fresh
        anew = [below for below in fresh if fresh[below] is not before.get(below)]
        if not anew and len(before) == len(fresh):
            return None
        self.linked = {name for one in fresh.values() for name in one.links}
        self.names = sorted(name for one in fresh.values() for name in one.files)
        return {name for below in anew for name in fresh[below].files}

    def may_lead_on(self, name: str) -> bool:
        """Return whether a link of that name to a folder would be followed."""
        return self._nested and not self._is_wanted(name) and files.is_listed(name)

    def note(self, below: str, name: str) -> str | None:
        """Take note that a name in a directory may have come, gone or become another file.

        :return: its path below the folder; None for a name that does not matter.
        """
        directory = self._directories.get(below)
        if directory is None or not self._is_wanted(name) or not files.is_listed(name):
            return None
        path = os.path.join(below, name)
        kind = _kind(os.path.join(directory.path, name))
        at = bisect_left(self.names, path)
        is_listed = self.names[at : at + 1] == [path]
        if kind is not None and not is_listed:
            self.names.insert(at, path)
        elif kind is None and is_listed:
            del self.names[at]
        self.linked.discard(path)
        if kind is stat.S_ISLNK:
            self.linked.add(path)
        return path

    def place(self, name: str) -> tuple[str, str] | None:
        """The real directory of a listed file and its name there; None for links."""
        below, _, own = name.rpartition("/")
        directory = self._directories.get(below)
        if directory is None or name in self.linked:
            return None
        return directory.path, own

    def version(self, name: str) -> Version | None:
        """The version that a listed file has now; None where it is no regular file any more."""
        place = self.place(name)
        if place is None:
            real = files.resolve_below(self._base, os.path.join(self._relative, name))
            return _version(real, stat.S_ISREG) if real else None
        return _version(f"{place[0]}/{place[1]}", stat.S_ISREG)

    def _directory(self, below: str, is_linked: bool) -> _Directory | None:
        relative = os.path.join(self._relative, below)
        real = files.resolve_below(self._base, relative) if is_linked else self._path(below)
        if real is None:
            return None
        is_linked = real != os.path.normpath(os.path.join(self._base, relative))
        is_watched = self._watch(real, below)
        looked_at = time.time_ns()
        version = _version(real, stat.S_ISDIR)
        if version is None:
            return None
        held = self._directories.get(below)
        if held and held.is_settled and (held.path, held.version) == (real, version):
            held.is_watched = is_watched
            return held
        directory = _Directory(real, version, is_settled(version, looked_at), is_linked, is_watched)
        for entry in files.entries_of(real):
            is_link = entry.is_symlink()
            if self._is_wanted(entry.name):
                path = f"{below}/{entry.name}" if below else entry.name
                directory.files.append(path)
                if is_linked or is_link:
                    directory.links.append(path)
            elif self._nested and _is_folder(entry):
                directory.folders.append((entry.name, is_link))
        return directory

    def _path(self, below: str) -> str:
        return os.path.normpath(os.path.join(self._base, self._relative, below))

    def _is_wanted(self, name: str) -> bool:
        return name == self._named if self._named else name.endswith(".json")


def _version(path: str, is_kind: Callable[[int], bool]) -> Version | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return Version.of(status) if is_kind(status.st_mode) else None


def _kind(path: str) -> Callable[[int], bool] | None:
    """What is there: S_ISLNK for a link, S_ISREG for all else, None for nothing."""
    try:
        return stat.S_ISLNK if stat.S_ISLNK(os.lstat(path).st_mode) else stat.S_ISREG
    except OSError:
        return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
