"""`.jsonl` files that others append to, cut, replace and damage."""

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from loki_web.store.inputs import Root
from loki_web.store.journal import MAX_LINE_BYTES, WINDOW_BYTES, Journal
from loki_web.store.shapes import Json

MIB = 1024 * 1024
seen: list[Any] = []


def number(record: Json, _: bytes) -> Any:
    seen.append(record.get("n"))
    return record.get("n")


def line(n: int, **more: Any) -> bytes:
    return json.dumps({"n": n, **more}).encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def journal(path: Path) -> Journal:
    seen.clear()
    return Journal(Root(path.parent), path.name)


def numbers(journal: Journal) -> list[Any]:
    """What the journal has, having made sure that both ways to ask for it agree."""
    items = journal.window(number).items
    assert [record.get("n") for record in journal.records()] == items
    return items


def append(path: Path, data: bytes) -> None:
    with open(path, "ab") as stream:
        stream.write(data)


def bytes_read() -> int:
    fields = dict(row.split(": ") for row in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


@pytest.mark.parametrize(
    "damaged",
    [
        *(b"5", b'"x"', b"null", b"[1]", b"", b"   ", b"{", b'{"n": 1', b"\0\0\0", b"\xff\xfe"),
        *(b"[" * 5000, b'{"a":' * 5000, b"{" + b"9" * 5000, b"NaN"),
    ],
)
def test_a_damaged_line_is_left_out_and_its_neighbours_stay(
    path: Path, journal: Journal, damaged: bytes
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
    path: Path, journal: Journal, odd: bytes, expected: Any
) -> None:
    path.write_bytes(odd)
    assert [record["n"] for record in journal.records()] == [expected]


def test_a_line_that_is_being_written_is_taken_when_it_is_whole(
    path: Path, journal: Journal
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


def test_a_count_does_not_fall_when_two_writers_share_a_line(path: Path, journal: Journal) -> None:
    counts = []
    for piece in (line(1), line(2)[:-1], line(3)[:5], line(3)[5:], line(4)):
        append(path, piece)
        counts.append(journal.line_count())
    assert counts == [1, 2, 2, 2, 3]


def test_the_count_is_of_all_lines_whatever_is_in_them(path: Path, journal: Journal) -> None:
    path.write_bytes(line(1) + b"\n5\n" + line(2) + b'{"torn": "li')
    assert journal.line_count() == 4


def test_a_missing_file_has_nothing_until_it_comes_and_after_it_went(
    path: Path, journal: Journal
) -> None:
    assert (numbers(journal), journal.line_count()) == ([], 0)
    path.write_bytes(line(1))
    assert (numbers(journal), journal.line_count()) == ([1], 1)
    path.unlink()
    assert (numbers(journal), journal.line_count()) == ([], 0)
    path.mkdir()
    assert (numbers(journal), journal.line_count()) == ([], 0)


@pytest.mark.timeout(10)
def test_a_pipe_is_not_waited_for(path: Path, journal: Journal) -> None:
    os.mkfifo(path)
    assert (numbers(journal), journal.line_count()) == ([], 0)


def session(minute: int, lines: int) -> bytes:
    """Lines as the CLI writes them: two sessions differ in their times alone."""
    return b"".join(line(n, timestamp=f"2026-02-20T09:{minute:02}:00Z") for n in range(lines))


@pytest.mark.parametrize("lines", [0, 3, 50, 80])
@pytest.mark.parametrize("how", ["cut in place", "replaced", "rotated", "removed and made again"])
def test_another_file_under_the_name_is_read_anew(
    path: Path, journal: Journal, how: str, lines: int
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
    assert {r["timestamp"][14:16] for r in journal.records()} <= {"02"}
    assert journal.line_count() == lines


def test_only_what_was_added_is_parsed(path: Path, journal: Journal) -> None:
    path.write_bytes(b"".join(line(n) for n in range(1000)))
    first = journal.window(number)
    assert journal.window(number) is first
    assert len(seen) == 1000
    append(path, line(1000))
    second = journal.window(number)
    assert second is not first
    assert (len(first.items), len(second.items), len(seen)) == (1000, 1001, 1001)


def test_what_is_derived_from_a_window_is_made_once(path: Path, journal: Journal) -> None:
    path.write_bytes(line(2) + line(1))
    made = journal.window(number).derived(sorted)
    assert made == [1, 2]
    assert journal.window(number).derived(sorted) is made
    append(path, line(0))
    assert journal.window(number).derived(sorted) == [0, 1, 2]


def test_a_second_count_reads_only_what_was_added(path: Path, journal: Journal) -> None:
    path.write_bytes(b"".join(line(n) for n in range(200_000)))
    assert journal.line_count() == 200_000
    append(path, line(0))
    before = bytes_read()
    assert journal.line_count() == 200_001
    assert bytes_read() - before < 100_000


@pytest.mark.parametrize("shift", range(3))
def test_the_window_may_begin_within_a_character(path: Path, journal: Journal, shift: int) -> None:
    text = json.dumps({"n": 7, "text": "é" * 600}, ensure_ascii=False).encode() + b"\n"
    path.write_bytes(b"x" * shift + b"\n" + text * 18_500)
    assert len(numbers(journal)) == WINDOW_BYTES // len(text)


@pytest.mark.parametrize(("spare", "kept"), [(0, [0, 1]), (1, [0, 1]), (-1, [1])])
def test_a_line_that_begins_with_the_window_is_in_it(
    path: Path, journal: Journal, spare: int, kept: list[int]
) -> None:
    rest = line(0) + line(1)
    blank = (b" " * 1023 + b"\n") * (WINDOW_BYTES // 1024)
    path.write_bytes(line(9) + rest + blank[: WINDOW_BYTES - len(rest) - spare - 1] + b"\n")
    assert numbers(journal) == kept


def test_lines_leave_the_window_as_it_moves_on(path: Path, journal: Journal) -> None:
    filler = "x" * 1000
    growing, whole = Journal(Root(path.parent), path.name), 0
    for _ in range(6):
        append(path, b"".join(line(n, text=filler) for n in range(whole, whole + 3000)))
        whole += 3000
        numbers(growing)
    assert numbers(growing) == numbers(journal)
    assert numbers(growing)[-1] == whole - 1
    assert len(numbers(growing)) * 1010 < WINDOW_BYTES


def test_more_than_a_window_may_be_added_at_once(path: Path, journal: Journal) -> None:
    path.write_bytes(line(1))
    assert numbers(journal) == [1]
    os.truncate(path, 3 * WINDOW_BYTES)
    append(path, b"\n" + line(2))
    assert numbers(journal) == [2]


@pytest.mark.parametrize("ended", [True, False])
def test_a_line_without_end_is_passed_in_little_memory(
    path: Path, journal: Journal, ended: bool
) -> None:
    path.write_bytes(line(1))
    assert numbers(journal) == [1]
    os.truncate(path, 100 * MIB)
    append(path, (b"\n" + line(2)) * ended)
    tracemalloc.start()
    try:
        expected = ([2], 3) if ended else ([], 1)
        assert (numbers(journal), journal.line_count()) == expected
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("size", "kept"), [(MAX_LINE_BYTES, [1, 2, 3]), (MAX_LINE_BYTES + 1, [1, 3])]
)
@pytest.mark.parametrize("pieces", [1, 4])
def test_lines_up_to_the_limit_are_read(
    path: Path, journal: Journal, size: int, kept: list[int], pieces: int
) -> None:
    long = line(2, text="")
    long = line(2, text="x" * (size + 1 - len(long)))
    content = line(1) + long + line(3)
    step = len(content) // pieces + 1
    for start in range(0, len(content), step):
        append(path, content[start : start + step])
        numbers(journal)
    assert numbers(journal) == kept


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(line(1))
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "events.jsonl").symlink_to(tmp_path / "outside")
    journal = Journal(Root(tmp_path / "inside"), "events.jsonl")
    assert (numbers(journal), journal.line_count()) == ([], 0)


def test_an_edit_in_the_middle_is_seen(path: Path, journal: Journal) -> None:
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
