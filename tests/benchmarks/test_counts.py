"""The counter sees what a call does to files, and its regular expressions."""

import os
import re
from pathlib import Path

from benchmarks.counts import Counts, counted


def test_an_empty_block_has_counts_of_zero() -> None:
    assert counted(lambda: None) == Counts(0, 0, 0, 0, 0, calls=1)


def test_files_folders_and_patterns_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 10_000)
    pattern = re.compile("y")

    def work() -> None:
        descriptor = os.open(file, os.O_RDONLY)
        os.fstat(descriptor)
        data = os.read(descriptor, 20_000)
        os.close(descriptor)
        os.stat(file)
        os.listdir(tmp_path)
        pattern.search(data.decode())
        pattern.sub("z", "xyz")

    seen = counted(work)
    assert seen == Counts(opens=1, stats=2, lists=1, read=10_000, regexes=2, calls=seen.calls)
    assert seen.calls > 1


def test_a_path_and_open_are_counted_too(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 300)

    def work() -> None:
        assert file.exists()
        with open(file, "rb") as stream:
            stream.read()

    seen = counted(work)
    assert (seen.opens, seen.stats, seen.read) == (1, 1, 300)
