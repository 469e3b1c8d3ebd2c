"""The tasks of the server's project after a restart: stored, unless a file of them has changed."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from loki_web.services import tasks
from loki_web.services.context import Sources
from loki_web.services.tasks import TaskDict
from loki_web.store.collection import BULK
from loki_web.store.look import recording
from loki_web.store.snapshot import SnapshotInput
from tests.support.places import Place, write
from tests.support.waiting import wait_until_settled

OLD = time.time() - 3600
SECRET = "sk-ant-abcdefghijklmnopqrstuvwxyz"
STATUS = {"id": "other", "title": "Other", "status": "review"}


@pytest.fixture
def idle(place: Place) -> Place:
    """Store the tasks of a session that writes no more, in another run of the server."""
    entries = [{"id": f"task-{number}", "title": f"{number} {SECRET}"} for number in range(BULK)]
    place.write("queue/pending.json", entries[:-1])
    place.write("queue/completed.json", entries[-1:])
    place.write("dashboard-state.json", {"tasks": {"pending": entries}})
    for path in place.loki.rglob("*.json"):
        os.utime(path, (OLD, OLD))
    wait_until_settled(place.home)
    tasks.store_tasks(place.sources())
    return place


def _list(sources: Sources) -> tuple[list[TaskDict], bool]:
    """Return the tasks, and whether they come from the derived index."""
    with recording() as recorded:
        listed = tasks.list_tasks(sources)
    return listed, any(isinstance(source, SnapshotInput) for source, _ in recorded.inputs)


def _list_from_nothing(place: Place) -> list[TaskDict]:
    return _list(place.sources(LOKI_CACHE_DIR=str(place.home / "another-cache")))[0]


def _edited(loki: Path) -> None:
    path = loki / "queue/pending.json"
    path.write_text(path.read_text().replace('"task-7"', '"task-X"'))
    os.utime(path, (OLD, OLD))


def _done(loki: Path) -> None:
    (loki / "queue/pending.json").rename(loki / "queue/completed.json")


def _in_another_queue(loki: Path) -> None:
    write(loki / "queue/review.json", [STATUS])


def _in_the_state_file(loki: Path) -> None:
    write(loki / "dashboard-state.json", {"tasks": {"review": [STATUS]}})


def _alone(loki: Path) -> None:
    write(loki / "queue/task-1.json", STATUS)


def _newer_than_the_state_file(loki: Path) -> None:
    (loki / "dashboard-state.json").unlink()


def _linked(loki: Path) -> None:
    (loki / "queue").rename(loki / "queues")
    (loki / "queue").symlink_to("queues")


def _gone(loki: Path) -> None:
    loki.rename(loki.parent / "before")


CHANGES = [
    *(_edited, _done, _in_another_queue, _in_the_state_file, _alone),
    *(_newer_than_the_state_file, _linked, _gone),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("watch", ["auto", "poll"])
def test_a_restart_reads_the_tasks_if_one_of_their_files_has_changed(
    idle: Place, change: Callable[[Path], None], watch: str
) -> None:
    restarted = idle.sources(LOKI_WATCH=watch)
    assert _list(restarted) == (_list_from_nothing(idle), True)
    change(idle.loki)
    changed = _list_from_nothing(idle)
    for sources in (restarted, idle.sources()):
        assert _list(sources) == (changed, False)


def test_what_is_stored_is_replaced_after_a_change(idle: Place) -> None:
    _edited(idle.loki)
    wait_until_settled(idle.home)
    assert not _list(idle.sources())[1]
    tasks.store_tasks(idle.sources())
    assert _list(idle.sources()) == (_list_from_nothing(idle), True)


def test_tasks_that_were_written_just_now_are_not_trusted_after_a_restart(place: Place) -> None:
    place.write("queue/pending.json", [{"id": f"task-{number}"} for number in range(BULK)])
    tasks.store_tasks(place.sources())
    assert _list(place.sources()) == (_list_from_nothing(place), False)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE value SET data = x'00' WHERE name = 'tasks'",
        "UPDATE value SET data = CAST(replace(data, 'task-7', 'task-X') AS BLOB)",
        "UPDATE value SET stamp = '3' WHERE name = 'tasks'",
        "DELETE FROM value",
    ],
)
def test_damaged_and_outdated_tasks_are_computed_again(idle: Place, damage: str) -> None:
    (index,) = (idle.home / ".cache").rglob("index-*.sqlite3")
    with closing(sqlite3.connect(index)) as database:
        assert database.execute(damage).rowcount
        database.commit()
    expected = _list_from_nothing(idle)
    assert _list(idle.sources()) == (expected, False)
    tasks.store_tasks(idle.sources())
    assert _list(idle.sources()) == (expected, True)


def test_no_secret_is_stored_with_the_tasks(idle: Place) -> None:
    (index,) = (idle.home / ".cache").rglob("index-*.sqlite3")
    assert b"task-7" in index.read_bytes()
    assert SECRET.encode() not in index.read_bytes()
