"""The lines of a file of any size, one at a time, in either direction."""

import re
from collections.abc import Iterator
from pathlib import Path

from loki_web.store import files

MAX_LINE_BYTES = 1024 * 1024
_BLOCK_BYTES = 1 << 20

Marks = tuple[re.Pattern[bytes], ...]


def forwards(root: Path, relative: str) -> Iterator[bytes]:
    """The lines with their line ends, oldest first; the last one may be without.

    A line longer than MAX_LINE_BYTES comes in pieces. Nothing where the file cannot be read.
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


def backwards(root: Path, relative: str, holding: Marks = ()) -> Iterator[bytes]:
    """The lines without their line ends, newest first; empty ones and ones that are longer than
    MAX_LINE_BYTES are left out.

    :param holding: only lines in which each of these is found; a stretch of the file without one of
        them is passed over at the speed of the disk.
    """
    try:
        with files.opened(root, relative) as (stream, found):
            start, rest = found.size, b""
            while start > 0:
                size = min(_BLOCK_BYTES, start)
                start -= size
                stream.seek(start)
                block = files.read_up_to(stream, size) + rest
                rest, whole = _split(block) if start else (b"", block)
                if all(mark.search(whole) for mark in holding):
                    yield from _lines_of(whole, holding)
    except OSError:
        return


def _split(block: bytes) -> tuple[bytes, bytes]:
    """The end of a line that begins further up, and the whole lines after it."""
    end, found, whole = block.partition(b"\n")
    if not found and len(block) > MAX_LINE_BYTES:
        return b"", b""
    return end, whole


def _lines_of(data: bytes, holding: Marks) -> Iterator[bytes]:
    for line in reversed(data.split(b"\n")):
        if line and len(line) <= MAX_LINE_BYTES and all(mark.search(line) for mark in holding):
            yield line
