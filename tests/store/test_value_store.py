"""Values that are kept between runs, and damage to their file."""

import os
import resource
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loki_web.store import collection as collections
from loki_web.store import sqlite
from loki_web.store.collection import Collection
from loki_web.store.files import Version
from loki_web.store.inputs import Root
from loki_web.store.sqlite import IndexFile
from loki_web.store.value_store import ValueStore
from tests.store.test_collection import OLD, put
from tests.support.processes import PROCESSES
from tests.support.waiting import PATIENCE_SECONDS, wait_until_settled

COUNT = collections.BULK + 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite3"


def store_at(path: Path | None) -> ValueStore:
    return ValueStore(IndexFile(lambda: path))


def test_every_process_loads_a_value_by_its_stamp(path: Path) -> None:
    store = store_at(path)
    assert store.load("events", "1") is None
    store.store("events", "1", b"\0value")
    store.store("other", "1", b"")
    for reader in (store, store_at(path)):
        assert reader.load("events", "1") == b"\0value"
        assert reader.load("other", "1") == b""
        assert reader.load("events", "2") is None
    store_at(path).store("events", "2", b"newer")
    assert [store.load("events", stamp) for stamp in "12"] == [None, b"newer"]


def changed(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        database = sqlite3.connect(path)
        for statement in statements:
            database.execute(statement)
        database.commit()
        database.close()

    return change


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(50_000))


def truncated(path: Path) -> None:
    os.truncate(path, 5000)


@pytest.mark.parametrize(
    "damage",
    [
        garbage,
        truncated,
        Path.unlink,
        changed("PRAGMA user_version = 999"),
        changed("DROP TABLE value"),
        changed("DROP TABLE value", "CREATE TABLE value (foreign_column)"),
        changed("UPDATE value SET data = x'00'"),
        changed("UPDATE value SET data = 'text'"),
        changed("UPDATE value SET checksum = 'x'"),
    ],
)
@pytest.mark.parametrize("is_restarted", [True, False])
def test_a_damaged_value_is_missing_and_can_be_stored_again(
    path: Path, damage: Callable[[Path], None], is_restarted: bool
) -> None:
    store = store_at(path)
    store.store("n", "1", b"value")
    if is_restarted or damage is not Path.unlink:
        changed("PRAGMA wal_checkpoint(TRUNCATE)")(path)
    damage(path)
    store = store_at(path) if is_restarted else store
    assert store.load("n", "1") in (None, b"value")
    store.store("n", "1", b"value")
    store.store("n", "2", b"newer")
    assert store_at(path).load("n", "2") == b"newer"


def missing_folder(path: Path) -> Path | None:
    return path.parent / "nowhere" / "index.sqlite3"


def a_folder(path: Path) -> Path | None:
    path.mkdir()
    return path


def not_writable(path: Path) -> Path | None:
    return Path("/proc/index.sqlite3")


def none(path: Path) -> Path | None:
    return None


@pytest.mark.parametrize("place", [missing_folder, a_folder, not_writable, none])
def test_values_are_not_stored_if_the_file_cannot_be_created(
    path: Path, place: Callable[[Path], Path | None]
) -> None:
    store = store_at(place(path))
    store.store("n", "1", b"value")
    assert store.load("n", "1") is None


def test_stored_values_can_be_read_while_another_process_writes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    store = store_at(path)
    store.store("n", "1", b"value")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    store.store("n", "1", b"lost")
    assert store.load("n", "1") == b"value"
    writer.close()
    store.store("n", "1", b"newer")
    assert store.load("n", "1") == b"newer"


def store_on_a_full_disk(path: Path) -> None:
    """Fail to write as on a full disk: SQLite gets the same kind of error."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = path.stat().st_size + 50_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    store = store_at(path)
    store.store("big", "1", bytes(1_000_000))
    os._exit(0 if store.load("big", "1") is None and store.load("n", "1") == b"value" else 1)


@pytest.mark.slow
def test_a_value_that_does_not_fit_on_the_disk_is_not_stored(path: Path) -> None:
    store_at(path).store("n", "1", b"value")
    worker = PROCESSES.Process(target=store_on_a_full_disk, args=(path,))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert store_at(path).load("n", "1") == b"value"


def store_for_ever(path: Path, ready: Any) -> None:
    store, number = store_at(path), 0
    while True:
        number += 1
        store.store("n", "1", str(number % 10).encode() * 100_000)
        ready.set()


@pytest.mark.slow
def test_a_killed_writer_leaves_all_of_one_store_or_nothing(path: Path) -> None:
    context = PROCESSES
    for _ in range(3):
        ready = context.Event()
        workers = [context.Process(target=store_for_ever, args=(path, ready)) for _ in range(2)]
        for worker in workers:
            worker.start()
        assert ready.wait(PATIENCE_SECONDS)
        for worker in workers:
            worker.kill()
            worker.join()
        loaded = store_at(path).load("n", "1")
        assert loaded is not None
        assert len(loaded) == 100_000
        assert len(set(loaded)) == 1


class Counted:
    """A digest that counts how often it is computed."""

    def __init__(self) -> None:
        self.calls = 0

    def make(self, content: Any) -> Any:
        self.calls += 1
        return content["n"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    things = tmp_path / "root" / "things"
    for n in range(COUNT):
        put(things, f"{n:03}.json", {"n": n})
    return things


def restarted(folder: Path, path: Path, counted: Counted) -> dict[str, Any]:
    """Return the items of the folder as a new process has them."""
    collection = Collection(
        Root(folder.parent), folder.name, digest=counted.make, value_store=store_at(path)
    )
    return dict(collection.items())


def keep(folder: Path, path: Path) -> None:
    """Let a process read the files after they have settled, so that it stores their digests."""
    wait_until_settled(folder)
    restarted(folder, path, Counted())


def same_size_and_time(folder: Path) -> dict[str, Any]:
    changing = folder / "001.json"
    changing.write_text('{"n": 9}')
    os.utime(changing, (OLD, OLD))
    return {"001.json": 9}


def replaced(folder: Path) -> dict[str, Any]:
    put(folder, "001.json.tmp", {"n": 8}).rename(folder / "001.json")
    return {"001.json": 8}


def removed_and_renamed(folder: Path) -> dict[str, Any]:
    (folder / "001.json").unlink()
    (folder / "002.json").rename(folder / "001.json")
    return {"001.json": 2, "002.json": None}


def folder_replaced(folder: Path) -> dict[str, Any]:
    folder.rename(folder.parent / "before")
    for n in range(COUNT):
        put(folder, f"{n:03}.json", {"n": 7})
    return {f"{n:03}.json": 7 for n in range(COUNT)}


def damaged(folder: Path) -> dict[str, Any]:
    put(folder, "001.json", "{")
    return {"001.json": None}


def unchanged(folder: Path) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("change", "parsed"),
    [
        (unchanged, 0),
        (same_size_and_time, 1),
        (replaced, 1),
        (removed_and_renamed, 1),
        (folder_replaced, COUNT),
        (damaged, 0),
    ],
)
def test_changes_while_the_server_is_down_are_detected_at_the_start(
    folder: Path, path: Path, change: Callable[[Path], dict[str, Any]], parsed: int
) -> None:
    keep(folder, path)
    wanted = {f"{n:03}.json": n for n in range(COUNT)} | change(folder)
    counted = Counted()
    loaded = restarted(folder, path, counted)
    assert loaded == {name: n for name, n in wanted.items() if n is not None}
    assert counted.calls == parsed


@pytest.mark.parametrize("digest", [1.5, "text", (1, "text"), (), {"n": 1}])
def test_a_stored_digest_equals_the_computed_one(folder: Path, path: Path, digest: Any) -> None:
    computed = list[object]()

    def make(content: Any) -> Any:
        computed.append(content)
        return digest

    def read_items() -> list[tuple[str, Any]]:
        root, values = Root(folder.parent), store_at(path)
        return Collection(root, folder.name, digest=make, value_store=values).items()

    wait_until_settled(folder)
    before = read_items()
    assert read_items() == before
    assert len(computed) == COUNT


def test_damaged_digests_are_computed_again(folder: Path, path: Path) -> None:
    keep(folder, path)
    changed("UPDATE value SET data = x'00'")(path)
    counted = Counted()
    assert len(restarted(folder, path, counted)) == counted.calls == COUNT


def test_released_values_are_read_again_when_they_are_asked_for(folder: Path, path: Path) -> None:
    keep(folder, path)
    counted = Counted()
    collection = Collection(
        Root(folder.parent), folder.name, digest=counted.make, value_store=store_at(path)
    )
    collection.items()
    collection.release_values()
    assert counted.calls == 0
    assert collection.value("001.json") == 1
    assert counted.calls == 1


def test_contents_are_not_stored(folder: Path, path: Path) -> None:
    put(folder, "secret.json", {"key": "hunter2"})
    collection = Collection(Root(folder.parent), folder.name, value_store=store_at(path))
    assert len(collection.items()) == COUNT + 1
    assert not path.exists()


def test_a_change_within_one_clock_tick_is_detected(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Version, "stamp", 1)
    collection = Collection(Root(folder.parent), folder.name)
    assert dict(collection.items())["001.json"] == {"n": 1}
    (folder / "001.json").write_text('{"n": 2}')
    assert dict(collection.items())["001.json"] == {"n": 2}


@pytest.mark.slow
def test_nobody_waits_for_an_index_that_stays_locked(path: Path) -> None:
    store = store_at(path)
    store.store("n", "1", b"value")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        for number in range(2_000):  # a quarter of a second each would be minutes
            store.store("n", "1", b"lost %d" % number)
        assert store.load("n", "1") == b"value"
        writer.execute("ROLLBACK")


def test_a_fifo_in_place_of_the_index_holds_nobody_up(path: Path) -> None:
    os.mkfifo(path)
    store = store_at(path)
    store.store("n", "1", b"value")
    assert store.load("n", "1") is None
