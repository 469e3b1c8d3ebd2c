"""Queries of the learning endpoints on the index of events and signals (docs/files.md, section 18).

Records leave a time range as time passes. Each query records until when its result stays valid, so
that it is computed again when a record has come or left, not each second.
"""

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, NotRequired, TypedDict, cast

from loki_web.errors import BadRequest
from loki_web.services import events
from loki_web.services.context import Sources
from loki_web.services.learning import aggregation
from loki_web.services.learning.aggregation import LessonsDict
from loki_web.services.learning.signal_index import (
    ERROR_PATTERN,
    HOUR,
    SUCCESS_PATTERN,
    TOOL_EFFICIENCY,
    USER_PREFERENCE,
    Cell,
    Group,
    Selection,
    SignalIndex,
    Sum,
)
from loki_web.services.learning.views import (
    LEARNING_TYPES,
    ErrorSignalDict,
    PreferenceSignalDict,
    SignalDict,
    SuccessSignalDict,
    ToolSignalDict,
    format_record,
)
from loki_web.store.times import UNKNOWN_TIME, from_microseconds, microseconds, parse_time

TIME_RANGE = "^0{0,3}[1-9][0-9]{0,3}[hdm]$"
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "m": timedelta(minutes=1)}
_LIST_PERIOD = timedelta(days=30)


class _Query(NamedTuple):
    """The records of a period that ends now.

    :param period: microseconds.
    """

    sources: Sources
    period: int
    selection: Selection

    @classmethod
    def select(
        cls, sources: Sources, time_range: str, signal_type: str | None, source: str | None
    ) -> "_Query":
        now = sources.now_unrecorded()
        return cls.since(
            sources, parse_time_range(time_range, now), now, Selection(None, signal_type, source)
        )

    @classmethod
    def since(
        cls, sources: Sources, beginning: datetime, now: datetime, selection: Selection
    ) -> "_Query":
        since = microseconds(beginning)
        return cls(sources, microseconds(now) - since, selection._replace(since=since))

    def record_lifetime(self, before: int | None, first: int | None) -> None:
        """Record from when to when the result is valid: while the same records are in the period.

        :param before: the time of the last record before the period, in microseconds.
        :param first: the time of the first record in the period.
        """
        self.sources.record_validity(
            None if before is None else before + self.period,
            None if first is None else first + self.period,
        )

    def record_lifetime_with(self, index: SignalIndex) -> None:
        """Record that the result is valid while the same records of the index are in the period."""
        self.record_lifetime(*index.find_times_around(self.selection.since or 0))


def parse_time_range(time_range: str, now: datetime) -> datetime:
    """Return the start of a range that ends now: `90m` (minutes), `24h`, `7d`.

    :raises BadRequest: unless it is a number from 1 to 9999 and a unit.
    """
    if not re.fullmatch(TIME_RANGE, time_range):
        raise BadRequest("timeRange must be a number from 1 to 9999 and h, d or m, such as 24h")
    return now - int(time_range[:-1]) * _UNITS[time_range[-1]]


class MetricsDict(TypedDict):
    """Counts of the records of a period, most frequent first, and their aggregation.

    :ivar totalSignals: signals and all events, as clients of the old server expect.
    :ivar learningSignals: those of a learning type; events of the runner are not.
    """

    totalSignals: int
    learningSignals: NotRequired[int]
    signalsByType: dict[str, int]
    signalsBySource: dict[str, int]
    avgConfidence: float
    aggregation: LessonsDict


class TrendPointDict(TypedDict):
    """The number of records in an hour: `YYYY-MM-DDTHH` in UTC."""

    label: str
    count: int


class TrendsDict(TypedDict):
    """The numbers of records by hour, oldest first."""

    dataPoints: list[TrendPointDict]
    maxValue: int
    period: str


def get_metrics(
    sources: Sources, time_range: str, signal_type: str | None, source: str | None
) -> MetricsDict:
    """Count the records of each type and source, and aggregate them.

    :raises BadRequest: for a malformed time range, as do all functions that take one.
    """
    query = _Query.select(sources, time_range, signal_type, source)
    with events.open_index(sources) as index:
        totals = index.get_totals(query.selection)
        query.record_lifetime_with(index)
        confidence = Sum()
        for _, cell in totals:
            confidence.merge(cell.confidence)
        lessons = aggregation.summarize_totals(index, totals)
    return {
        "totalSignals": sum(cell.count for _, cell in totals),
        "learningSignals": sum(
            cell.count for group, cell in totals if group.type in LEARNING_TYPES
        ),
        "signalsByType": _count_by(totals, lambda group: group.type),
        "signalsBySource": _count_by(totals, lambda group: group.source),
        "avgConfidence": round(confidence.mean() or 0.0, 10),
        "aggregation": _fill_from_stored(query, lessons),
    }


def get_trends(
    sources: Sources, time_range: str, signal_type: str | None, source: str | None
) -> TrendsDict:
    """Count the records of each hour (UTC), oldest first; empty hours are left out.

    Records without a time are not counted.
    """
    query = _Query.select(sources, time_range, signal_type, source)
    with events.open_index(sources) as index:
        hours = index.count_by_hour(query.selection)
        query.record_lifetime_with(index)
    return {
        "dataPoints": [{"label": _format_hour(hour), "count": count} for hour, count in hours],
        "maxValue": max((count for _, count in hours), default=0),
        "period": time_range,
    }


def list_records(
    sources: Sources,
    time_range: str,
    signal_type: str | None,
    source: str | None,
    limit: int,
    offset: int,
) -> list[SignalDict]:
    """Return the selected records, newest first.

    :param time_range: a period such as `7d`, up to now; see `parse_time_range`.
    :param signal_type: only records of this type; None for all.
    :param source: only records of this source; None for all.
    :param limit: how many records to return at most.
    :param offset: how many of the selected records to skip.
    """
    return _list_records(_Query.select(sources, time_range, signal_type, source), limit, offset)


def list_preferences(sources: Sources, limit: int) -> list[PreferenceSignalDict]:
    """Return at most `limit` preferences of the last 30 days, newest first."""
    return cast(list[PreferenceSignalDict], _list_of_type(sources, USER_PREFERENCE, limit))


def list_errors(sources: Sources, limit: int) -> list[ErrorSignalDict]:
    """Return at most `limit` errors of the last 30 days, newest first."""
    return cast(list[ErrorSignalDict], _list_of_type(sources, ERROR_PATTERN, limit))


def list_successes(sources: Sources, limit: int) -> list[SuccessSignalDict]:
    """Return at most `limit` successes of the last 30 days, newest first."""
    return cast(list[SuccessSignalDict], _list_of_type(sources, SUCCESS_PATTERN, limit))


def list_tool_uses(sources: Sources, limit: int) -> list[ToolSignalDict]:
    """Return at most `limit` uses of tools of the last 30 days, newest first."""
    return cast(list[ToolSignalDict], _list_of_type(sources, TOOL_EFFICIENCY, limit))


def _list_of_type(sources: Sources, signal_type: str, limit: int) -> list[SignalDict]:
    now = sources.now_unrecorded()
    selection = Selection(type=signal_type)
    return _list_records(_Query.since(sources, now - _LIST_PERIOD, now, selection), limit, 0)


def _list_records(query: _Query, limit: int, offset: int) -> list[SignalDict]:
    with events.open_index(query.sources) as index:
        places = index.find_newest(query.selection, offset, limit)
        if len(places) == limit and places[-1].time != UNKNOWN_TIME:
            # Records older than the last one of this page cannot change it.
            query.record_lifetime(None, places[-1].time)
        else:
            query.record_lifetime_with(index)
    return [
        format_record(record, content)
        for record, content in events.read_records(query.sources, places)
    ]


def _count_by(totals: list[tuple[Group, Cell]], get_key: Callable[[Group], str]) -> dict[str, int]:
    """Return the counts by key, most frequent first."""
    counts: Counter[str] = Counter()
    for group, cell in totals:
        counts[get_key(group)] += cell.count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _format_hour(hour: int) -> str:
    return from_microseconds(hour * HOUR).isoformat()[:13]


def _fill_from_stored(query: _Query, lessons: LessonsDict) -> LessonsDict:
    """Return the four lists, empty ones replaced by the stored lists of the same period.

    With a filter by type or source nothing is replaced: stored lists do not have these.
    """
    selection = query.selection
    if selection.type is not None or selection.source is not None:
        return lessons
    stored_lists = aggregation.load_stored(query.sources)
    aggregated_at = parse_time(stored_lists["aggregated_at"])
    if aggregated_at and selection.since is not None:
        time = microseconds(aggregated_at)
        if time < selection.since:
            query.record_lifetime(time, None)
            return lessons
        query.record_lifetime(None, time)
    return aggregation.fill_empty_lists(lessons, lambda: stored_lists)
