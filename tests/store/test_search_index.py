"""The search index: matches, updates from files, and recovery from damage."""

import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loki_web.store import search_index, sqlite
from loki_web.store.search_index import Answer, Contents, Row, SearchIndex
from loki_web.store.sqlite import IndexFile
from tests.support.processes import PROCESSES
from tests.support.waiting import PATIENCE_SECONDS

Files = dict[str, tuple[str, list[Row]]]


def row(identifier: str, title: str = "", labels: str = "", body: str = "") -> Row:
    return Row("note", identifier, title, labels, body)


def contents(files: Files, read: list[str] | None = None) -> Contents:
    """Return contents from a dict of files. The paths that are read are appended to `read`."""

    def rows(path: str) -> tuple[str, list[Row]] | None:
        if read is not None:
            read.append(path)
        return files.get(path)

    versions = {path: version for path, (version, _) in files.items()}

    def changed(before: dict[str, str]) -> set[str]:
        return {path for path, _ in before.items() ^ versions.items()}

    return Contents(versions, lambda: versions, versions.get, changed, rows)


def index_at(path: Path) -> SearchIndex:
    return SearchIndex(IndexFile(lambda: path))


def ids(answer: Answer, which: int = 0) -> list[str]:
    return [hit.id for hit in answer.hits[which]]


def find(index: SearchIndex, files: Files, match: str) -> list[str]:
    return ids(index.search(contents(files), [match], 10))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.sqlite3"


@pytest.fixture(params=["shared", "own"])
def index(request: pytest.FixtureRequest, path: Path) -> SearchIndex:
    return SearchIndex(IndexFile(lambda: path if request.param == "shared" else None))


FILES: Files = {
    "a": ("1", [row("one", "red apple"), row("two", "green", "pear")]),
    "b": ("1", [row("three", "blue", "", "an apple in the text")]),
}


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ('"apple"', ["one", "three"]),
        ('"pear"', ["two"]),
        ('"app" *', ["one", "three"]),
        ('"apple" AND "text"', ["three"]),
        ('"plum"', []),
        ('""', []),
    ],
)
def test_the_title_has_the_highest_weight(
    index: SearchIndex, match: str, expected: list[str]
) -> None:
    assert find(index, FILES, match) == expected


def test_several_expressions_are_answered_at_once(index: SearchIndex) -> None:
    answer = index.search(contents(FILES), ['"pear"', '"apple"'], 2)
    assert [ids(answer, 0), ids(answer, 1)] == [["two"], ["one", "three"]]
    assert answer.complete
    assert all(hit.weight > 0 for hits in answer.hits for hit in hits)


def test_expressions_after_one_with_enough_matches_are_skipped(index: SearchIndex) -> None:
    answer = index.search(contents(FILES), ['"pear"', '"apple"'], 1)
    assert [ids(answer, 0), ids(answer, 1)] == [["two"], []]


def test_equally_good_matches_keep_their_order_when_a_file_is_indexed_again(
    index: SearchIndex,
) -> None:
    files: Files = {name: ("1", [row(name, "apple")]) for name in ("a", "b", "c")}
    files["c"] = ("1", [row("c1", "apple"), row("c2", "apple")])
    order = ["a", "b", "c1", "c2"]
    assert find(index, files, '"apple"') == order
    for name in ("b", "a", "c"):
        files[name] = ("2", files[name][1])
        assert find(index, files, '"apple"') == order
    files["c"] = ("3", [row("c3", "apple"), *files["c"][1]])
    assert find(index, files, '"apple"') == ["a", "b", "c3", "c1", "c2"]
    files["b"] = ("3", [row("b", "apple"), row("b", "apple")])
    assert sorted(find(index, files, '"apple"')) == ["a", "b", "b", "c1", "c2", "c3"]


def test_only_changed_files_are_indexed_again(index: SearchIndex) -> None:
    files = dict(FILES)
    read: list[str] = []
    assert ids(index.search(contents(files, read), ['"apple"'], 10)) == ["one", "three"]
    assert sorted(read) == ["a", "b"]
    read.clear()
    files["b"] = ("2", [row("three", "a plum")])
    files["c"] = ("1", [row("four", "apple")])
    assert set(ids(index.search(contents(files, read), ['"apple"'], 10))) == {"one", "four"}
    assert sorted(read) == ["b", "c"]
    read.clear()
    del files["a"]
    assert ids(index.search(contents(files, read), ['"apple"'], 10)) == ["four"]
    assert read == []
    assert ids(index.search(contents(files, read), ['"plum"'], 10)) == ["three"]
    assert read == []


def test_files_that_are_not_settled_are_read_again(index: SearchIndex) -> None:
    read: list[str] = []
    versions = {"a": "1"}

    def rows(path: str) -> tuple[str, list[Row]]:
        read.append(path)
        return ("" if len(read) == 1 else "1"), [row(f"n{len(read)}", "apple")]

    for _ in range(3):
        answer = index.search(
            Contents("same", versions.copy, versions.get, lambda _: (), rows), ['"apple"'], 10
        )
    assert ids(answer) == ["n2"]
    assert read == ["a", "a"]


def test_a_file_that_vanishes_while_it_is_indexed_is_skipped(index: SearchIndex) -> None:
    missing = Contents(
        "x",
        lambda: {"a": "1", "b": "1"},
        lambda path: "1",
        lambda _: None,
        lambda path: FILES["a"] if path == "a" else None,
    )
    assert ids(index.search(missing, ['"apple"'], 10)) == ["one"]


def test_workers_share_one_file(path: Path) -> None:
    read: list[str] = []
    index_at(path).search(contents(FILES), ['"apple"'], 10)
    other = index_at(path).search(contents(FILES, read), ['"apple"'], 10)
    assert ids(other) == ["one", "three"]
    assert read == []


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def middle_overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(bytes(data))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def gone(path: Path) -> None:
    path.unlink()


def statement(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        database = sqlite3.connect(path)
        for one in statements:
            database.execute(one)
        database.commit()
        database.close()

    return change


@pytest.mark.parametrize(
    "damage",
    [
        garbage,
        truncated,
        middle_overwritten,
        empty,
        gone,
        statement("PRAGMA user_version = 999"),
        statement("DROP TABLE source"),
        statement("DROP TABLE words"),
        statement("DELETE FROM creation"),
        statement("DELETE FROM words"),
        statement("DELETE FROM source"),
        statement("INSERT INTO source VALUES ('../../x', '1')"),
    ],
)
@pytest.mark.parametrize("restarted", [True, False])
def test_answers_are_correct_after_any_damage_to_the_file(
    path: Path, damage: Callable[[Path], None], restarted: bool
) -> None:
    index = index_at(path)
    assert find(index, FILES, '"apple"') == ["one", "three"]
    damage(path)
    index = index_at(path) if restarted else index
    files = {**FILES, "c": ("1", [row("four", "plum")])}
    assert find(index, files, '"plum"') == ["four"]
    assert set(find(index_at(path), files, '"apple"')) == {"one", "three"}


def a_folder(path: Path) -> None:
    path.mkdir()


def below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("")


def its_lock_is_a_folder(path: Path) -> None:
    Path(f"{path}.lock").mkdir()


@pytest.mark.parametrize("obstacle", [a_folder, below_a_file, its_lock_is_a_folder])
def test_an_index_in_memory_is_used_without_a_file(
    tmp_path: Path, obstacle: Callable[[Path], None]
) -> None:
    path = tmp_path / "cache" / "memory.sqlite3"
    path.parent.mkdir()
    obstacle(path)
    index = index_at(path)
    assert find(index, FILES, '"apple"') == ["one", "three"]
    assert find(index, {"b": FILES["b"]}, '"apple"') == ["three"]


def test_an_index_in_memory_is_used_while_the_file_is_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    index = index_at(path)
    find(index, FILES, '"apple"')
    files = {**FILES, "c": ("1", [row("four", "plum")])}
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert find(index, files, '"plum"') == ["four"]
    holder.execute("ROLLBACK")
    holder.close()
    assert find(index, files, '"plum"') == ["four"]
    assert find(index_at(path), files, '"plum"') == ["four"]


def test_indexing_resumes_with_the_next_search(
    index: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "REFRESH_SECONDS", 0)
    files: Files = {f"{n}": ("1", [row(f"n{n}", "apple")]) for n in range(250)}
    answers = [index.search(contents(files), ['"apple"'], 1000) for _ in range(4)]
    assert [len(answer.hits[0]) for answer in answers] == [100, 200, 250, 250]
    assert [answer.complete for answer in answers] == [False, False, False, True]


def many(count: int) -> Files:
    return {f"{n}": ("1", [row(f"n{n}", f"apple {n}")]) for n in range(count)}


def search_in_a_worker(path: Path, damages: bool) -> list[int]:
    search_index.REFRESH_SECONDS = PATIENCE_SECONDS  # in a process of its own
    index, counts = index_at(path), []
    for turn in range(5):
        if damages and turn == 2:
            garbage(path)
        counts.append(len(index.search(contents(many(300)), ['"apple"'], 1000).hits[0]))
    return counts


@pytest.mark.parametrize("at", [1, 150, 300])
def test_an_index_that_is_created_anew_meanwhile_is_filled_again(path: Path, at: int) -> None:
    """Another process has opened the file just after it was emptied."""
    index, files, reads = index_at(path), many(300), list[str]()

    def rows(name: str) -> tuple[str, list[Row]] | None:
        reads.append(name)
        if len(reads) == at:
            path.write_bytes(b"")
            assert find(index_at(path), {}, '"apple"') == []
        return files.get(name)

    found = index.search(replace(contents(files), rows=rows), ['"apple"'], 1000)
    assert (len(found.hits[0]), found.complete) == (300, True)


@pytest.mark.slow
@pytest.mark.parametrize("damages", [False, True])
def test_several_workers_may_start_at_once(path: Path, damages: bool) -> None:
    with PROCESSES.Pool(4) as workers:
        tasks = [(path, damages and n == 0) for n in range(4)]
        assert workers.starmap(search_in_a_worker, tasks) == [[300] * 5] * 4


def test_several_threads_may_search_at_once(
    index: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "REFRESH_SECONDS", PATIENCE_SECONDS)
    counts: list[int] = []

    def work() -> None:
        for _ in range(5):
            counts.append(len(index.search(contents(many(150)), ['"apple"'], 1000).hits[0]))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [150] * 30


def test_no_file_of_the_index_is_mapped_into_memory(tmp_path: Path) -> None:
    """Whoever truncates a mapped file, or fills its disk, ends the process (SIGBUS)."""
    index = IndexFile(lambda: tmp_path / "index.sqlite3")
    with index.database() as database, sqlite.transaction(database):
        database.execute("INSERT INTO source VALUES ('x', 'y')")
        assert str(tmp_path) not in Path("/proc/self/maps").read_text()
        assert {path.suffix for path in tmp_path.iterdir()} <= {
            ".sqlite3",
            ".sqlite3-journal",
            ".lock",
        }
    with index.database() as database:
        assert database.execute("SELECT * FROM source").fetchall() == [("x", "y")]
