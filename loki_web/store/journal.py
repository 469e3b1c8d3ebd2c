"""Append-only files of one JSON object a line, resumed from the last complete line."""

import os
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from loki_web.store import files, json_text
from loki_web.store.shapes import Json

WINDOW_BYTES = 10 * 1024 * 1024
_MARK_BYTES = 64
_BLOCK_BYTES = 1 << 20


@dataclass(slots=True)
class _Place:
    """Where a reader stopped, and the bytes just before, by which it knows the file again."""

    inode: int = -1
    offset: int = 0
    mark: bytes = b""

    def is_in(self, stream: BinaryIO, found: files.Version) -> bool:
        if found.inode != self.inode or found.size < self.offset:
            return False
        stream.seek(self.offset - len(self.mark))
        return files.read_up_to(stream, len(self.mark)) == self.mark


@dataclass(slots=True)
class Journal:
    """One `.jsonl` file. A replaced, truncated or rotated file is noticed and read anew."""

    root: Path
    relative: str
    _counted: _Place = field(default_factory=_Place)
    _lines: int = 0
    _parsed: _Place = field(default_factory=_Place)
    _records: deque[tuple[int, Json]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def line_count(self) -> int:
        """How many complete lines the whole file has; only what was appended is counted anew."""
        with self._lock:
            try:
                with files.opened(self.root, self.relative) as (stream, found):
                    self._count(stream, found)
            except OSError:
                self._counted, self._lines = _Place(), 0
            return self._lines

    def records(self) -> list[Json]:
        """The objects in the last WINDOW_BYTES of the file, oldest first.

        Lines that are no JSON object are left out. The objects are shared: do not change them.
        """
        with self._lock:
            try:
                with files.opened(self.root, self.relative) as (stream, found):
                    self._parse(stream, found)
            except OSError:
                self._parsed = _Place()
                self._records.clear()
            return [record for _, record in self._records]

    def _count(self, stream: BinaryIO, found: files.Version) -> None:
        if not self._counted.is_in(stream, found):
            self._counted, self._lines = _Place(inode=found.inode), 0
        stream.seek(self._counted.offset)
        offset, tail = self._counted.offset, self._counted.mark
        while block := stream.read(_BLOCK_BYTES):
            end = block.rfind(b"\n") + 1
            if not end:
                if len(block) < _BLOCK_BYTES:
                    break
                end = len(block)
            self._lines += block.count(b"\n", 0, end)
            offset += end
            tail = (tail + block[:end])[-_MARK_BYTES:]
            stream.seek(offset)
        self._counted = _Place(found.inode, offset, tail)

    def _parse(self, stream: BinaryIO, found: files.Version) -> None:
        if not self._parsed.is_in(stream, found):
            self._parsed = _Place(inode=found.inode)
            self._records.clear()
        start = max(self._parsed.offset, found.size - WINDOW_BYTES)
        stream.seek(start)
        data = files.read_up_to(stream, found.size - start)
        skipped = data.find(b"\n") + 1 if start > self._parsed.offset else 0
        end = data.rfind(b"\n") + 1
        offset = start + skipped
        for line in data[skipped:end].split(b"\n"):
            record = _object_in(line)
            if record is not None:
                self._records.append((offset, record))
            offset += len(line) + 1
        if end:
            mark = data[max(0, end - _MARK_BYTES) : end]
            self._parsed = _Place(found.inode, start + end, mark)
        while self._records and self._records[0][0] < found.size - WINDOW_BYTES:
            self._records.popleft()


def _object_in(line: bytes) -> Json | None:
    if not line.strip():
        return None
    try:
        value = json_text.parse(line)
    except json_text.Damaged:
        return None
    return value if isinstance(value, dict) else None


def last_line_is_torn(path: str) -> bool:
    """True where the next line must start with a line end of its own to be one."""
    try:
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            if not stream.tell():
                return False
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) != b"\n"
    except OSError:
        return False
