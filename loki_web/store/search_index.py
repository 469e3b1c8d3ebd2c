"""Search entries by words, with an SQLite index that all workers share.

The index is derived from files: only changed files are indexed again, and a damaged index is
rebuilt. A search returns only ids; the entries themselves are read from the files.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from loki_web.store import sqlite
from loki_web.store.sqlite import Damaged, IndexFile, Unusable

REFRESH_SECONDS = 1.5
_CHUNK = 100
_TURN_SECONDS = 0.2
_WEIGHTS = "8.0, 3.0, 1.0"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One entry. Words of the title have the highest weight, words of the body the lowest."""

    kind: str
    id: str
    title: str
    labels: str
    body: str


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that matches.

    :param weight: how well it matches; higher is better, comparable within one search.
    """

    kind: str
    id: str
    weight: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a search.

    :param hits: for each expression its matches, best first.
    :param complete: False if some files are not indexed yet.
    """

    hits: list[list[Hit]]
    complete: bool


@dataclass(frozen=True)
class Contents:
    """The files to index.

    :param state: a value that changes whenever a file changes.
    :param versions: returns a version for each path: a text that changes with the content.
    :param version: returns the version of a file; None if it is gone.
    :param changed: returns the files that may have changed since a state; None if unknown.
    :param rows: returns the current version and entries of a file; None if it is gone. The version
        is `""` if the content may change without a new version.
    """

    state: Any
    versions: Callable[[], Mapping[str, str]]
    version: Callable[[str], str | None]
    changed: Callable[[Any], Iterable[str] | None]
    rows: Callable[[str], tuple[str, Sequence[Row]] | None]


class _Mirror:
    """The progress of this process in indexing the files into a database.

    :ivar _due: the files to index: those for which there was no time, and those that may have
        changed without a new version since they were read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoch = ""
        self._state: Any = None
        self._due: set[str] = set()

    def refresh(self, database: sqlite3.Connection, contents: Contents, seconds: float) -> bool:
        """Index the changed files, for at most about `seconds`. Return False if some are left."""
        deadline = time.monotonic() + seconds
        epoch = sqlite.epoch(database)
        if self._is_current(epoch, contents):
            return True
        with self._lock:
            if self._is_current(epoch, contents):
                return True
            changed = contents.changed(self._state) if epoch == self._epoch else None
            due = _differing(database, contents) if changed is None else self._due.union(changed)
            self._epoch, self._state, self._due = epoch, contents.state, due
            return self._read(database, contents, deadline)

    def is_of(self, database: sqlite3.Connection) -> bool:
        """Return whether this is the database into which the files were indexed last."""
        return sqlite.epoch(database) == self._epoch

    def _is_current(self, epoch: str, contents: Contents) -> bool:
        return (epoch, contents.state) == (self._epoch, self._state) and not self._due

    def _read(self, database: sqlite3.Connection, contents: Contents, deadline: float) -> bool:
        paths = iter(sorted(self._due))
        while chunk := list(islice(paths, _CHUNK)):
            versions = _still_differing(database, {path: contents.version(path) for path in chunk})
            entries = {path: contents.rows(path) if versions[path] else None for path in versions}
            _put(database, entries)
            doubtful = {path for path, rows in entries.items() if rows and not rows[0]}
            self._due = self._due.difference(chunk) | doubtful
            if time.monotonic() > deadline:
                return False
        return True


class SearchIndex:
    """Full-text search with FTS5.

    :param index: the shared file. While it cannot be used, an index in memory is used instead.
    """

    def __init__(self, index: IndexFile) -> None:
        self._index = index
        self._own: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._shared_mirror, self._own_mirror = _Mirror(), _Mirror()

    def search(self, contents: Contents, matches: Sequence[str], most: int) -> Answer:
        """Return for each FTS5 expression the best matches in `contents`, best first.

        Changed files are indexed first, for up to REFRESH_SECONDS. The rest is left to the next
        search.

        :param matches: the expressions. Those after the first with `most` matches are skipped.
        :param most: how many matches to return for each expression.
        """

        def work(database: sqlite3.Connection, mirror: _Mirror) -> Answer:
            complete = mirror.refresh(database, contents, REFRESH_SECONDS)
            with sqlite.transaction(database, only_reads=True):
                if mirror.is_of(database):
                    return Answer(_hits_of(database, matches, most), complete)
            return work(database, mirror)  # the file was emptied and created anew meanwhile

        try:
            answer = self._with_shared(work)
        except Unusable:
            return self._with_own(work)
        self._drop_own()
        return answer

    def refresh(self, contents: Contents) -> bool:
        """Index some of the changed files, if the shared file can be used.

        :return: whether there are more.
        """
        try:
            return not self._with_shared(
                lambda database, mirror: mirror.refresh(database, contents, _TURN_SECONDS)
            )
        except Unusable:
            return False

    def _with_shared(self, work: Callable[[sqlite3.Connection, _Mirror], T]) -> T:
        try:
            with self._index.database() as database:
                return work(database, self._shared_mirror)
        except Damaged:
            with self._index.database() as database:
                return work(database, self._shared_mirror)

    def _with_own(self, work: Callable[[sqlite3.Connection, _Mirror], T]) -> T:
        with self._lock:
            if self._own is None:
                self._own, self._own_mirror = sqlite.in_memory(), _Mirror()
            return work(self._own, self._own_mirror)

    def _drop_own(self) -> None:
        with self._lock:
            if self._own is not None:
                self._own.close()
                self._own = None


def _differing(database: sqlite3.Connection, contents: Contents) -> set[str]:
    """Return the files whose version in the database is not the current one."""
    current = contents.versions()
    indexed = dict(database.execute("SELECT path, version FROM source"))
    gone = indexed.keys() - current.keys()
    return gone.union(path for path, version in current.items() if indexed.get(path) != version)


def _still_differing(
    database: sqlite3.Connection, versions: dict[str, str | None]
) -> dict[str, str | None]:
    """Return the files that no other worker has indexed since."""
    marks = ",".join("?" * len(versions))
    indexed = dict(
        database.execute(
            f"SELECT path, version FROM source WHERE path IN ({marks})",  # noqa: S608  # question marks only
            list(versions),
        )
    )
    return {path: version for path, version in versions.items() if indexed.get(path) != version}


def _put(
    database: sqlite3.Connection, entries: Mapping[str, tuple[str, Sequence[Row]] | None]
) -> None:
    """Replace the entries of files; None removes them."""
    with sqlite.transaction(database):
        for path, versioned_rows in entries.items():
            numbers = _remove(database, path)
            if versioned_rows is not None:
                _insert(database, path, numbers, *versioned_rows)


def _remove(database: sqlite3.Connection, path: str) -> dict[tuple[str, str], int]:
    """Remove the entries of a file. Return the number that each had."""
    rows = database.execute(
        "SELECT kind, id, number FROM entry WHERE path = ? ORDER BY number", (path,)
    )
    numbers = {(kind, identifier): number for kind, identifier, number in rows}
    database.execute(
        "DELETE FROM words WHERE rowid IN (SELECT number FROM entry WHERE path = ?)", (path,)
    )
    database.execute("DELETE FROM entry WHERE path = ?", (path,))
    database.execute("DELETE FROM source WHERE path = ?", (path,))
    return numbers


def _insert(
    database: sqlite3.Connection,
    path: str,
    numbers: Mapping[tuple[str, str], int],
    version: str,
    rows: Sequence[Row],
) -> None:
    """Insert the entries of a file.

    :param numbers: those of before, used again if the file has the same entries: equally good
        matches are ordered by number, and indexing a file again must not change their order.
    """
    database.execute("INSERT INTO source VALUES (?, ?)", (path, version))
    is_same = [(row.kind, row.id) for row in rows] == [*numbers]
    for row in rows:
        number = database.execute(
            "INSERT INTO entry (number, path, kind, id) VALUES (?, ?, ?, ?)",
            (numbers[row.kind, row.id] if is_same else None, path, row.kind, row.id),
        ).lastrowid
        database.execute(
            "INSERT INTO words (rowid, title, labels, body) VALUES (?, ?, ?, ?)",
            (number, row.title, row.labels, row.body),
        )


def _hits(database: sqlite3.Connection, match: str, most: int) -> list[Hit]:
    rows = database.execute(
        "SELECT kind, id, weight FROM ("  # noqa: S608  # our own numbers
        f"SELECT rowid AS number, -bm25(words, {_WEIGHTS}) AS weight FROM words "
        "WHERE words MATCH ? ORDER BY weight DESC, rowid LIMIT ?"
        ") JOIN entry USING (number) ORDER BY weight DESC, number",
        (match, most),
    )
    return [Hit(*row) for row in rows]


def _hits_of(database: sqlite3.Connection, matches: Sequence[str], most: int) -> list[list[Hit]]:
    results: list[list[Hit]] = []
    for match in matches:
        is_enough = any(len(hits) == most for hits in results)
        results.append([] if is_enough else _hits(database, match, most))
    return results
