"""Read the lines that are appended to a log, from the place where reading stopped."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from loki_web.store import files
from loki_web.store.lines import MAX_LINE_BYTES, decode

MAX_STEP_BYTES = 64 * 1024
MAX_BEHIND_BYTES = 4 * 1024 * 1024
_MARK_BYTES = 256
_LEAST_MARK_BYTES = 16
_SEARCHED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a log.

    :param mark: the bytes just before it, to find the position again in a truncated log.
    :param inside: True if it is inside a line whose beginning was returned already.
    """

    inode: int
    offset: int
    mark: bytes = b""
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one read.

    :param lines: complete lines, oldest first, without line ends.
    :param place: where to resume.
    :param has_more: True if more can be read at once.
    :param skipped: how many bytes were skipped because the reader was too far behind.
    """

    lines: list[str]
    place: Place
    has_more: bool = False
    skipped: int = 0


def end(root: Path, relative: str, seen: files.Version) -> Place | None:
    """Return the place after the last complete line of a file as it was.

    :param seen: the version of the file at that time.
    :return: None if the file was replaced or truncated since, or cannot be read.
    """
    try:
        with files.opened(root, relative) as (stream, version):
            is_same = version.inode == seen.inode and version.size >= seen.size
            return _after_last_line(stream, seen) if is_same else None
    except OSError:
        return None


def step(root: Path, relative: str, place: Place | None, until: int | None = None) -> Step | None:
    """Return what was appended after `place`, at most MAX_STEP_BYTES of it.

    Of a log that was rotated, first read the rest. In a log that was replaced or truncated, resume
    after the bytes of the mark if they are there again, else at the beginning.
    Lines are cut at MAX_LINE_BYTES. If the reader is more than MAX_BEHIND_BYTES behind, resume
    MAX_STEP_BYTES before the end.

    :param place: None for the beginning.
    :param until: the offset at which to stop; by default the end of the file.
    :return: None if the file cannot be read.
    """
    try:
        with files.opened(root, relative) as (stream, version):
            here = _find_again(stream, version, place)
            if place and here is not place and until is None:
                rest = _rest_of_rotated(root, relative, place, is_replaced=version.size > 0)
                if rest and (rest.place != place or not version.size):
                    return replace(rest, has_more=rest.place != place)
            return _step(stream, here, min(version.size, until or version.size))
    except OSError:
        return _rest_of_rotated(root, relative, place) if place and until is None else None


def _step(stream: BinaryIO, here: Place, last: int, *, is_complete: bool = False) -> Step:
    skipped = 0
    if last - here.offset > MAX_BEHIND_BYTES:
        ahead = Place(here.inode, last - MAX_STEP_BYTES, inside=True)
        skipped, here = ahead.offset - here.offset, ahead
    lines, there = _lines(stream, here, last, is_complete)
    return Step(lines, there, there != here and last - here.offset > MAX_STEP_BYTES, skipped)


def _rest_of_rotated(
    root: Path, relative: str, place: Place, *, is_replaced: bool = False
) -> Step | None:
    """Return what a rotated log has after a place; None if it cannot be found.

    If it was rotated more than once, `.1` is read after `.2`.

    :param is_replaced: whether the new log has lines, so that a line without line end is complete.
    """
    rest, modified = None, 0
    try:
        name, here = _find_rotated(root, relative, place) if place.mark else ("", place)
        while name and (rest is None or rest.place == here):
            newer = _get_newer_name(name, relative)
            with files.opened(root, name) as (stream, version):
                if version.mtime_ns < modified:  # numbered in another order
                    break
                here = Place(version.inode, 0) if rest else here
                rest = _step(stream, here, version.size, is_complete=is_replaced or bool(newer))
            name, modified = newer, version.mtime_ns
    except OSError:
        pass
    return rest


def _get_newer_name(name: str, relative: str) -> str:
    """Return the name of the file that was rotated after `.2` or above; empty for others."""
    base, _, number = name.rpartition(".")
    is_numbered = os.path.basename(base) == os.path.basename(relative) and number.isdecimal()
    return f"{base}.{int(number) - 1}" if is_numbered and int(number) > 1 else ""


def _find_rotated(root: Path, relative: str, place: Place) -> tuple[str, Place]:
    """Return the path of the file that a log was renamed or copied to, and the place in it.

    A copy has the same bytes at the same offset, and a name that begins like that of the log.

    :return: an empty path if it is neither in the folder of the log nor in a folder of that one.
    """
    folder, log = os.path.split(relative)
    stem = log.partition(".")[0]
    entries = list(_entries(root, folder, depth=1))
    for name, inode in sorted(entries, key=lambda each: each[1] != place.inode):
        is_copy = len(place.mark) >= _LEAST_MARK_BYTES and os.path.basename(name).startswith(stem)
        if name != relative and (inode == place.inode or is_copy):
            with suppress(OSError), files.opened(root, name) as (stream, version):
                here = replace(place, inode=version.inode)
                if _is_at(stream, version, here):
                    return name, here
    return "", place


def _entries(root: Path, folder: str, *, depth: int) -> Iterator[tuple[str, int]]:
    """Yield the paths and inodes of the files in a folder, and in its folders down to a depth."""
    located = files.locate(root, folder)
    if located is None:
        return
    with suppress(OSError), files.entered(*located) as path, os.scandir(path) as entries:
        for each in entries:
            name = os.path.join(folder, each.name)
            if not each.is_dir(follow_symlinks=False):
                yield name, each.inode()
            elif depth:
                yield from _entries(root, name, depth=depth - 1)


def _lines(stream: BinaryIO, here: Place, last: int, is_complete: bool) -> tuple[list[str], Place]:
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
    if is_complete and not inside and len(data) == left:
        whole, rest = [*whole, rest], b""
    read = len(data) if inside else len(data) - len(rest)
    if not read:
        return [], here
    offset = here.offset + read
    size = min(offset, _MARK_BYTES)
    there = Place(here.inode, offset, _at(stream, offset - size, size), inside)
    return [decode(line) for line in whole if line.strip()], there


def _find_again(stream: BinaryIO, version: files.Version, place: Place | None) -> Place:
    if place is None:
        return Place(version.inode, 0)
    if _is_at(stream, version, place):
        return place
    start = max(0, version.size - _SEARCHED_BYTES)
    data = _at(stream, start, version.size - start)
    index = data.rfind(place.mark) if len(place.mark) >= _LEAST_MARK_BYTES else -1
    if index < 0:
        return Place(version.inode, 0)
    return Place(version.inode, start + index + len(place.mark), place.mark)


def _is_at(stream: BinaryIO, version: files.Version, place: Place) -> bool:
    """Return whether an open file is the one of a place, with the same bytes before it."""
    is_same = version.inode == place.inode and version.size >= place.offset
    before = len(place.mark)
    return is_same and _at(stream, place.offset - before, before) == place.mark


def _after_last_line(stream: BinaryIO, version: files.Version) -> Place:
    start = max(0, version.size - MAX_LINE_BYTES)
    data = _at(stream, start, version.size - start)
    line_end = data.rfind(b"\n") + 1
    inside = not line_end and start > 0
    offset = version.size if inside else start + line_end
    size = min(offset, _MARK_BYTES)
    return Place(version.inode, offset, _at(stream, offset - size, size), inside)


def _at(stream: BinaryIO, offset: int, count: int) -> bytes:
    stream.seek(offset)
    return files.read_up_to(stream, count)
