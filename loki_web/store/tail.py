"""The last lines of a log that may have any size, in blocks from the end."""

from typing import BinaryIO

from loki_web.store import files

MAX_LINE_BYTES = 1024 * 1024
MAX_TAIL_BYTES = 4 * 1024 * 1024
_BLOCK_BYTES = 64 * 1024
_BLANK = b" \t\r\v\f\0"  # a log that was truncated under its writer begins with NULs


def end_of(stream: BinaryIO, size: int, lines: int) -> bytes:
    """The end of a file of `size` bytes with at least `lines` lines that are not blank, as far as
    MAX_TAIL_BYTES go."""
    start, blocks, seen = size, list[bytes](), 0
    lowest = max(0, size - MAX_TAIL_BYTES)
    while start > lowest and seen <= lines:
        count = min(_BLOCK_BYTES, start - lowest)
        start -= count
        stream.seek(start)
        block = files.read_up_to(stream, count)
        blocks.insert(0, block)
        seen += _line_count(block)
    return (b"\n" if not start else b"") + b"".join(blocks)


def lines_in(end: bytes, lines: int) -> list[str]:
    """Up to `lines` of the last lines that are not blank in what `end_of` returned, oldest first,
    without line ends.

    Text is UTF-8 with replacement; a line is cut at MAX_LINE_BYTES. A line that begins further up
    is left out, unless it is longer than that.
    """
    found = end.split(b"\n")
    kept = [line for line in found if line.strip(_BLANK)]
    if len(kept) > 1 and kept[0] is found[0] and len(kept[0]) <= MAX_LINE_BYTES:
        del kept[0]  # cut at its beginning
    return [_text(line) for line in kept[-lines:]]


def _line_count(block: bytes) -> int:
    return sum(1 for line in block.split(b"\n")[1:] if line.strip(_BLANK))


def _text(line: bytes) -> str:
    return line[:MAX_LINE_BYTES].decode("utf-8", errors="replace").rstrip("\r")
