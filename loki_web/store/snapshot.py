"""Recognize after a restart that the files of a stored value have not changed."""

import os
import stat
import time
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from loki_web.store import files
from loki_web.store.files import Version, is_being_written, is_settled
from loki_web.store.inputs import ComputedInput, PathInput, Root
from loki_web.store.look import Input, Inputs, are_current, looking_again, state_of
from loki_web.text import is_clean

_State = tuple[int, ...] | None


class Snapshot(NamedTuple):
    """The states of some paths below a root: the files of a value and the folders above them.

    :ivar base: the real path of the root.
    :ivar states: kind and version of each path; None for one that was missing.
    """

    base: str
    paths: tuple[str, ...]
    states: tuple[_State, ...]

    @classmethod
    def from_json(cls, data: list[Any]) -> "Snapshot":
        """Return a snapshot that was written as JSON."""
        base, paths, states = data
        return cls(base, tuple(paths), tuple(state and tuple(state) for state in states))


class SnapshotInput:
    """The paths of a snapshot as one input. Its state is a snapshot of now.

    It costs one `lstat` for each path, and less memory than an input for each of them.
    """

    def __init__(self, root: Root, snapshot: Snapshot) -> None:
        self._root = root
        self._snapshot = snapshot
        self._watching = -1
        self._is_watched = False

    @property
    def is_notified(self) -> bool:
        """Return whether an event is sent for each change since it was examined."""
        return self._is_watched and self._watching == self._root.watching

    def examine(self) -> Snapshot:
        """Return what the paths are now."""
        base: str = state_of(self._root)
        watching = self._root.watching
        if watching != self._watching:
            self._is_watched = all(map(self._root.watch, self._list_folders(base)))
            self._watching = watching
        return _take(base, self._snapshot.paths)

    def _list_folders(self, base: str) -> set[str]:
        """Return the folders whose events report changes of the paths."""
        pairs = zip(self._snapshot.paths, self._snapshot.states, strict=True)
        folders = [path for path, state in pairs if state and stat.S_ISDIR(state[0])]
        above = map(os.path.dirname, self._snapshot.paths)
        return {os.path.join(base, path).rstrip(os.sep) for path in (*folders, *above)}


def take_snapshot(root: Root, inputs: Inputs) -> Snapshot | None:
    """Return a snapshot of the files that a value was computed from.

    :param inputs: those of the value.
    :return: None if it could not tell after a restart that the value is still right: an input is
        no file below the root, could not be read, or may change without another version; there is
        a link; the path of the root is no text; or something has changed since the value was
        computed.
    """
    paths: set[str] = set()
    for source in _list_sources(inputs):
        if source is root:
            continue
        if not isinstance(source, PathInput) or source.root is not root or source.is_unread:
            return None
        if source.relative != os.path.normpath(source.relative):
            return None
        paths.update(accumulate(source.relative.split(os.sep), os.path.join))
    now = time.time_ns()
    with looking_again():
        snapshot = _take(state_of(root), tuple(sorted(paths)))
        is_lasting = all(_is_lasting(state, now) for state in snapshot.states)
        is_sure = is_lasting and is_clean(snapshot.base) and are_current(inputs)
        return snapshot if is_sure else None


def _list_sources(inputs: Inputs) -> Iterator[Input]:
    """Yield the inputs, and instead of computed ones what they are computed from."""
    for source, _ in inputs:
        if isinstance(source, ComputedInput):
            yield from source.files
        else:
            yield source


def _take(base: str, paths: tuple[str, ...]) -> Snapshot:
    return Snapshot(base, paths, tuple(_state(f"{base}/{path}") for path in paths))


def _state(path: str) -> _State:
    status = files.lstat(path)
    return (stat.S_IFMT(status.st_mode), *Version.from_status(status)) if status else None


def _is_lasting(state: _State, now: int) -> bool:
    """Return whether a change would give a path another state."""
    if state is None:
        return True
    kind, version = state[0], Version(*state[1:])
    if kind == stat.S_IFLNK or not is_settled(version, now):
        return False
    return kind == stat.S_IFDIR or not is_being_written(version)
