"""Events and signals as columns of numbers: what is counted, summed and listed of them.

A record costs about 60 bytes, its text stays in its file. The rows of each hour stand in the order
of time. What the rows since a moment add up to is kept for the moments that are asked for; it
follows each row that comes or goes, and moves on with the moment by the rows in between. Sums are
exact, so that taking a row out again leaves no trace.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right, insort
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator
from itertools import chain, count
from typing import Any, NamedTuple

from loki_web.store import json_text
from loki_web.store.times import UNKNOWN, microseconds

USER_PREFERENCE, ERROR_PATTERN = "user_preference", "error_pattern"
SUCCESS_PATTERN, TOOL_EFFICIENCY = "success_pattern", "tool_efficiency"
UNKNOWN_TIME = microseconds(UNKNOWN)
HOUR = 3_600_000_000
_MAX_TOTALS = 8
_MAX_CELLS = 50_000  # in all totals together
_NEAR = 24 * HOUR  # totals are moved so far, farther ones are copied
_END = 1 << 62
_RESOLVED = -2
_NAN = float("nan")
_UNIT = 1074  # every finite float is a whole number of 2 ** -_UNIT


class Lesson(NamedTuple):
    """What a record of one of the four learning types says, to be put together with others.

    :param subject: the preference, error, pattern or tool that it is about.
    :param value: of a preference.
    :param success: how far it went well, 0 to 1; None where that is not told.
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

    :param time: microseconds since 1970; UNKNOWN_TIME, which is before all others, for none.
    :param written_type: the type as it stands in the file.
    :param confidence: 0 to 1, or None.
    """

    time: int
    type: str
    written_type: str
    source: str
    confidence: float | None
    lesson: Lesson | None


class Group(NamedTuple):
    """What many records have in common; `subject` is None for those that teach nothing."""

    type: str
    written_type: str
    source: str
    subject: str | None


class Selection(NamedTuple):
    """Which records are wanted; None wants all.

    :param since: microseconds; records of unknown time are wanted whatever it is.
    :param type: a type, or a type as events write it.
    """

    since: int | None = None
    type: str | None = None
    source: str | None = None

    def wants(self, group: Group) -> bool:
        return (self.type is None or self.type in (group.type, group.written_type)) and (
            self.source is None or self.source == group.source
        )


class Place(NamedTuple):
    """Where the text of a record is: in a signal's file, or at an offset of the journal.

    :param time: of the record, as in `Record`.
    """

    time: int
    file: str | None
    offset: int
    length: int


class Sum:
    """An exact sum of floats, out of which they can be taken again."""

    __slots__ = ("_total", "count")

    def __init__(self) -> None:
        self.count = 0
        self._total = 0

    def change(self, number: float, sign: int) -> None:
        numerator, denominator = number.as_integer_ratio()
        self._total += (numerator << (_UNIT + 1 - denominator.bit_length())) * sign
        self.count += sign

    def merge(self, other: "Sum") -> None:
        self._total += other._total
        self.count += other.count

    def mean(self) -> float | None:
        """Return what `statistics.fmean` gives for the same numbers, None for no numbers."""
        return self._total / (1 << _UNIT) / self.count if self.count else None


class Cell:
    """What the records of one group, or of several, add up to.

    :ivar resolved: how many errors have a resolution.
    :ivar values: how often each value of a preference occurs, by its number.
    """

    __slots__ = ("confidence", "count", "duration", "resolved", "success", "tokens", "values")

    def __init__(self) -> None:
        self.count = self.resolved = self.tokens = 0
        self.confidence, self.success, self.duration = Sum(), Sum(), Sum()
        self.values: Counter[int] = Counter()

    def merge(self, other: "Cell") -> None:
        self.count += other.count
        self.resolved += other.resolved
        self.tokens += other.tokens
        self.confidence.merge(other.confidence)
        self.success.merge(other.success)
        self.duration.merge(other.duration)
        self.values.update(other.values)


class _Totals:
    """What the rows since a moment add up to, by the number of their group."""

    def __init__(self, since: int) -> None:
        self.since = since
        self.cells: dict[int, Cell] = {}

    def covers(self, when: int) -> bool:
        return when >= self.since or when == UNKNOWN_TIME

    def copy(self, other: "_Totals") -> None:
        for number, cell in other.cells.items():
            self.cells[number] = Cell()
            self.cells[number].merge(cell)


class SignalIndex:
    """The records, each a row of the columns; to be used by one thread at a time."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """
        :ivar _offsets: in the journal; for a signal -1 less the number of its file.
        :ivar _figures: the row in the four columns that follow, -1 for none.
        :ivar _values: the number of a preference's value, or _RESOLVED, or -1.
        :ivar _kept: by their moment, used last at the end.
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
        self._file_rows: dict[str, int] = {}
        self._file_list: list[str] = []
        self._free_files: list[int] = []
        self._kept: OrderedDict[int, _Totals] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times) - len(self._free_rows)

    @property
    def files(self) -> Collection[str]:
        """The names of the signal files."""
        return self._file_rows.keys()

    def add(self, record: Record, offset: int, length: int) -> int:
        """Add what stands in the journal; return its row."""
        when = record.time
        row = self._new_row(record, offset, length)
        hour = self._hours.get(when // HOUR)
        if hour is None:
            hour = self._hours[when // HOUR] = array("i")
            insort(self._hour_order, when // HOUR)
        if not hour or self._precedes(hour[-1], when, offset):
            hour.append(row)
        else:
            hour.insert(self._position(hour, row), row)
        for totals in self._kept.values():
            if totals.covers(when):
                self._change(totals.cells, row, 1)
        return row

    def remove(self, row: int) -> None:
        when = self._times[row]
        for totals in self._kept.values():
            if totals.covers(when):
                self._change(totals.cells, row, -1)
        hour = self._hours[when // HOUR]
        hour.pop(self._position(hour, row))
        if not hour:
            del self._hours[when // HOUR]
            self._hour_order.remove(when // HOUR)
        self._free_rows.append(row)

    def put_file(self, name: str, record: Record) -> None:
        """Add what stands in a signal's file, in place of what stood there before."""
        self.remove_file(name)
        if self._free_files:
            number = self._free_files.pop()
            self._file_list[number] = name
        else:
            number = len(self._file_list)
            self._file_list.append(name)
        self._file_rows[name] = self.add(record, -1 - number, 0)

    def remove_file(self, name: str) -> None:
        row = self._file_rows.pop(name, None)
        if row is not None:
            self._free_files.append(-1 - self._offsets[row])
            self.remove(row)

    def totals(self, selection: Selection) -> list[tuple[Group, Cell]]:
        """What the wanted records add up to, by group; not to be changed."""
        cells = self._totals(UNKNOWN_TIME if selection.since is None else selection.since).cells
        pairs = ((self._group_list[number], cell) for number, cell in cells.items())
        return [(group, cell) for group, cell in pairs if selection.wants(group)]

    def value_text(self, number: int) -> str:
        """The JSON text of a preference's value."""
        return self._value_texts[number]

    def hours(self, selection: Selection) -> list[tuple[int, int]]:
        """How many of the wanted records each hour has, as hours since 1970, oldest first; those
        of unknown time and hours without any are left out."""
        count = self._counter(selection)
        since = UNKNOWN_TIME + 1
        if selection.since is not None:
            since = max(since, selection.since)
        counts = ((hour, count(rows)) for hour, rows in self._newest_hours(since))
        return [pair for pair in counts if pair[1]][::-1]

    def newest(self, selection: Selection, offset: int, limit: int) -> list[Place]:
        """Where the wanted records stand, newest first and those of unknown time last."""
        count = self._counter(selection)
        wanted = self._wanted(selection)
        found: list[int] = []
        for rows in self._newest_first(selection.since):
            here = count(rows)
            if here <= offset:
                offset -= here
                continue
            chosen = [row for row in reversed(rows) if wanted[self._groups[row]]]
            found += chosen[offset : offset + limit - len(found)]
            offset = 0
            if len(found) == limit:
                break
        return [self._place(row) for row in found]

    def times_around(self, since: int) -> tuple[int | None, int | None]:
        """The last known time before a moment, and the first since then."""
        before = next(self._rows_backwards(since), None)
        first = next(self._rows_between(since, _END), None)
        return (
            None if before is None else self._times[before],
            None if first is None else self._times[first],
        )

    def dump(self) -> tuple[list[Any], list[bytes]]:
        """What stands in the journal: the tables, and the columns in the order of time."""
        hours = [
            (hour, array("i", (row for row in self._hours[hour] if self._offsets[row] >= 0)))
            for hour in self._hour_order
        ]
        rows = array("i", chain.from_iterable(some for _, some in hours))
        figures, numbers = _select(self._figures, rows), count()
        renumbered = array("i", (-1 if each < 0 else next(numbers) for each in figures))
        used = array("i", (each for each in figures if each >= 0))
        columns = [_select(each, rows) for each in self._row_columns()]
        columns += [renumbered, *(_select(each, used) for each in self._figure_columns())]
        tables = [
            [list(group) for group in self._group_list],
            self._value_texts,
            [[hour, len(some)] for hour, some in hours],
        ]
        return tables, [column.tobytes() for column in columns]

    def load(self, tables: list[Any], columns: list[bytes]) -> None:
        """Take in what was dumped, in place of everything."""
        self.clear()
        targets = [*self._row_columns(), self._figures, *self._figure_columns()]
        for column, data in zip(targets, columns, strict=True):
            column.frombytes(data)
        groups, values, hours = tables
        self._group_list = [_intern_group(*group) for group in groups]
        self._group_numbers = {group: number for number, group in enumerate(self._group_list)}
        self._value_texts = values
        self._value_numbers = {text: number for number, text in enumerate(self._value_texts)}
        start = 0
        for hour, size in hours:
            self._hours[hour] = array("i", range(start, start + size))
            self._hour_order.append(hour)
            start += size

    def _row_columns(self) -> "list[array[Any]]":
        return [self._times, self._groups, self._offsets, self._lengths]

    def _figure_columns(self) -> "list[array[Any]]":
        return [self._confidences, self._successes, self._durations, self._tokens, self._values]

    def _new_row(self, record: Record, offset: int, length: int) -> int:
        when, kind, written, source, confidence, lesson = record
        names = kind, written, source, lesson[0] if lesson else None
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
            number = self._value_number(json_text.compact(value))
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

    def _value_number(self, text: str) -> int:
        number = self._value_numbers.get(text)
        if number is None:
            number = self._value_numbers[text] = len(self._value_texts)
            self._value_texts.append(text)
        return number

    def _file_of(self, row: int) -> str | None:
        offset = self._offsets[row]
        return self._file_list[-1 - offset] if offset < 0 else None

    def _place(self, row: int) -> Place:
        return Place(self._times[row], self._file_of(row), self._offsets[row], self._lengths[row])

    def _position(self, hour: "array[int]", row: int) -> int:
        """Where a row stands in its hour, or has to be inserted."""
        time_of = self._times.__getitem__
        start = bisect_left(hour, time_of(row), key=time_of)
        end = bisect_right(hour, time_of(row), lo=start, key=time_of)
        return bisect_left(hour, self._order(row), start, end, key=self._order)

    def _precedes(self, row: int, when: int, offset: int) -> bool:
        """Whether a row certainly stands before a new one."""
        last = self._times[row]
        return last < when or (last == when and 0 <= self._offsets[row] < offset)

    def _order(self, row: int) -> tuple[int, str, int]:
        """Of one time events go first, as they stand in the journal, then files by name."""
        return self._times[row], self._file_of(row) or "", self._offsets[row]

    def _change(self, cells: dict[int, Cell], row: int, sign: int) -> None:
        """Add a row to totals, or take it out."""
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

    def _totals(self, since: int) -> _Totals:
        """The totals since a moment: made of the kept ones that have the fewest rows to add or to
        take out, or of nothing. Kept ones of about that moment are moved, others are copied.
        """
        totals, best = _Totals(since), self._size_between(since, _END)
        nearest = None
        for kept in self._kept.values():
            size = self._size_between(*sorted((since, kept.since)))
            if size < best or kept.since == since:
                nearest, best = kept, size
        if nearest is None:
            rows, sign = self._rows_since(since), 1
        else:
            rows = self._rows_between(*sorted((since, nearest.since)))
            sign = 1 if since < nearest.since else -1
            if abs(nearest.since - since) <= _NEAR:
                del self._kept[nearest.since]
                totals.cells = nearest.cells
            else:
                totals.copy(nearest)
        for row in rows:
            self._change(totals.cells, row, sign)
        self._kept[since] = totals
        while len(self._kept) > 1 and (
            len(self._kept) > _MAX_TOTALS
            or sum(len(each.cells) for each in self._kept.values()) > _MAX_CELLS
        ):
            self._kept.popitem(last=False)
        return totals

    def _size_between(self, since: int, until: int) -> int:
        """About how many rows there are from a moment to another: those of all hours touched."""
        start = bisect_left(self._hour_order, since // HOUR)
        end = bisect_right(self._hour_order, until // HOUR)
        return sum(len(self._hours[hour]) for hour in self._hour_order[start:end])

    def _wanted(self, selection: Selection) -> bytes:
        """For each group, by number, whether it is wanted."""
        return bytes(map(selection.wants, self._group_list))

    def _counter(self, selection: Selection) -> "Callable[[array[int]], int]":
        """What counts the wanted rows among some."""
        if selection.type is None and selection.source is None:
            return len
        is_wanted, group = self._wanted(selection).__getitem__, self._groups.__getitem__
        return lambda rows: sum(map(is_wanted, map(group, rows)))

    def _unknown(self) -> "array[int]":
        rows = self._hours.get(UNKNOWN_TIME // HOUR, array("i"))
        return rows[: bisect_right(rows, UNKNOWN_TIME, key=self._times.__getitem__)]

    def _newest_hours(self, since: int) -> "Iterator[tuple[int, array[int]]]":
        """The hours with their rows since a moment, newest first."""
        first = since // HOUR
        for hour in reversed(self._hour_order):
            rows = self._hours[hour]
            if hour > first:
                yield hour, rows
                continue
            if hour == first:
                yield hour, rows[bisect_left(rows, since, key=self._times.__getitem__) :]
            return

    def _newest_first(self, since: int | None) -> "Iterator[array[int]]":
        """The rows since a moment in pieces, and those of unknown time."""
        known = UNKNOWN_TIME + 1
        for _, rows in self._newest_hours(known if since is None else max(known, since)):
            yield rows
        yield self._unknown()

    def _rows_since(self, since: int) -> Iterator[int]:
        return chain.from_iterable(self._newest_first(since))

    def _rows_between(self, since: int, until: int) -> Iterator[int]:
        """The rows of known time from a moment to before another, oldest first."""
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

    def _rows_backwards(self, until: int) -> Iterator[int]:
        """The rows of known time before a moment, newest first."""
        for hour in reversed(self._hour_order[: bisect_right(self._hour_order, until // HOUR)]):
            rows = self._hours[hour]
            for row in reversed(rows[: bisect_left(rows, until, key=self._times.__getitem__)]):
                if self._times[row] != UNKNOWN_TIME:
                    yield row


def _select(column: "array[Any]", rows: "array[int]") -> "array[Any]":
    return array(column.typecode, map(column.__getitem__, rows))


def _intern_group(kind: str, written: str, source: str, subject: str | None) -> Group:
    names = sys.intern(kind), sys.intern(written), sys.intern(source)
    return Group(*names, None if subject is None else sys.intern(subject))
