"""Column-oriented index of events and signals for counts, sums and lists.

A record takes about 60 bytes; its text stays in its file. The rows of each hour are sorted by time.
Totals since a time are cached for the times that were queried, and stored with the index. They are
updated for each row that is added or removed; totals since another time are derived from them by
the rows in between. Sums are exact, so that removing a row restores the total of before.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from cachetools import LRUCache

from loki_web.store import json_text
from loki_web.store.times import UNKNOWN_TIME

USER_PREFERENCE, ERROR_PATTERN = "user_preference", "error_pattern"
SUCCESS_PATTERN, TOOL_EFFICIENCY = "success_pattern", "tool_efficiency"
HOUR = 3_600_000_000
_MAX_TOTALS = 8
_MAX_CELLS = 50_000  # in all totals together
_NEAR = 24 * HOUR  # cached totals within this distance are moved, farther ones are copied
_END = 1 << 62
_RESOLVED = -2
_NAN = float("nan")
_UNIT = 1074  # every finite float is a whole number of 2 ** -_UNIT


class Lesson(NamedTuple):
    """The figures of a record of one of the four learning types, to be aggregated.

    :param subject: the name of the preference, error, pattern or tool.
    :param value: the value of a preference.
    :param resolved: whether an error has a resolution.
    :param success: the success rate, 0 to 1, or None.
    :param duration: seconds for a pattern, milliseconds for a tool.
    """

    subject: str
    value: Any = None
    resolved: bool = False
    success: float | None = None
    duration: float | None = None
    tokens: int = 0


_NO_LESSON = Lesson("")


class Record(NamedTuple):
    """An event or a signal.

    :param time: microseconds since 1970; UNKNOWN_TIME, which sorts first, without a time.
    :param written_type: the type as written in the file.
    :param confidence: 0 to 1, or None.
    """

    time: int
    type: str
    written_type: str
    source: str
    confidence: float | None
    lesson: Lesson | None


class Group(NamedTuple):
    """The names that records share; `subject` is None for records without a lesson."""

    type: str
    written_type: str
    source: str
    subject: str | None


class Selection(NamedTuple):
    """A filter of records; None matches all.

    :param since: microseconds; records without a time always match.
    :param type: a type, or a type as written in events.
    """

    since: int | None = None
    type: str | None = None
    source: str | None = None

    def matches(self, group: Group) -> bool:
        """Return whether the records of a group match, apart from their time."""
        return (self.type is None or self.type in (group.type, group.written_type)) and (
            self.source is None or self.source == group.source
        )


class Place(NamedTuple):
    """The location of a record's text: a signal file, or an offset in the journal.

    :param time: the time of the record, as in `Record`.
    """

    time: int
    file: str | None
    offset: int
    length: int


class Sum:
    """An exact sum of floats, from which they can be removed again."""

    __slots__ = ("_total", "count")

    def __init__(self) -> None:
        self.count = 0
        self._total = 0

    def change(self, number: float, sign: int) -> None:
        """Add a number (sign 1) or remove it (-1)."""
        numerator, denominator = number.as_integer_ratio()
        self._total += (numerator << (_UNIT + 1 - denominator.bit_length())) * sign
        self.count += sign

    def merge(self, other: "Sum") -> None:
        """Add another sum."""
        self._total += other._total
        self.count += other.count

    def dump(self) -> list[Any]:
        """Return the sum as JSON values: the count, and the total without its trailing zeros."""
        zeros = max(0, (self._total & -self._total).bit_length() - 1)
        return [self.count, f"{self._total >> zeros:x}", zeros]

    def load(self, count: int, digits: str, zeros: int) -> None:
        """Restore a sum that `dump` returned."""
        self.count, self._total = count, int(digits, 16) << zeros

    def mean(self) -> float | None:
        """Return what `statistics.fmean` gives for the same numbers, None for no numbers."""
        return self._total / (1 << _UNIT) / self.count if self.count else None


class Cell:
    """The totals of the records of one or more groups.

    :ivar resolved: the number of errors with a resolution.
    :ivar values: the number of occurrences of each preference value, by its number.
    """

    __slots__ = ("confidence", "count", "duration", "resolved", "success", "tokens", "values")

    def __init__(self) -> None:
        self.count = self.resolved = self.tokens = 0
        self.confidence, self.success, self.duration = Sum(), Sum(), Sum()
        self.values: Counter[int] = Counter()

    def merge(self, other: "Cell") -> None:
        """Add the totals of another cell."""
        self.count += other.count
        self.resolved += other.resolved
        self.tokens += other.tokens
        self.confidence.merge(other.confidence)
        self.success.merge(other.success)
        self.duration.merge(other.duration)
        self.values.update(other.values)

    def dump(self) -> list[Any]:
        """Return the totals as JSON values."""
        sums = [each.dump() for each in (self.confidence, self.success, self.duration)]
        tokens = f"{self.tokens:x}"  # may have more than 64 bits
        return [self.count, self.resolved, tokens, sums, [*self.values.items()]]

    def load(self, data: list[Any]) -> None:
        """Restore totals that `dump` returned."""
        self.count, self.resolved, tokens, sums, values = data
        self.tokens = int(tokens, 16)
        for own, stored in zip((self.confidence, self.success, self.duration), sums, strict=True):
            own.load(*stored)
        self.values.update(dict(values))


class _Totals:
    """The totals of the rows since a time, by the number of their group."""

    def __init__(self, since: int) -> None:
        self.since = since
        self.cells: dict[int, Cell] = {}

    @property
    def size(self) -> int:
        """The size in the cache: the number of cells, within its limits."""
        return min(max(len(self.cells), _MAX_CELLS // _MAX_TOTALS), _MAX_CELLS)

    def covers(self, when: int) -> bool:
        return when >= self.since or when == UNKNOWN_TIME

    def copy(self, other: "_Totals") -> None:
        for number, cell in other.cells.items():
            self.cells[number] = Cell()
            self.cells[number].merge(cell)

    def dump(self) -> list[Any]:
        """Return the totals as JSON values."""
        return [self.since, [[number, cell.dump()] for number, cell in self.cells.items()]]

    def load(self, cells: list[Any]) -> None:
        """Restore the cells that `dump` returned."""
        for number, data in cells:
            self.cells[number] = Cell()
            self.cells[number].load(data)


class SignalIndex:
    """The index; each record is a row of the columns. Not thread-safe."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove all records.

        :ivar _offsets: the offset in the journal; for a signal -1 - the number of its file.
        :ivar _figures: the row in the five columns of figures, -1 for none.
        :ivar _values: the number of a preference's value, or _RESOLVED, or -1.
        :ivar _file_list: the name of each file by its number; empty for a number that is free.
        :ivar _file_rows: the row of each file, -1 for a number that is free.
        :ivar _file_stamps: the stamp of each file's version; 0 if that is not settled.
        :ivar _cached: cached totals by their time, the last used one at the end.
        """
        self._times, self._groups = array("q"), array("i")
        self._offsets, self._lengths = array("q"), array("i")
        self._figures = array("i")
        self._confidences, self._successes, self._durations = array("d"), array("d"), array("d")
        self._tokens, self._values = array("q"), array("i")
        self._free_rows: list[int] = []
        self._hours: dict[int, array[int]] = {}
        self._hour_order: list[int] = []
        self._group_numbers: dict[tuple[str, str, str, str | None], int] = {}
        self._group_list: list[Group] = []
        self._value_numbers: dict[str, int] = {}
        self._value_texts: list[str] = []
        self._file_numbers: dict[str, int] = {}
        self._file_list: list[str] = []
        self._file_rows, self._file_stamps = array("i"), array("q")
        self._free_files: list[int] = []
        self._cached: LRUCache[int, _Totals] = LRUCache(
            _MAX_CELLS, getsizeof=lambda totals: totals.size
        )

    def __len__(self) -> int:
        return len(self._times) - len(self._free_rows)

    @property
    def files(self) -> Collection[str]:
        """The names of the signal files."""
        return self._file_numbers.keys()

    def add(self, record: Record, offset: int, length: int) -> int:
        """Add a record of the journal and return its row.

        :param offset: where its line begins in the file.
        :param length: of the line, in bytes.
        """
        when = record[0]
        row = self._add_row(record, offset, length)
        number = when // HOUR
        hour = self._hours.get(number)
        if hour is None:
            hour = self._hours[number] = array("i")
            insort(self._hour_order, number)
        if not hour or self._times[hour[-1]] < when or self._precedes(hour[-1], when, offset):
            hour.append(row)
        else:
            hour.insert(self._find_position(hour, row), row)
        if self._cached:  # iterating over an empty cache would cost more than the rest
            for totals in self._cached.values():
                if totals.covers(when):
                    self._change(totals.cells, row, 1)
        return row

    def remove(self, row: int) -> None:
        """Remove a row that `add` returned."""
        when = self._times[row]
        for totals in self._cached.values():
            if totals.covers(when):
                self._change(totals.cells, row, -1)
        hour = self._hours[when // HOUR]
        hour.pop(self._find_position(hour, row))
        if not hour:
            del self._hours[when // HOUR]
            self._hour_order.remove(when // HOUR)
        self._free_rows.append(row)

    def put_file(self, name: str, record: Record, stamp: int) -> None:
        """Add or replace the record of a signal file.

        :param stamp: of the version of the file; 0 if that may stay the same when it changes.
        """
        self.remove_file(name)
        if self._free_files:
            number = self._free_files.pop()
            self._file_list[number], self._file_stamps[number] = name, stamp
        else:
            number = len(self._file_list)
            self._file_list.append(name)
            self._file_rows.append(-1)
            self._file_stamps.append(stamp)
        self._file_numbers[name] = number
        self._file_rows[number] = self.add(record, -1 - number, 0)

    def remove_file(self, name: str) -> None:
        """Remove the record of a signal file, if there is one."""
        number = self._file_numbers.pop(name, None)
        if number is not None:
            self.remove(self._file_rows[number])
            self._file_list[number], self._file_rows[number] = "", -1
            self._free_files.append(number)

    def compare_files(self, current: Mapping[str, int]) -> set[str]:
        """Return the names of the files that were added, removed or changed since `put_file`.

        The names are kept as the strings of `current`, so that each is in memory once.

        :param current: the stamps of the versions of all files.
        """
        names, stamps = list(current), array("q", current.values())
        if (names, stamps) == (self._file_list, self._file_stamps):
            self._name_files(names)
            return set()
        own = dict(zip(names, names, strict=True)).get
        self._name_files([own(name, name) for name in self._file_list])
        stored = dict(zip(self._file_list, self._file_stamps, strict=True))
        differing = {name for name, _ in stored.items() ^ current.items()}
        differing.discard("")  # of numbers that are free
        return differing

    def _name_files(self, names: list[str]) -> None:
        """Set the names of all files, by their numbers."""
        self._file_list = names
        self._file_numbers = dict(zip(names, range(len(names)), strict=True))
        self._file_numbers.pop("", None)  # of numbers that are free

    def get_totals(self, selection: Selection) -> list[tuple[Group, Cell]]:
        """Return the totals of the selected records by group; must not be changed."""
        cells = self._get_totals_since(
            UNKNOWN_TIME if selection.since is None else selection.since
        ).cells
        pairs = ((self._group_list[number], cell) for number, cell in cells.items())
        return [(group, cell) for group, cell in pairs if selection.matches(group)]

    def get_value_text(self, number: int) -> str:
        """Return the JSON text of a preference's value."""
        return self._value_texts[number]

    def count_by_hour(self, selection: Selection) -> list[tuple[int, int]]:
        """Return the number of selected records of each hour (hours since 1970), oldest first.

        Records without a time and empty hours are left out.
        """
        count = self._make_counter(selection)
        since = UNKNOWN_TIME + 1
        if selection.since is not None:
            since = max(since, selection.since)
        counts = ((hour, count(rows)) for hour, rows in self._iterate_hours_backwards(since))
        return [pair for pair in counts if pair[1]][::-1]

    def find_newest(self, selection: Selection, offset: int, limit: int) -> list[Place]:
        """Return the places of the selected records, newest first, those without a time last.

        :param offset: how many of them to skip.
        :param limit: how many to return at most.
        """
        count = self._make_counter(selection)
        is_selected = self._match_groups(selection)
        page: list[int] = []
        for rows in self._iterate_chunks(selection.since):
            count_here = count(rows)
            if count_here <= offset:
                offset -= count_here
                continue
            matching = [row for row in reversed(rows) if is_selected[self._groups[row]]]
            page += matching[offset : offset + limit - len(page)]
            offset = 0
            if len(page) == limit:
                break
        return [self._make_place(row) for row in page]

    def find_times_around(self, since: int) -> tuple[int | None, int | None]:
        """Return the last known time before `since`, and the first one from it on."""
        before = next(self._iterate_backwards(since), None)
        first = next(self._iterate_between(since, _END), None)
        return (
            None if before is None else self._times[before],
            None if first is None else self._times[first],
        )

    def dump(self) -> tuple[list[Any], list[bytes]]:
        """Return the state: tables, and columns."""
        hours = [(hour, self._hours[hour]) for hour in self._hour_order]
        tables = [
            [list(group) for group in self._group_list],
            self._value_texts,
            [[hour, len(rows)] for hour, rows in hours],
            [*self._file_list],
            [*self._free_rows],
            [*self._free_files],
            [totals.dump() for totals in self._cached.values()],
        ]
        columns = [*self._list_columns(), *(rows for _, rows in hours)]
        return tables, [column.tobytes() for column in columns]

    def load(self, tables: list[Any], columns: "list[memoryview]") -> None:
        """Replace the index by what `dump` returned, except for files without a stamp."""
        self.clear()
        own = self._list_columns()
        for column, data in zip(own, columns, strict=False):
            column.frombytes(data)
        groups, values, hours, names, self._free_rows, self._free_files, cached = tables
        rows_of_hours = (array("i", data.tobytes()) for data in columns[len(own) :])
        self._name_files(names)
        self._group_list = [_intern_group(*group) for group in groups]
        self._group_numbers = {group: number for number, group in enumerate(self._group_list)}
        self._value_texts = values
        self._value_numbers = {text: number for number, text in enumerate(self._value_texts)}
        self._hour_order = [hour for hour, _ in hours]
        self._hours = dict(zip(self._hour_order, rows_of_hours, strict=True))
        for since, cells in cached:
            totals = _Totals(since)
            totals.load(cells)
            self._cached[since] = totals
        if 0 in self._file_stamps:
            for number, stamp in enumerate(self._file_stamps):
                if not stamp:
                    self.remove_file(self._file_list[number])

    def _list_columns(self) -> "list[array[Any]]":
        columns = [self._times, self._groups, self._lengths, self._offsets, self._figures]
        return [*columns, *self._list_figure_columns(), self._file_stamps, self._file_rows]

    def _list_figure_columns(self) -> "list[array[Any]]":
        return [self._confidences, self._successes, self._durations, self._tokens, self._values]

    def _add_row(self, record: Record, offset: int, length: int) -> int:
        when, kind, written_type, source, confidence, lesson = record
        names = kind, written_type, source, lesson[0] if lesson else None
        group = self._group_numbers.get(names, -1)
        if group < 0:
            group = self._group_numbers[names] = len(self._group_list)
            self._group_list.append(Group(*names))
        if self._free_rows:
            row = self._free_rows.pop()
            figures = self._figures[row]
            self._times[row], self._groups[row] = when, group
            self._offsets[row], self._lengths[row] = offset, length
        else:
            row, figures = len(self._times), -1
            self._times.append(when)
            self._groups.append(group)
            self._offsets.append(offset)
            self._lengths.append(length)
            self._figures.append(-1)
        if figures >= 0 or lesson is not None or confidence is not None:
            self._figures[row] = self._put_figures(figures, kind, confidence, lesson)
        return row

    def _put_figures(
        self, place: int, kind: str, confidence: float | None, lesson: Lesson | None
    ) -> int:
        _, value, resolved, success, duration, tokens = lesson or _NO_LESSON
        number = -1
        if kind == USER_PREFERENCE and lesson:
            number = self._number_value(json_text.compact(value))
        elif resolved:
            number = _RESOLVED
        if place < 0:
            place = len(self._tokens)
            self._confidences.append(_NAN if confidence is None else confidence)
            self._successes.append(_NAN if success is None else success)
            self._durations.append(_NAN if duration is None else duration)
            self._tokens.append(tokens)
            self._values.append(number)
        else:
            self._confidences[place] = _NAN if confidence is None else confidence
            self._successes[place] = _NAN if success is None else success
            self._durations[place] = _NAN if duration is None else duration
            self._tokens[place] = tokens
            self._values[place] = number
        return place

    def _number_value(self, text: str) -> int:
        number = self._value_numbers.get(text)
        if number is None:
            number = self._value_numbers[text] = len(self._value_texts)
            self._value_texts.append(text)
        return number

    def _get_file(self, row: int) -> str | None:
        offset = self._offsets[row]
        return self._file_list[-1 - offset] if offset < 0 else None

    def _make_place(self, row: int) -> Place:
        return Place(self._times[row], self._get_file(row), self._offsets[row], self._lengths[row])

    def _find_position(self, hour: "array[int]", row: int) -> int:
        """Return the position of a row in its hour, or where to insert it."""
        time_of = self._times.__getitem__
        when = time_of(row)
        start = bisect_left(hour, when, key=time_of)
        if start == len(hour) or time_of(hour[start]) != when:
            return start
        end = bisect_right(hour, when, lo=start, key=time_of)
        return bisect_left(hour, self._get_order(row), start, end, key=self._get_order)

    def _precedes(self, row: int, when: int, offset: int) -> bool:
        """Return whether a row certainly sorts before a new one."""
        last = self._times[row]
        return last < when or (last == when and 0 <= self._offsets[row] < offset)

    def _get_order(self, row: int) -> tuple[int, str, int]:
        """Return a row's sort key: time, then events by offset before files by name."""
        return self._times[row], self._get_file(row) or "", self._offsets[row]

    def _change(self, cells: dict[int, Cell], row: int, sign: int) -> None:
        """Add a row to totals (sign 1) or remove it (-1)."""
        group = self._groups[row]
        cell = cells.get(group)
        if cell is None:
            cell = cells[group] = Cell()
        cell.count += sign
        if not cell.count:
            del cells[group]
            return
        place = self._figures[row]
        if place < 0:
            return
        confidence, success = self._confidences[place], self._successes[place]
        duration, value = self._durations[place], self._values[place]
        if confidence == confidence:  # not NaN
            cell.confidence.change(confidence, sign)
        if success == success:
            cell.success.change(success, sign)
        if duration == duration:
            cell.duration.change(duration, sign)
        cell.tokens += sign * self._tokens[place]
        if value >= 0:
            cell.values[value] += sign
        elif value == _RESOLVED:
            cell.resolved += sign

    def _get_totals_since(self, since: int) -> _Totals:
        """Return the totals since a time.

        They derive from the cached totals with the fewest rows to add or remove, or from none.
        Cached totals of about that time are moved, others are copied.
        """
        totals, best = _Totals(since), self._estimate_size(since, _END)
        nearest = None
        for cached in self._cached.values():
            size = self._estimate_size(*sorted((since, cached.since)))
            if size < best or cached.since == since:
                nearest, best = cached, size
        if nearest is None:
            rows, sign = self._iterate_since(since), 1
        else:
            rows = self._iterate_between(*sorted((since, nearest.since)))
            sign = 1 if since < nearest.since else -1
            if abs(nearest.since - since) <= _NEAR:
                del self._cached[nearest.since]
                totals.cells = nearest.cells
            else:
                totals.copy(nearest)
        for row in rows:
            self._change(totals.cells, row, sign)
        self._cached[since] = totals
        return totals

    def _estimate_size(self, since: int, until: int) -> int:
        """Estimate the number of rows between two times, as that of all hours touched."""
        start = bisect_left(self._hour_order, since // HOUR)
        end = bisect_right(self._hour_order, until // HOUR)
        return sum(len(self._hours[hour]) for hour in self._hour_order[start:end])

    def _match_groups(self, selection: Selection) -> bytes:
        """Return for each group, by number, whether the selection matches it."""
        return bytes(map(selection.matches, self._group_list))

    def _make_counter(self, selection: Selection) -> "Callable[[array[int]], int]":
        """Return a function that counts the selected rows among some."""
        if selection.type is None and selection.source is None:
            return len
        is_wanted, group = self._match_groups(selection).__getitem__, self._groups.__getitem__
        return lambda rows: sum(map(is_wanted, map(group, rows)))

    def _list_unknown_time(self) -> "array[int]":
        rows = self._hours.get(UNKNOWN_TIME // HOUR, array("i"))
        return rows[: bisect_right(rows, UNKNOWN_TIME, key=self._times.__getitem__)]

    def _iterate_hours_backwards(self, since: int) -> "Iterator[tuple[int, array[int]]]":
        """Yield the hours with their rows since a time, newest first."""
        first = since // HOUR
        for hour in reversed(self._hour_order):
            rows = self._hours[hour]
            if hour > first:
                yield hour, rows
                continue
            if hour == first:
                yield hour, rows[bisect_left(rows, since, key=self._times.__getitem__) :]
            return

    def _iterate_chunks(self, since: int | None) -> "Iterator[array[int]]":
        """Yield the rows since a time in chunks, and those without a time last."""
        first_known = UNKNOWN_TIME + 1
        for _, rows in self._iterate_hours_backwards(
            first_known if since is None else max(first_known, since)
        ):
            yield rows
        yield self._list_unknown_time()

    def _iterate_since(self, since: int) -> Iterator[int]:
        return chain.from_iterable(self._iterate_chunks(since))

    def _iterate_between(self, since: int, until: int) -> Iterator[int]:
        """Yield the rows with a time from `since` to before `until`, oldest first."""
        since = max(since, UNKNOWN_TIME + 1)
        start = bisect_left(self._hour_order, since // HOUR)
        for hour in self._hour_order[start:]:
            rows = self._hours[hour]
            if hour * HOUR >= until:
                return
            if hour * HOUR < since:
                rows = rows[bisect_left(rows, since, key=self._times.__getitem__) :]
            if (hour + 1) * HOUR > until:
                rows = rows[: bisect_left(rows, until, key=self._times.__getitem__)]
            yield from rows

    def _iterate_backwards(self, until: int) -> Iterator[int]:
        """Yield the rows with a time before `until`, newest first."""
        for hour in reversed(self._hour_order[: bisect_right(self._hour_order, until // HOUR)]):
            rows = self._hours[hour]
            for row in reversed(rows[: bisect_left(rows, until, key=self._times.__getitem__)]):
                if self._times[row] != UNKNOWN_TIME:
                    yield row


def _intern_group(kind: str, written_type: str, source: str, subject: str | None) -> Group:
    names = sys.intern(kind), sys.intern(written_type), sys.intern(source)
    return Group(*names, None if subject is None else sys.intern(subject))
