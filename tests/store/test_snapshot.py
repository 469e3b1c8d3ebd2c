"""Snapshots of the files of a value: when they are taken, and which changes they tell."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loki_web.store.folder import Folder
from loki_web.store.look import Dependencies, recording
from loki_web.store.snapshot import Snapshot
from tests.support.places import write
from tests.support.waiting import wait_until_settled

OLD = time.time() - 3600


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.json", "list/b.json", "list/c.json"):
        _age(write(tmp_path / "root" / name, {"n": 1}))
    wait_until_settled(tmp_path)
    return tmp_path / "root"


def _age(path: Path) -> None:
    os.utime(path, (OLD, OLD))


def _read(folder: Folder) -> None:
    for name in folder.file_names("list"):
        folder.document(f"list/{name}")
    folder.document("a.json")
    folder.document("state/missing.json")
    folder.version("state/missing.json")


def _take(folder: Folder, read: Callable[[Folder], object] = _read) -> Snapshot | None:
    with recording() as recorded:
        read(folder)
    return folder.take_snapshot(recorded.inputs)


def _nothing(root: Path) -> None:
    return


def _edited(root: Path) -> None:
    path = root / "list/b.json"
    path.write_text(path.read_text().replace("1", "2"))
    _age(path)


def _replaced(root: Path) -> None:
    (root / "list/c.json").write_bytes((root / "list/b.json").read_bytes())
    (root / "list/c.json").rename(root / "list/b.json")


def _added(root: Path) -> None:
    write(root / "list/d.json", {})


def _removed(root: Path) -> None:
    (root / "a.json").unlink()


def _made(root: Path) -> None:
    write(root / "state/missing.json", {})


def _folder_swapped(root: Path) -> None:
    (root / "list").rename(root / "before")
    write(root / "list/b.json", {"n": 1})


def _folder_linked(root: Path) -> None:
    (root / "list").rename(root / "before")
    (root / "list").symlink_to("before")


def _root_swapped(root: Path) -> None:
    root.rename(root.parent / "before")
    write(root / "list/b.json", {"n": 1})


def _root_linked(root: Path) -> None:
    root.rename(root.parent / "before")
    root.symlink_to("before")


def _made_unreadable(root: Path) -> None:
    (root / "list/b.json").chmod(0)


CHANGES = [
    *(_edited, _replaced, _added, _removed, _made, _folder_swapped, _folder_linked),
    *(_root_swapped, _root_linked, _made_unreadable),
]


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize("change", [_nothing, *CHANGES])
def test_a_change_while_the_server_is_down_is_detected(
    root: Path, change: Callable[[Path], None], events: bool
) -> None:
    snapshot = _take(Folder(root))
    assert snapshot is not None
    change(root)
    assert Folder(root, events=events).matches(snapshot) is (change is _nothing)


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_after_the_restart_is_detected_by_the_next_request(
    root: Path, change: Callable[[Path], None], events: bool
) -> None:
    snapshot, folder = _take(Folder(root)), Folder(root, events=events)
    assert snapshot is not None
    with recording() as recorded:
        assert folder.matches(snapshot)
    dependencies = Dependencies(recorded.inputs)
    assert dependencies.are_current()
    assert dependencies.is_notified is events
    change(root)
    assert not dependencies.are_current()


def test_what_did_not_match_is_no_input(root: Path) -> None:
    snapshot = _take(Folder(root))
    assert snapshot is not None
    _edited(root)
    with recording() as recorded:
        assert not Folder(root).matches(snapshot)
    assert recorded.inputs == ()


def _linked_file(root: Path) -> None:
    (root / "list/link.json").symlink_to("b.json")


def _being_written(root: Path) -> None:
    soon = time.time() + 1.9
    os.utime(root / "a.json", (soon, soon))


@pytest.mark.parametrize("state", [_folder_linked, _linked_file, _being_written])
def test_no_snapshot_is_taken_of_what_may_change_unnoticed(
    root: Path, state: Callable[[Path], None]
) -> None:
    state(root)
    wait_until_settled(root.parent)
    assert _take(Folder(root)) is None


def test_no_snapshot_is_taken_of_what_has_changed_since(root: Path) -> None:
    folder = Folder(root)
    with recording() as recorded:
        _read(folder)
    assert folder.take_snapshot(recorded.inputs) is not None
    _edited(root)
    wait_until_settled(root.parent)
    assert folder.take_snapshot(recorded.inputs) is None


@pytest.mark.parametrize(
    "read",
    [
        lambda folder: folder.collection("list").items(),
        lambda folder: folder.walk(),
        lambda folder: folder.document("list/../a.json"),
        lambda folder: Folder(folder.path / "list").document("b.json"),
    ],
)
def test_no_snapshot_is_taken_of_other_inputs(root: Path, read: Callable[[Folder], object]) -> None:
    assert _take(Folder(root), read) is None
