"""The new lines of a log that grows, from the place up to which it was read."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from loki_web.store import files
from loki_web.store.tail import MAX_LINE_BYTES

MAX_STEP_BYTES = 64 * 1024
MAX_BEHIND_BYTES = 4 * 1024 * 1024
_MARK_BYTES = 256
_LEAST_MARK_BYTES = 16
_SEARCHED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """How far a log was read.

    :param mark: the bytes just before, by which the place is found again in a log that was cut.
    :param inside: True in the middle of a line of which the beginning was given already.
    """

    inode: int
    offset: int
    mark: bytes = b""
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """:param lines: complete lines, oldest first, without line ends.
    :param has_more: True where there is more to read at once.
    :param skipped: how many bytes were passed over, because the reader was too far behind.
    """

    lines: list[str]
    place: Place
    has_more: bool = False
    skipped: int = 0


def end(root: Path, relative: str) -> Place | None:
    """The place after the last complete line; None where the file cannot be read."""
    try:
        with files.opened(root, relative) as (stream, found):
            return _after_last_line(stream, found)
    except OSError:
        return None


def step(root: Path, relative: str, place: Place | None, until: int | None = None) -> Step | None:
    """What was written after `place`, at most MAX_STEP_BYTES of it.

    A log that was replaced or cut is read on where the last lines are found again, else from its
    beginning. A line is cut at MAX_LINE_BYTES.

    :param place: None for the beginning.
    :param until: the offset at which to stop; the end of the file when left out.
    :return: None where the file cannot be read.
    """
    try:
        with files.opened(root, relative) as (stream, found):
            here = _found_again(stream, found, place)
            last, skipped = min(found.size, until or found.size), 0
            if last - here.offset > MAX_BEHIND_BYTES:
                ahead = Place(found.inode, last - MAX_STEP_BYTES, inside=True)
                skipped, here = ahead.offset - here.offset, ahead
            lines, there = _lines(stream, here, last)
            has_more = there != here and last - here.offset > MAX_STEP_BYTES
            return Step(lines, there, has_more, skipped)
    except OSError:
        return None


def _lines(stream: BinaryIO, here: Place, last: int) -> tuple[list[str], Place]:
    left = last - here.offset
    data = _at(stream, here.offset, min(MAX_STEP_BYTES, left))
    if b"\n" not in data and not here.inside:
        data = _at(stream, here.offset, min(MAX_LINE_BYTES, left))
    *whole, rest = data.split(b"\n")
    inside = not whole and (here.inside or len(rest) == MAX_LINE_BYTES)
    if inside and not here.inside:
        whole = [rest]
    elif here.inside:
        whole = whole[1:]
    read = len(data) if inside else len(data) - len(rest)
    if not read:
        return [], here
    offset = here.offset + read
    size = min(offset, _MARK_BYTES)
    there = Place(here.inode, offset, _at(stream, offset - size, size), inside)
    return [_text(line) for line in whole if line.strip()], there


def _found_again(stream: BinaryIO, found: files.Version, place: Place | None) -> Place:
    if place is None:
        return Place(found.inode, 0)
    is_same = found.inode == place.inode and found.size >= place.offset
    if is_same and _at(stream, place.offset - len(place.mark), len(place.mark)) == place.mark:
        return place
    start = max(0, found.size - _SEARCHED_BYTES)
    data = _at(stream, start, found.size - start)
    index = data.rfind(place.mark) if len(place.mark) >= _LEAST_MARK_BYTES else -1
    if index < 0:
        return Place(found.inode, 0)
    return Place(found.inode, start + index + len(place.mark), place.mark)


def _after_last_line(stream: BinaryIO, found: files.Version) -> Place:
    start = max(0, found.size - MAX_LINE_BYTES)
    data = _at(stream, start, found.size - start)
    line_end = data.rfind(b"\n") + 1
    inside = not line_end and start > 0
    offset = found.size if inside else start + line_end
    size = min(offset, _MARK_BYTES)
    return Place(found.inode, offset, _at(stream, offset - size, size), inside)


def _at(stream: BinaryIO, offset: int, count: int) -> bytes:
    stream.seek(offset)
    return files.read_up_to(stream, count)


def _text(line: bytes) -> str:
    return line[:MAX_LINE_BYTES].decode("utf-8", errors="replace").rstrip("\r")
