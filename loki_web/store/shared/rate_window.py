"""How often something happened in the last minute, counted together by all workers.

SQLite outside the session's folder; losing it forgets one minute of counting.
"""

import math
import os
import sqlite3
import threading
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
        self._own = None if path else _opened(":memory:")
        self._lock = threading.Lock()  # a connection has one transaction at a time

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
        with self._lock, self._connection() as database, database:
            # All in one: what begins by reading can be refused the writing without any waiting.
            database.execute("BEGIN IMMEDIATE")
            # One clock for all processes, read when it is our turn, so that every hit lies before;
            # after a reboot old ones lie ahead.
            now = time.monotonic()
            database.execute("CREATE TABLE IF NOT EXISTS hit (key TEXT NOT NULL, at REAL NOT NULL)")
            database.execute("CREATE INDEX IF NOT EXISTS hit_key ON hit (key, at)")
            database.execute("DELETE FROM hit WHERE at > ? OR at <= ?", (now, now - WINDOW_SECONDS))
            count, oldest = database.execute(
                "SELECT count(*), min(at) FROM hit WHERE key = ?", (key,)
            ).fetchone()
            if count < most:
                database.execute("INSERT INTO hit VALUES (?, ?)", (key, now))
        if count < most:
            return None
        return max(1, math.ceil(float(oldest) + WINDOW_SECONDS - now))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if self._own is not None:
            yield self._own
            return
        with closing(_opened(str(self._path))) as database:
            yield database

    def _discard(self) -> None:
        with suppress(OSError):
            os.unlink(str(self._path))


def _opened(path: str) -> sqlite3.Connection:
    """A connection for one process; its threads have to take turns."""
    database = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    database.execute("PRAGMA journal_mode = MEMORY")
    database.execute("PRAGMA synchronous = OFF")
    return database
