"""The index of events and signals after random changes equals one that is built anew."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import fmean
from typing import Any

import orjson
import pytest

from loki_web.services import events
from loki_web.services.context import Sources, open_sources
from loki_web.services.learning import aggregation, queries
from loki_web.services.learning.signal_index import (
    HOUR,
    Lesson,
    Record,
    Selection,
    SignalIndex,
    Sum,
)
from loki_web.services.session import state
from loki_web.store.times import UNKNOWN_TIME
from tests.support import places
from tests.support.children import backdate
from tests.support.places import Place

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = ("user_preference", "error_pattern", "success_pattern", "tool_efficiency", "other")
FILTERS = ((None, None), ("error_pattern", None), (None, "cli"), ("learning_signal", "mcp"))


def record(chance: random.Random, now: datetime) -> dict[str, Any]:
    """Any event or signal, of any of the last 90 days, often of the last hours."""
    ago = timedelta(minutes=chance.choice((1, 5, 59, 60, 61, 24 * 60, 7 * 24 * 60, 90 * 24 * 60)))
    times = ((now - ago).isoformat(), (now - ago).strftime("%Y-%m-%dT%H:%M:%SZ"), "unknown")
    fields: dict[str, Any] = {
        "timestamp": chance.choice(times),
        "type": chance.choice((*KINDS, "learning_signal", "session_start", "iteration_start")),
    }
    data = {
        "iteration": chance.randint(1, 50),
        "signal_type": chance.choice(("preference", "error", "success", "tool_usage", "x")),
        "source": chance.choice(("cli", "mcp", 5)),
        "confidence": chance.choice((None, chance.random(), 1)),
        "preference_key": chance.choice("ab"),
        "preference_value": chance.choice(("x", {"y": [1]}, None)),
        "error_type": chance.choice("ab"),
        "resolution": chance.choice(("", "restart")),
        "duration_ms": chance.choice((chance.random() * 1e4, 7, "fast")),
        "success": chance.choice((True, False, None)),
        "tokens_used": chance.randint(0, 9),
    }
    return {**fields, "data": data} if chance.random() < 0.7 else {**data, **fields}


class Changes:
    """What may happen to the files of a session."""

    def __init__(self, place: Place, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = NOW
        self._place = place
        self._path = place.write("events.jsonl", b"")
        self._signals = place.loki / "learning/signals"

    def happen(self) -> None:
        self.chance.choice(
            (
                *(self.append, self.append, self.append_part, self.truncate, self.replace),
                *(self.edit, self.remove, self.signal, self.signal, self.remove_signal, self.wait),
            )
        )()

    def append(self) -> None:
        with self._path.open("ab") as stream:
            stream.writelines(self._line() for _ in range(self.chance.randint(1, 20)))

    def append_part(self) -> None:
        line = self._line()
        with self._path.open("ab") as stream:
            stream.write(line[: self.chance.choice((5, len(line) // 2, len(line) - 1))])

    def truncate(self) -> None:
        data = self._data()
        self._place.write("events.jsonl", data[: self.chance.randint(0, len(data))])

    def replace(self) -> None:
        lines = self._data().splitlines(keepends=True)
        self.chance.shuffle(lines)
        self._place.write("next", b"".join(lines)).replace(self._path)

    def edit(self) -> None:
        """Another line in place of one, padded to its length or not, and maybe one more."""
        lines = self._data().splitlines(keepends=True)
        if lines:
            number = self.chance.randrange(len(lines))
            lines[number] = self._line().rstrip().ljust(len(lines[number]) - 1) + b"\n"
            self._place.write("events.jsonl", b"".join(lines))
        if self.chance.random() < 0.5:
            self.append()

    def signal(self) -> None:
        content = record(self.chance, self.now)
        name = f"learning/signals/{self.chance.randrange(20)}.json"
        if self.chance.random() < 0.8:
            self._place.write(name, content)
        else:  # damaged for so long that nothing older stands in for it
            backdate(self._place.write(name, "{"), 60)

    def remove_signal(self) -> None:
        for path in sorted(self._signals.glob("*.json"))[:2]:
            path.unlink()

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def wait(self) -> None:
        """Time goes on by little or much, now and then back."""
        self.now += timedelta(seconds=self.chance.choice((1, 60, 4000, 10**6, -3601)))

    def _data(self) -> bytes:
        return self._path.read_bytes() if self._path.exists() else b""

    def _line(self) -> bytes:
        return json.dumps(record(self.chance, self.now)).encode() + b"\n"


QUESTIONS: dict[str, Callable[[Sources], Any]] = {
    "aggregation": aggregation.get_latest,
    "lines": events.count_lines,
    "iteration": state.get_iteration,
    "started": state.get_started_at,
    "errors": lambda src: queries.list_errors(src, 5),
}
for period in ("1h", "61m", "7d", "9999d"):
    for kind, source in FILTERS:
        which: dict[str, Any] = {"time_range": period, "signal_type": kind, "source": source}
        QUESTIONS |= {
            f"metrics {which}": partial(queries.get_metrics, **which),
            f"trends {which}": partial(queries.get_trends, **which),
            f"all {which}": partial(queries.list_records, **which, limit=1000, offset=0),
            f"page {which}": partial(queries.list_records, **which, limit=3, offset=2),
        }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_an_updated_index_equals_a_new_one(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    place = places.empty(tmp_path_factory.mktemp("index"))
    changes = Changes(place, seed)

    def sources() -> Sources:
        return open_sources(place.settings(), 0.0, lambda: changes.now)

    kept = sources()
    names = sorted(QUESTIONS)
    for number in range(40):
        changes.happen()
        anew = sources()
        # Some after each change, so that answers take several changes at once, and all at last.
        for name in names if number == 39 else changes.chance.sample(names, 20):
            assert answer(kept, name) == QUESTIONS[name](anew), name


def answer(src: Sources, name: str) -> Any:
    """The answer to a question, kept as those of the API are."""
    return src.values.get(name, lambda _: QUESTIONS[name](src))


def test_a_value_is_not_computed_again_before_a_record_leaves_its_period(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = places.empty(tmp_path_factory.mktemp("index"))
    times = [(NOW - timedelta(minutes=ago)).isoformat() for ago in (50, 10)]
    lines = [json.dumps({"type": "x", "timestamp": time}) + "\n" for time in times]
    place.write("events.jsonl", "".join(lines))
    now = NOW
    src = open_sources(place.settings(), 0.0, lambda: now)
    computed = []

    def total(_: Any) -> int:
        found: int = queries.get_metrics(src, "1h", None, None)["totalSignals"]
        computed.append(found)
        return found

    seen = []
    for minutes in (0, 5, 10, 10.1, 11, 49, 50, 71, 5):
        now = NOW + timedelta(minutes=minutes)
        seen.append(src.values.get("total", total))
    assert seen == [2, 2, 2, 1, 1, 1, 1, 0, 2]
    assert computed == [2, 1, 0, 2]


def test_sums_are_exact_and_leave_no_trace() -> None:
    chance = random.Random(3)
    numbers = [chance.choice((chance.random(), 5e-324, 1e15 * chance.random())) for _ in range(500)]
    total = Sum()
    for number in numbers:
        total.change(number, 1)
    assert total.mean() == fmean(numbers)
    for number in numbers[7:]:
        total.change(number, -1)
    assert total.mean() == fmean(numbers[:7])
    for number in numbers[:7]:
        total.change(number, -1)
    assert total.mean() is None


def test_an_index_is_restored_as_it_was() -> None:
    chance = random.Random(5)
    index = SignalIndex()
    for number in range(500):
        when = chance.choice((UNKNOWN_TIME, chance.randrange(90 * HOUR)))
        kind = chance.choice(KINDS)
        lesson = Lesson(chance.choice("ab"), value="é", success=0.5, duration=number / 3, tokens=2)
        taught = None if kind == "other" else lesson._replace(resolved=kind == "error_pattern")
        confidence = chance.choice((None, chance.random()))
        index.add(Record(when, kind, kind, "cli", confidence, taught), number * 10, 9)
    for name, stamp in (
        ("gone", 4),
        ("unsettled", 0),
        ("kept", -5),
        ("changed", 6),
        ("removed", 7),
    ):
        index.put_file(name, Record(HOUR, "other", name, "file", 1.0, None), stamp)
    index.remove_file("gone")
    stored = Selection(89 * HOUR + 7)
    index.get_totals(stored)
    tables, columns = index.dump()
    restored = SignalIndex()
    restored.load(tables, [memoryview(column) for column in columns])
    index.remove_file("unsettled")
    assert len(restored) == len(index) == 503
    current = {"kept": -5, "changed": 8, "new": 9}
    assert restored.compare_files(current) == {"changed", "removed", "new"}
    for each in (index, restored):
        each.remove_file("changed")
        each.put_file("new", Record(HOUR, "other", "other", "file", None, None), 9)
    for since in (stored.since, None, 0, 5 * HOUR + 1, 89 * HOUR):
        selection = Selection(since)
        assert places_in(restored, selection) == places_in(index, selection)
        assert restored.count_by_hour(selection) == index.count_by_hour(selection)
        assert figures(restored, selection) == figures(index, selection)


@pytest.mark.parametrize("order", [1, -1])
def test_the_names_of_signal_files_are_kept_once_after_a_restart(order: int) -> None:
    index = SignalIndex()
    for name in ("one.json", "three.json", "two.json"):
        index.put_file(name, Record(HOUR, "other", name, "file", None, None), len(name))
    tables, columns = index.dump()
    restored = SignalIndex()
    restored.load(orjson.loads(orjson.dumps(tables)), [memoryview(column) for column in columns])
    current = {name.lower(): len(name) for name in ("ONE.json", "THREE.json", "TWO.json")[::order]}
    assert restored.compare_files(current) == set()
    restored.remove_file("three.json")
    kept = {id(name) for name in current if name != "three.json"}
    assert {id(name) for name in restored.files} == kept
    found = restored.find_newest(Selection(), 0, 10)
    assert [place.file for place in found] == ["two.json", "one.json"]
    assert {id(place.file) for place in found} == kept


def places_in(index: SignalIndex, selection: Selection) -> list[tuple[Any, ...]]:
    """Return the places of all records; the offset of a file's record is a number of its own."""
    return [
        (place.time, place.file or place.offset, place.length)
        for place in index.find_newest(selection, 0, 1000)
    ]


def figures(index: SignalIndex, selection: Selection) -> Any:
    totals = index.get_totals(selection)
    return aggregation.summarize_totals(index, totals), sorted(
        (*group[:3], c.count) for group, c in totals
    )
