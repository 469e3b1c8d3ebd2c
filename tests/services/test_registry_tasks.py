"""The tasks of many projects after a restart: stored, unless a file of the project has changed."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from loki_web.services.context import Sources
from loki_web.services.registry import tasks
from loki_web.services.registry.tasks import ProjectTaskDict
from loki_web.store.derived import MAX_VALUES
from loki_web.store.look import recording
from loki_web.store.snapshot import SnapshotInput
from tests.support.places import Place, write
from tests.support.registered import add_project, file
from tests.support.stored_tasks import (
    CHANGES,
    EDITED,
    OLD,
    SECRET,
    STATUS,
    edited,
    get_index,
    let_age,
)
from tests.support.waiting import wait_until_settled
from tests.support.work import tracing_memory

COUNT = 20


@pytest.fixture
def many(place: Place) -> Place:
    """Register projects, and list their tasks once in another run of the server."""
    for number in range(COUNT):
        other = add_project(place, f"project-{number}")
        other.write("queue/pending.json", [{"id": EDITED, "title": f"{number} of {SECRET}"}])
    let_age(place)
    _list(place.sources())
    return place


def _list(sources: Sources) -> tuple[list[ProjectTaskDict], int]:
    """Return the tasks, and the number of projects whose tasks come from the derived index."""
    with recording() as recorded:
        listed = tasks.list_tasks(sources, None)
    return listed, sum(isinstance(source, SnapshotInput) for source, _ in recorded.inputs)


def _list_from_nothing(place: Place) -> list[ProjectTaskDict]:
    return _list(place.sources(LOKI_CACHE_DIR=str(place.home / "another-cache")))[0]


def _list_others(place: Place) -> list[Path]:
    return [place.loki.parent.parent / f"project-{number}/.loki" for number in range(COUNT)]


def _in_another_store(loki: Path) -> None:
    write(loki / "state/tasks.json", [STATUS])


@pytest.mark.parametrize("change", [*CHANGES, _in_another_store])
def test_a_restart_reads_the_tasks_of_the_projects_that_have_changed(
    many: Place, change: Callable[[Path], None]
) -> None:
    restarted = many.sources()
    assert _list(restarted) == (_list_from_nothing(many), COUNT)
    change(_list_others(many)[7])
    changed = _list_from_nothing(many)
    for sources in (restarted, many.sources()):
        assert _list(sources) == (changed, COUNT - 1)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE value SET data = x'00' WHERE name LIKE 'tasks of other%'",
        "UPDATE value SET stamp = '0' WHERE name LIKE 'tasks of other%'",
        "DELETE FROM value",
    ],
)
def test_damaged_and_outdated_tasks_are_computed_and_stored_again(many: Place, damage: str) -> None:
    with closing(sqlite3.connect(get_index(many))) as database:
        database.execute(damage)
        database.commit()
    expected = _list_from_nothing(many)
    assert _list(many.sources()) == (expected, 0)
    assert _list(many.sources()) == (expected, COUNT)


def test_tasks_of_a_project_that_is_registered_no_more_are_not_listed(many: Place) -> None:
    many.write_home("dashboard/projects.json", file(many).read_text().replace("-7", "-77"))
    listed, stored = _list(many.sources())
    assert stored == COUNT - 1
    assert not any(task["_project_path"].endswith("-7") for task in listed)


def test_a_list_of_some_projects_leaves_the_stored_tasks_of_the_others(many: Place) -> None:
    sources, roots = many.sources(), [other.parent for other in _list_others(many)]
    _list(sources)
    for root in roots[: COUNT - 2]:
        edited(root / ".loki")
    wait_until_settled(many.home)
    seen = sources.limited_to(frozenset(map(str, roots[: COUNT - 2])))
    assert len(_list(seen)[0]) == COUNT - 2
    assert _list(many.sources())[1] == 2


def test_the_tasks_below_a_name_that_is_no_text_are_listed(many: Place) -> None:
    for loki in _list_others(many):
        edited(loki)
    loki = _list_others(many)[7]
    loki.rename(loki.parent / "\udcff")
    loki.symlink_to("\udcff")
    wait_until_settled(many.home)
    assert len(_list(many.sources())[0]) == COUNT
    assert _list(many.sources())[1] == COUNT - 1


def test_stored_tasks_are_not_kept_beside_those_that_were_listed(many: Place) -> None:
    text = "word " * 10_000
    for loki in _list_others(many):
        write(loki / "queue/pending.json", [{"id": "a", "description": text}])
        os.utime(loki / "queue/pending.json", (OLD, OLD))
    wait_until_settled(many.home)
    sources = many.sources()
    _list(sources)
    for number in range(MAX_VALUES):  # of others, so that the stored tasks are loaded again
        sources.values.get(number, lambda _: None)
    with tracing_memory() as memory:
        _list(sources)
    assert memory.kept < COUNT * len(text) / 4


def test_secrets_are_not_stored(many: Place) -> None:
    assert b"7 of " in get_index(many).read_bytes()
    assert SECRET.encode() not in get_index(many).read_bytes()


def test_the_tasks_of_few_projects_are_not_stored(place: Place) -> None:
    add_project(place, "alone")
    _list(place.sources())
    assert not list(place.home.rglob("index-*.sqlite3"))
