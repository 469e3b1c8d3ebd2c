"""Reading of a growing log from a cursor."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loki_web.store import files, follower
from loki_web.store.follower import MAX_CHUNK_BYTES, Cursor


def append(path: Path, text: str) -> None:
    with path.open("a") as stream:
        stream.write(text)


def version(path: Path) -> files.Version:
    return files.Version.from_status(path.stat())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.log"
    path.write_text("old\n")
    return path


def test_lines_after_a_cursor_are_read_once(log: Path) -> None:
    cursor = follower.find_end(log.parent, log.name, version(log))
    append(log, "one\n\ntwo\nthr")
    chunk = follower.read_chunk(log.parent, log.name, cursor)
    assert chunk is not None
    assert chunk.lines == ["one", "two"]
    append(log, "ee\n")
    again = follower.read_chunk(log.parent, log.name, chunk.cursor)
    assert again is not None
    assert again.lines == ["three"]


def test_without_a_cursor_reading_begins_at_the_start(log: Path) -> None:
    chunk = follower.read_chunk(log.parent, log.name, None)
    assert chunk is not None
    assert chunk.lines == ["old"]


def test_reading_stops_at_the_given_offset(log: Path) -> None:
    append(log, "one\ntwo\n")
    start = Cursor(log.stat().st_ino, 0)
    chunk = follower.read_chunk(log.parent, log.name, start, until=8)
    assert chunk is not None
    assert chunk.lines == ["old", "one"]


def test_many_lines_are_read_in_chunks_without_loss(log: Path) -> None:
    cursor = follower.find_end(log.parent, log.name, version(log))
    written = [f"line {number} {'x' * (number % 300)}" for number in range(5000)]
    append(log, "".join(f"{line}\n" for line in written))
    read: list[str] = []
    while (chunk := follower.read_chunk(log.parent, log.name, cursor)) and chunk.lines:
        read += chunk.lines
        assert chunk.has_more == (
            log.stat().st_size - (cursor.offset if cursor else 0) > MAX_CHUNK_BYTES
        )
        cursor = chunk.cursor
    assert read == written


def test_the_end_is_that_of_the_version_and_not_of_today(log: Path) -> None:
    seen = version(log)
    append(log, "one\n")
    cursor = follower.find_end(log.parent, log.name, seen)
    assert cursor is not None
    assert cursor.offset == len("old\n")


def replace(log: Path) -> None:
    log.rename(log.with_name("a.log.1"))
    log.write_text("another\n")


@pytest.mark.parametrize("change", [replace, lambda log: log.write_text("o\n")])
def test_another_file_does_not_have_the_end_of_the_one_before(
    log: Path, change: Callable[[Path], None]
) -> None:
    seen = version(log)
    change(log)
    assert follower.find_end(log.parent, log.name, seen) is None


@pytest.mark.parametrize("name", ["missing.log", "folder"])
def test_a_path_that_is_not_a_file_has_no_lines(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    assert follower.find_end(tmp_path, name, version(tmp_path)) is None
    assert follower.read_chunk(tmp_path, name, None) is None
