"""Inputs of values change when a file, a link or a folder on the path changes."""

import gc
import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from loki_web.store.files import Version, is_settled
from loki_web.store.folder import Folder
from loki_web.store.inputs import Root
from loki_web.store.look import Dependencies, looking, recording
from tests.store.readers import Taken
from tests.support.moments import changing_at
from tests.support.places import write
from tests.support.waiting import wait_until_settled
from tests.support.work import tracing_memory

OLD = 1_600_000_000
NOW = 1_700_000_000_000_000_000


def lines_taken(folder: Folder) -> Any:
    with folder.journal("memory/a.json", Taken).reading() as taken:
        return list(taken.lines)


def get_content(_: str, content: Any) -> Any:
    return content


def read_released(folder: Folder) -> Any:
    """Read values again that were known and are not kept."""
    files = folder.collection("memory")
    files.items()
    files.release_values()
    return files.derive(list)


READS: dict[str, Callable[[Folder], Any]] = {
    "document": lambda folder: folder.document("memory/a.json"),
    "section": lambda folder: folder.section("memory/a.json", "n"),
    "text": lambda folder: folder.text("memory/a.json"),
    "names": lambda folder: folder.file_names("memory"),
    "version": lambda folder: folder.version("memory/a.json"),
    "collection": lambda folder: folder.collection("memory").items(),
    "nested": lambda folder: folder.collection("", nested=True).items(),
    "one": lambda folder: folder.collection("memory").derive_one("a.json", get_content),
    "released": read_released,
    "records": lines_taken,
}


@pytest.fixture(params=[True, False], ids=["events", "poll"])
def events(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def folder(tmp_path: Path, events: bool) -> Folder:
    path = tmp_path / "project" / ".loki"
    (path / "memory").mkdir(parents=True)
    put(path / "memory" / "a.json", '{"n": 1}')
    return Folder(path, events=events)


@pytest.fixture(params=list(READS))
def read(request: pytest.FixtureRequest) -> Callable[[Folder], Any]:
    return READS[request.param]


def put(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, (OLD, OLD))


def remembered(folder: Folder, read: Callable[[Folder], Any]) -> Dependencies:
    """Return the dependencies of a read that were compared once already."""
    with recording() as recorded:
        read(folder)
    dependencies = Dependencies(recorded.inputs)
    dependencies.are_current()
    return dependencies


def check_is_seen(
    folder: Folder, read: Callable[[Folder], Any], change: Callable[[], object]
) -> None:
    fresh = Folder(folder.path)
    dependencies, before = remembered(folder, read), read(folder)
    assert before == read(fresh)
    change()
    expected = read(Folder(folder.path))
    assert expected != before
    assert not dependencies.are_current()
    assert read(folder) == expected


def test_a_folder_replaced_by_a_link_out_of_the_root_is_gone(
    folder: Folder, read: Callable[[Folder], Any], tmp_path: Path
) -> None:
    memory = folder.path / "memory"

    def change() -> None:
        memory.rename(tmp_path / "elsewhere")
        memory.symlink_to(tmp_path / "elsewhere")

    check_is_seen(folder, read, change)


def test_a_replaced_parent_folder_is_detected(
    folder: Folder, read: Callable[[Folder], Any], tmp_path: Path
) -> None:
    other = tmp_path / "other" / ".loki" / "memory"
    other.mkdir(parents=True)
    put(other / "a.json", '{"n": 2}')
    put(other / "b.json", '{"n": 3}')

    def change() -> None:
        (tmp_path / "project").rename(tmp_path / "before")
        (tmp_path / "other").rename(tmp_path / "project")

    check_is_seen(folder, read, change)
    check_is_seen(folder, read, lambda: (folder.path / "memory" / "a.json").unlink())


def test_a_new_name_is_detected(folder: Folder) -> None:
    check_is_seen(
        folder, READS["names"], lambda: (folder.path / "memory" / "b.json").write_text("{}")
    )


def test_what_was_moved_while_a_request_ran_is_read_by_the_next(
    folder: Folder, read: Callable[[Folder], Any]
) -> None:
    expected, moved = read(Folder(folder.path)), folder.path.with_name("moved")
    wait_until_settled(folder.path)
    with looking():
        folder.exists("memory")
        folder.path.rename(moved)
        folder.path.symlink_to(moved)
        read(folder)
    assert read(folder) == expected


def test_a_root_below_a_replaced_folder_is_resolved(tmp_path: Path) -> None:
    for path in ("team/one", "team/two", "other/two"):
        (tmp_path / path).mkdir(parents=True)
    known, later = Root(tmp_path / "team/one"), Root(tmp_path / "team/two")
    known.examine()
    (tmp_path / "team").rename(tmp_path / "before")
    (tmp_path / "team").symlink_to("other")
    assert later.examine() == str(tmp_path / "other/two")


def test_what_was_moved_at_any_moment_of_a_read_is_read_by_the_next(
    folder: Folder, events: bool, read: Callable[[Folder], Any]
) -> None:
    expected, moved = read(Folder(folder.path)), folder.path.with_name("moved")

    def change() -> None:
        folder.path.rename(moved)
        folder.path.symlink_to(moved)

    wait_until_settled(folder.path)
    for moment in count():
        one = Folder(folder.path, events=events)
        with changing_at(moment, change):
            dependencies, unsure = remembered(one, read), read(one)
        assert not dependencies.are_current() or unsure == expected, moment
        assert read(one) == expected, moment
        if not moved.exists():
            break
        folder.path.unlink()
        moved.rename(folder.path)
    assert moment > 5


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open nothing more. It must have a notifier."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_was_not_read_for_lack_of_descriptors_is_read_by_the_next_request(
    folder: Folder, read: Callable[[Folder], Any]
) -> None:
    expected = read(Folder(folder.path))
    wait_until_settled(folder.path)
    with no_descriptors():
        dependencies, unread = remembered(folder, read), read(folder)
    assert dependencies.are_current() is (unread == expected)
    assert read(folder) == expected


def test_events_report_what_is_missing_after_it_was_not_read(
    tmp_path: Path, read: Callable[[Folder], Any]
) -> None:
    write(tmp_path / "memory/a.json", {"n": 1})
    assert remembered(Folder(tmp_path), read).is_notified
    folder = Folder(tmp_path)
    with no_descriptors():
        read(folder)
    shutil.rmtree(tmp_path / "memory")
    assert remembered(folder, read).is_notified


def test_a_folder_that_is_created_as_a_link_is_followed(folder: Folder) -> None:
    def read(folder: Folder) -> Any:
        return folder.document("later/a.json")

    def change() -> None:
        (folder.path / "later").symlink_to("memory")

    check_is_seen(folder, read, change)
    check_is_seen(folder, read, lambda: put(folder.path / "memory" / "a.json", '{"n": 4}'))


def test_a_file_with_a_modified_mtime_is_not_settled_until_its_ctime_is_old() -> None:
    for mtime in (NOW, NOW - 10**12, NOW + 10**12):
        assert not is_settled(Version(1, 1, 1, mtime, NOW), NOW)
        assert is_settled(Version(1, 1, 1, mtime, NOW - 10**9), NOW)


LARGE = json.dumps([{"id": number, "text": "a" * 50} for number in range(2000)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, False),
        ("[", False),
        ("null", False),
        (f"null{' ' * len(LARGE)}", False),
        ("{}", True),
        ("0", True),
        (LARGE, True),
    ],
)
def test_a_document_is_there_unless_it_is_missing_damaged_or_null(
    folder: Folder, text: str | None, expected: bool
) -> None:
    if text is not None:
        put(folder.path / "a.json", text)
    for _ in range(2):
        assert folder.has_document("a.json") is expected is (folder.document("a.json") is not None)


def test_a_large_document_is_not_parsed_to_find_out_whether_it_is_there(folder: Folder) -> None:
    put(folder.path / "large.json", LARGE)
    wait_until_settled(folder.path)  # until then it is read again
    assert len(folder.document("large.json")) == 2000
    with tracing_memory() as memory:
        assert folder.has_document("large.json")
    assert memory.peak < len(LARGE) / 4


LARGE_READS: dict[str, Callable[[Folder], Any]] = {
    "document": lambda folder: folder.document("large.json"),
    "text": lambda folder: folder.text("large.json"),
    "last lines": lambda folder: folder.tail("large.json", 10_000),
    "objects": lambda folder: folder.stream("large.json").objects(),
}


@pytest.mark.parametrize("read", LARGE_READS.values(), ids=LARGE_READS.keys())
def test_what_a_large_file_holds_is_not_kept_as_it_is_used(
    folder: Folder, read: Callable[[Folder], Any]
) -> None:
    text = "[" + ",\n".join(f'{{"number": {number}}}' for number in range(9_000)) + "]"
    put(folder.path / "large.json", text)
    wait_until_settled(folder.path)
    with tracing_memory() as memory:
        first = read(folder)
        assert len(first) > 8_000
        del first
        gc.collect()
    assert memory.kept < len(text) / 2
    assert list(read(folder)) == list(read(Folder(folder.path)))


def test_a_large_document_keeps_its_content_while_it_is_rewritten(folder: Folder) -> None:
    path = folder.path / "large.json"
    first, second = (
        [{"id": number, "text": letter * 50} for number in range(2000)] for letter in "ab"
    )
    put(path, json.dumps(first))
    assert [folder.document("large.json") for _ in range(2)] == [first, first]
    path.write_text(json.dumps(second)[:-1])
    assert [folder.document("large.json") for _ in range(2)] == [first, first]
    put(path, json.dumps(second))
    assert [folder.document("large.json") for _ in range(2)] == [second, second]
    put(path, "[")
    assert folder.document("large.json") is None


# The content of a file, the one after it, and the value of "n" in that.
SECTIONS: dict[str, tuple[str | None, str | None, Any]] = {
    "the value changes": ('{"n": [1], "m": 2}', '{"n": [3], "m": 2}', [3]),
    "it goes": ('{"n": 1, "m": 2}', '{"m": 2}', None),
    "it comes": ('{"m": 2}', '{"n": {"o": 1}}', {"o": 1}),
    "it becomes another type": ('{"n": 1}', '{"n": "1"}', "1"),
    "it becomes false": ('{"n": 0}', '{"n": false}', False),
    "the object becomes a list": ('{"n": 1}', '["n"]', None),
    "the file goes": ('{"n": 1}', None, None),
    "the file comes": (None, '{"n": 1}', 1),
    "the file is damaged": ('{"n": 1}', '{"n": 1', None),
}


@pytest.mark.parametrize(("before", "after", "value"), SECTIONS.values(), ids=SECTIONS.keys())
def test_a_section_follows_the_value_of_its_name(
    folder: Folder, before: str | None, after: str | None, value: Any
) -> None:
    path = folder.path / "memory" / "a.json"

    def change(text: str | None) -> None:
        if text is None:
            path.unlink()
        else:
            put(path, text)

    change(before)
    dependencies = remembered(folder, READS["section"])
    change(after)
    assert not dependencies.are_current()
    assert folder.section("memory/a.json", "n") == value


@pytest.mark.parametrize("text", ['{"m": 3, "n": 1}', '{"n":1}', '{"n": 1, "m": [1]}'])
def test_a_section_stays_as_it_is_while_other_parts_change(folder: Folder, text: str) -> None:
    dependencies = remembered(folder, READS["section"])
    put(folder.path / "memory" / "a.json", text)
    assert dependencies.are_current()
    assert folder.section("memory/a.json", "n") == 1
