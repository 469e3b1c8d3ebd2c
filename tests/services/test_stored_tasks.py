"""The tasks of the server's project after a restart: stored, unless a file of them has changed."""

import sqlite3
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
from tests.support.places import Place
from tests.support.stored_tasks import CHANGES, SECRET, edited, get_index, let_age
from tests.support.waiting import wait_until_settled


@pytest.fixture
def idle(place: Place) -> Place:
    """Store the tasks of a session that writes no more, in another run of the server."""
    entries = [{"id": f"task-{number}", "title": f"{number} {SECRET}"} for number in range(BULK)]
    place.write("queue/pending.json", entries[:-1])
    place.write("queue/completed.json", entries[-1:])
    place.write("dashboard-state.json", {"tasks": {"pending": entries}})
    let_age(place)
    tasks.store_tasks(place.sources())
    return place


def _list(sources: Sources) -> tuple[list[TaskDict], bool]:
    """Return the tasks, and whether they come from the derived index."""
    with recording() as recorded:
        listed = tasks.list_tasks(sources)
    return listed, any(isinstance(source, SnapshotInput) for source, _ in recorded.inputs)


def _list_from_nothing(place: Place) -> list[TaskDict]:
    return _list(place.sources(LOKI_CACHE_DIR=str(place.home / "another-cache")))[0]


def _newer_than_the_state_file(loki: Path) -> None:
    (loki / "dashboard-state.json").unlink()


def _linked(loki: Path) -> None:
    (loki / "queue").rename(loki / "queues")
    (loki / "queue").symlink_to("queues")


@pytest.mark.parametrize("change", [*CHANGES, _newer_than_the_state_file, _linked])
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
    edited(idle.loki)
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
    with closing(sqlite3.connect(get_index(idle))) as database:
        assert database.execute(damage).rowcount
        database.commit()
    expected = _list_from_nothing(idle)
    assert _list(idle.sources()) == (expected, False)
    tasks.store_tasks(idle.sources())
    assert _list(idle.sources()) == (expected, True)


def test_no_secret_is_stored_with_the_tasks(idle: Place) -> None:
    stored = get_index(idle).read_bytes()
    assert b"task-7" in stored
    assert SECRET.encode() not in stored
