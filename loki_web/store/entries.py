"""The state of the files of a collection, in columns: a year of history has tens of thousands."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from heapq import nlargest
from typing import Any, NamedTuple

import orjson

RELEASED = object()


class Entry(NamedTuple):
    """The version of a file, and what is kept of its content.

    :ivar stamp: see `Version.stamp`.
    :ivar value: the content or its digest; None for a damaged or skipped file; RELEASED for one
        whose value is read again when it is asked for.
    """

    stamp: int
    mtime_ns: int
    value: Any

    @property
    def mtime(self) -> float:
        """Seconds since the epoch."""
        return self.mtime_ns / 1e9


class Entries:
    """The entries by path. They take a third of the memory of one object for each. Not thread-safe.

    :ivar _rows: the row of each path in the columns.
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._stamps, self._mtimes = array("q"), array("q")
        self._values: list[Any] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, path: str) -> bool:
        return path in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Yield each path with its entry."""
        for path, row in self._rows.items():
            yield path, Entry(self._stamps[row], self._mtimes[row], self._values[row])

    def get(self, path: str) -> Entry | None:
        """Return the entry of a path, or None."""
        row = self._rows.get(path)
        if row is None:
            return None
        return Entry(self._stamps[row], self._mtimes[row], self._values[row])

    def count_unusable(self) -> int:
        """Return how many entries have no value."""
        return self._values.count(None) - len(self._free)

    def get_stamp(self, path: str) -> int | None:
        """Return the stamp of the entry of a path, or None."""
        row = self._rows.get(path)
        return None if row is None else self._stamps[row]

    def stamps(self) -> dict[str, int]:
        """Return the stamps of the entries that have a value, by path."""
        values, stamps = self._values, self._stamps
        return {path: stamps[row] for path, row in self._rows.items() if values[row] is not None}

    def modified_since(self, mtime: float) -> list[str]:
        """Return the paths of the entries with a value whose file was written at a time or later.

        :param mtime: seconds since the epoch.
        """
        values, mtimes = self._values, self._mtimes
        return [
            path
            for path, row in self._rows.items()
            if mtimes[row] / 1e9 >= mtime and values[row] is not None
        ]

    def latest(self, count: int) -> list[str]:
        """Return the paths of the files that were written last, the latest first.

        :param count: how many to return at most.
        """
        mtimes = self._mtimes
        pairs = ((mtimes[row], path) for path, row in self._rows.items())
        return [path for _, path in nlargest(count, pairs)]

    def values_of(self, paths: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Yield those of some paths that have an entry, each with its value."""
        rows, values = self._rows, self._values
        return ((path, values[rows[path]]) for path in paths if path in rows)

    def put(self, path: str, entry: Entry) -> None:
        """Add or replace the entry of a path."""
        row = self._rows.get(path)
        if row is None and self._free:
            row = self._rows[path] = self._free.pop()
        if row is None:
            self._rows[path] = len(self._values)
            self._stamps.append(entry.stamp)
            self._mtimes.append(entry.mtime_ns)
            self._values.append(entry.value)
        else:
            self._stamps[row], self._mtimes[row], self._values[row] = entry

    def release(self, is_lasting: Callable[[str], bool]) -> None:
        """Replace the values of the paths for which a function returns True."""
        values = self._values
        for path, row in self._rows.items():
            if values[row] is not None and is_lasting(path):
                values[row] = RELEASED

    def dump(self, is_lasting: Callable[[str], bool]) -> bytes:
        """Return the entries that have a value and for whose path a function returns True."""
        values = self._values
        rows = {
            path: row
            for path, row in self._rows.items()
            if values[row] is not None and is_lasting(path)
        }
        stored_values = [None if values[row] is RELEASED else values[row] for row in rows.values()]
        columns = (
            array("q", map(column.__getitem__, rows.values()))
            for column in (self._stamps, self._mtimes)
        )
        tables = orjson.dumps(list(rows)), orjson.dumps(stored_values)
        return b"\n".join([*tables, b"".join(column.tobytes() for column in columns)])

    def load(self, data: bytes, names: list[str]) -> None:
        """Replace all entries by those that `dump` returned.

        :param names: paths of which the strings are shared: a second copy would cost memory.
        """
        paths, values, columns = data.split(b"\n", 2)
        if paths != orjson.dumps(names):  # so many strings would take time and memory
            interned = {name: name for name in names}
            names = [interned.get(path, path) for path in orjson.loads(paths)]
        self._rows = dict(zip(names, range(len(names)), strict=True))
        both = array("q", columns)
        self._stamps, self._mtimes = both[: len(names)], both[len(names) :]
        self._values = [
            RELEASED if value is None else tuple(value) if isinstance(value, list) else value
            for value in orjson.loads(values)
        ]
        self._free = []

    def remove(self, path: str) -> None:
        """Remove the entry of a path, if there is one."""
        row = self._rows.pop(path, None)
        if row is not None:
            self._values[row] = None
            self._free.append(row)
