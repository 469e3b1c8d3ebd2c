"""A sliding window of hits that all processes share."""

import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from loki_web.store.shared.rate_window import WINDOW_SECONDS, SharedWindow

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["file", "memory"])
def window(request: pytest.FixtureRequest, tmp_path: Path) -> SharedWindow:
    return SharedWindow(tmp_path / "hits.sqlite3" if request.param == "file" else None)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_hits_are_limited_for_each_key(window: SharedWindow) -> None:
    assert [window.hit("a", 2) for _ in range(2)] == [None, None]
    assert window.hit("a", 2) is not None
    assert window.hit("b", 2) is None


def test_a_refused_hit_returns_the_seconds_until_the_oldest_expires(
    window: SharedWindow, clock: Clock
) -> None:
    window.hit("a", 2)
    clock.now += 20.5
    window.hit("a", 2)
    assert window.hit("a", 2) == 40  # 39.5 and up
    clock.now += 39.4
    assert window.hit("a", 2) == 1
    clock.now += 0.2
    assert window.hit("a", 2) is None
    assert window.hit("a", 2) is not None


def test_refused_hits_do_not_count(window: SharedWindow, clock: Clock) -> None:
    window.hit("a", 1)
    for _ in range(5):
        clock.now += WINDOW_SECONDS / 6
        assert window.hit("a", 1) is not None
    clock.now += WINDOW_SECONDS / 6 + 0.01
    assert window.hit("a", 1) is None


def test_hits_from_before_a_reboot_are_dropped(window: SharedWindow, clock: Clock) -> None:
    window.hit("a", 1)
    clock.now = 5.0
    assert window.hit("a", 1) is None


def test_threads_count_together(window: SharedWindow) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: window.hit("a", 50), range(200)))
    assert answers.count(None) == 50


COUNT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from loki_web.store.shared.rate_window import SharedWindow
window = SharedWindow(Path(sys.argv[1]))
sys.stdin.readline()
with ThreadPoolExecutor(8) as pool:
    print(list(pool.map(lambda _: window.hit("a", 50), range(100))).count(None))
"""


@pytest.mark.slow
def test_processes_that_begin_at_once_count_together(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNT, str(tmp_path / "hits.sqlite3")]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            for _ in range(3)
        ]
        for process in started:
            assert process.stdin
            process.stdin.write(b"go\n")
            process.stdin.flush()
        assert sum(int(process.communicate()[0]) for process in started) == 50


def test_two_processes_count_together(tmp_path: Path) -> None:
    first, second = (SharedWindow(tmp_path / "hits.sqlite3") for _ in range(2))
    assert first.hit("a", 2) is None
    assert second.hit("a", 2) is None
    assert first.hit("a", 2) is not None


def test_the_table_does_not_grow_beyond_the_window(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "hits.sqlite3"
    window = SharedWindow(path)
    for number in range(600):
        clock.now += 1
        window.hit(f"10.0.0.{number}", 5)
    assert path.stat().st_size < 64 * 1024


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_a_damaged_file_is_rebuilt(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hits.sqlite3"
    path.write_bytes(content)
    window = SharedWindow(path)
    assert window.hit("a", 1) is None
    assert window.hit("a", 1) is not None


def test_without_a_usable_file_no_hit_is_refused(tmp_path: Path) -> None:
    window = SharedWindow(tmp_path / "no such folder" / "hits.sqlite3")
    assert [window.hit("a", 1) for _ in range(3)] == [None] * 3


def test_nobody_waits_for_a_file_that_stays_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = SharedWindow(tmp_path / "hits.sqlite3")
    assert window.hit("a", 1) is None
    with closing(sqlite3.connect(tmp_path / "hits.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: window.hit("a", 1), range(1000)))
        assert answers == [None] * 1000  # a second each would be an hour
        other.execute("ROLLBACK")
    clock = Clock(monkeypatch)
    clock.now = time.perf_counter() + 10_000
    assert window.hit("a", 1) is None
    assert window.hit("a", 1) is not None


def test_a_fifo_in_place_of_the_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "hits.sqlite3"
    os.mkfifo(path)
    window = SharedWindow(path)
    assert [window.hit("a", 1) is None for _ in range(2)] == [True, False]
