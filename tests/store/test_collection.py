"""Collections of JSON files: which files are read, and when they are read again."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loki_web.store import collection as store
from loki_web.store.collection import Collection
from loki_web.store.inputs import Root
from loki_web.store.look import Dependencies, recording
from tests.support.places import write
from tests.support.waiting import wait_until

OLD = time.time() - 3600


def put(folder: Path, name: str, content: Any, *, age_from: float = OLD) -> Path:
    """Write a file, and set its modification time and that of its folder to an hour ago."""
    path = write(folder / name, content)
    os.utime(path, (age_from, age_from))
    os.utime(path.parent, (age_from, age_from))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    things = tmp_path / "root" / "things"
    things.mkdir(parents=True)
    return things


class Counting:
    """Functions that return their arguments and count their calls."""

    def __init__(self) -> None:
        self.calls = 0

    def digest(self, content: Any) -> Any:
        self.calls += 1
        return content

    def make(self, name: str, content: Any) -> tuple[str, Any]:
        self.calls += 1
        return name, content

    def count(self, items: list[tuple[str, Any]]) -> int:
        self.calls += 1
        return len(items)


@pytest.fixture
def counting() -> Counting:
    return Counting()


def flat(folder: Path, *, events: bool = True, **options: Any) -> Collection:
    return Collection(Root(folder.parent, events=events), folder.name, **options)


def contents(collection: Collection) -> dict[str, Any]:
    return dict(collection.items())


def test_items_are_sorted_and_other_files_are_skipped(folder: Path) -> None:
    put(folder, "b.json", {"n": 2})
    put(folder, "a.json", {"n": 1})
    for name in ("a.txt", ".hidden.json", "c.json.tmp", "d.json.lock", "e.tmp.9.json"):
        put(folder, name, {"n": 9})
    assert flat(folder).items() == [("a.json", {"n": 1}), ("b.json", {"n": 2})]


def test_a_nested_collection_includes_subfolders(folder: Path) -> None:
    put(folder, "a.json", {"n": 1})
    put(folder, "2026-02-01/b.json", {"n": 2})
    put(folder, "2026/02/c.json", {"n": 3})
    assert list(contents(flat(folder))) == ["a.json"]
    nested = contents(flat(folder, nested=True))
    assert list(nested) == ["2026-02-01/b.json", "2026/02/c.json", "a.json"]


@pytest.mark.parametrize("damage", ["", "{", "[" * 100_000, b"\xff\xfe\x00", '"x" y'])
def test_a_damaged_file_is_skipped(folder: Path, damage: str | bytes) -> None:
    put(folder, "bad.json", damage)
    put(folder, "good.json", {"n": 1})
    assert contents(flat(folder)) == {"good.json": {"n": 1}}


def test_a_file_above_the_size_limit_is_skipped(folder: Path) -> None:
    put(folder, "big.json", {"text": "x" * store.MAX_ENTRY_BYTES})
    put(folder, "good.json", {"n": 1})
    assert contents(flat(folder)) == {"good.json": {"n": 1}}


def test_the_total_size_of_contents_is_limited(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_CONTENT_BYTES", 300)
    for n in range(9):
        put(folder, f"{n}.json", {"text": "x" * 80})
    assert len(contents(flat(folder))) == 3
    assert len(contents(flat(folder, digest=len))) == 9


def change_in_place(folder: Path) -> None:
    write(folder / "a.json", {"n": 2})


def change_in_place_keeping_size_and_time(folder: Path) -> None:
    path = folder / "a.json"
    moment = path.stat().st_mtime + 1
    path.write_text('{"n": 2}')
    os.utime(path, (moment, moment))


def replace(folder: Path) -> None:
    put(folder, "a.json.tmp", {"n": 2}).rename(folder / "a.json")


def remove_and_make_anew(folder: Path) -> None:
    (folder / "a.json").unlink()
    write(folder / "a.json", {"n": 2})


@pytest.mark.parametrize(
    "change",
    [change_in_place, change_in_place_keeping_size_and_time, replace, remove_and_make_anew],
)
def test_a_change_is_detected_by_the_next_call(
    folder: Path, change: Callable[[Path], None]
) -> None:
    put(folder, "a.json", {"n": 1})
    collection = flat(folder)
    assert contents(collection) == {"a.json": {"n": 1}}
    before = collection.examine()
    change(folder)
    assert contents(collection) == {"a.json": {"n": 2}}
    assert collection.examine() > before


def test_added_and_removed_files_are_detected_by_the_next_call(folder: Path) -> None:
    put(folder, "old/a.json", {"n": 1})
    put(folder, "b.json", {"n": 2})
    collection = flat(folder, nested=True)
    assert list(contents(collection)) == ["b.json", "old/a.json"]
    (folder / "b.json").unlink()
    put(folder, "new/c.json", {"n": 3})
    assert list(contents(collection)) == ["new/c.json", "old/a.json"]
    (folder / "new").rename(folder / "newer")
    assert list(contents(collection)) == ["newer/c.json", "old/a.json"]


def test_a_folder_may_be_missing_created_and_removed(folder: Path) -> None:
    folder.rmdir()
    collection = flat(folder)
    assert collection.items() == []
    put(folder, "a.json", {"n": 1})
    assert list(contents(collection)) == ["a.json"]
    (folder / "a.json").unlink()
    folder.rmdir()
    assert collection.items() == []


def move_into_place(folder: Path) -> None:
    put(folder.parent / "prepared", "a.json", {"n": 1}).parent.rename(folder)


def make_and_fill(folder: Path) -> None:
    folder.mkdir()
    put(folder, "a.json", {"n": 1})


def link_to_another(folder: Path) -> None:
    put(folder.parent / "elsewhere", "a.json", {"n": 1})
    folder.symlink_to("elsewhere")


@pytest.mark.parametrize("appear", [move_into_place, make_and_fill, link_to_another])
@pytest.mark.parametrize("relative", ["things", "deep/below/things"])
def test_a_missing_folder_is_looked_for_again_only_after_an_event(
    tmp_path: Path, relative: str, appear: Callable[[Path], None]
) -> None:
    collection = Collection(Root(tmp_path), relative)
    with recording() as recorded:
        assert collection.items() == []
    dependencies = Dependencies(recorded.inputs, seconds=3600)
    for _ in range(2):
        assert dependencies.are_current()
        assert dependencies.is_notified
    (tmp_path / relative).parent.mkdir(parents=True, exist_ok=True)
    assert dependencies.are_current()
    appear(tmp_path / relative)
    assert not dependencies.are_current()
    assert contents(collection) == {"a.json": {"n": 1}}


def test_two_changes_within_the_clock_granularity_are_both_detected(folder: Path) -> None:
    moment = time.time()
    for n in range(1, 4):
        path = write(folder / "a.json", {"n": n})
        os.utime(path, (moment, moment))
        if n == 1:
            collection = flat(folder)
        assert contents(collection) == {"a.json": {"n": n}}


def test_a_half_written_file_keeps_its_last_content_for_a_moment(folder: Path) -> None:
    path = put(folder, "a.json", {"n": 1})
    collection = flat(folder)
    assert contents(collection) == {"a.json": {"n": 1}}
    path.write_text('{"n": ')
    assert contents(collection) == {"a.json": {"n": 1}}
    os.utime(path, (OLD, OLD))
    assert contents(collection) == {}
    path.write_text('{"n": 3}')
    assert contents(collection) == {"a.json": {"n": 3}}


def test_files_outside_the_root_are_not_read(folder: Path, tmp_path: Path) -> None:
    secret = write(tmp_path / "root-other" / "secret.json", {"secret": True})
    put(folder, "a.json", {"n": 1})
    (folder / "file.json").symlink_to(secret)
    (folder / "folder").symlink_to(secret.parent)
    (folder / "loop").symlink_to(folder)
    (folder / "broken.json").symlink_to(folder / "nowhere")
    items = contents(flat(folder, nested=True))
    assert items["a.json"] == {"n": 1}
    assert all(content == {"n": 1} for content in items.values())


def test_a_folder_that_links_out_of_the_root_is_empty(folder: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "a.json", {"secret": True}).parent
    folder.rmdir()
    folder.symlink_to(outside)
    assert flat(folder).items() == []


def test_a_link_inside_the_root_is_followed_and_its_target_watched(folder: Path) -> None:
    target = put(folder.parent, "elsewhere.json", {"n": 1})
    (folder / "a.json").symlink_to(target)
    collection = flat(folder)
    assert contents(collection) == {"a.json": {"n": 1}}
    write(target, {"n": 2})
    assert contents(collection) == {"a.json": {"n": 2}}


def test_a_file_that_becomes_a_link_out_of_the_root_is_removed(
    folder: Path, tmp_path: Path
) -> None:
    secret = write(tmp_path / "secret.json", {"secret": True})
    path = put(folder, "a.json", {"n": 1})
    collection = flat(folder)
    assert collection.items()
    path.unlink()
    path.symlink_to(secret)
    assert collection.items() == []


@pytest.mark.timeout(10)
def test_entries_that_are_not_regular_files_are_skipped(folder: Path) -> None:
    os.mkfifo(folder / "fifo.json")
    (folder / "folder.json").mkdir()
    put(folder, "a.json", {"n": 1})
    assert list(contents(flat(folder, nested=True))) == ["a.json"]


@pytest.mark.slow
def test_many_files_are_parsed_once_each(folder: Path, counting: Counting) -> None:
    for n in range(5000):
        put(folder, f"2026-02-{n % 20 + 1:02d}/{n}.json", {"n": n + 1})
    collection = flat(folder, nested=True, digest=counting.digest)
    for _ in range(2):
        assert len(collection.items()) == 5000
        assert counting.calls == 5000
    put(folder, "2026-02-03/new.json", {"n": 1}, age_from=OLD + 1)
    assert len(collection.items()) == 5001
    assert counting.calls == 5001


def test_an_in_place_change_of_an_old_file_among_many_is_detected(
    folder: Path, counting: Counting
) -> None:
    for n in range(2000):
        put(folder, f"day/{n:04d}.json", {"n": 1}, age_from=OLD + n)
    collection = flat(folder, nested=True, digest=counting.digest)
    collection.items()
    write(folder / "day" / "0007.json", {"n": 2})
    wait_until(lambda: contents(collection)["day/0007.json"] == {"n": 2}, "the change")
    assert counting.calls <= 2000 + 3  # again while its time was not to be trusted


def test_a_derived_value_is_computed_once_a_generation(folder: Path, counting: Counting) -> None:
    put(folder, "a.json", {"n": 1})
    collection = flat(folder)
    assert [collection.derive(counting.count) for _ in range(3)] == [1, 1, 1]
    put(folder, "b.json", {"n": 1}, age_from=OLD + 1)
    assert [collection.derive(counting.count) for _ in range(3)] == [2, 2, 2]
    assert counting.calls == 2


def test_a_value_derived_from_one_file_is_computed_once_a_version(
    folder: Path, counting: Counting
) -> None:
    put(folder, "a.json", {"n": 1})
    collection = flat(folder, digest=lambda content: content["n"])
    assert contents(collection) == {"a.json": 1}
    for _ in range(3):
        assert collection.derive_one("a.json", counting.make) == ("a.json", {"n": 1})
    assert counting.calls == 1
    put(folder, "a.json", {"n": 2}, age_from=OLD + 1)
    assert contents(collection) == {"a.json": 2}
    assert collection.derive_one("a.json", counting.make) == ("a.json", {"n": 2})
    assert collection.derive_one("b.json", counting.make) is None


def test_the_cache_of_derived_values_is_limited(
    folder: Path, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_RESULT_BYTES", 100)
    for n in range(10):
        put(folder, f"{n}.json", {"text": "x" * 20})
    collection = flat(folder, digest=len)
    collection.items()
    for name in ("0.json", "1.json", "0.json", "9.json", "0.json"):
        collection.derive_one(name, counting.make)
    assert counting.calls == 3
    for n in range(10):
        collection.derive_one(f"{n}.json", counting.make)
    assert counting.calls == 3 + 8  # the first two were there, and go as the rest comes
    collection.derive_one("0.json", counting.make)
    assert counting.calls == 3 + 8 + 1


def test_a_file_whose_digest_is_none_is_skipped(folder: Path) -> None:
    put(folder, "a.json", {"id": "x"})
    put(folder, "b.json", ["no object"])
    collection = flat(folder, digest=lambda content: content if content == {"id": "x"} else None)
    assert json.dumps(collection.items()) == '[["a.json", {"id": "x"}]]'


@pytest.mark.parametrize("events", [True, False])
def test_changes_that_leave_the_digest_equal_are_detected_within_the_clock_granularity(
    folder: Path, events: bool
) -> None:
    collection = flat(folder, events=events, digest=lambda content: content["id"])
    before = -1
    for n in range(100, 140):
        path = write(folder / "a.json", {"id": "x", "n": n})
        os.utime(path, (OLD, OLD))
        assert contents(collection) == {"a.json": "x"}
        assert collection.derive_one("a.json", number_in) == n
        assert collection.examine() > before
        before = collection.examine()


@pytest.mark.parametrize("events", [True, False])
def test_the_target_of_a_file_that_became_a_link_is_watched(folder: Path, events: bool) -> None:
    target = put(folder.parent / "elsewhere", "a.json", {"n": 1})
    put(folder, "a.json", {"n": 0})
    collection = flat(folder, events=events)
    assert contents(collection) == {"a.json": {"n": 0}}
    (folder / "a.json").unlink()
    (folder / "a.json").symlink_to(target)
    assert contents(collection) == {"a.json": {"n": 1}}
    write(target, {"n": 2})
    assert contents(collection) == {"a.json": {"n": 2}}


@pytest.mark.parametrize("events", [True, False])
def test_a_folder_that_is_created_as_a_link_is_followed(folder: Path, events: bool) -> None:
    put(folder.parent / "elsewhere", "a.json", {"n": 1})
    put(folder, "b.json", {"n": 2})
    collection = flat(folder, nested=True, events=events)
    assert list(contents(collection)) == ["b.json"]
    (folder / "below").symlink_to(folder.parent / "elsewhere")
    assert list(contents(collection)) == ["b.json", "below/a.json"]
    (folder / "below").unlink()
    assert list(contents(collection)) == ["b.json"]


def number_in(_: str, content: Any) -> Any:
    return content["n"]
