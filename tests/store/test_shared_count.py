"""A number that processes hold together, whatever becomes of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from loki_web.store.shared_count import SharedCount

HOLD = """
import sys, time
from pathlib import Path
from loki_web.store.shared_count import SharedCount
count = SharedCount(Path(sys.argv[1]))
print(sum(count.take(10) for _ in range(int(sys.argv[2]))), flush=True)
sys.stdin.read()
"""


def holder(path: Path, number: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def held_by(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


@pytest.mark.parametrize("shared", [False, True])
def test_no_more_than_the_most_are_held(tmp_path: Path, shared: bool) -> None:
    count = SharedCount(tmp_path / "count" if shared else None)
    assert [count.take(3) for _ in range(4)] == [True, True, True, False]
    count.give_back()
    assert count.total() == 2
    assert count.take(3)


def test_processes_count_together_and_what_a_killed_one_held_is_free(tmp_path: Path) -> None:
    path = tmp_path / "count"
    with holder(path, 6) as first, holder(path, 3) as second:
        held = held_by(first) + held_by(second)
        count = SharedCount(path)
        assert held == count.total() == 9
        assert [count.take(10), count.take(10)] == [True, False]
        first.kill()
        first.wait()
        assert [count.take(10) for _ in range(7)] == [True] * 6 + [False]
        second.kill()


def test_a_file_that_cannot_be_had_counts_alone(tmp_path: Path) -> None:
    count = SharedCount(tmp_path / "no such folder" / "count")
    assert [count.take(1), count.take(1)] == [True, False]
