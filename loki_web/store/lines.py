"""Read the lines of files of any size: all of them in either direction, the last ones, or JSON."""

import re
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, overload

from loki_web.store import files, json_text
from loki_web.store.coerce import Json
from loki_web.store.files import Version
from loki_web.store.inputs import FileInput, Root
from loki_web.store.look import Content, observe

MAX_LINE_BYTES = 1024 * 1024
MAX_TAIL_BYTES = 4 * 1024 * 1024
WINDOW_BYTES = 10 * 1024 * 1024
MAX_PIECE = 1024 * 1024  # characters
_BLOCK_BYTES = 1 << 20
_TAIL_BLOCK_BYTES = 64 * 1024
_BLANK = b" \t\r\v\f\0"  # a log that was truncated while its writer had it open begins with NULs
_PIECE_START = re.compile(r"^(?=\{)", re.MULTILINE)

Patterns = tuple[re.Pattern[bytes], ...]


def forwards(root: Path, relative: str) -> Iterator[bytes]:
    """Yield the lines with their line ends, oldest first. The last line may have no line end.

    A line longer than MAX_LINE_BYTES comes in pieces. Yield nothing if the file cannot be read.
    """
    try:
        with files.opened(root, relative) as (stream, _):
            rest = b""
            while block := stream.read(_BLOCK_BYTES):
                *lines, rest = (rest + block).split(b"\n")
                yield from (line + b"\n" for line in lines)
                if len(rest) > MAX_LINE_BYTES:
                    yield rest
                    rest = b""
            if rest:
                yield rest
    except OSError:
        return


def backwards(root: Path, relative: str, holding: Patterns = ()) -> Iterator[bytes]:
    """Yield the lines without their line ends, newest first.

    Empty lines and lines longer than MAX_LINE_BYTES are skipped. Yield nothing if the file cannot
    be read.

    :param holding: yield only lines that match all of these patterns. Blocks that do not match are
        not split into lines.
    """
    try:
        with files.opened(root, relative) as (stream, version):
            start, rest = version.size, b""
            while start > 0:
                size = min(_BLOCK_BYTES, start)
                start -= size
                block = files.read_at(stream, start, size) + rest
                rest, whole = _split(block) if start else (b"", block)
                if all(pattern.search(whole) for pattern in holding):
                    yield from _matching_lines(whole, holding)
    except OSError:
        return


def between(root: Path, relative: str, start: int, stop: int) -> list[tuple[int, str]]:
    """Return the lines that begin at `start` or later and before `stop`, with their offsets.

    The last one is read to its end. Lines are decoded as `decode` does. Empty if the file cannot be
    read.
    """
    before = max(0, start - 1)  # a line begins at `start` if a line end is before it
    try:
        with files.opened(root, relative) as (stream, _):
            data = files.read_at(stream, before, stop - before)
            if not data.endswith(b"\n"):
                data += files.read_up_to(stream, MAX_LINE_BYTES).partition(b"\n")[0]
    except OSError:
        return []
    lines, offset = [], before
    for line in data.split(b"\n"):
        if start <= offset < stop and line:
            lines.append((offset, decode(line)))
        offset += len(line) + 1
    return lines


def end_of(stream: BinaryIO, size: int, lines: int) -> bytes:
    """Return the end of a file with at least `lines` lines that are not blank.

    Return fewer lines if the file or its last MAX_TAIL_BYTES have no more. A line end is put
    before the first line of the file, so that `lines_in` takes it as complete.

    :param size: the size of the file in bytes.
    """
    start, blocks, count = size, list[bytes](), 0
    lowest = max(0, size - MAX_TAIL_BYTES)
    while start > lowest and count <= lines:
        length = min(_TAIL_BLOCK_BYTES, start - lowest)
        start -= length
        block = files.read_at(stream, start, length)
        blocks.insert(0, block)
        count += _line_count(block)
    return (b"\n" if not start else b"") + b"".join(blocks)


class Lines(Sequence[str]):
    """Lines of a log in one text, each decoded when it is read: most are never read.

    Slices share the text.

    :param text: the lines, with a line end between them.
    :param starts: where they begin, and where the line after the last would begin.
    :param numbers: of the lines to show, by default all.
    """

    __slots__ = ("_numbers", "_starts", "_text")

    def __init__(self, text: bytes, starts: Sequence[int], numbers: range | None = None) -> None:
        self._text = text
        self._starts = starts
        self._numbers = range(len(starts) - 1) if numbers is None else numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> "Lines": ...

    def __getitem__(self, index: int | slice) -> "str | Lines":
        if isinstance(index, slice):
            return Lines(self._text, self._starts, self._numbers[index])
        number = self._numbers[index]
        return decode(self._text[self._starts[number] : self._starts[number + 1] - 1])


def lines_in(end: bytes, lines: int) -> Lines:
    """Return the last lines that are not blank, oldest first, without line ends.

    A line is decoded as UTF-8 with replacement and cut at MAX_LINE_BYTES. A first line that begins
    before `end` is skipped, unless it is longer than that.

    :param end: what `end_of` returned.
    :param lines: how many lines to return at most.
    """
    pieces = end.split(b"\n")
    last = [line for line in pieces if line.strip(_BLANK)]
    if len(last) > 1 and last[0] is pieces[0] and len(last[0]) <= MAX_LINE_BYTES:
        del last[0]  # its beginning is missing
    last = last[-lines:]
    starts = accumulate((len(line) + 1 for line in last), initial=0)
    return Lines(b"\n".join(last), array("i", starts))


def decode(line: bytes) -> str:
    """Return a line as UTF-8 with replacement, cut at MAX_LINE_BYTES, without a carriage return."""
    return line[:MAX_LINE_BYTES].decode("utf-8", errors="replace").rstrip("\r")


def objects_in(text: str) -> list[Json]:
    """Return the objects of a text of JSON values that are separated by white space.

    After a malformed piece, parsing resumes at the next line that starts with `{`. Values never
    span such a line, because writers indent what is inside an object; so the cost is linear in the
    length of any text. Pieces of more than MAX_PIECE characters are skipped.
    """
    objects: list[Json] = []
    for piece in _PIECE_START.split(text):
        if len(piece) <= MAX_PIECE:
            objects += [value for value in json_text.values_in(piece) if isinstance(value, dict)]
    return objects


class TailInput(FileInput):
    """The last lines of a log, see `lines_in`."""

    def __init__(self, root: Root, relative: str, lines: int) -> None:
        self._count = lines
        super().__init__(root, relative)

    def _read(self, stream: BinaryIO, version: Version) -> bytes:
        return end_of(stream, version.size, self._count)

    def _parse(self, data: bytes | None) -> Lines:
        return lines_in(data or b"", self._count)


class JsonStream(FileInput):
    """A file of JSON objects, each on one line or printed over several; parsed once a content."""

    def objects(self) -> list[Json]:
        """Return the objects in the last WINDOW_BYTES of the file, in file order.

        They are shared: do not change them. Empty if the file cannot be read. See `objects_in`.
        """
        content: Content = observe(self)
        objects: list[Json] = content.value
        return objects

    def _read(self, stream: BinaryIO, version: Version) -> bytes:
        return files.read_at(stream, max(0, version.size - WINDOW_BYTES), WINDOW_BYTES)

    def _parse(self, data: bytes | None) -> list[Json]:
        return objects_in(json_text.decode(data or b""))


def _split(block: bytes) -> tuple[bytes, bytes]:
    """Return the end of a line that begins before the block, and the whole lines after it."""
    end, line_end, whole = block.partition(b"\n")
    if not line_end and len(block) > MAX_LINE_BYTES:
        return b"", b""
    return end, whole


def _matching_lines(data: bytes, holding: Patterns) -> Iterator[bytes]:
    for line in reversed(data.split(b"\n")):
        if line and len(line) <= MAX_LINE_BYTES and all(one.search(line) for one in holding):
            yield line


def _line_count(block: bytes) -> int:
    return sum(1 for line in block.split(b"\n")[1:] if line.strip(_BLANK))
