"""What the learning endpoints answer (`spec` 18), made of the records of `services.signals`."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from statistics import fmean

from loki_web.services import aggregation, signals, time_ranges
from loki_web.services.signal_entries import shown
from loki_web.services.signals import Record, Selection
from loki_web.services.sources import Sources
from loki_web.store.shapes import Json
from loki_web.store.times import UNKNOWN, parse_time

_LIST_PERIOD = timedelta(days=30)


def metrics(src: Sources, time_range: str, signal_type: str | None, source: str | None) -> Json:
    """How many records there are of each type and source, and what they say together.

    :raises BadRequest: for a time range that is none, as do all functions that take one.
    """
    selection = _selection(src, time_range, signal_type, source)
    records = signals.chosen(src.project, selection)
    told = [record.confidence for record in records if record.confidence is not None]
    return {
        "totalSignals": len(records),
        "signalsByType": _counts(record.type for record in records),
        "signalsBySource": _counts(record.source for record in records),
        "avgConfidence": round(fmean(told), 10) if told else 0.0,
        "aggregation": _aggregation(src, selection, records),
    }


def trends(src: Sources, time_range: str, signal_type: str | None, source: str | None) -> Json:
    """How many records there are of each hour (UTC), oldest hour first; empty hours are left out.

    Records of unknown time are in no hour.
    """
    selection = _selection(src, time_range, signal_type, source)
    known = (r for r in signals.chosen(src.project, selection) if r.time != UNKNOWN)
    hours = Counter(record.time.isoformat()[:13] for record in known)
    return {
        "dataPoints": [{"label": hour, "count": count} for hour, count in sorted(hours.items())],
        "maxValue": max(hours.values(), default=0),
        "period": time_range,
    }


def entries(
    src: Sources,
    time_range: str,
    signal_type: str | None,
    source: str | None,
    limit: int,
    offset: int,
) -> list[Json]:
    """The records themselves, newest first."""
    selection = _selection(src, time_range, signal_type, source)
    found = signals.newest_first(src.project, selection)
    return [shown(record) for record in islice(found, offset, offset + limit)]


def entries_of(src: Sources, signal_type: str, limit: int) -> list[Json]:
    """The records of one type from the last 30 days, newest first."""
    selection = Selection(src.now() - _LIST_PERIOD, signal_type)
    return [shown(record) for record in islice(signals.newest_first(src.project, selection), limit)]


def _selection(
    src: Sources, time_range: str, signal_type: str | None, source: str | None
) -> Selection:
    return Selection(time_ranges.beginning(time_range, src.now()), signal_type, source)


def _counts(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _aggregation(src: Sources, selection: Selection, records: list[Record]) -> Json:
    """The four lists of the selected records.

    Where these have nothing, the stored lists stand in, so far as they are of the same time; they
    cannot tell types and sources apart.
    """
    lists = aggregation.of_records(records)
    if selection.type is not None or selection.source is not None:
        return lists
    stored = aggregation.stored(src.project)
    made_at = parse_time(stored.pop("aggregated_at"))
    if made_at and selection.since and made_at < selection.since:
        return lists
    return {name: found or stored[name] for name, found in lists.items()}
