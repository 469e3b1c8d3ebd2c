"""Append-only files of one JSON object a line, read once and resumed where reading stopped."""

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import orjson

from loki_web.store import files, json_text
from loki_web.store.coerce import Json
from loki_web.store.inputs import PathInput, Root
from loki_web.store.look import observe, state_of

MAX_LINE_BYTES = 1024 * 1024
SMALL_BYTES = 256 * 1024  # up to here everything that was read is compared when a file has grown
_MARK_BYTES = 512
_BLOCK_BYTES = 1 << 20
_WORTH_STORING = 4 << 20  # bytes that were read since the state was stored


class Reader(Protocol):
    """What is made of the objects of a journal. Called by one thread at a time."""

    def clear(self) -> None:
        """Forget everything: the file is read anew."""

    def take(self, record: Json, offset: int, length: int) -> None:
        """Take in the next object and where its line stands in the file."""

    def take_back(self) -> None:
        """Forget the object that was taken last: its line had no end and has changed."""


@runtime_checkable
class StoredReader(Reader, Protocol):
    """A reader whose state can be stored, so that a restart does not read the file again.

    :ivar STAMP: changes with the form of the state.
    """

    STAMP: str

    def dump(self) -> bytes: ...

    def load(self, data: bytes) -> None:
        """Take the state that was dumped. Any exception means that it cannot be used."""


class States(Protocol):
    """Where states are kept between runs of the server, see `store.kept`; it may lose any."""

    def load(self, name: str, stamp: str) -> bytes | None: ...

    def store(self, name: str, stamp: str, value: bytes) -> None: ...


log = logging.getLogger(__name__)
R = TypeVar("R", bound=Reader)
T = TypeVar("T")


class _Place(NamedTuple):
    """How far a file was read, in complete lines, and by what it is known again.

    :ivar head: a checksum of its first bytes, which tell the time of the first line.
    :ivar end: one of what stands before the place: all of a small file, else its last bytes.
    """

    device: int = -1
    inode: int = -1
    offset: int = 0
    head: int = 0
    end: int = 0

    @classmethod
    def at(cls, offset: int, stream: BinaryIO, found: files.Version) -> "_Place":
        size = offset if offset <= SMALL_BYTES else _MARK_BYTES
        head = zlib.crc32(_bytes_at(stream, 0, min(offset, _MARK_BYTES)))
        end = zlib.crc32(_bytes_at(stream, offset - size, size))
        return cls(found.device, found.inode, offset, head, end)

    def is_in(self, stream: BinaryIO, found: files.Version) -> bool:
        return found.size >= self.offset and self == _Place.at(self.offset, stream, found)


class Journal(PathInput, Generic[R]):
    """One `.jsonl` file as a reader sees it; its state grows with each change of the content.

    Only what was appended is read, each line once. Lines that hold no JSON object or more than
    MAX_LINE_BYTES are skipped; a last line without line end is taken as soon as its object is
    complete. A file that was replaced, truncated, rotated or edited is read anew: one with another
    inode, one with the same size and another version, one that does not begin as before. Where a
    file beyond SMALL_BYTES has grown, only the first and last bytes that were read are compared.

    :param make: makes the reader.
    :param kept: returns where the state of the reader is kept between runs, or None.
    :ivar reader: to be used inside of `reading`, or in a function given to `part`.
    """

    def __init__(
        self,
        root: Root,
        relative: str,
        make: Callable[[], R],
        kept: Callable[[], States | None] = lambda: None,
    ) -> None:
        super().__init__(root, relative)
        self.reader = make()
        self._kept = kept
        self._busy = threading.RLock()
        self._version: files.Version | None = None
        self._settled = False
        self._generation = 0
        self._is_fresh = True
        self._stored_at = 0
        self._begin()

    def _begin(self) -> None:
        """
        :ivar _inside: whether the place lies in a line that is too long.
        :ivar _rest: what follows the place, a line without end.
        """
        self._place = _Place()
        self._lines = 0
        self._inside = False
        self._rest = b""
        self._rest_is_taken = self._rest_counts = False

    def examine(self) -> int:
        version = self.version()
        if version is None or version != self._version or not self._settled:
            with self._busy:
                self._follow(version)
        return self._generation

    @contextmanager
    def reading(self) -> Iterator[R]:
        """Give the reader, up to date; nobody changes it inside."""
        observe(self)
        with self._busy:
            yield self.reader

    def part(self, of: Callable[["Journal[R]"], T]) -> T:
        """Return what a function of a module gives for this journal. A value that uses only parts
        stays current while these are equal, whatever else is appended.
        """
        found: T = observe(_Part(self, of))
        return found

    def line_count(self) -> int:
        """Return how many lines the whole file has, whatever is in them.

        A last line without line end counts if an object is complete in it, so that the count does
        not change when the line end follows.
        """
        return self.part(_line_count)

    def lines_at(self, places: Iterable[tuple[int, int]]) -> list[bytes]:
        """Return the lines that begin at offsets and have certain lengths; nothing where the file
        is no longer the one that was read."""
        try:
            with files.opened(self._root.path, self.relative) as (stream, found):
                if (found.device, found.inode) != self._place[:2]:
                    return []
                return [_bytes_at(stream, offset, length) for offset, length in places]
        except OSError:
            return []

    def _follow(self, version: files.Version | None) -> None:
        if version is None:
            self._reset()
            self._version = None
            return
        if self._is_fresh:
            self._is_fresh = False
            self._restore()
        read_at = time.time_ns()
        try:
            with files.opened(self._root.path, self.relative) as (stream, found):
                if not self._continues(stream, found):
                    self._reset()
                self._read(stream, found)
                self._version, self._settled = found, files.is_settled(found, read_at)
        except OSError:
            self._reset()
            self._version = None
        self._store()

    def _continues(self, stream: BinaryIO, found: files.Version) -> bool:
        """Whether the file holds what was read, and maybe more."""
        before = self._version
        is_edited = before is not None and found.size == before.size and found != before
        return not is_edited and self._place.is_in(stream, found)

    def _reset(self) -> None:
        if self._place.offset or self._rest:
            self._generation += 1
        self._begin()
        self._stored_at = 0
        self.reader.clear()

    def _read(self, stream: BinaryIO, found: files.Version) -> None:
        """Take in what follows the place."""
        if self._rest_is_taken:
            self.reader.take_back()
        offset = position = self._place.offset
        rest, rest_before = b"", self._rest
        stream.seek(offset)
        while position < found.size:
            block = stream.read(min(_BLOCK_BYTES, found.size - position))
            if not block:
                break
            position += len(block)
            *lines, rest = (rest + block).split(b"\n")
            offset = self._take_lines(lines, offset)
            if self._inside or len(rest) > MAX_LINE_BYTES:
                self._inside, rest, offset = True, b"", position
        self._rest = rest
        self._rest_is_taken = self._take(rest, offset)
        self._rest_counts = self._rest_is_taken or _begins_with_object(rest)
        if offset != self._place.offset or found.inode != self._place.inode:
            self._place = _Place.at(offset, stream, found)
            self._generation += 1
        elif rest != rest_before:
            self._generation += 1

    def _take_lines(self, lines: list[bytes], offset: int) -> int:
        self._lines += len(lines)
        for line in lines:
            if self._inside:
                self._inside = False
            else:
                self._take(line, offset)
            offset += len(line) + 1
        return offset

    def _take(self, line: bytes, offset: int) -> bool:
        """Whether the line holds an object."""
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
        """Begin with the state that another run has stored; what is wrong with it shows when the
        marks are compared."""
        kept, reader = self._kept(), self.reader
        if kept is None or not isinstance(reader, StoredReader):
            return
        data = kept.load(self.relative, reader.STAMP)
        if data is None:
            return
        try:
            header, _, state = data.partition(b"\n")
            version, place, self._lines = orjson.loads(header)
            self._version, self._place = files.Version(*version), _Place(*place)
            reader.load(state)
            self._stored_at = self._place.offset
        except Exception:
            log.warning("the stored index of %s cannot be used", self.relative)
            self._version = None
            self._reset()

    def _store(self) -> None:
        """Store the state of the reader once it has cost much to come to."""
        kept, reader = self._kept(), self.reader
        if (
            kept is None
            or not isinstance(reader, StoredReader)
            or self._place.offset - self._stored_at < _WORTH_STORING
            or self._inside
            or self._rest_is_taken
        ):
            return
        header = orjson.dumps([list(self._version or ()), list(self._place), self._lines])
        kept.store(self.relative, reader.STAMP, header + b"\n" + reader.dump())
        self._stored_at = self._place.offset


@dataclass(frozen=True, slots=True)
class _Part:
    """What a function gives for a journal, as an input of its own."""

    journal: Journal[Any]
    of: Callable[[Journal[Any]], Any]

    @property
    def is_notified(self) -> bool:
        return self.journal.is_notified

    def examine(self) -> Any:
        state_of(self.journal)
        with self.journal._busy:
            return self.of(self.journal)


def _line_count(journal: Journal[Any]) -> int:
    return journal._lines + journal._rest_counts


def _begins_with_object(line: bytes) -> bool:
    values = json_text.values_in(line.decode("utf-8-sig", errors="replace"))
    return isinstance(next(values, None), dict)


def _bytes_at(stream: BinaryIO, offset: int, count: int) -> bytes:
    stream.seek(offset)
    return files.read_up_to(stream, count)
