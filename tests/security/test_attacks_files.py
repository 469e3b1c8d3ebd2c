"""Who can write where we read: links that come between the look and the opening."""

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from loki_web.errors import StorageError
from loki_web.store import files
from loki_web.store.shared.cache_dir import cache_folder
from loki_web.store.writable import WritableFolder
from tests.support.places import snapshot

TRIES = 4_000
SECRET = b"secret"


def swap_folder(root: Path, outside: Path) -> None:
    """The folder of the file, for a link and back."""
    folder, hidden = root / "queue", root / "hidden"
    os.rename(folder, hidden)
    os.symlink(outside, folder)
    os.unlink(folder)
    os.rename(hidden, folder)


def swap_file(root: Path, outside: Path) -> None:
    file, other = root / "queue" / "a.json", root / "other"
    os.symlink(outside / "a.json", other)
    os.replace(other, file)
    other.write_bytes(b"ours")
    os.replace(other, file)


@pytest.mark.slow
@pytest.mark.parametrize("swap", [swap_folder, swap_file])
def test_no_link_is_followed_that_comes_after_the_look(
    tmp_path: Path, swap: Callable[[Path, Path], None]
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder, content in ((root / "queue", b"ours"), (outside, SECRET)):
        folder.mkdir(parents=True)
        (folder / "a.json").write_bytes(content)
    over = threading.Event()

    def keep_swapping() -> None:
        while not over.is_set():
            swap(root, outside)

    thread = threading.Thread(target=keep_swapping)
    thread.start()
    read = set()
    for _ in range(TRIES):
        try:
            read.add(files.read(root, "queue/a.json", 100)[0])
        except OSError:
            continue
    over.set()
    thread.join()
    assert read == {b"ours"}


def test_a_cache_that_others_could_exchange_is_not_used(tmp_path: Path) -> None:
    everybodys = tmp_path / "everybodys"
    (everybodys / "deep").mkdir(parents=True)
    everybodys.chmod(0o777)
    for parent in (everybodys, everybodys / "cache", everybodys / "deep" / "cache"):
        found = cache_folder(parent, Path("/x"))
        assert found is None or everybodys not in found.parents
    everybodys.chmod(0o1777)
    found = cache_folder(everybodys / "cache", Path("/x"))
    assert found is not None
    assert everybodys in found.parents


def test_a_folder_that_became_a_link_is_not_listed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "queue", outside):
        folder.mkdir(parents=True)
        (folder / "a.json").write_bytes(b"{}")
    real = files.resolve(root, "queue")
    assert real
    with files.entries_of(str(root), real) as entries:
        assert [entry.name for entry in entries] == ["a.json"]
    os.rename(root / "queue", root / "hidden")
    os.symlink(outside, root / "queue")
    with pytest.raises(NotADirectoryError), files.entries_of(str(root), real):
        pass


CHANGES: dict[str, Callable[[WritableFolder], object]] = {
    "write": lambda folder: folder.write_json("queue/new.json", {}),
    "append": lambda folder: folder.append_json_line("queue/new.jsonl", {}),
    "remove": lambda folder: folder.remove("queue/a.json"),
    "remove tree": lambda folder: folder.remove_tree("queue/tree"),
    "rename": lambda folder: folder.rename("queue/a.json", "b.json"),
    "private": lambda folder: folder.make_private("queue/private"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_files_outside_stay_unchanged_while_a_folder_is_swapped(tmp_path: Path, name: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "queue", outside):
        (folder / "tree").mkdir(parents=True)
        (folder / "a.json").write_bytes(b"{}")
    before = snapshot(outside)
    over = threading.Event()

    queue, hidden = root / "queue", root / "hidden"
    steps: list[Callable[[], object]] = [
        lambda: os.rename(queue, hidden),
        lambda: os.symlink(outside, queue),
        queue.unlink,
        partial(shutil.rmtree, queue),
        lambda: os.rename(hidden, queue),
    ]

    def keep_swapping() -> None:
        while not over.is_set():
            for step in steps:  # each may fail, because the folder is created again
                with suppress(OSError):
                    step()

    thread = threading.Thread(target=keep_swapping)
    thread.start()
    written = WritableFolder(root)
    for _ in range(TRIES // 20):
        with suppress(StorageError):
            CHANGES[name](written)
    over.set()
    thread.join()
    assert snapshot(outside) == before
