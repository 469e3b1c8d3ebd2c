"""Lines of files of any size, in both directions."""

import re
from pathlib import Path

import pytest

from loki_web.store import lines as store_lines
from loki_web.store.lines import MAX_LINE_BYTES, backwards, forwards, lines_in


@pytest.fixture(params=[7, 64, 1 << 20])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use block sizes that end on and between line ends."""
    monkeypatch.setattr(store_lines, "_BLOCK_BYTES", request.param)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n", b"one", b"one\n", b"one\ntwo", b"one\ntwo\n", b"\n\none\n\n\ntwo\n"),
        b"".join(b"%d" % number + b"\n" for number in range(200)),
        b"x" * 100 + b"\n" + b"y" * 7 + b"\n" + b"z" * 6,
    ],
)
def test_both_directions_yield_every_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    assert b"".join(forwards(tmp_path, "f")) == content
    lines = [line for line in content.split(b"\n") if line]
    assert [line.rstrip(b"\n") for line in forwards(tmp_path, "f") if line != b"\n"] == lines
    assert list(backwards(tmp_path, "f")) == lines[::-1]


@pytest.mark.usefixtures("small_blocks")
def test_only_lines_that_match_all_patterns_are_read(tmp_path: Path) -> None:
    content = b"".join(b"n=%d k=%d\n" % (number, number % 3) for number in range(100))
    (tmp_path / "f").write_bytes(content)
    marks = (re.compile(rb"n=1\d\b"), re.compile(rb"k=0"))
    assert list(backwards(tmp_path, "f", marks)) == [b"n=18 k=0", b"n=15 k=0", b"n=12 k=0"]


def test_an_endless_line_stays_within_memory_limits(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"first\n" + b"x" * (5 * MAX_LINE_BYTES) + b"\nlast\n")
    read = list(backwards(tmp_path, "f"))
    assert (read[0], read[-1]) == (b"last", b"first")
    assert max(len(line) for line in read) <= 2 * MAX_LINE_BYTES
    assert max(len(line) for line in forwards(tmp_path, "f")) <= 3 * MAX_LINE_BYTES


@pytest.mark.parametrize("name", ["missing", "folder", "../outside"])
def test_an_unreadable_file_has_no_lines(tmp_path: Path, name: str) -> None:
    (tmp_path / "root/folder").mkdir(parents=True)
    (tmp_path / "outside").write_text("secret\n")
    assert list(forwards(tmp_path / "root", name)) == []
    assert list(backwards(tmp_path / "root", name)) == []


@pytest.mark.parametrize(
    "part",
    [slice(None), slice(1, None), slice(-2, None), slice(2, 1), slice(None, None, -1), slice(9)],
)
def test_the_last_lines_behave_like_a_list(part: slice) -> None:
    end = "\n  first\r\n\n \0\nhéllo\n…\nlast".encode()
    expected = ["  first", "héllo", "…", "last"]
    last = lines_in(end, 10)
    assert list(last[part]) == expected[part]
    assert list(last[1:][part]) == expected[1:][part]
    assert len(last[part]) == len(expected[part])
    assert "…" in last
    with pytest.raises(IndexError):
        last[part][4]
