"""Writes to a folder: complete or not at all, and never outside the root."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from loki_web.errors import StorageError
from loki_web.store import folder as store_folder
from loki_web.store import json_text
from loki_web.store.writable import WritableFolder
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> WritableFolder:
    return WritableFolder(tmp_path / "project" / ".loki")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """Return a folder outside the root with a file in it."""
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "file").write_text("precious")
    return outside


def names_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_a_new_folder_appears_complete_under_its_name(folder: WritableFolder) -> None:
    with folder.new_folder("made") as new:
        new.write_bytes("queue/pending.json", b"[]")
        new.write_json("metadata.json", {"id": "one"})
        assert folder.folder_names("made") == []
        new.appear_as("one")
    created = folder.path / "made" / "one"
    assert names_in(folder.path / "made") == ["one"]
    assert (created / "queue" / "pending.json").read_bytes() == b"[]"
    assert json.loads((created / "metadata.json").read_text()) == {"id": "one"}


def test_an_unfinished_new_folder_is_removed(folder: WritableFolder) -> None:
    def fail() -> None:
        with folder.new_folder("made") as new:
            new.write_bytes("file", b"")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with folder.new_folder("made") as new:
        new.write_bytes("file", b"")
    assert names_in(folder.path / "made") == []


@pytest.mark.parametrize("kind", ["file", "folder", "empty folder", "broken link"])
def test_a_new_folder_does_not_replace_an_existing_name(folder: WritableFolder, kind: str) -> None:
    taken = folder.path / "made" / "taken"
    taken.parent.mkdir(parents=True)
    if kind == "file":
        taken.write_text("old")
    elif kind == "broken link":
        taken.symlink_to("nowhere")
    else:
        taken.mkdir()
        if kind == "folder":
            (taken / "file").write_text("old")
    with folder.new_folder("made") as new:
        new.write_bytes("new", b"")
        with pytest.raises(FileExistsError):
            new.appear_as("taken")
    assert names_in(taken.parent) == ["taken"]
    assert not (taken / "new").exists()


MAKE_FOR_EVER = """
import itertools, os, sys
from pathlib import Path
from loki_web.store.writable import WritableFolder
folder = WritableFolder(Path(sys.argv[1]))
print("making", flush=True)
for turn in itertools.count():
    with folder.new_folder("made") as new:
        for name in ("a", "below/b", "c"):
            new.write_bytes(name, b"x" * 10_000)
        new.appear_as(f"{os.getpid()}-{turn}")
    if turn % 2:
        folder.remove_tree(f"made/{os.getpid()}-{turn}")
"""


@pytest.mark.slow
def test_a_killed_process_leaves_complete_folders_and_temporaries_that_are_swept(
    folder: WritableFolder,
) -> None:
    parent = folder.path / "made"
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", MAKE_FOR_EVER, str(folder.path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        ) as maker:
            assert maker.stdout
            maker.stdout.readline()
            wait_until((parent / f"{maker.pid}-0").is_dir, "a whole folder")
            wait_until(lambda: has_temporary(parent, maker.pid), "a folder being made", often=True)
            maker.send_signal(signal.SIGKILL)
    names = folder.folder_names("made")
    assert names
    for name in names:
        sizes = [(parent / name / file).stat().st_size for file in ("a", "below/b", "c")]
        assert sizes == [10_000] * 3
    folder.sweep("made")
    assert names_in(parent) == names


def has_temporary(parent: Path, pid: int) -> bool:
    return any(f".{pid}." in name for name in names_in(parent))


def test_sweeping_spares_temporaries_in_use(folder: WritableFolder) -> None:
    with folder.new_folder("made") as new:
        new.write_bytes("file", b"x")
        WritableFolder(folder.path).sweep("made", "missing")
        new.appear_as("one")
    assert names_in(folder.path / "made" / "one") == ["file"]


def test_a_tree_is_removed_at_one_moment(folder: WritableFolder, precious: Path) -> None:
    tree = folder.path / "made" / "one"
    (tree / "below").mkdir(parents=True)
    (tree / "link").symlink_to(precious)
    folder.remove_tree("made/one")
    assert names_in(tree.parent) == []
    assert names_in(precious) == ["file"]


def test_links_are_not_followed_when_removing(folder: WritableFolder, precious: Path) -> None:
    folder.path.mkdir()
    (folder.path / "link").symlink_to(precious)
    folder.remove_tree("link")
    assert names_in(precious) == ["file"]
    for remove in (folder.remove, folder.remove_tree):
        with pytest.raises(StorageError):
            remove("link/file")
    folder.remove("link")
    assert names_in(folder.path) == []
    assert names_in(precious) == ["file"]


def test_links_out_of_the_root_are_not_written_through(
    folder: WritableFolder, precious: Path
) -> None:
    folder.path.mkdir()
    (folder.path / "link").symlink_to(precious)
    with pytest.raises(StorageError):
        folder.write_bytes("link/new", b"")
    with pytest.raises(StorageError):
        folder.append_json_line("link/new.jsonl", {})
    with pytest.raises(StorageError), folder.new_folder("link"):
        pass
    with pytest.raises(StorageError), folder.locked("link/file"):
        pass
    folder.sweep("link")
    assert names_in(precious) == ["file"]


def test_no_folder_is_created_without_a_project(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        WritableFolder(tmp_path / "gone" / ".loki").write_bytes("PAUSE", b"")
    assert not (tmp_path / "gone").exists()


def test_an_error_does_not_contain_a_path(folder: WritableFolder) -> None:
    (folder.path / "file").mkdir(parents=True)
    with pytest.raises(StorageError) as raised:
        folder.write_bytes("file", b"")
    assert "/" not in raised.value.detail


def test_write_json_lines_replaces_the_whole_file(folder: WritableFolder) -> None:
    folder.append_json_line("lines.jsonl", {"old": True})
    folder.write_json_lines("lines.jsonl", [{"a": 1}, {"b": "é\n"}])
    lines = folder.lines("lines.jsonl")
    assert [json_text.parse(line) for line in lines] == [{"a": 1}, {"b": "é\n"}]
    assert (folder.path / "lines.jsonl").read_bytes().count(b"\n") == 2


def test_a_copy_of_a_file_that_is_rewritten_in_place_is_complete(folder: WritableFolder) -> None:
    folder.path.mkdir()
    path = folder.path / "pending.json"
    contents = [json.dumps([word * 20] * 2000) for word in ("old", "newer")]
    path.write_text(contents[0])
    done = threading.Event()

    def rewrite() -> None:
        for turn in range(1_000_000):
            with path.open("w") as stream:
                half = len(contents[turn % 2]) // 2
                stream.write(contents[turn % 2][:half])
                stream.flush()
                stream.write(contents[turn % 2][half:])
            if done.wait(0.001):
                return

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        copies = [folder.consistent_copy("pending.json") for _ in range(50)]
    finally:
        done.set()
        writer.join()
    assert {copy.decode() for copy in copies if copy} <= set(contents)
    assert None not in copies


def test_a_file_that_is_half_written_when_it_is_first_seen_is_read_once_more(
    folder: WritableFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.path.mkdir()
    path = folder.path / "pending.json"
    path.write_text('[{"id": ')
    monkeypatch.setattr(time, "sleep", lambda _: path.write_text('[{"id": "a"}]'))
    assert folder.document("pending.json") == [{"id": "a"}]


def test_a_permanently_damaged_file_is_not_copied_and_not_waited_for(
    folder: WritableFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_folder, "RETRY_SECONDS", 3600.0)
    folder.path.mkdir()
    path = folder.path / "pending.json"
    path.write_text('[{"id": ')
    os.utime(path, (time.time() - 60,) * 2)
    assert folder.consistent_copy("pending.json") is None


def test_a_truncated_file_is_not_copied(
    folder: WritableFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_bytes("notes.txt", b"x" * 101)
    monkeypatch.setattr(store_folder, "MAX_COPY_BYTES", 100)
    assert folder.consistent_copy("notes.txt") is None


@pytest.mark.parametrize("content", ["{", "", "[1"])
def test_a_damaged_file_is_not_replaced(folder: WritableFolder, content: str) -> None:
    folder.path.mkdir()
    (folder.path / "file.json").write_text(content)
    with pytest.raises(StorageError):
        folder.document_for_update("file.json")
    assert folder.document_for_update("missing.json") is None
