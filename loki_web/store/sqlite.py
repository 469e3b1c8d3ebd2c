"""Open the derived index: one SQLite file for each `.loki/`, shared by all workers.

All of its content can be computed again from the files of the session. A damaged index or one with
an unknown schema is removed and rebuilt; while it is locked or cannot be written, callers work
without it.
"""

import hashlib
import logging
import os
import secrets
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from loki_web.errors import StorageError
from loki_web.store import atomic, files

BUSY_SECONDS = 0.25
_NO_WAIT_SECONDS = 1.0  # after a wait that timed out: waiting calls would occupy all threads
_CACHE_KIB = 512  # of each connection; the pages are in the cache of the system as well
_PAGE_BYTES = 16_384  # a value of megabytes is read in a fifth of the time of 4,096
_SCHEMA_VERSION = 3
_OLD_SECONDS = 86_400.0
_TABLES = f"""
    CREATE TABLE source (path TEXT PRIMARY KEY, version TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE entry (
        number INTEGER PRIMARY KEY, path TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL
    );
    CREATE INDEX entry_path ON entry (path);
    CREATE VIRTUAL TABLE words USING fts5 (
        title, labels, body, tokenize = "unicode61 remove_diacritics 0", prefix = "3"
    );
    CREATE TABLE value (
        name TEXT PRIMARY KEY, stamp TEXT NOT NULL, checksum INTEGER NOT NULL, data BLOB NOT NULL
    );
    CREATE TABLE creation (epoch TEXT NOT NULL);
    PRAGMA user_version = {_SCHEMA_VERSION};
"""
_DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}

log = logging.getLogger(__name__)


class Unusable(Exception):
    """The index cannot be used now."""


class Damaged(Unusable):
    """The index was damaged and has been removed. The next use creates it again."""


class _Open(NamedTuple):
    """An open connection.

    :ivar process: the pid of the process that opened it; SQLite connections break in a fork.
    """

    process: int
    inode: int | None
    database: sqlite3.Connection


class IndexFile:
    """The database, created at first use.

    :param find: returns its path, or None if there is no cache folder; called once, at first use.
    """

    def __init__(self, find: Callable[[], Path | None]) -> None:
        self._find = find
        self._idle: _Open | None = None
        self._lock = threading.Lock()
        self._checked = ""
        self._waited_at = -_NO_WAIT_SECONDS

    @cached_property
    def path(self) -> Path | None:
        """The path of the file; None if there is no cache folder."""
        return self._find()

    @contextmanager
    def database(self, *, is_checked: bool = True) -> Iterator[sqlite3.Connection]:
        """Give a connection to the database, for one thread. Create the tables if needed.

        :param is_checked: False for a caller that only reads, and finds damage itself: a check
            reads the whole file, once in each process.
        :raises Damaged: for errors, also inside the block, of a damaged file; it has been removed.
        :raises Unusable: for other errors: the file is locked or cannot be written.
        """
        path = self.path
        if path is None:
            raise Unusable("no cache folder")
        inode = _inode(path)
        try:
            opened = self._take(inode) or self._open(path)
            inode = opened.inode
            try:
                if _schema(opened.database) != _SCHEMA_VERSION:
                    raise Damaged("it has another schema")
                if is_checked:
                    self._check_once(opened.database)
                yield opened.database
            except BaseException:
                opened.database.close()
                raise
            self._give_back(opened)
        except Damaged as error:
            _remove(path, inode, error)
            raise
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code not in _DAMAGE_CODES:
                self._waited_at = time.monotonic()
                raise Unusable(str(error)) from None
            _remove(path, inode, error)
            raise Damaged(str(error)) from None
        except (OSError, StorageError) as error:
            raise Unusable(str(error)) from None

    def _take(self, inode: int | None) -> _Open | None:
        """Return the idle connection, if it is open to the current file."""
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is None:
            return None
        if (idle.process, idle.inode) == (os.getpid(), inode):
            idle.database.execute(f"PRAGMA busy_timeout = {1000 * self._wait_seconds:.0f}")
            return idle
        if idle.process == os.getpid():
            idle.database.close()
        else:
            _of_parents.append(idle)
        return None

    def _give_back(self, opened: _Open) -> None:
        with self._lock:
            surplus, self._idle = self._idle, opened
        if surplus is not None:
            surplus.database.close()

    @property
    def _wait_seconds(self) -> float:
        has_waited = time.monotonic() - self._waited_at < _NO_WAIT_SECONDS
        return 0.0 if has_waited else BUSY_SECONDS

    def _open(self, path: Path) -> _Open:
        if files.is_special(path):
            raise Unusable("it is not a regular file")
        database = sqlite3.connect(
            str(path), timeout=self._wait_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            # Not WAL: it maps a file into memory, and a truncated one kills the process (SIGBUS).
            database.execute("PRAGMA mmap_size = 0")
            database.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # of a new file
            database.execute("PRAGMA journal_mode = TRUNCATE")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            if _schema(database) != _SCHEMA_VERSION:
                with atomic.locked(str(path), self._wait_seconds):
                    make_tables(database)
                _remove_old(path)
        except BaseException:
            database.close()
            raise
        return _Open(os.getpid(), _inode(path), database)

    def _check_once(self, database: sqlite3.Connection) -> None:
        """Check the integrity of the database, unless this process has done so.

        :raises Damaged: if it is inconsistent.
        """
        current = epoch(database)
        if current != self._checked:
            _check(database)
            self._checked = current


_of_parents: list[_Open] = []  # connections of a parent process, which a child must not close


class IndexState:
    """An input that tells the size of the index and when it was written; examined once a second."""

    is_notified = True

    def __init__(self, index: IndexFile) -> None:
        self._index = index

    def examine(self) -> tuple[int, float] | None:
        """Return bytes, and seconds since the epoch; None if there is no index."""
        try:
            status = os.stat(self._index.path) if self._index.path else None
        except OSError:
            return None
        return (status.st_size, status.st_mtime) if status else None


def path_in(folder: Path) -> Path:
    """Return the path of the index in a cache folder.

    Each version of the program has its own index, because its code computes the content.
    """
    return folder / f"index-{hash_program()}.sqlite3"


def in_memory() -> sqlite3.Connection:
    """Open a database in memory with the same tables."""
    database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    make_tables(database)
    return database


def make_tables(database: sqlite3.Connection) -> None:
    """Create the tables if the database is empty.

    :raises Damaged: if it has other tables.
    """
    with transaction(database):
        schema = _schema(database)
        if schema == _SCHEMA_VERSION:
            return
        if schema or database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise Damaged("it has another schema")
        for statement in _TABLES.split(";"):
            database.execute(statement)
        database.execute("INSERT INTO creation VALUES (?)", (secrets.token_hex(8),))


def epoch(database: sqlite3.Connection) -> str:
    """Return the random id of this file; a file that is created later has another one.

    :raises Damaged: if the creation of the file was not completed.
    """
    (created,) = database.execute("SELECT max(epoch) FROM creation").fetchone()
    if not isinstance(created, str):
        raise Damaged("its creation was not completed")
    return created


@contextmanager
def transaction(database: sqlite3.Connection, *, only_reads: bool = False) -> Iterator[None]:
    """Run the block in a transaction: commit at its end, roll back on an exception.

    :param only_reads: other processes may read too; none of them writes after its first read.
    """
    database.execute("BEGIN" if only_reads else "BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def _schema(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _check(database: sqlite3.Connection) -> None:
    """Check the integrity of the database.

    :raises Damaged: if it is inconsistent.
    """
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    (entries,) = database.execute("SELECT count(*) FROM entry").fetchone()
    (indexed,) = database.execute("SELECT count(*) FROM words_docsize").fetchone()
    if verdict != "ok" or entries != indexed:
        raise Damaged("it is inconsistent")


def _inode(path: Path) -> int | None:
    """Return the inode of the file; None if it is missing."""
    try:
        return path.lstat().st_ino
    except OSError:
        return None


def _remove(path: Path, damaged: int | None, error: Exception) -> None:
    """Remove the file whose inode is `damaged`, but not one that another worker created since.

    :raises Unusable: if it cannot be removed.
    """
    log.warning("rebuilding the derived index: %s", error)
    try:
        with atomic.locked(str(path), BUSY_SECONDS):
            if _inode(path) == damaged:
                _unlink(path)
    except (OSError, StorageError) as refusal:
        raise Unusable(str(refusal)) from None


def _unlink(path: Path) -> None:
    """Remove a database and its journals. The database goes first: they are ignored without it.

    Older versions of the program had the last two.
    """
    for suffix in ("", "-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")


def _remove_old(path: Path) -> None:
    """Remove the indexes of other versions of the program that were not used for a day."""
    latest = time.time() - _OLD_SECONDS
    with suppress(OSError):
        for other in {*path.parent.glob("index-*.sqlite3"), path.parent / "memory.sqlite3"}:
            if other != path and other.exists() and other.stat().st_mtime < latest:
                _unlink(other)
                Path(f"{other}.lock").unlink(missing_ok=True)


@cache
def hash_program() -> str:
    """Return a hash of the code that computes the indexed values, and of the Python version.

    A server calls this when it has loaded the code: another version may be installed while it runs.
    """
    package = Path(__file__).parents[1]
    code = [
        (str(path.relative_to(package)), status.st_size, status.st_mtime_ns)
        for part in ("services", "store")
        for path in sorted((package / part).rglob("*.py"))
        if (status := path.stat())
    ]
    return hashlib.sha256(repr((sys.version_info[:2], code)).encode()).hexdigest()[:12]
