"""Which entries hold which words: an index in SQLite that all workers share and can lose.

It is derived from files, refreshed by the difference, and thrown away at any doubt. It only ever
says where to look: what is shown is read from the files again.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from loki_web.store import index_file
from loki_web.store.index_file import Damaged, Unusable

REFRESH_SECONDS = 10.0
_CHUNK = 100
_WEIGHTS = "8.0, 3.0, 1.0"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """One entry: its words, those of the title counting most and those of the body least."""

    kind: str
    id: str
    title: str
    labels: str
    body: str


@dataclass(frozen=True, slots=True)
class Hit:
    """:param weight: how well it matches, the greater the better; comparable within one search."""

    kind: str
    id: str
    weight: float


@dataclass(frozen=True, slots=True)
class Answer:
    """:param hits: for each expression what it matches, best first.
    :param complete: False while there is something that is not indexed yet.
    """

    hits: list[list[Hit]]
    complete: bool


@dataclass(frozen=True)
class Contents:
    """What has to be in the index.

    :param state: changes whenever `versions` would give something else.
    :param versions: every file by path, with a text that changes when its content does.
    :param rows: the version and the entries of one file now, None where it is gone; a version of
        `""` is one that may stay while the content changes.
    """

    state: Hashable
    versions: Callable[[], Mapping[str, str]]
    rows: Callable[[str], tuple[str, Sequence[Row]] | None]


class SearchIndex:
    """Full-text search with FTS5.

    :param path: the database, made when first needed; None keeps one in this process.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._own: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._refreshed: tuple[str, Hashable] | None = None
        self._checked = ""

    def search(self, contents: Contents, matches: Sequence[str], most: int) -> Answer:
        """For each FTS5 expression the best entries of `contents`, up to `most`, best first.

        Where the shared file cannot be used, an index in this process stands in for it. What is
        not indexed within REFRESH_SECONDS is left to the next search.
        """
        try:
            return self._search_shared(contents, matches, most)
        except Unusable:
            return self._search_own(contents, matches, most)

    def _search_shared(self, contents: Contents, matches: Sequence[str], most: int) -> Answer:
        if self._path is None:
            raise Unusable
        found = index_file.inode(self._path)
        try:
            return self._search_file(self._path, contents, matches, most)
        except Damaged as error:
            log.warning("the search index is made anew: %s", error)
        index_file.discard(self._path, found)
        return self._search_file(self._path, contents, matches, most)

    def _search_file(
        self, path: Path, contents: Contents, matches: Sequence[str], most: int
    ) -> Answer:
        with index_file.opened(path) as database:
            complete = self._refresh(database, contents)
            found = Answer([_hits(database, match, most) for match in matches], complete)
        with self._lock:
            if self._own is not None:
                self._own.close()
                self._own = None
        return found

    def _search_own(self, contents: Contents, matches: Sequence[str], most: int) -> Answer:
        with self._lock:
            if self._own is None:
                self._own = sqlite3.connect(
                    ":memory:", check_same_thread=False, isolation_level=None
                )
                index_file.make_tables(self._own)
            complete = self._refresh(self._own, contents)
            return Answer([_hits(self._own, match, most) for match in matches], complete)

    def _refresh(self, database: sqlite3.Connection, contents: Contents) -> bool:
        """Bring the index up to date; False where the time for that was too short."""
        deadline = time.monotonic() + REFRESH_SECONDS
        epoch = index_file.epoch(database)
        if self._refreshed == (epoch, contents.state):
            return True
        if self._checked != epoch:
            index_file.check(database)
            self._checked = epoch
        wanted = contents.versions()
        known = dict(database.execute("SELECT path, version FROM source"))
        differing = [path for path in known if path not in wanted]
        differing += [path for path in wanted if known.get(path) != wanted[path]]
        paths, trusted = iter(differing), True
        while chunk := list(islice(paths, _CHUNK)):
            chunk = _still_differing(database, chunk, wanted)
            held = {path: contents.rows(path) if path in wanted else None for path in chunk}
            trusted &= all(found is None or found[0] for found in held.values())
            _put(database, held)
            if time.monotonic() > deadline:
                return False
        self._refreshed = (epoch, contents.state) if trusted else None
        return True


def _still_differing(
    database: sqlite3.Connection, paths: list[str], wanted: Mapping[str, str]
) -> list[str]:
    """Another worker may have come first."""
    marks = ",".join("?" * len(paths))
    known = dict(
        database.execute(f"SELECT path, version FROM source WHERE path IN ({marks})", paths)  # noqa: S608  # question marks only
    )
    return [path for path in paths if known.get(path) != wanted.get(path)]


def _put(
    database: sqlite3.Connection, held: Mapping[str, tuple[str, Sequence[Row]] | None]
) -> None:
    with index_file.transaction(database):
        for path, found in held.items():
            database.execute(
                "DELETE FROM words WHERE rowid IN (SELECT number FROM entry WHERE path = ?)",
                (path,),
            )
            database.execute("DELETE FROM entry WHERE path = ?", (path,))
            database.execute("DELETE FROM source WHERE path = ?", (path,))
            if found is not None:
                _insert(database, path, *found)


def _insert(database: sqlite3.Connection, path: str, version: str, rows: Sequence[Row]) -> None:
    database.execute("INSERT INTO source VALUES (?, ?)", (path, version))
    for row in rows:
        number = database.execute(
            "INSERT INTO entry (path, kind, id) VALUES (?, ?, ?)", (path, row.kind, row.id)
        ).lastrowid
        database.execute(
            "INSERT INTO words (rowid, title, labels, body) VALUES (?, ?, ?, ?)",
            (number, row.title, row.labels, row.body),
        )


def _hits(database: sqlite3.Connection, match: str, most: int) -> list[Hit]:
    rows = database.execute(
        f"SELECT kind, id, -bm25(words, {_WEIGHTS}) AS weight "  # noqa: S608  # our own numbers
        "FROM words JOIN entry ON entry.number = words.rowid "
        "WHERE words MATCH ? ORDER BY weight DESC, entry.number LIMIT ?",
        (match, most),
    )
    return [Hit(*row) for row in rows]
