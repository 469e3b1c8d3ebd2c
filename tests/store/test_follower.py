"""Reading a growing log from a place."""

from pathlib import Path

import pytest

from loki_web.store import follower
from loki_web.store.follower import MAX_STEP_BYTES, Place


def append(path: Path, text: str) -> None:
    with path.open("a") as stream:
        stream.write(text)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.log"
    path.write_text("old\n")
    return path


def test_lines_after_a_place_are_read_once(log: Path) -> None:
    place = follower.end(log.parent, log.name)
    append(log, "one\n\ntwo\nthr")
    step = follower.step(log.parent, log.name, place)
    assert step is not None
    assert step.lines == ["one", "two"]
    append(log, "ee\n")
    again = follower.step(log.parent, log.name, step.place)
    assert again is not None
    assert again.lines == ["three"]


def test_without_a_place_reading_begins_at_the_start(log: Path) -> None:
    step = follower.step(log.parent, log.name, None)
    assert step is not None
    assert step.lines == ["old"]


def test_reading_stops_at_the_given_offset(log: Path) -> None:
    append(log, "one\ntwo\n")
    start = Place(log.stat().st_ino, 0)
    step = follower.step(log.parent, log.name, start, until=8)
    assert step is not None
    assert step.lines == ["old", "one"]


def test_many_lines_are_read_in_steps_without_loss(log: Path) -> None:
    place = follower.end(log.parent, log.name)
    written = [f"line {number} {'x' * (number % 300)}" for number in range(5000)]
    append(log, "".join(f"{line}\n" for line in written))
    read: list[str] = []
    while (step := follower.step(log.parent, log.name, place)) and step.lines:
        read += step.lines
        assert step.has_more == (
            log.stat().st_size - (place.offset if place else 0) > MAX_STEP_BYTES
        )
        place = step.place
    assert read == written


@pytest.mark.parametrize("name", ["missing.log", "folder"])
def test_a_path_that_is_not_a_file_has_no_lines(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    assert follower.end(tmp_path, name) is None
    assert follower.step(tmp_path, name, None) is None
