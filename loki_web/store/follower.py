"""Read the lines that are appended to a log, from the cursor at which reading stopped."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from loki_web.store import files
from loki_web.store.lines import MAX_LINE_BYTES, decode

MAX_CHUNK_BYTES = 64 * 1024
MAX_BEHIND_BYTES = 4 * 1024 * 1024
_MARK_BYTES = 256
_LEAST_MARK_BYTES = 16
_SEARCHED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a log.

    :param mark: the bytes just before it, to find the position again in a truncated log.
    :param inside: True if it is inside a line whose beginning was returned already.
    """

    inode: int
    offset: int
    mark: bytes = b""
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """The lines of one read.

    :param lines: complete lines, oldest first, without line ends.
    :param cursor: where to resume.
    :param has_more: True if more can be read at once.
    :param skipped: how many bytes were skipped because the reader was too far behind.
    """

    lines: list[str]
    cursor: Cursor
    has_more: bool = False
    skipped: int = 0


def find_end(root: Path, relative: str, former: files.Version) -> Cursor | None:
    """Return the cursor after the last complete line of a file as it was.

    :param former: the version of the file at that time.
    :return: None if the file was replaced or truncated since, or cannot be read.
    """
    try:
        with files.opened(root, relative) as (stream, version):
            is_same = version.inode == former.inode and version.size >= former.size
            return _after_last_line(stream, former) if is_same else None
    except OSError:
        return None


def read_chunk(
    root: Path, relative: str, cursor: Cursor | None, until: int | None = None
) -> Chunk | None:
    """Return what was appended after a cursor, at most MAX_CHUNK_BYTES of it.

    Of a log that was rotated, first read the rest. In a log that was replaced or truncated, resume
    after the bytes of the mark if they are there again, else at the beginning.
    Lines are cut at MAX_LINE_BYTES. If the reader is more than MAX_BEHIND_BYTES behind, resume
    MAX_CHUNK_BYTES before the end.

    :param cursor: None for the beginning.
    :param until: the offset at which to stop; by default the end of the file.
    :return: None if the file cannot be read.
    """
    try:
        with files.opened(root, relative) as (stream, version):
            start = _find_again(stream, version, cursor)
            if cursor and start is not cursor and until is None:
                rest = _read_rest_of_rotated(root, relative, cursor, is_replaced=version.size > 0)
                if rest and (rest.cursor != cursor or not version.size):
                    return replace(rest, has_more=rest.cursor != cursor)
            return _read_chunk(stream, start, min(version.size, until or version.size))
    except OSError:
        return _read_rest_of_rotated(root, relative, cursor) if cursor and until is None else None


def _read_chunk(stream: BinaryIO, start: Cursor, last: int, *, is_complete: bool = False) -> Chunk:
    """Return the lines between a cursor and an offset, at most MAX_CHUNK_BYTES.

    :param is_complete: whether a last line without line end is complete.
    """
    skipped = 0
    if last - start.offset > MAX_BEHIND_BYTES:
        ahead = Cursor(start.inode, last - MAX_CHUNK_BYTES, inside=True)
        skipped, start = ahead.offset - start.offset, ahead
    lines, stop = _read_lines(stream, start, last, is_complete)
    return Chunk(lines, stop, stop != start and last - start.offset > MAX_CHUNK_BYTES, skipped)


def _read_rest_of_rotated(
    root: Path, relative: str, cursor: Cursor, *, is_replaced: bool = False
) -> Chunk | None:
    """Return what a rotated log has after a cursor; None if the log cannot be found.

    If it was rotated more than once, `.1` is read after `.2`.

    :param is_replaced: whether the new log has lines, so that a line without line end is complete.
    """
    chunk, modified = None, 0
    try:
        name, start = _find_rotated(root, relative, cursor) if cursor.mark else ("", cursor)
        while name and (chunk is None or chunk.cursor == start):
            newer = _get_newer_name(name, relative)
            with files.opened(root, name) as (stream, version):
                if version.mtime_ns < modified:  # numbered in another order
                    break
                start = Cursor(version.inode, 0) if chunk else start
                is_complete = is_replaced or bool(newer)
                chunk = _read_chunk(stream, start, version.size, is_complete=is_complete)
            name, modified = newer, version.mtime_ns
    except OSError:
        pass
    return chunk


def _get_newer_name(name: str, relative: str) -> str:
    """Return the name of the file that was rotated after `.2` or above; empty for others."""
    base, _, number = name.rpartition(".")
    is_numbered = os.path.basename(base) == os.path.basename(relative) and number.isdecimal()
    return f"{base}.{int(number) - 1}" if is_numbered and int(number) > 1 else ""


def _find_rotated(root: Path, relative: str, cursor: Cursor) -> tuple[str, Cursor]:
    """Return the path of the file that a log was renamed or copied to, and the cursor in it.

    A copy has the same bytes at the same offset, and a name that begins like that of the log.

    :return: an empty path if it is neither in the folder of the log nor in a folder of that one.
    """
    folder, log = os.path.split(relative)
    stem = log.partition(".")[0]
    entries = list(_entries(root, folder, depth=1))
    for name, inode in sorted(entries, key=lambda entry: entry[1] != cursor.inode):
        is_copy = len(cursor.mark) >= _LEAST_MARK_BYTES and os.path.basename(name).startswith(stem)
        if name != relative and (inode == cursor.inode or is_copy):
            with suppress(OSError), files.opened(root, name) as (stream, version):
                same = replace(cursor, inode=version.inode)
                if _is_at(stream, version, same):
                    return name, same
    return "", cursor


def _entries(root: Path, folder: str, *, depth: int) -> Iterator[tuple[str, int]]:
    """Yield the paths and inodes of the files in a folder, and in its folders down to a depth."""
    located = files.locate(root, folder)
    if located is None:
        return
    with suppress(OSError), files.entered(*located) as path, os.scandir(path) as entries:
        for entry in entries:
            name = os.path.join(folder, entry.name)
            if not entry.is_dir(follow_symlinks=False):
                yield name, entry.inode()
            elif depth:
                yield from _entries(root, name, depth=depth - 1)


def _read_lines(
    stream: BinaryIO, start: Cursor, last: int, is_complete: bool
) -> tuple[list[str], Cursor]:
    """Return the lines of one chunk, and the cursor after them."""
    size = last - start.offset
    data = files.read_at(stream, start.offset, min(MAX_CHUNK_BYTES, size))
    if b"\n" not in data and not start.inside:
        data = files.read_at(stream, start.offset, min(MAX_LINE_BYTES, size))
    *lines, rest = data.split(b"\n")
    inside = not lines and (start.inside or len(rest) == MAX_LINE_BYTES)
    if inside and not start.inside:
        lines = [rest]
    elif start.inside:
        lines = lines[1:]
    if is_complete and not inside and len(data) == size:
        lines, rest = [*lines, rest], b""
    length = len(data) if inside else len(data) - len(rest)
    if not length:
        return [], start
    stop = _cursor_at(stream, start.inode, start.offset + length, inside)
    return [decode(line) for line in lines if line.strip()], stop


def _find_again(stream: BinaryIO, version: files.Version, cursor: Cursor | None) -> Cursor:
    if cursor is None:
        return Cursor(version.inode, 0)
    if _is_at(stream, version, cursor):
        return cursor
    start = max(0, version.size - _SEARCHED_BYTES)
    data = files.read_at(stream, start, version.size - start)
    index = data.rfind(cursor.mark) if len(cursor.mark) >= _LEAST_MARK_BYTES else -1
    if index < 0:
        return Cursor(version.inode, 0)
    return Cursor(version.inode, start + index + len(cursor.mark), cursor.mark)


def _is_at(stream: BinaryIO, version: files.Version, cursor: Cursor) -> bool:
    """Return whether an open file is the one of a cursor, with the same bytes before it."""
    is_same = version.inode == cursor.inode and version.size >= cursor.offset
    size = len(cursor.mark)
    return is_same and files.read_at(stream, cursor.offset - size, size) == cursor.mark


def _after_last_line(stream: BinaryIO, version: files.Version) -> Cursor:
    start = max(0, version.size - MAX_LINE_BYTES)
    data = files.read_at(stream, start, version.size - start)
    line_end = data.rfind(b"\n") + 1
    inside = not line_end and start > 0
    return _cursor_at(stream, version.inode, version.size if inside else start + line_end, inside)


def _cursor_at(stream: BinaryIO, inode: int, offset: int, inside: bool) -> Cursor:
    size = min(offset, _MARK_BYTES)
    return Cursor(inode, offset, files.read_at(stream, offset - size, size), inside)
