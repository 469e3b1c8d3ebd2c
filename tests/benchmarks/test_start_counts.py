"""What a start costs in files: what is stored is not read again, and what is absent costs nothing.

The counts are those of one more file or project, so they hold on every machine.
"""

from functools import partial
from pathlib import Path
from typing import Any

import orjson

from benchmarks.counts import Counts, counted
from loki_web.services import tasks
from loki_web.services.learning import queries
from loki_web.services.memory import overview
from loki_web.services.session.liveness import get_liveness
from loki_web.store import files
from loki_web.store.collection import BULK, Collection
from loki_web.store.inputs import DocumentInput, PathInput, Root
from loki_web.store.look import recording
from loki_web.store.search_index import Contents, Row, SearchIndex
from loki_web.store.sqlite import IndexFile
from loki_web.store.value_store import ValueStore
from tests.support import places
from tests.support.places import Place
from tests.support.waiting import wait_until_settled


def start(folder: Path, cache: Path) -> Collection:
    """Return the collection of a folder as a new process has it."""
    value_store = ValueStore(IndexFile(lambda: cache))
    return Collection(Root(folder.parent), folder.name, digest=digest, value_store=value_store)


def digest(content: Any) -> Any:
    return content["n"]


def write_files(folder: Path, count: int) -> None:
    """Write so many files, and wait until their versions change with each change of theirs."""
    for n in range(count):
        places.write(folder / f"{n:04}.json", {"n": n})
    wait_until_settled(folder)


def count_starts(folder: Path, cache: Path, count: int) -> tuple[Counts, Counts]:
    """Return what the first and the second start on a folder of so many files do."""
    write_files(folder, count)
    first, again = start(folder, cache), start(folder, cache)
    counts = counted(first.examine), counted(again.examine)
    for each in (first, again):
        assert dict(each.items()) == {f"{n:04}.json": n for n in range(count)}
    return counts


def test_a_start_examines_each_file_once_and_a_restart_opens_none(tmp_path: Path) -> None:
    _, few, many = (  # the first time of a process costs more
        count_starts(tmp_path / f"{n}" / "things", tmp_path / f"{n}.sqlite3", n)
        for n in (BULK + 1, BULK, 3 * BULK)
    )
    assert many[0].stats - few[0].stats == many[0].opens - few[0].opens == 2 * BULK
    assert many[1].stats - few[1].stats == 2 * BULK
    assert (many[1].opens, many[1].lists) == (few[1].opens, few[1].lists)


def test_a_start_loads_a_value_without_reading_the_rest_of_the_index(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite3"
    values, search = open_index(path)
    values.store("name", "1", b"value")
    rows = [Row("note", str(n), "title", "", f"{n} {'text ' * 2_000}") for n in range(100)]
    files = Contents("", lambda: {"a": "1"}, {"a": "1"}.get, lambda _: (), lambda _: ("1", rows))
    assert search.search(files, ["title"], 10).complete
    size = path.stat().st_size
    values, search = open_index(path)
    assert counted(partial(values.load, "name", "1")).read < 100_000 < size
    assert counted(partial(search.search, files, ["title"], 10)).read > size  # checks the whole
    assert counted(partial(search.search, files, ["title"], 10)).read < size
    assert values.load("name", "1") == b"value"


def open_index(path: Path) -> tuple[ValueStore, SearchIndex]:
    index = IndexFile(lambda: path)
    return ValueStore(index), SearchIndex(index)


def count_restart(place: Place, count: int) -> int:
    """Return how many functions a second process calls to add up the records of signal files."""
    signal: dict[str, Any] = {"timestamp": "2026-03-04T11:00:00Z", "type": "tool_efficiency"}
    signal |= {"source": "cli", "tool_name": "Bash", "success": True, "confidence": 0.7}
    for n in range(count):
        name = f"learning/signals/{n:04}.json"
        place.write(name, {**signal, "execution_time_ms": n / 7})
    place.write("events.jsonl", b"\n")
    wait_until_settled(place.loki)
    totals: list[Any] = []
    for _ in range(2):
        sources = place.sources(LOKI_CACHE_DIR=str(place.home / f"cache-{count}"))
        query = partial(queries.get_metrics, sources, "9999d", None, None)
        calls = counted(lambda: totals.append(query())).calls  # noqa: B023  # called at once
    assert totals[0] == totals[1]
    assert totals[0]["totalSignals"] == count
    return calls


def test_a_restart_does_not_add_up_the_records_again(place: Place) -> None:
    _, few, many = (count_restart(place, n) for n in (BULK + 1, BULK + 2, 3 * BULK + 2))
    assert (many - few) / (2 * BULK) < 10  # the calls of examining a file; four more add it up


def test_the_summary_of_the_memory_formats_no_pattern(place: Place) -> None:
    calls = []
    for count in (1, 101):
        patterns = [{"id": f"p-{n}", "pattern": "Do", "conditions": ["x"]} for n in range(count)]
        place.write("memory/semantic/patterns.json", patterns)
        summarize = partial(overview.get_summary, place.sources())
        calls.append(counted(summarize).calls)
    assert (calls[1] - calls[0]) / 100 < 40  # formatting one takes twice as many


def count_calls(place: Place, lines: list[bytes]) -> int:
    """Return how many functions a new process calls to index these events."""
    place.write("events.jsonl", b"".join(lines))
    sources = place.sources(LOKI_CACHE_DIR=str(place.home / f"cache-{len(lines)}"))
    return counted(partial(queries.get_trends, sources, "1h", None, None)).calls


def test_an_event_is_indexed_with_few_calls(place: Place) -> None:
    use = {"signal_type": "tool_usage", "tool_name": "Bash", "duration_ms": 5, "success": True}
    error = {"signal_type": "error", "error_type": "TimeoutError", "source": "cli"}
    for most, data in ((12, {"iteration": 1}), (16, error), (22, use)):
        event = {"timestamp": "2026-03-04T11:00:00Z", "type": "learning_signal", "data": data}
        line = orjson.dumps(event) + b"\n"
        _, few, many = (count_calls(place, [line] * count) for count in (5, 10, 510))
        assert (many - few) / 500 <= most, data


def test_a_queue_without_a_file_is_not_examined(place: Place) -> None:
    place.write("queue/pending.json", [{"id": "one", "title": "First"}])
    sources = place.sources()
    with recording() as recorded:
        assert [task["id"] for task in tasks.list_tasks(sources)] == ["one"]
    inputs = (part for each, _ in recorded.inputs for part in getattr(each, "files", (each,)))
    paths = {each.relative for each in inputs if isinstance(each, DocumentInput)}
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


def test_the_depth_of_a_root_does_not_matter_for_watching_one_beside_it(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*("folder",) * 12)
    (deep / "a").mkdir(parents=True)
    (deep / "b").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    calls = []
    for base in (tmp_path, tmp_path, deep):  # the first time of a process costs more
        first, second = Root(base / "a"), Root(base / "b")
        assert first.examine()
        calls.append(counted(second.examine).calls)
        assert first.is_notified
        assert second.is_notified
    assert calls[2] - calls[1] < 12  # less than one for each folder
