"""The SQLite file of the search index: opening, checking and throwing it away."""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from loki_web.errors import StorageError
from loki_web.store import writing

# Written into the file: a change of the tables, or of what is put into them, needs another number.
SCHEMA_VERSION = 1
BUSY_SECONDS = 3.0
_TABLES = f"""
    CREATE TABLE source (path TEXT PRIMARY KEY, version TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE entry (
        number INTEGER PRIMARY KEY, path TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL
    );
    CREATE INDEX entry_path ON entry (path);
    CREATE VIRTUAL TABLE words USING fts5 (
        title, labels, body, tokenize = "unicode61 remove_diacritics 0", prefix = "3"
    );
    CREATE TABLE made (epoch TEXT NOT NULL);
    PRAGMA user_version = {SCHEMA_VERSION};
"""
_DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


class Unusable(Exception):
    """The shared file cannot be used now."""


class Damaged(Unusable):
    """It will not be usable before it is made anew."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database with its tables, made where they are missing.

    :raises Damaged: for every fault, inside too, that another file would not have.
    :raises Unusable: for every other: it is locked, or nothing can be written.
    """
    try:
        with closing(
            sqlite3.connect(str(path), timeout=BUSY_SECONDS, isolation_level=None)
        ) as database:
            database.execute("PRAGMA synchronous = NORMAL")
            if _schema(database) != SCHEMA_VERSION:
                with writing.locked(str(path)):
                    database.execute("PRAGMA journal_mode = WAL")
                    make_tables(database)
            yield database
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        raise (Damaged if code in _DAMAGE_CODES else Unusable)(str(error)) from None
    except (OSError, StorageError) as error:
        raise Unusable(str(error)) from None


def _schema(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def make_tables(database: sqlite3.Connection) -> None:
    """:raises Damaged: when there are tables of something else."""
    with transaction(database):
        found = _schema(database)
        if found == SCHEMA_VERSION:
            return
        if found or database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise Damaged("it has another schema")
        for statement in _TABLES.split(";"):
            database.execute(statement)
        database.execute("INSERT INTO made VALUES (?)", (secrets.token_hex(8),))


def epoch(database: sqlite3.Connection) -> str:
    """What tells this file from one that is made after it."""
    (made,) = database.execute("SELECT max(epoch) FROM made").fetchone()
    if not isinstance(made, str):
        raise Damaged("it was never finished")
    return made


def check(database: sqlite3.Connection) -> None:
    """:raises Damaged: when what it holds cannot be right."""
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    (entries,) = database.execute("SELECT count(*) FROM entry").fetchone()
    (indexed,) = database.execute("SELECT count(*) FROM words_docsize").fetchone()
    if verdict != "ok" or entries != indexed:
        raise Damaged("it is not consistent")


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All changes inside, or none."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def inode(path: Path) -> int | None:
    """Which file has that name now."""
    try:
        return path.lstat().st_ino
    except OSError:
        return None


def discard(path: Path, damaged: int | None) -> None:
    """Remove the file whose inode is `damaged`, not one that another worker has made since.

    :raises Unusable: when that cannot be done.
    """
    try:
        with writing.locked(str(path)):
            if inode(path) == damaged:
                for suffix in ("-wal", "-shm", ""):
                    with suppress(FileNotFoundError):
                        os.unlink(f"{path}{suffix}")
    except (OSError, StorageError) as error:
        raise Unusable(str(error)) from None
