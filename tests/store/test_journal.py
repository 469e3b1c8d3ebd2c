"""`.jsonl` files that other programs append to, truncate, replace and damage."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from loki_web.store import json_text
from loki_web.store.coerce import Json
from loki_web.store.inputs import Root
from loki_web.store.journal import SMALL_BYTES, Journal
from loki_web.store.lines import MAX_LINE_BYTES
from loki_web.store.look import are_current, recording
from tests.store.readers import Taken
from tests.support.children import backdate
from tests.support.work import bytes_read, tracing_memory

MIB = 1024 * 1024


def line(n: int, **more: Any) -> bytes:
    return json.dumps({"n": n, **more}).encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def journal(path: Path) -> Journal[Taken]:
    return Journal(Root(path.parent), path.name, Taken)


def records(journal: Journal[Taken]) -> list[Json]:
    """Return the records of a journal, and check the offset and length of each line."""
    with journal.reading() as taken:
        lines = journal.lines_at([(offset, length) for _, offset, length in taken.lines])
        objects = [record for record, _, _ in taken.lines]
    assert [json_text.parse(line) for line in lines] == objects
    return objects


def numbers(journal: Journal[Taken]) -> list[Any]:
    return [record.get("n") for record in records(journal)]


def append(path: Path, data: bytes) -> None:
    with open(path, "ab") as stream:
        stream.write(data)


@pytest.mark.parametrize(
    "damaged",
    [
        *(b"5", b'"x"', b"null", b"[1]", b"", b"   ", b"{", b'{"n": 1', b"\0\0\0", b"\xff\xfe"),
        *(b"[" * 5000, b'{"a":' * 5000, b"{" + b"9" * 5000, b"NaN"),
    ],
)
def test_only_the_damaged_line_is_skipped(
    path: Path, journal: Journal[Taken], damaged: bytes
) -> None:
    path.write_bytes(line(1) + damaged + b"\n" + line(2))
    assert numbers(journal) == [1, 2]


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (b'\xef\xbb\xbf{"n": 1}\n', 1),
        (b'{"n": NaN}\n', None),
        (b'{"n": 1e999}\n', None),
        (b'{"n": "\\ud800"}\n', "\ufffd"),
        (b'{"n": "\xff"}\n', "\ufffd"),
        (b'{"n": 1}\r\n', 1),
    ],
)
def test_a_line_with_odd_content_is_repaired(
    path: Path, journal: Journal[Taken], odd: bytes, expected: Any
) -> None:
    path.write_bytes(odd)
    assert [record["n"] for record in records(journal)] == [expected]


def test_a_line_is_processed_when_its_object_is_complete(
    path: Path, journal: Journal[Taken]
) -> None:
    whole = line(2)
    path.write_bytes(line(1) + whole[:4])
    assert (numbers(journal), journal.line_count()) == ([1], 1)
    append(path, whole[4:-1])
    assert (numbers(journal), journal.line_count()) == ([1, 2], 2)
    append(path, whole[-1:])
    assert (numbers(journal), journal.line_count()) == ([1, 2], 2)
    append(path, line(3))
    assert (numbers(journal), journal.line_count()) == ([1, 2, 3], 3)


def test_a_count_does_not_fall_when_two_writers_share_a_line(
    path: Path, journal: Journal[Taken]
) -> None:
    counts = []
    for piece in (line(1), line(2)[:-1], line(3)[:5], line(3)[5:], line(4)):
        append(path, piece)
        counts.append(journal.line_count())
    assert counts == [1, 2, 2, 2, 3]


def test_line_count_includes_malformed_lines(path: Path, journal: Journal[Taken]) -> None:
    path.write_bytes(line(1) + b"\n5\n" + line(2) + b'{"torn": "li')
    assert journal.line_count() == 4


def test_a_journal_is_empty_before_its_file_is_created_and_after_it_is_removed(
    path: Path, journal: Journal[Taken]
) -> None:
    assert (numbers(journal), journal.line_count()) == ([], 0)
    path.write_bytes(line(1))
    assert (numbers(journal), journal.line_count()) == ([1], 1)
    path.unlink()
    assert (numbers(journal), journal.line_count()) == ([], 0)
    path.mkdir()
    assert (numbers(journal), journal.line_count()) == ([], 0)


@pytest.mark.timeout(10)
def test_a_fifo_does_not_block(path: Path, journal: Journal[Taken]) -> None:
    os.mkfifo(path)
    assert (numbers(journal), journal.line_count()) == ([], 0)


def session(minute: int, lines: int) -> bytes:
    """Return lines as the CLI writes them: two sessions differ only in their times."""
    return b"".join(line(n, timestamp=f"2026-02-20T09:{minute:02}:00Z") for n in range(lines))


@pytest.mark.parametrize("lines", [0, 3, 50, 80])
@pytest.mark.parametrize("how", ["cut in place", "replaced", "rotated", "removed and made again"])
def test_a_replaced_file_is_read_from_its_beginning(
    path: Path, journal: Journal[Taken], how: str, lines: int
) -> None:
    path.write_bytes(session(1, 50))
    assert numbers(journal) == list(range(50))
    assert journal.line_count() == 50
    if how == "replaced":
        path.with_name("next").write_bytes(session(2, lines))
        path.with_name("next").replace(path)
    else:
        if how == "rotated":
            path.rename(path.with_name("events.jsonl.1"))
        elif how == "removed and made again":
            path.unlink()
        path.write_bytes(session(2, lines))
    assert numbers(journal) == list(range(lines))
    assert {r["timestamp"][14:16] for r in records(journal)} <= {"02"}
    assert journal.line_count() == lines


def test_only_appended_lines_are_processed(path: Path, journal: Journal[Taken]) -> None:
    path.write_bytes(b"".join(line(n) for n in range(1000)))
    assert len(numbers(journal)) == 1000
    append(path, line(1000))
    assert len(numbers(journal)) == 1001
    assert journal.reader.handed_over == 1001


@pytest.mark.parametrize("grows", [True, False])
def test_a_small_file_that_was_edited_in_place_is_read_again(
    path: Path, journal: Journal[Taken], grows: bool
) -> None:
    path.write_bytes(b"".join(line(n) for n in range(100, 900)))
    assert path.stat().st_size < SMALL_BYTES
    assert numbers(journal) == list(range(100, 900))
    with open(path, "r+b") as stream:
        stream.seek(len(line(100)) * 400)
        stream.write(line(999))
    if grows:
        append(path, line(1))
    assert numbers(journal) == [*range(100, 500), 999, *range(501, 900), *([1] * grows)]


def test_a_large_file_of_the_same_size_is_read_again(path: Path, journal: Journal[Taken]) -> None:
    lines = [line(n, text="x" * 100) for n in range(1000, 6000)]
    path.write_bytes(b"".join(lines))
    assert path.stat().st_size > SMALL_BYTES
    assert numbers(journal) == list(range(1000, 6000))
    with open(path, "r+b") as stream:
        stream.seek(len(lines[0]) * 2500)
        stream.write(line(9999, text="x" * 100))
    backdate(path, 60)
    assert numbers(journal)[2500] == 9999


def test_the_state_changes_only_with_the_content(path: Path, journal: Journal[Taken]) -> None:
    path.write_bytes(line(1) + b'{"n"')
    states = [journal.examine(), journal.examine()]
    append(path, b": 2}")
    states.append(journal.examine())
    backdate(path, 60)
    assert journal.examine() > states[2]  # it may have been edited
    assert states[0] == states[1] < states[2]


def test_a_part_stays_equal_while_other_lines_are_appended(
    path: Path, journal: Journal[Taken]
) -> None:
    path.write_bytes(line(1))
    with recording() as recorded:
        assert journal.part(first_number) == 1
    append(path, line(2))
    assert are_current(recorded.inputs)
    path.write_bytes(line(3))
    assert not are_current(recorded.inputs)


def first_number(journal: Journal[Taken]) -> Any:
    return journal.reader.lines[0][0]["n"]


@pytest.mark.slow
def test_a_second_count_reads_only_appended_bytes(path: Path, journal: Journal[Taken]) -> None:
    path.write_bytes(b"".join(line(n) for n in range(200_000)))
    assert journal.line_count() == 200_000
    append(path, line(0))
    before = bytes_read()
    assert journal.line_count() == 200_001
    assert bytes_read() - before < 100_000


@pytest.mark.parametrize("ended", [True, False])
def test_an_endless_line_is_skipped_in_little_memory(
    path: Path, journal: Journal[Taken], ended: bool
) -> None:
    path.write_bytes(line(1))
    assert numbers(journal) == [1]
    os.truncate(path, 100 * MIB)
    append(path, (b"\n" + line(2)) * ended)
    with tracing_memory() as memory:
        expected = ([1, 2], 3) if ended else ([1], 1)
        assert (numbers(journal), journal.line_count()) == expected
    assert memory.peak < 16 * MIB


@pytest.mark.parametrize(
    ("size", "kept"), [(MAX_LINE_BYTES, [1, 2, 3]), (MAX_LINE_BYTES + 1, [1, 3])]
)
@pytest.mark.parametrize("pieces", [1, 4])
def test_lines_up_to_the_limit_are_read(
    path: Path, journal: Journal[Taken], size: int, kept: list[int], pieces: int
) -> None:
    long = line(2, text="")
    long = line(2, text="x" * (size + 1 - len(long)))
    content = line(1) + long + line(3)
    step = len(content) // pieces + 1
    for start in range(0, len(content), step):
        append(path, content[start : start + step])
        numbers(journal)
    assert numbers(journal) == kept


def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(line(1))
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "events.jsonl").symlink_to(tmp_path / "outside")
    journal = Journal(Root(tmp_path / "inside"), "events.jsonl", Taken)
    assert (numbers(journal), journal.line_count()) == ([], 0)


class Sum:
    """A reader whose state can be stored."""

    STAMP = "1"

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.total = self.last = self.handed_over = 0

    def take(self, record: Json, offset: int, length: int) -> None:
        self.last = record["n"]
        self.total += self.last
        self.handed_over += 1

    def take_back(self) -> None:
        self.total -= self.last

    def dump(self) -> bytes:
        return str(self.total).encode()

    def load(self, data: bytes) -> None:
        self.total = int(data)


class Shelf:
    """Stores states in memory."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], bytes] = {}

    def load(self, name: str, stamp: str) -> bytes | None:
        return self.states.get((name, stamp))

    def store(self, name: str, stamp: str, value: bytes) -> None:
        self.states[name, stamp] = value


def summed(path: Path, shelf: Shelf) -> tuple[int, int, int]:
    """Return the sum and line count of a new process, and how many lines it had to read."""
    journal = Journal(Root(path.parent), path.name, Sum, lambda: shelf)
    with journal.reading() as reader:
        total = reader.total
    return total, journal.line_count(), journal.reader.handed_over


FILLER = "x" * 1000


@pytest.fixture
def shelf(path: Path) -> Shelf:
    """Return the stored state of a file of 5,000 lines, large enough to be stored."""
    path.write_bytes(b"".join(line(n, text=FILLER) for n in range(5000)))
    backdate(path, 60)
    shelf = Shelf()
    assert summed(path, shelf) == (sum(range(5000)), 5000, 5000)
    assert len(shelf.states) == 1
    return shelf


def test_after_a_restart_only_appended_bytes_are_read(path: Path, shelf: Shelf) -> None:
    append(path, line(7))
    assert summed(path, shelf) == (sum(range(5000)) + 7, 5001, 1)


@pytest.mark.parametrize("how", ["replaced", "cut", "edited", "missing"])
def test_a_state_of_another_file_is_not_used(path: Path, shelf: Shelf, how: str) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "replaced":
        path.with_name("next").write_bytes(b"".join(lines[1:]))
        path.with_name("next").replace(path)
        expected = sum(range(5000)), 4999, 4999
    elif how == "cut":
        os.truncate(path, sum(map(len, lines[:10])))
        expected = sum(range(10)), 10, 10
    elif how == "edited":
        path.write_bytes(b"".join([*lines[:8], line(9, text=FILLER), *lines[9:]]))
        expected = sum(range(5000)) + 1, 5000, 5000
    else:
        path.unlink()
        expected = 0, 0, 0
    assert summed(path, shelf) == expected


@pytest.mark.parametrize("damaged", [b"", b"{", b"[[], [], 1]\n5", b"null\nx", b"\xff\n"])
def test_a_damaged_state_is_not_used(path: Path, shelf: Shelf, damaged: bytes) -> None:
    shelf.states = dict.fromkeys(shelf.states, damaged)
    assert summed(path, shelf) == (sum(range(5000)), 5000, 5000)


def test_an_edit_in_the_middle_is_detected(path: Path, journal: Journal[Taken]) -> None:
    path.write_bytes(b"".join(line(n) for n in range(100, 300)))
    assert numbers(journal) == list(range(100, 300))
    with open(path, "r+b") as stream:
        stream.seek(len(line(100)) * 90)
        stream.write(line(777))
    assert numbers(journal) == [*range(100, 190), 777, *range(191, 300)]
    with open(path, "r+b") as stream:
        stream.seek(len(line(100)) * 90)
        stream.write(b"\n" * len(line(100)))
    assert journal.line_count() == 199 + len(line(100))
