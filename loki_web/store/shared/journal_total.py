"""Count the lines that a journal ever had, although its file is trimmed or replaced.

All processes share the count, in a small file in the cache folder. It has the last line that was
counted: what follows it in another file is new, so a file that is trimmed to its last lines does
not change the count. If the file was rotated to `.1`, the lines that follow there are counted too.
If the small file is lost, the count begins with the lines that are there.
"""

import hashlib
import threading
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from loki_web.errors import StorageError
from loki_web.store import atomic
from loki_web.store.journal import Journal

_LOCK_SECONDS = 0.1
_MOST_BYTES = 4096  # of a line, to recognize it
_MOST_LINES = 100_000  # of a rotated file


@dataclass(frozen=True)
class _Tally:
    """What was counted.

    :param lines: of the file at that time.
    :param first: the digest of its first line, which stays the same while lines are appended.
    :param last: the digest of the last line that was counted.
    """

    total: int = 0
    lines: int = 0
    first: str = ""
    last: str = ""


class JournalTotal:
    """The count of one journal.

    :param path: the shared file; None counts in this process only.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._tally = _Tally()
        self._lock = threading.Lock()

    def update(self, journal: Journal[Any]) -> int:
        """Count the lines that are new, and return how many there ever were."""
        path = self._path
        with self._lock, ExitStack() as stack:
            if path is not None:
                with suppress(OSError, StorageError):  # without a lock, count anyway
                    stack.enter_context(atomic.locked(str(path), _LOCK_SECONDS))
            stored_tally = _read(path)
            tally = stored_tally if stored_tally.total >= self._tally.total else self._tally
            self._tally = _count_on(tally, journal)
            if path is not None and self._tally != stored_tally:
                with suppress(OSError):  # then only this process knows
                    atomic.write_whole(str(path), orjson.dumps(astuple(self._tally)), 0o600)
            return self._tally.total


def _count_on(tally: _Tally, journal: Journal[Any]) -> _Tally:
    lines = journal.count_now()  # another process may have counted more than in the current look
    if not lines:
        return _Tally(tally.total, last=tally.last)
    first = _digest(journal.start_of_first_line(_MOST_BYTES))
    last = _digest(journal.end_of_last_line(_MOST_BYTES))
    new = lines - tally.lines
    if first != tally.first or new < 0:
        after = _count_after(tally.last, journal.lines_backwards())
        if after is not None:
            new = min(lines, after)
        elif first == tally.first:  # cut off
            new = 0
        else:
            rotated = islice(journal.lines_backwards(".1"), _MOST_LINES if tally.last else 0)
            new = lines + (_count_after(tally.last, rotated) or 0)
    return _Tally(tally.total + new, lines, first, last)


def _count_after(last: str, backwards: Iterable[bytes]) -> int | None:
    """Return how many lines follow the one with a digest; None if it is not there."""
    return next((n for n, line in enumerate(backwards) if _digest(line) == last), None)


def _read(path: Path | None) -> _Tally:
    try:
        values = orjson.loads(path.read_bytes()) if path else ()
        tally = _Tally(*values)
    except (OSError, ValueError, TypeError):
        return _Tally()
    kinds = [type(value) for value in astuple(tally)]
    return tally if kinds == [int, int, str, str] else _Tally()


def _digest(line: bytes) -> str:
    return hashlib.blake2b(line[-_MOST_BYTES:], digest_size=8).hexdigest()
