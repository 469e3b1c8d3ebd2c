"""What a start costs in files: what is stored is not read again, and what is absent costs nothing.

The counts are those of one more file or project, so they hold on every machine.
"""

import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.counts import Counts, counted
from loki_web.services import tasks
from loki_web.services.session.liveness import get_liveness
from loki_web.store import files
from loki_web.store.collection import BULK, Collection
from loki_web.store.inputs import DocumentInput, PathInput, Root
from loki_web.store.look import recording
from loki_web.store.sqlite import IndexFile
from loki_web.store.value_store import ValueStore
from tests.support import places
from tests.support.places import Place
from tests.support.waiting import wait_until


def start(folder: Path, cache: Path) -> Collection:
    """Return the collection of a folder as a new process has it."""
    value_store = ValueStore(IndexFile(lambda: cache))
    return Collection(Root(folder.parent), folder.name, digest=digest, value_store=value_store)


def digest(content: Any) -> Any:
    return content["n"]


def count_restart(folder: Path, cache: Path, count: int) -> Counts:
    """Return what a second start on a folder of so many files does."""
    for n in range(count):
        places.write(folder / f"{n:04}.json", {"n": n})
    latest = max(file.stat().st_ctime_ns for file in folder.iterdir())
    wait_until(lambda: files.is_settled_at(latest, time.time_ns()), "the files to be settled")
    assert len(start(folder, cache).items()) == count
    again = start(folder, cache)
    counts = counted(again.examine)
    assert dict(again.items()) == {f"{n:04}.json": n for n in range(count)}
    return counts


def test_a_restart_examines_each_stored_file_once_and_opens_none(tmp_path: Path) -> None:
    few, many = (
        count_restart(tmp_path / f"{n}" / "things", tmp_path / f"{n}.sqlite3", n)
        for n in (BULK, 3 * BULK)
    )
    assert many.stats - few.stats == 2 * BULK
    assert (many.opens, many.lists) == (few.opens, few.lists)


def test_a_queue_without_a_file_is_not_examined(place: Place) -> None:
    place.write("queue/pending.json", [{"id": "one", "title": "First"}])
    sources = place.sources()
    with recording() as recorded:
        assert [task["id"] for task in tasks.list_tasks(sources)] == ["one"]
    paths = {each.relative for each, _ in recorded.inputs if isinstance(each, DocumentInput)}
    assert paths == {"queue/pending.json", "dashboard-state.json"}
    place.write("queue/failed.json", [{"id": "two"}])
    assert [task["id"] for task in tasks.list_tasks(sources)] == ["one", "two"]


def test_a_project_without_a_session_costs_one_look_at_its_names(place: Place) -> None:
    place.write("queue/pending.json", [{"id": "one", "title": "First"}])
    sources = place.sources()
    with recording() as recorded:
        assert not get_liveness(sources).alive
    assert [each.relative for each, _ in recorded.inputs if isinstance(each, PathInput)] == [""]
    place.write("session.json", {"status": "running"})
    assert get_liveness(sources).alive


def test_the_depth_of_a_root_does_not_matter_for_the_paths_below_it(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*("folder",) * 12)
    places.write(deep / "a" / "b.json", {})
    places.write(tmp_path / "a" / "b.json", {})
    shallow, nested = (
        counted(partial(files.resolve_below, str(base), "a/b.json")) for base in (tmp_path, deep)
    )
    assert nested == shallow
    assert nested.stats == 2
