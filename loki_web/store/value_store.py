"""Keep computed values between runs, in the derived index that all workers share.

Errors of the index are never raised: values are then computed again.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from loki_web.store.sqlite import IndexFile, Unusable, transaction

MAX_BYTES = 64 * 1024 * 1024  # for each value
Digest = tuple[str, int, bytes]


class ValueStore:
    """Values by name, and digests of the files of collections by path.

    Each is stored with the stamp of its source and a checksum. Damaged ones count as missing.
    """

    def __init__(self, index: IndexFile) -> None:
        self._index = index

    def load(self, name: str, stamp: str) -> bytes | None:
        """Return the value that was stored with this name and stamp, or None."""
        try:
            with self._index.database() as database:
                row = database.execute(
                    "SELECT checksum, data FROM value WHERE name = ? AND stamp = ?", (name, stamp)
                ).fetchone()
        except Unusable:
            return None
        if row is None or not isinstance(row[1], bytes) or zlib.crc32(row[1]) != row[0]:
            return None
        value: bytes = row[1]
        return value

    def store(self, name: str, stamp: str, value: bytes) -> None:
        """Store a value, and replace the previous one of that name."""
        if len(value) > MAX_BYTES:
            return
        try:
            with self._index.database() as database:
                database.execute(
                    "REPLACE INTO value VALUES (?, ?, ?, ?)",
                    (name, stamp, zlib.crc32(value), value),
                )
        except Unusable:
            return

    def digests(self, collection: str) -> Iterator[Digest]:
        """Yield `(path, stamp, data)` for each stored digest of a collection."""
        try:
            with self._index.database() as database:
                for path, stamp, checksum, data in database.execute(
                    "SELECT path, stamp, checksum, data FROM digest WHERE collection = ?",
                    (collection,),
                ):
                    if isinstance(data, bytes) and checksum == _checksum(stamp, data):
                        yield path, stamp, data
        except Unusable:
            return

    def store_digests(self, collection: str, digests: Iterable[Digest]) -> None:
        """Store digests, and replace previous ones of the same files."""
        rows = (
            (collection, path, stamp, _checksum(stamp, data), data) for path, stamp, data in digests
        )
        self._execute_all("REPLACE INTO digest VALUES (?, ?, ?, ?, ?)", rows)

    def remove_digests(self, collection: str, paths: Iterable[str]) -> None:
        """Remove the digests of files."""
        rows = ((collection, path) for path in paths)
        self._execute_all("DELETE FROM digest WHERE collection = ? AND path = ?", rows)

    def _execute_all(self, statement: str, rows: Iterable[Any]) -> None:
        try:
            with self._index.database() as database, transaction(database):
                database.executemany(statement, rows)
        except Unusable:
            return


def _checksum(stamp: int, data: bytes) -> int:
    return zlib.crc32(data, hash(stamp) & 0xFFFFFFFF)
