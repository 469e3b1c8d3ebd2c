"""Files of JSON objects on one or several lines, some of them damaged."""

import json
import os
from pathlib import Path

import pytest

from loki_web.store.inputs import Root
from loki_web.store.lines import MAX_PIECE, WINDOW_BYTES, JsonStream, objects_in

A, B = {"a": 1, "in": {"x": [1, {"y": 2}]}}, {"b": "ü"}


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ("", []),
        (" \n\t\r\n", []),
        (json.dumps(A), [A]),
        (f"{json.dumps(A)}\n{json.dumps(B)}\n", [A, B]),
        (f"{json.dumps(A, indent=2)}\n{json.dumps(B, indent=2)}", [A, B]),
        (f"{json.dumps(A, indent=2)}\r\n{json.dumps(B)}\r\n".replace("\n", "\r\n"), [A, B]),
        (f"{json.dumps(A)} {json.dumps(B)}", [A, B]),
        (f"{json.dumps(A)}{json.dumps(B)}", [A, B]),
        (f"  {json.dumps(A)}\n\n\n   {json.dumps(B)}", [A, B]),
        (f'5 null "x" [{{}}]\n{json.dumps(A)}\n7', [A]),
        (f"{json.dumps(A)}\n{json.dumps(A, indent=2)[:30]}\n{json.dumps(B)}", [A, B]),
        (f'{{"cut": "in the mid\n{json.dumps(B, indent=2)}', [B]),
        (f"{json.dumps(A)} rubbish {json.dumps(A)}\n{json.dumps(B)}", [A, B]),
        ('{"n": NaN, "i": -Infinity, "e": 1e999}', [{"n": None, "i": None, "e": None}]),
        ('{"s": "\\ud800"}', [{"s": "�"}]),
        ('{"a":' * 101 + "1" + "}" * 101 + "\n{}", [{}]),
        ('{"a":' * 5000 + "\n{}", [{}]),
        ("9" * 5000 + "\n" + '{"n": ' + "9" * 5000 + "}", [{"n": None}]),
    ],
)
def test_objects_of_a_text(text: str, objects: list[object]) -> None:
    assert objects_in(text) == objects


def test_a_piece_that_is_too_long_is_skipped() -> None:
    long = json.dumps({"a": "x" * MAX_PIECE})
    assert objects_in(f"{long}\n{json.dumps(B)}") == [B]


@pytest.mark.slow
@pytest.mark.parametrize("line", ['{"a":[{},\n', "{\n", '{"a":\n', "[{\n", '{"a": "\n'])
def test_the_cost_is_linear_in_the_length(line: str) -> None:
    assert objects_in(line * 200_000) == []  # for which a square would take hours


def test_a_file_is_parsed_once_a_version(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text(json.dumps(A))
    os.utime(path, (1, 1))
    stream = JsonStream(Root(tmp_path), "s.jsonl")
    first = stream.objects()
    assert first == [A]
    assert stream.objects() is first
    path.write_text(json.dumps(B))
    assert stream.objects() == [B]
    path.unlink()
    assert stream.objects() == []


def test_a_change_within_the_clock_granularity_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    stream = JsonStream(Root(tmp_path), "s.jsonl")
    for value in range(20):
        path.write_text(json.dumps({"n": value % 10}))
        assert stream.objects() == [{"n": value % 10}]


def test_only_the_end_of_a_large_file_is_read(tmp_path: Path) -> None:
    line = json.dumps({"n": 1, "x": "x" * 10_000}) + "\n"
    last = json.dumps({"n": 2})
    count = WINDOW_BYTES // len(line) + 100
    (tmp_path / "s.jsonl").write_text(line * count + last)
    objects = JsonStream(Root(tmp_path), "s.jsonl").objects()
    assert objects[-1] == {"n": 2}
    assert count - 110 < len(objects) <= count - 98


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "link"])
def test_a_path_that_is_not_a_file_below_the_root_is_empty(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    outside = tmp_path / "outside.jsonl"
    outside.write_text(json.dumps(A))
    target = root / "s.jsonl"
    if kind == "folder":
        target.mkdir()
    elif kind == "fifo":
        os.mkfifo(target)
    elif kind == "link":
        target.symlink_to(outside)
    assert JsonStream(Root(root), "s.jsonl").objects() == []
