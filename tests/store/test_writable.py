"""Writes of whole files and lines, with concurrent readers and writers and killed processes."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from loki_web.errors import StorageError
from loki_web.store import atomic
from tests.support.children import Children
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a script in another process, with a pipe for its output."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


def is_writing(pid: int, folder: Path) -> bool:
    return any(f".{pid}." in name for name in leftovers(folder))


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("before", "mode", "after"),
    [
        (None, None, 0o640),
        (None, 0o666, 0o666),
        (None, 0o600, 0o600),
        (0o664, None, 0o664),
        (0o600, None, 0o600),
        (0o664, 0o600, 0o600),
    ],
)
def test_a_new_file_gets_the_umask_and_a_replaced_one_keeps_its_mode(
    tmp_path: Path, umask: None, before: int | None, mode: int | None, after: int
) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.write_text("old")
        path.chmod(before)
    atomic.write_whole(str(path), b"new", mode)
    assert (path.read_bytes(), mode_of(path)) == (b"new", after)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_replaced_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    os.chown(path, 4242, 4343)
    atomic.write_whole(str(path), b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (4242, 4343)


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    path = tmp_path / "file"
    path.symlink_to(outside)
    atomic.write_whole(str(path), b"new")
    assert (path.is_symlink(), path.read_bytes()) == (False, b"new")
    assert outside.read_text() == "precious"


def test_a_failed_write_leaves_only_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        atomic.write_whole(str(path), b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


FULL_DISK = """
import os, resource, signal, sys
from loki_web.store import atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for write in (atomic.write_whole, atomic.append_line):
    try:
        write(sys.argv[1], b"x" * 1001)
    except OSError:
        print("refused")
"""


@pytest.mark.slow
def test_a_partial_write_on_a_full_disk_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a line\n")
    said, _ = run(FULL_DISK, path).communicate()
    assert said.split() == ["refused", "refused"]
    assert path.read_text() == "a line\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_readers_see_the_old_or_the_new_content(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    contents = [json.dumps([word] * 50_000).encode() for word in ("old", "new")]
    atomic.write_whole(str(path), contents[0])
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(40):
        atomic.write_whole(str(path), contents[turn % 2])
    done.set()
    reader.join()
    assert seen <= set(contents)


WRITE_FOR_EVER = """
import itertools, json, sys
from loki_web.store import atomic
for turn in itertools.count():
    atomic.write_whole(sys.argv[1] + "/file.json", json.dumps([turn] * 20_000).encode())
    atomic.append_line(sys.argv[1] + "/lines.jsonl", json.dumps([turn] * 50).encode() + b"\\n")
    print("written", flush=True)
"""


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_files_and_whole_lines(tmp_path: Path) -> None:
    for _ in range(6):
        with run(WRITE_FOR_EVER, tmp_path) as writer:
            assert writer.stdout
            writer.stdout.readline()
            wait_until(partial(is_writing, writer.pid, tmp_path), "a write", often=True)
            writer.send_signal(signal.SIGKILL)
        json.loads((tmp_path / "file.json").read_bytes())
        text = (tmp_path / "lines.jsonl").read_text()
        assert text.endswith("\n")
        assert all(json.loads(line) for line in text.splitlines())
    for path in atomic.abandoned_temporaries(str(tmp_path)):
        os.unlink(path)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, "new\n"), ("", "new\n"), ("old\n", "old\nnew\n"), ("to", "to\nnew\n")],
)
def test_a_line_after_a_torn_one_is_on_its_own_line(
    tmp_path: Path, before: str | None, after: str
) -> None:
    path = tmp_path / "lines"
    if before is not None:
        path.write_text(before)
    atomic.append_line(str(path), b"new\n")
    assert path.read_text() == after


def test_lines_are_appended_to_regular_files_only(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    (tmp_path / "link").symlink_to(outside)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        with pytest.raises(OSError, match=r"\w"):
            atomic.append_line(str(tmp_path / name), b"new\n")
    assert outside.read_text() == ""


APPEND = """
import sys
from loki_web.store import atomic
for turn in range(200):
    atomic.append_line(sys.argv[1], (sys.argv[2] * 500).encode() + b"\\n")
"""


@pytest.mark.slow
def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    for process in [run(APPEND, path, word) for word in "abc"]:
        process.communicate()
    # One that saw another's line before its end put an empty line between them.
    lines = [line for line in path.read_text().splitlines() if line]
    assert sorted(lines) == sorted(word * 500 for word in "abc" for _ in range(200))


COUNT = """
import sys
from loki_web.store import atomic
path = sys.argv[1]
for turn in range(100):
    with atomic.locked(path):
        with open(path) as stream:
            number = int(stream.read())
        with open(path, "w") as stream:
            stream.write(str(number + 1))
"""


@pytest.mark.slow
def test_the_lock_excludes_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "number"
    path.write_text("0")
    for process in [run(COUNT, path) for _ in range(3)]:
        process.communicate()
    assert path.read_text() == "300"


def test_the_lock_excludes_other_threads(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(20):
            with atomic.locked(str(tmp_path / "file")):
                inside.append(1)
                most.append(len(inside))
                os.sched_yield()
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}


HOLD = """
import signal, sys
from loki_web.store import atomic
with atomic.locked(sys.argv[1]):
    print("held", flush=True)
    signal.pause()
"""


@pytest.mark.slow
def test_a_lock_that_is_not_released_is_an_error_and_that_of_a_killed_process_is_free(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "file")
    with run(HOLD, path) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(StorageError), atomic.locked(path, seconds=0.05):
            pass
        holder.send_signal(signal.SIGKILL)
    with atomic.locked(path):
        pass


@pytest.mark.slow
def test_after_a_long_wait_in_vain_nobody_waits_until_the_lock_has_been_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "_LONG_WAIT_SECONDS", 0.05)
    path = str(tmp_path / "file")
    with run(HOLD, path) as holder:
        assert holder.stdout
        holder.stdout.readline()
        for seconds in (0.05, 86_400.0):
            with pytest.raises(StorageError), atomic.locked(path, seconds):
                pass
        holder.send_signal(signal.SIGKILL)
    with atomic.locked(path):
        pass


def test_the_lock_does_not_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "file.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"\w"), atomic.locked(str(tmp_path / "file")):
        pass
    assert not (tmp_path / "elsewhere").exists()


def dead_pid() -> int:
    with run("pass") as process:
        process.communicate()
    return process.pid


def temporary(folder: Path, pid: int, *, age: float = 0) -> Path:
    path = folder / f".file.json.{pid}.0123abcd.loki-web.tmp"
    path.write_text("half")
    return path


def test_a_temporary_of_a_dead_process_is_abandoned(tmp_path: Path) -> None:
    dead = temporary(tmp_path, dead_pid())
    ours = temporary(tmp_path, os.getpid())
    for name in (".file.json.tmp", "file.json.tmp.123", ".file.1.0123abcd.loki-web.tmp.json"):
        (tmp_path / name).write_text("somebody else's")
    assert atomic.abandoned_temporaries(str(tmp_path)) == [str(dead)]
    assert ours.exists()


def test_a_temporary_of_a_zombie_is_abandoned(tmp_path: Path, children: Children) -> None:
    path = temporary(tmp_path, children.zombie())
    assert atomic.abandoned_temporaries(str(tmp_path)) == [str(path)]


def test_a_locked_temporary_is_not_abandoned_whatever_its_pid(tmp_path: Path) -> None:
    path = temporary(tmp_path, dead_pid())
    descriptor = os.open(path, os.O_RDONLY)
    atomic.lock_temporary(descriptor)
    assert atomic.abandoned_temporaries(str(tmp_path)) == []
    os.close(descriptor)
    assert atomic.abandoned_temporaries(str(tmp_path)) == [str(path)]


def test_an_old_temporary_is_abandoned_if_its_pid_was_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = temporary(tmp_path, os.getpid())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert atomic.abandoned_temporaries(str(tmp_path)) == [str(path)]
