"""What the learning endpoints answer (`spec` 18), made of the index of events and signals.

Records leave a time range as time goes by. An answer tells until when it stays the same, so that it
is computed again when a record has come or left, not each second.
"""

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from loki_web.errors import BadRequest
from loki_web.services import events
from loki_web.services.context import Sources
from loki_web.services.learning import aggregation
from loki_web.services.learning.signal_index import (
    HOUR,
    UNKNOWN_TIME,
    Cell,
    Group,
    Selection,
    SignalIndex,
    Sum,
)
from loki_web.services.learning.views import format_record
from loki_web.store.coerce import Json
from loki_web.store.times import from_microseconds, microseconds, parse_time

TIME_RANGE = "^[0-9]{1,4}[hdm]$"
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "m": timedelta(minutes=1)}
_LIST_PERIOD = timedelta(days=30)


class _Query(NamedTuple):
    """The records of a period that ends now.

    :param period: microseconds.
    """

    src: Sources
    period: int
    selection: Selection

    @classmethod
    def of(
        cls, src: Sources, time_range: str, signal_type: str | None, source: str | None
    ) -> "_Query":
        now = src.now_unrecorded()
        return cls.since(
            src, parse_time_range(time_range, now), now, Selection(None, signal_type, source)
        )

    @classmethod
    def since(
        cls, src: Sources, beginning: datetime, now: datetime, selection: Selection
    ) -> "_Query":
        since = microseconds(beginning)
        return cls(src, microseconds(now) - since, selection._replace(since=since))

    def record_lifetime(self, before: int | None, first: int | None) -> None:
        """Record that the answer is the same until the first record leaves the period, and since
        the one before that left it."""
        self.src.lasts(
            None if before is None else before + self.period,
            None if first is None else first + self.period,
        )

    def record_lifetime_with(self, index: SignalIndex) -> None:
        """Record that the answer is the same while the same records are in the period."""
        self.record_lifetime(*index.times_around(self.selection.since or 0))


def parse_time_range(time_range: str, now: datetime) -> datetime:
    """Return the start of a range that ends now: `90m` (minutes), `24h`, `7d`.

    :raises BadRequest: unless it is one to four digits, not zero, and a unit.
    """
    if not re.fullmatch(TIME_RANGE, time_range) or not int(time_range[:-1]):
        raise BadRequest("timeRange must be a number from 1 to 9999 and h, d or m, such as 24h")
    return now - int(time_range[:-1]) * _UNITS[time_range[-1]]


def get_metrics(src: Sources, time_range: str, signal_type: str | None, source: str | None) -> Json:
    """How many records there are of each type and source, and what they say together.

    :raises BadRequest: for a time range that is none, as do all functions that take one.
    """
    query = _Query.of(src, time_range, signal_type, source)
    with events.open_index(src.project) as index:
        totals = index.totals(query.selection)
        query.record_lifetime_with(index)
        confidence = Sum()
        for _, cell in totals:
            confidence.merge(cell.confidence)
        found: Json = {
            "totalSignals": sum(cell.count for _, cell in totals),
            "signalsByType": _count_by(totals, lambda group: group.type),
            "signalsBySource": _count_by(totals, lambda group: group.source),
            "avgConfidence": round(confidence.mean() or 0.0, 10),
        }
        lists = aggregation.summarize_totals(index, totals)
    return {**found, "aggregation": _fill_from_stored(query, lists)}


def get_trends(src: Sources, time_range: str, signal_type: str | None, source: str | None) -> Json:
    """How many records there are of each hour (UTC), oldest hour first; empty hours are left out.

    Records of unknown time are in no hour.
    """
    query = _Query.of(src, time_range, signal_type, source)
    with events.open_index(src.project) as index:
        hours = index.hours(query.selection)
        query.record_lifetime_with(index)
    return {
        "dataPoints": [{"label": _format_hour(hour), "count": count} for hour, count in hours],
        "maxValue": max((count for _, count in hours), default=0),
        "period": time_range,
    }


def list_records(
    src: Sources,
    time_range: str,
    signal_type: str | None,
    source: str | None,
    limit: int,
    offset: int,
) -> list[Json]:
    """The records themselves, newest first."""
    return _list_records(_Query.of(src, time_range, signal_type, source), limit, offset)


def list_records_of_type(src: Sources, signal_type: str, limit: int) -> list[Json]:
    """The records of one type from the last 30 days, newest first."""
    now = src.now_unrecorded()
    selection = Selection(type=signal_type)
    return _list_records(_Query.since(src, now - _LIST_PERIOD, now, selection), limit, 0)


def _list_records(query: _Query, limit: int, offset: int) -> list[Json]:
    with events.open_index(query.src.project) as index:
        places = index.newest(query.selection, offset, limit)
        if len(places) == limit and places[-1].time != UNKNOWN_TIME:
            query.record_lifetime(None, places[-1].time)  # older ones come after the page
        else:
            query.record_lifetime_with(index)
    return [
        format_record(record, content)
        for record, content in events.read_records(query.src.project, places)
    ]


def _count_by(totals: list[tuple[Group, Cell]], word_of: Callable[[Group], str]) -> dict[str, int]:
    """Most frequent first."""
    counts: Counter[str] = Counter()
    for group, cell in totals:
        counts[word_of(group)] += cell.count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _format_hour(hour: int) -> str:
    return from_microseconds(hour * HOUR).isoformat()[:13]


def _fill_from_stored(query: _Query, lists: Json) -> Json:
    """The four lists of the selected records.

    Where these have nothing, the stored lists stand in, so far as they are of the same time; they
    cannot tell types and sources apart.
    """
    selection = query.selection
    if selection.type is not None or selection.source is not None:
        return lists
    stored = aggregation.load_stored(query.src.project)
    made_at = parse_time(stored.pop("aggregated_at"))
    if made_at and selection.since is not None:
        made = microseconds(made_at)
        if made < selection.since:
            query.record_lifetime(made, None)
            return lists
        query.record_lifetime(None, made)
    return {name: found or stored[name] for name, found in lists.items()}
