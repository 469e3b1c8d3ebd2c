"""The last lines of a log that may have any size, in blocks from the end."""

from pathlib import Path

from loki_web.store import files

MAX_LINE_BYTES = 1024 * 1024
MAX_TAIL_BYTES = 4 * 1024 * 1024
_BLOCK_BYTES = 256 * 1024
_BLANK = b" \t\r\v\f\0"  # a log that was truncated under its writer begins with NULs


def tail(root: Path, relative: str, lines: int) -> list[str]:
    """Up to `lines` of the last lines that are not blank, oldest first, without line ends.

    Text is UTF-8 with replacement; a line is cut at MAX_LINE_BYTES. What lies more than
    MAX_TAIL_BYTES before the end is not looked at: of a line that begins there a part is returned,
    unless that line may be a short one. Empty where the file cannot be read.
    """
    try:
        with files.opened(root, relative) as (stream, found):
            start, blocks, seen = found.size, list[bytes](), 0
            lowest = max(0, found.size - MAX_TAIL_BYTES)
            while start > lowest and seen <= lines:
                size = min(_BLOCK_BYTES, start - lowest)
                start -= size
                stream.seek(start)
                block = files.read_up_to(stream, size)
                blocks.insert(0, block)
                seen += _line_count(block)
    except OSError:
        return []
    found_lines = b"".join(blocks).split(b"\n")
    kept = [line for line in found_lines if line.strip(_BLANK)]
    if start and len(kept) > 1 and kept[0] is found_lines[0] and len(kept[0]) <= MAX_LINE_BYTES:
        del kept[0]  # cut at its beginning
    return [_text(line) for line in kept[-lines:]]


def _line_count(block: bytes) -> int:
    return sum(1 for line in block.split(b"\n")[1:] if line.strip(_BLANK))


def _text(line: bytes) -> str:
    return line[:MAX_LINE_BYTES].decode("utf-8", errors="replace").rstrip("\r")
