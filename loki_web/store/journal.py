"""Append-only files of one JSON object a line, resumed from the last complete line."""

import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, BinaryIO, Generic, TypeVar

from loki_web.store import files, json_text
from loki_web.store.inputs import PathInput, Root
from loki_web.store.look import observe
from loki_web.store.shapes import Json

WINDOW_BYTES = 10 * 1024 * 1024
MAX_LINE_BYTES = 1024 * 1024
_MARK_BYTES = 512
_BLOCK_BYTES = 1 << 20

T = TypeVar("T")
Made = TypeVar("Made")
Keep = Callable[[Json, bytes], T | None]


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a reader came, and by what it knows the file again: its first bytes, which tell the
    time of the first line, and those before the place, which hold the last line."""

    inode: int = -1
    offset: int = 0
    head: bytes = b""
    mark: bytes = b""

    @classmethod
    def at(cls, offset: int, stream: BinaryIO, inode: int) -> "_Place":
        size = min(offset, _MARK_BYTES)
        return cls(
            inode, offset, _bytes_at(stream, 0, size), _bytes_at(stream, offset - size, size)
        )

    def is_in(self, stream: BinaryIO, found: files.Version) -> bool:
        return (
            found.inode == self.inode
            and found.size >= self.offset
            and _bytes_at(stream, 0, len(self.head)) == self.head
            and _bytes_at(stream, self.offset - len(self.mark), len(self.mark)) == self.mark
        )


class Window(Generic[T]):
    """What one caller keeps of the last lines, oldest first; shared and not to be changed.

    The same window is answered again until its items change.
    """

    def __init__(self, items: list[T]) -> None:
        self.items = items
        self._derived: dict[Any, Any] = {}

    def derived(self, make: Callable[[list[T]], Made]) -> Made:
        """What `make`, a function of a module, gives for the items: made once, shared."""
        if make not in self._derived:
            self._derived[make] = make(self.items)
        made: Made = self._derived[make]
        return made


class Journal:
    """One `.jsonl` file. A replaced, truncated, rotated or edited file is noticed and read anew.

    Not an edit to which lines were added before anybody looked: of what was read before, only the
    beginning and the end are compared then.
    """

    def __init__(self, root: Root, relative: str) -> None:
        self._root = root
        self._relative = relative
        self._count = _LineCount(root, relative)
        self._readings: dict[Hashable, _Reading[Any]] = {}
        self._lock = threading.Lock()

    def line_count(self) -> int:
        """How many lines the whole file has; only what was appended is counted anew.

        A last line without line end counts when an object is complete in it, so that the count
        does not change when the line end follows.
        """
        return int(observe(self._count))

    def records(self) -> list[Json]:
        """The objects in the last WINDOW_BYTES of the file, oldest first.

        They are shared: do not change them. All of them stay in memory, so a journal that grows
        long is better read by `window`.
        """
        return list(self.window(_whole_record).items)

    def window(self, keep: Keep[T]) -> Window[T]:
        """What `keep` makes of the objects in the last WINDOW_BYTES of the file, oldest first.

        Each line is parsed once; only what is made of it stays in memory. Lines that hold no JSON
        object or more than MAX_LINE_BYTES are left out; a last line without line end is one when
        its object is complete.

        :param keep: a function of a module, called with the object and the line it stands in;
            what it makes None of is left out.
        """
        with self._lock:
            reading = self._readings.get(keep)
            if reading is None:
                reading = self._readings[keep] = _Reading(self._root, self._relative, keep)
        found: Window[T] = observe(reading)
        return found


class _Followed(PathInput):
    """A file of which only what was appended is read."""

    def __init__(self, root: Root, relative: str) -> None:
        super().__init__(root, relative)
        self._version: files.Version | None = None
        self._settled = False
        self._place = _Place()

    def examine(self) -> Any:
        version = self.version()
        if version is None or version != self._version or not self._settled:
            with self._lock:
                self._follow()
        return self._state()

    def _follow(self) -> None:
        read_at = time.time_ns()
        try:
            with files.opened(self._root.path, self.relative) as (stream, found):
                if self._was_edited(found):
                    self._place = _Place()
                self.refresh(stream, found)
                self._version, self._settled = found, files.settled(found, read_at)
        except OSError:
            self.reset()
            self._version = None

    def _was_edited(self, found: files.Version) -> bool:
        """Whether something was written, but nothing added."""
        before = self._version
        return before is not None and before != found and before.size == found.size

    def refresh(self, stream: BinaryIO, found: files.Version) -> None:
        """Take in what was added; everything, where it is not the file that was read before."""
        raise NotImplementedError

    def reset(self) -> None:
        """Take in that there is nothing to read."""
        raise NotImplementedError

    def _state(self) -> Any:
        raise NotImplementedError


class _LineCount(_Followed):
    """How many lines there are."""

    _lines = 0
    _total = 0

    def _state(self) -> int:
        return self._total

    def reset(self) -> None:
        self._place, self._lines, self._total = _Place(), 0, 0

    def refresh(self, stream: BinaryIO, found: files.Version) -> None:
        if not self._place.is_in(stream, found):
            self._place, self._lines = _Place(), 0
        offset = self._place.offset
        stream.seek(offset)
        while block := stream.read(_BLOCK_BYTES):
            self._lines += block.count(b"\n")
            offset += len(block)
        if offset != self._place.offset:
            self._place = _Place.at(offset, stream, found.inode)
        self._total = self._lines + _last_line_is_whole(stream, self._place.offset)


class _Reading(_Followed, Generic[T]):
    """The lines of a journal as one caller sees them."""

    def __init__(self, root: Root, relative: str, keep: Keep[T]) -> None:
        super().__init__(root, relative)
        self.window: Window[T] = Window([])
        self._keep = keep
        self._inside = False  # the place lies in a line of which nothing is kept
        self._offsets = array("q")
        self._kept: list[T] = []
        self._last: list[T] = []

    def _state(self) -> Window[T]:
        return self.window

    def reset(self) -> None:
        self._forget()
        self._show(changed=bool(self.window.items))

    def refresh(self, stream: BinaryIO, found: files.Version) -> None:
        changed = False
        if not self._place.is_in(stream, found):
            changed = bool(self.window.items)
            self._forget()
        first = found.size - WINDOW_BYTES
        start = self._place.offset
        if start < first:
            # From one byte earlier, so that a line that begins just there is not taken for a part.
            start, self._inside = first - 1, True
        taken = len(self._kept)
        offset, last = self._read(stream, start, found.size)
        changed |= len(self._kept) > taken or last != self._last
        self._last = last
        if (found.inode, offset) != (self._place.inode, self._place.offset):
            self._place = _Place.at(offset, stream, found.inode)
        changed |= self._drop_before(first)
        self._show(changed)

    def _forget(self) -> None:
        self._place, self._inside = _Place(), False
        self._offsets, self._kept, self._last = array("q"), [], []

    def _show(self, changed: bool) -> None:
        if changed:
            self.window = Window(self._kept + self._last)

    def _read(self, stream: BinaryIO, start: int, end: int) -> tuple[int, list[T]]:
        """Take in the complete lines of a part of the file.

        Answers where the next line begins, and what is made of it where it only lacks its end.
        """
        rest, offset, position = b"", start, start
        stream.seek(start)
        while position < end and (block := stream.read(min(_BLOCK_BYTES, end - position))):
            position += len(block)
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                if not self._inside:
                    self._take(offset, line)
                self._inside = False
                offset += len(line) + 1
            if self._inside or len(rest) > MAX_LINE_BYTES:
                self._inside, rest, offset = True, b"", position
        return offset, self._made_of(rest)

    def _take(self, offset: int, line: bytes) -> None:
        for item in self._made_of(line):
            self._kept.append(item)
            self._offsets.append(offset)

    def _made_of(self, line: bytes) -> list[T]:
        if not line.strip() or len(line) > MAX_LINE_BYTES:
            return []
        try:
            record = json_text.parse(line)
        except json_text.Damaged:
            return []
        made = self._keep(record, line) if isinstance(record, dict) else None
        return [] if made is None else [made]

    def _drop_before(self, first: int) -> bool:
        gone = bisect_left(self._offsets, first)
        del self._kept[:gone], self._offsets[:gone]
        return gone > 0


def _whole_record(record: Json, _: bytes) -> Json:
    return record


def _last_line_is_whole(stream: BinaryIO, end: int) -> bool:
    start = max(0, end - MAX_LINE_BYTES)
    if end == 0 or _bytes_at(stream, end - 1, 1) == b"\n":
        return False
    _, line_end, line = _bytes_at(stream, start, end - start).rpartition(b"\n")
    if start and not line_end:
        return False
    values = json_text.values_in(line.decode("utf-8-sig", errors="replace"))
    return isinstance(next(values, None), dict)


def _bytes_at(stream: BinaryIO, offset: int, count: int) -> bytes:
    stream.seek(offset)
    return files.read_up_to(stream, count)
