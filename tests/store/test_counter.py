"""A count that processes share, correct after any of them is killed."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loki_web.store.shared.counter import SharedCount

HOLD = """
import sys
from pathlib import Path
from loki_web.store.shared import counter
counter._LOCK_SECONDS *= 600  # then the count is exact, however busy the machine is
count = counter.SharedCount(Path(sys.argv[1]), "held")
print(sum(count.take(10) for _ in range(int(sys.argv[2]))), flush=True)
sys.stdin.read()
"""


def holder(folder: Path, number: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def held_by(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


@pytest.mark.parametrize("shared", [False, True])
def test_the_count_never_exceeds_the_limit(tmp_path: Path, shared: bool) -> None:
    count = SharedCount(tmp_path if shared else None, "held")
    assert [count.take(3) for _ in range(4)] == [True, True, True, False]
    count.give_back()
    assert count.total() == 2
    assert count.take(3)


def test_processes_share_a_count_and_places_of_a_killed_one_are_free(tmp_path: Path) -> None:
    with holder(tmp_path, 6) as first, holder(tmp_path, 3) as second:
        held = held_by(first) + held_by(second)
        count = SharedCount(tmp_path, "held")
        assert held == count.total() == 9
        assert [count.take(10), count.take(10)] == [True, False]
        first.kill()
        first.wait()
        assert [count.take(10) for _ in range(7)] == [True] * 6 + [False]
        second.kill()


def test_concurrent_processes_get_each_place_once(tmp_path: Path) -> None:
    holders = [holder(tmp_path, 10) for _ in range(3)]
    try:
        assert sum(map(held_by, holders)) == 10
    finally:
        for process in holders:
            process.kill()
            process.communicate()


def test_a_stopped_process_keeps_its_places_and_does_not_block_others(tmp_path: Path) -> None:
    with holder(tmp_path, 2) as other:
        held_by(other)
        other.send_signal(signal.SIGSTOP)
        with (tmp_path / "held.lock").open() as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            count = SharedCount(tmp_path, "held")
            assert [count.take(3), count.take(3)] == [True, False]
        other.kill()


def test_truncated_and_removed_files_count_by_their_size(tmp_path: Path) -> None:
    one, other = SharedCount(tmp_path, "held"), SharedCount(tmp_path, "held")
    assert [one.take(9), one.take(9)] == [True, True]
    assert other.total() == 2
    (file,) = tmp_path.glob(".held.*")
    os.truncate(file, 0)
    assert other.take(9)
    shutil.rmtree(tmp_path)
    assert one.take(9)
    tmp_path.mkdir()
    assert one.take(9)
    assert other.total() == 5


def test_without_a_folder_each_process_counts_alone(tmp_path: Path) -> None:
    count = SharedCount(tmp_path / "no such folder", "held")
    assert [count.take(1), count.take(1)] == [True, False]


def test_only_files_of_processes_of_the_server_are_counted(tmp_path: Path) -> None:
    with (tmp_path / ".held.mine").open("wb") as stream:
        stream.truncate(1 << 40)
    count = SharedCount(tmp_path, "held")
    assert [count.take(2) for _ in range(3)] == [True, True, False]


def test_a_lock_on_a_range_of_each_file_holds_nobody_up(tmp_path: Path) -> None:
    count = SharedCount(tmp_path, "held")
    assert count.take(9)
    (file,) = tmp_path.glob(".held.*.tmp")
    with file.open("r+b") as stream, (tmp_path / "held.lock").open("r+b") as turn:
        for locked in (stream, turn):
            fcntl.lockf(locked, fcntl.LOCK_EX, 1, 0)
        assert [count.take(9) for _ in range(100)].count(True) == 8
