"""List the JSON files below a folder. Directories that have not changed are not read again."""

import os
import stat
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from loki_web.store import files
from loki_web.store.files import Version, is_settled

MAX_FOLDERS = 4096
_BULK = 64  # for fewer files opening their folder would take longer than it saves
_MAX_DEPTH = 3  # a link to a parent folder would be followed forever


@dataclass(slots=True)
class _Directory:
    """A directory that was listed.

    :ivar path: its real path.
    :ivar is_linked: whether its path below the root has a link in it.
    :ivar is_watched: whether an event is sent for each change in it.
    :ivar files: the paths of its files below the folder of the listing.
    :ivar links: the files that are links or are reached through one.
    :ivar folders: the names of its subdirectories, and whether they are links.
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
    """The JSON files of a folder and, if `nested`, of the folders below it.

    The modification time of a directory changes when a name in it is added, removed or replaced.
    Links are resolved each time.

    :param watch: called with the real path of a directory and its path below the folder before it
        is listed; returns whether an event is sent for each later change in it.
    :param named: list only files of this name; None for all that end with `.json`.
    :ivar names: the sorted paths of the files below the folder.
    :ivar linked: the files that are links or are reached through one.
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
    def exists(self) -> bool:
        """Return whether the last listing found the folder."""
        return bool(self._directories)

    @property
    def is_watched(self) -> bool:
        """Whether an event is sent for each change in any of the directories."""
        return all(one.is_watched and not one.is_linked for one in self._directories.values())

    def refresh(self, base: str) -> set[str] | None:
        """List the directories that have changed.

        :param base: the real path of the root.
        :return: the paths of the files in these directories; None if none has changed.
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
        changed = [below for below in fresh if fresh[below] is not before.get(below)]
        if not changed and len(before) == len(fresh):
            return None
        self.linked = {name for one in fresh.values() for name in one.links}
        self.names = sorted(name for one in fresh.values() for name in one.files)
        return {name for below in changed for name in fresh[below].files}

    def may_be_folder(self, name: str) -> bool:
        """Return whether a link of that name would be followed if it leads to a folder."""
        return self._nested and not self._is_wanted(name) and files.is_listed(name)

    def note(self, below: str, name: str) -> str | None:
        """Update the listing for a name in a directory that was added, removed or replaced.

        :return: the path of the file below the folder; None for a name that is not listed.
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
        """Return the real path of the directory of a listed file, and its name; None for links."""
        below, _, own = name.rpartition("/")
        directory = self._directories.get(below)
        if directory is None or name in self.linked:
            return None
        return directory.path, own

    def find_changed(
        self, names: Collection[str], get_stamp: Callable[[str], int | None]
    ) -> Iterator[tuple[str, Version | None]]:
        """Examine listed files. Yield those that have another version than before, with it.

        :param get_stamp: returns the stamp of the version before; a file without one has changed.
        :return: the version is None if the file is missing or no regular file.
        """
        directories, linked = self._directories, self.linked
        with files.OpenFolders(self._base) as folders:
            is_bulk = len(names) >= _BULK
            for name in names:
                below, _, own = name.rpartition("/")
                directory = directories.get(below)
                if directory is None or name in linked:
                    real = files.resolve_below(self._base, os.path.join(self._relative, name))
                    status = files.lstat(real) if real else None
                else:
                    status = folders.status(directory.path, own) if is_bulk else None
                    status = status or files.lstat(f"{directory.path}/{own}")
                if status is None or not stat.S_ISREG(status.st_mode):
                    yield name, None
                elif files.get_stamp(status) != get_stamp(name):
                    yield name, Version.from_status(status)

    def _directory(self, below: str, is_linked: bool) -> _Directory | None:
        """Return a directory, listed again if it has changed; None if it is missing."""
        relative = os.path.join(self._relative, below)
        real = files.resolve_below(self._base, relative) if is_linked else self._path(below)
        if real is None:
            return None
        is_linked = real != os.path.normpath(os.path.join(self._base, relative))
        is_watched = self._watch(real, below)
        looked_at = time.time_ns()
        status = files.lstat(real)
        if status is None or not stat.S_ISDIR(status.st_mode):
            return None
        version = Version.from_status(status)
        former = self._directories.get(below)
        if former and former.is_settled and (former.path, former.version) == (real, version):
            former.is_watched = is_watched
            return former
        directory = _Directory(real, version, is_settled(version, looked_at), is_linked, is_watched)
        try:
            with files.entries_of(self._base, real) as entries:
                self._fill(directory, below, entries)
        except OSError as error:
            if files.is_passing(error):
                directory.is_settled = directory.is_watched = False
        return directory

    def _fill(self, directory: _Directory, below: str, entries: list[os.DirEntry[str]]) -> None:
        for entry in entries:
            is_link = entry.is_symlink()
            if self._is_wanted(entry.name):
                path = f"{below}/{entry.name}" if below else entry.name
                directory.files.append(path)
                if directory.is_linked or is_link:
                    directory.links.append(path)
            elif self._nested and _is_folder(entry):
                directory.folders.append((entry.name, is_link))

    def _path(self, below: str) -> str:
        return os.path.normpath(os.path.join(self._base, self._relative, below))

    def _is_wanted(self, name: str) -> bool:
        return name == self._named if self._named else name.endswith(".json")


def _kind(path: str) -> Callable[[int], bool] | None:
    """Return S_ISLNK for a link, S_ISREG for anything else that exists, else None."""
    status = files.lstat(path)
    if status is None:
        return None
    return stat.S_ISLNK if stat.S_ISLNK(status.st_mode) else stat.S_ISREG


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
