"""How often something happened in the last minute, counted together by all workers.

SQLite outside the session's folder; losing it forgets one minute of counting.
"""

import math
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

WINDOW_SECONDS = 60.0
_BUSY_SECONDS = 5.0


class SharedWindow:
    """A moving window of hits for each key.

    :param path: the database, made when first needed; None counts in this process alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._own = (
            None if path else _prepared(sqlite3.connect(":memory:", check_same_thread=False))
        )

    def hit(self, key: str, most: int) -> int | None:
        """Count one hit unless there were `most` of this key in the window.

        :return: None when it was counted, else the seconds until one is free, at least 1.
        """
        try:
            return self._hit(key, most)
        except sqlite3.OperationalError:
            return None  # busy beyond all measure, or the disk is full: rather serve than refuse
        except sqlite3.DatabaseError:
            self._discard()
            with suppress(sqlite3.Error):
                return self._hit(key, most)
            return None

    def _hit(self, key: str, most: int) -> int | None:
        now = time.monotonic()  # one clock for all processes; after a reboot old hits lie ahead
        with self._connection() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("DELETE FROM hit WHERE at > ? OR at <= ?", (now, now - WINDOW_SECONDS))
            count, oldest = database.execute(
                "SELECT count(*), min(at) FROM hit WHERE key = ?", (key,)
            ).fetchone()
            if count < most:
                database.execute("INSERT INTO hit VALUES (?, ?)", (key, now))
            database.execute("COMMIT")
        if count < most:
            return None
        return max(1, math.ceil(float(oldest) + WINDOW_SECONDS - now))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if self._own is not None:
            yield self._own
            return
        with closing(
            sqlite3.connect(str(self._path), timeout=_BUSY_SECONDS, isolation_level=None)
        ) as database:
            yield _prepared(database)

    def _discard(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{self._path}{suffix}")


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    database.isolation_level = None
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("CREATE TABLE IF NOT EXISTS hit (key TEXT NOT NULL, at REAL NOT NULL)")
    database.execute("CREATE INDEX IF NOT EXISTS hit_key ON hit (key, at)")
    return database
