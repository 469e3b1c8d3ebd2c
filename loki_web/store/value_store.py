"""Keep computed values between runs, in the derived index that all workers share.

Errors of the index are never raised: values are then computed again.
"""

import zlib

from loki_web.store.sqlite import IndexFile, Unusable

MAX_BYTES = 64 * 1024 * 1024  # for each value


class ValueStore:
    """Values by name, each with a stamp and a checksum. Damaged ones count as missing."""

    def __init__(self, index: IndexFile) -> None:
        self._index = index

    def load(self, name: str, stamp: str) -> bytes | None:
        """Return the value that was stored with this name and stamp, or None."""
        try:
            with self._index.database(is_checked=False) as database:
                row = database.execute(
                    "SELECT checksum, data FROM value WHERE name = ? AND stamp = ?", (name, stamp)
                ).fetchone()
        except Unusable:
            return None
        if row is None or not isinstance(row[1], bytes) or _checksum(name, stamp, row[1]) != row[0]:
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
                    (name, stamp, _checksum(name, stamp, value), value),
                )
        except Unusable:
            return


def _checksum(name: str, stamp: str, value: bytes) -> int:
    """Return the checksum of a value with its name: a damaged index may lead to another value."""
    return zlib.crc32(value, zlib.crc32(f"{name}\0{stamp}".encode()))
