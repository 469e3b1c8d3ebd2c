"""Count the hits of the last minute for each key, across all workers.

The counts are in an SQLite file in the cache folder. Without it one minute of counts is lost.
"""

import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from loki_web.store import files

WINDOW_SECONDS = 60.0
_WAIT_SECONDS = 1.0
_PAUSE_SECONDS = 1.0


class SharedWindow:
    """A sliding window of hits for each key.

    :param path: the database, created at first use; None counts in this process only.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._own = None if path else _connect(":memory:")
        self._lock = threading.Lock()  # a connection runs one transaction at a time
        self._wait_seconds = _WAIT_SECONDS
        self._paused_until = 0.0

    def hit(self, key: str, most: int) -> int | None:
        """Count one hit unless the window has `most` hits of this key already.

        If the file is locked for too long, or the disk is full, the hit is admitted without being
        counted, and so are those of the next _PAUSE_SECONDS. Later calls do not wait for the lock
        until it was acquired once.

        :return: None if the hit was counted, else the seconds until the next is allowed, at
            least 1.
        """
        if time.monotonic() < self._paused_until or not self._lock.acquire(
            timeout=self._wait_seconds
        ):
            return None
        try:
            wait = self._hit(key, most)
            self._wait_seconds = _WAIT_SECONDS
        except sqlite3.OperationalError:
            self._wait_seconds, self._paused_until = 0.0, time.monotonic() + _PAUSE_SECONDS
            return None
        except sqlite3.DatabaseError:
            self._discard()
            with suppress(sqlite3.Error):
                return self._hit(key, most)
            return None
        finally:
            self._lock.release()
        return wait

    def _hit(self, key: str, most: int) -> int | None:
        with self._connection() as database, database:
            # A transaction that begins with a read can fail at its first write without waiting.
            database.execute("BEGIN IMMEDIATE")
            # All processes share this clock. Read it inside the transaction, so that every stored
            # hit is older. Hits that are newer are from before a reboot.
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
        if files.is_special(str(self._path)):
            raise sqlite3.DatabaseError("not a regular file")  # reading a FIFO would block
        with closing(_connect(str(self._path), self._wait_seconds)) as database:
            yield database

    def _discard(self) -> None:
        with suppress(OSError):
            os.unlink(str(self._path))


def _connect(path: str, wait_seconds: float = 0.0) -> sqlite3.Connection:
    """Open a connection for one process; its threads must use it one at a time."""
    database = sqlite3.connect(
        path, timeout=wait_seconds, isolation_level=None, check_same_thread=False
    )
    database.execute("PRAGMA journal_mode = MEMORY")
    database.execute("PRAGMA synchronous = OFF")
    return database
