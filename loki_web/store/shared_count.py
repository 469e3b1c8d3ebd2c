"""How many of something all processes hold together, right even after one of them was killed.

A file of numbers, one for each process, outside the session's folder. A process owns its number by
a lock that ends with it, so that what a dead one held is known to be free.
"""

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROCESSES = 256
_WIDTH = 4
_SIZE = _PROCESSES * _WIDTH
_GATE = _SIZE  # a byte behind the numbers, held while somebody is let in


class SharedCount:
    """:param path: the file, made when first needed; None counts in this process alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._own = 0
        self._numbers: _Numbers | None = None
        self._lock = threading.Lock()

    def take(self, most: int) -> bool:
        """Hold one more, unless all processes together hold `most` already."""
        with self._lock:
            numbers = self._opened()
            if numbers is None:
                return self._took(self._own < most)
            with numbers.gate():
                taken = self._took(numbers.total() < most or numbers.living_total() < most)
                numbers.write_own(self._own)
            return taken

    def give_back(self) -> None:
        with self._lock:
            self._own -= 1
            if self._numbers:
                self._numbers.write_own(self._own)

    def total(self) -> int:
        """How many all living processes hold."""
        with self._lock:
            numbers = self._opened()
            if numbers is None:
                return self._own
            with numbers.gate():
                return numbers.living_total()

    def _took(self, free: bool) -> bool:
        self._own += free
        return free

    def _opened(self) -> "_Numbers | None":
        if self._numbers is None and self._path is not None:
            try:
                self._numbers = _Numbers(self._path)
            except OSError:
                self._path = None  # rather count alone than refuse everybody
        return self._numbers


class _Numbers:
    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(path, flags, 0o600)
        try:
            with self.gate():
                os.ftruncate(self._file, _SIZE)
                self._memory = mmap.mmap(self._file, _SIZE)
                self._place = self._free_place()
                self.write_own(0)
        except OSError:
            os.close(self._file)
            raise

    @contextmanager
    def gate(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, _GATE)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _GATE)

    def write_own(self, number: int) -> None:
        struct.pack_into("<I", self._memory, self._place, number)

    def total(self) -> int:
        return sum(number for (number,) in struct.iter_unpack("<I", self._memory[:]))

    def living_total(self) -> int:
        """The same after what dead processes held was let go."""
        for place in range(0, _SIZE, _WIDTH):
            held = any(self._memory[place : place + _WIDTH])
            if held and place != self._place and self._locked(place):
                struct.pack_into("<I", self._memory, place, 0)
                fcntl.lockf(self._file, fcntl.LOCK_UN, _WIDTH, place)
        return self.total()

    def _free_place(self) -> int:
        for place in range(0, _SIZE, _WIDTH):
            if self._locked(place):
                return place
        raise OSError("no number is free")

    def _locked(self, place: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, _WIDTH, place)
        except OSError:
            return False
        return True
