"""Read append-only files of one JSON object a line, and resume where reading stopped."""

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import (
    Any,
    BinaryIO,
    ClassVar,
    Generic,
    NamedTuple,
    Protocol,
    TypeVar,
    runtime_checkable,
)

import orjson

from loki_web.store import files, json_text, lines
from loki_web.store.coerce import Json
from loki_web.store.inputs import PathInput, Root
from loki_web.store.lines import MAX_LINE_BYTES
from loki_web.store.look import observe, state_of

SMALL_BYTES = 256 * 1024  # smaller files are compared completely when they have grown
_MARK_BYTES = 512
_BLOCK_BYTES = 1 << 20
_STORE_BYTES = 4 << 20  # store the state again after so many new bytes


class Reader(Protocol):
    """Processes the objects of a journal. Its methods are called by one thread at a time."""

    def clear(self) -> None:
        """Drop all objects: the file is read from its beginning again."""

    def take(self, record: Json, offset: int, length: int) -> None:
        """Process the next object.

        :param offset: where its line begins in the file.
        :param length: of the line, in bytes.
        """

    def take_back(self) -> None:
        """Drop the last object, because its line had no line end and has changed."""


@runtime_checkable
class SelectiveReader(Reader, Protocol):
    """A reader of few objects.

    :ivar WORDS: lines without any of these are counted, but not parsed.
    """

    WORDS: ClassVar[tuple[bytes, ...]]


@runtime_checkable
class StoredReader(Reader, Protocol):
    """A reader whose state is stored, so that the file is not read again after a restart.

    :ivar STAMP: changes with the format of the state.
    """

    STAMP: ClassVar[str]

    def dump(self) -> bytes:
        """Return the state."""

    def load(self, data: memoryview) -> None:
        """Restore a state that `dump` returned. Raise any exception if it cannot be used."""


class States(Protocol):
    """Stores states between runs, see `store.value_store`. Any of them may be lost."""

    def load(self, name: str, stamp: str) -> bytes | None:
        """Return a stored value; None if it is missing or has another stamp."""

    def store(self, name: str, stamp: str, value: bytes) -> None:
        """Store a value."""


log = logging.getLogger(__name__)
R = TypeVar("R", bound=Reader)
T = TypeVar("T")


class _Prefix(NamedTuple):
    """The part of the file that was read, from its beginning, with checksums to recognize it.

    Unlike a `follower.Cursor`, it is never searched for at another offset: the state of the reader
    stands for all of its lines, so if they have changed, reading begins at the first line again.

    :ivar length: in bytes. It ends with a complete line, or inside one that is too long.
    :ivar head: the checksum of the first bytes, which contain the time of the first line.
    :ivar end: the checksum of the last bytes: all of a small file, else _MARK_BYTES.
    """

    device: int = -1
    inode: int = -1
    length: int = 0
    head: int = 0
    end: int = 0

    @classmethod
    def measure(cls, length: int, stream: BinaryIO, version: files.Version) -> "_Prefix":
        """Return the first `length` bytes of an open file."""
        size = length if length <= SMALL_BYTES else _MARK_BYTES
        head = zlib.crc32(files.read_at(stream, 0, min(length, _MARK_BYTES)))
        end = zlib.crc32(files.read_at(stream, length - size, size))
        return cls(version.device, version.inode, length, head, end)

    def is_in(self, stream: BinaryIO, version: files.Version) -> bool:
        """Return whether an open file still begins with these lines."""
        return version.size >= self.length and self == _Prefix.measure(self.length, stream, version)


class Journal(PathInput, Generic[R]):
    """A `.jsonl` file and the reader of its records. Its state grows when the content changes.

    Only appended lines are read. Malformed lines and lines longer than MAX_LINE_BYTES are skipped;
    a last line without line end is processed when its object is complete. A file that was
    replaced, truncated, rotated or edited is read from its beginning: it has another inode, the
    same size with another version, or other content where it was read. Of a
    file larger than SMALL_BYTES only the first and last bytes that were read are compared.

    :param make: creates the reader.
    :param states: returns where the state of the reader is stored between runs, or None.
    :ivar reader: use it only inside `reading` or in a function that is passed to `part`.
    """

    def __init__(
        self,
        root: Root,
        relative: str,
        make: Callable[[], R],
        states: Callable[[], States | None] = lambda: None,
    ) -> None:
        super().__init__(root, relative)
        self.reader = make()
        self._words = self.reader.WORDS if isinstance(self.reader, SelectiveReader) else ()
        self._states = states
        self._state_name = f"{relative} {type(self.reader).__name__}"
        self._busy = threading.RLock()
        self._version: files.Version | None = None
        self._settled = False
        self._generation = 0
        self._is_fresh = True
        self._stored_at = 0
        self._begin()

    def _begin(self) -> None:
        """Set the state of a file that was not read yet.

        :ivar _inside: whether the bytes after the prefix continue a line that is too long.
        :ivar _rest: the bytes after the prefix: a line without line end.
        """
        self._prefix = _Prefix()
        self._lines = 0
        self._inside = False
        self._rest = b""
        self._rest_is_taken = self._rest_counts = False

    def examine(self) -> int:
        """Read what was appended. Return a number that grows with each change of the content."""
        version = self.version()
        if version is None or version != self._version or not self._settled:
            with self._busy:
                self._follow(version)
        return self._generation

    @contextmanager
    def reading(self) -> Iterator[R]:
        """Give the reader, up to date. It does not change while the block runs."""
        observe(self)
        with self._busy:
            yield self.reader
            self._store_if_due()

    def part(self, of: Callable[["Journal[R]"], T]) -> T:
        """Return the result of a function of this journal, and record it as a dependency.

        A derived value that uses only parts stays valid while these are equal, even if the journal
        grows. The function must be one of a module, so that equal calls are the same input.
        """
        result: T = observe(_Part(self, of))
        return result

    def line_count(self) -> int:
        """Return the number of lines of the file, malformed ones included.

        A last line without line end counts if it has a complete object, so that the count does not
        change when the line end is written.
        """
        return self.part(_line_count)

    def count_now(self) -> int:
        """Return the number of lines that the file has now, later than the current look."""
        with self._busy:
            self.examine()
            return _line_count(self)

    def start_of_first_line(self, limit: int) -> bytes:
        """Return the first line without its line end, at most `limit` bytes."""
        return b"".join(self.lines_at([(0, limit)])).partition(b"\n")[0]

    def end_of_last_line(self, limit: int) -> bytes:
        """Return the end of the last complete line that was read, at most `limit` bytes."""
        size = min(self._prefix.length, limit + 1)
        data = b"".join(self.lines_at([(self._prefix.length - size, size)]))
        return data[:-1].rpartition(b"\n")[2]

    def lines_backwards(self, suffix: str = "") -> Iterator[bytes]:
        """Yield the lines that the file has now, newest first, without line ends or empty ones.

        :param suffix: appended to the name, to read a file that it was rotated to.
        """
        return lines.backwards(self._root.path, self.relative + suffix)

    def lines_at(self, places: Iterable[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of lines; empty if the file was replaced since it was read.

        :param places: the offset and the length of each line, as passed to `Reader.take`.
        """
        try:
            with files.opened(self._root.path, self.relative) as (stream, version):
                if (version.device, version.inode) != self._prefix[:2]:
                    return []
                return [files.read_at(stream, offset, length) for offset, length in places]
        except OSError:
            return []

    def _follow(self, version: files.Version | None) -> None:
        """Read what was appended, or the whole file if it is another one."""
        if version is None:
            self._reset()
            self._version = None
            return
        if self._is_fresh:
            self._is_fresh = False
            self._restore()
        read_at = time.time_ns()
        try:
            with files.opened(self._root.path, self.relative) as (stream, current):
                if not self._continues(stream, current):
                    self._reset()
                self._read(stream, current)
                self._version, self._settled = current, files.is_settled(current, read_at)
                self.is_unread = False
        except OSError as error:
            self._reset()
            self._version = None
            self.is_unread = files.is_passing(error)

    def _continues(self, stream: BinaryIO, version: files.Version) -> bool:
        """Return whether the file begins with the content that was read."""
        before = self._version
        is_edited = before is not None and version.size == before.size and version != before
        return not is_edited and self._prefix.is_in(stream, version)

    def _reset(self) -> None:
        if self._prefix.length or self._rest:
            self._generation += 1
        self._begin()
        self._stored_at = 0
        self.reader.clear()

    def _read(self, stream: BinaryIO, version: files.Version) -> None:
        """Read the lines after the prefix."""
        if self._rest_is_taken:
            self.reader.take_back()
        offset = position = self._prefix.length
        rest, rest_before = b"", self._rest
        stream.seek(offset)
        while position < version.size:
            block = stream.read(min(_BLOCK_BYTES, version.size - position))
            if not block:
                break
            position += len(block)
            *lines, rest = (rest + block).split(b"\n")
            offset = self._take_lines(lines, offset)
            if self._inside or len(rest) > MAX_LINE_BYTES:
                self._inside, rest, offset = True, b"", position
        self._rest = rest
        self._rest_is_taken = self._is_wanted(rest) and self._take(rest, offset)
        self._rest_counts = self._rest_is_taken or _begins_with_object(rest)
        if offset != self._prefix.length or version.inode != self._prefix.inode:
            self._prefix = _Prefix.measure(offset, stream, version)
            self._generation += 1
        elif rest != rest_before:
            self._generation += 1

    def _take_lines(self, lines: list[bytes], offset: int) -> int:
        self._lines += len(lines)
        for line in lines:
            if self._inside:
                self._inside = False
            elif not self._words or self._is_wanted(line):
                self._take(line, offset)
            offset += len(line) + 1
        return offset

    def _is_wanted(self, line: bytes) -> bool:
        return not self._words or any(map(line.__contains__, self._words))

    def _take(self, line: bytes, offset: int) -> bool:
        """Pass the object of a line to the reader. Return False if it is passed none."""
        if not line or len(line) > MAX_LINE_BYTES:
            return False
        try:
            record = json_text.parse(line)
        except json_text.Damaged:
            return False
        if not isinstance(record, dict):
            return False
        self.reader.take(record, offset, len(line))
        return True

    def _restore(self) -> None:
        """Restore the state that another run has stored.

        A state that does not fit the file is dropped later, when the checksums are compared.
        """
        states, reader = self._states(), self.reader
        if states is None or not isinstance(reader, StoredReader):
            return
        data = states.load(self._state_name, reader.STAMP)
        if data is None:
            return
        try:
            end = data.index(b"\n")
            version, prefix, self._lines = orjson.loads(data[:end])
            self._version, self._prefix = files.Version(*version), _Prefix(*prefix)
            reader.load(memoryview(data)[end + 1 :])
            self._stored_at = self._prefix.length
        except Exception:
            log.warning("the stored state of %s cannot be used", self.relative)
            self._version = None
            self._reset()

    def _store_if_due(self) -> None:
        """Store the state after many new bytes: when it is used, as that may store it too."""
        if self._prefix.length - self._stored_at >= _STORE_BYTES:
            self.store()

    def store(self) -> None:
        """Store the state of the reader, unless its last object may still be taken back."""
        states, reader = self._states(), self.reader
        is_whole = self._version is not None and not (self._inside or self._rest_is_taken)
        if states is not None and isinstance(reader, StoredReader) and is_whole:
            header = orjson.dumps([list(self._version or ()), list(self._prefix), self._lines])
            states.store(self._state_name, reader.STAMP, header + b"\n" + reader.dump())
            self._stored_at = self._prefix.length


@dataclass(frozen=True, slots=True)
class _Part:
    """The result of a function of a journal, as an input."""

    journal: Journal[Any]
    of: Callable[[Journal[Any]], Any]

    @property
    def is_notified(self) -> bool:
        return self.journal.is_notified

    def examine(self) -> Any:
        state_of(self.journal)
        with self.journal._busy:
            self.journal._store_if_due()
            return self.of(self.journal)


def _line_count(journal: Journal[Any]) -> int:
    return journal._lines + journal._rest_counts


def _begins_with_object(line: bytes) -> bool:
    values = json_text.values_in(line.decode("utf-8-sig", errors="replace"))
    return isinstance(next(values, None), dict)
