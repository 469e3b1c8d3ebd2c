"""Measure each request: how long it takes, by method, route and status class, and how many run.

Everything is counted, kept answers and refused calls too. The time ends when the answer is
complete, before it is sent. Each class of status has a limited number of series, the first ones
that are used; requests beyond it are counted with the method and the route `other`.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from time import perf_counter
from typing import Any, NamedTuple, cast

from flask import Flask
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from loki_web.services.cells import METHODS, REFUSALS, REQUESTS, Counter, Gauge, count_refusal
from loki_web.services.context import Sources
from loki_web.services.metrics import Family, KeptFamilies, Labels
from loki_web.store.shared.counts import CELLS, FLAGS, Counts

BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.5)  # seconds
_UPPER = (*map(str, BUCKETS), "+Inf")
RULE = "loki_web.rule"  # key of the WSGI environ: the route, None if there is none
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_MOST = ((0, 3, 41), (3, 4, 9), (4, 5, 5))  # first class, last class, series of these
_SUM = len(BUCKETS) + 1  # the cell after those of the buckets
_CELLS = _SUM + 1
_FLAG = re.compile(rb"[^\0]")  # that a process has set
_OTHER = "other"
UNMATCHED = "unmatched"
_REFUSED = frozenset({"401", "403", "413", "429"})  # 503 may also be an outage

_FAMILIES = (
    Family("loki_http_requests_in_flight", "Requests that are being answered", ("method",)),
    Family("loki_refused_calls_total", "Calls that were refused, by status", ("status",), True),
)

_BY_METHOD: list[Labels] = [(method,) for method in METHODS]
_BY_STATUS: list[Labels] = [(str(status),) for status in REFUSALS]

Environ = dict[str, Any]


class Histograms:
    """The numbers of a duration histogram for each method, route and status class.

    They have the same places in all processes of a server, because these have the same routes. A
    flag tells for each whether it has a series of its own.
    """

    def __init__(self, app: Flask, counts: Counts) -> None:
        pairs = {
            (method, rule.rule)
            for rule in app.url_map.iter_rules()
            for method in rule.methods or ()
        }
        routes = sorted((method, rule) for method, rule in pairs if method in METHODS)
        self._pairs = [*routes, *((method, UNMATCHED) for method in METHODS), (_OTHER, _OTHER)]
        self._places = {pair: place for place, pair in enumerate(self._pairs)}
        self._counts = counts
        self._series: dict[int, _Series] = {}
        self._sums: tuple[bytes, dict[int, int]] = b"", {}
        if len(self._pairs) * len(_CLASSES) > min(FLAGS, (CELLS - REQUESTS) // _CELLS):
            raise ValueError("there are more routes than cells")

    def find(self, method: str, rule: str | None, status: str) -> int:
        """Return the first cell for requests of this kind.

        :param status: a status line, or empty if the application has failed.
        """
        pair = method if method in METHODS else _OTHER, rule or UNMATCHED
        place = self._places.get(pair, len(self._pairs) - 1)
        status_class = int(status[:1] or "5") - 1
        number = status_class * len(self._pairs) + place
        others = (status_class + 1) * len(self._pairs) - 1
        return _cell(number if self._admit(number, status_class) else others)

    def _admit(self, number: int, status_class: int) -> bool:
        """Give a kind of requests a series, unless its class has as many as it may have.

        Two processes may do so at the same moment: then there is one more of them.
        """
        flags, size = self._counts.flags, len(self._pairs)
        if not flags[number]:
            first, last, most = next(
                limit for limit in _MOST if limit[0] <= status_class < limit[1]
            )
            if bytes(flags[first * size : last * size]).count(1) >= most:
                return False
            flags[number] = 1
        return True

    def build_family(self) -> Metric:
        """Return a histogram for each method, route and status class that had requests.

        The samples of a kind are the same objects until there is another request of it. A request
        is added to its bucket before its seconds are added to the sum of its process, and the sums
        are read before the buckets. So if no sum has changed, no request has ended since. Each
        request takes some time, so the sum always changes.
        """
        family, sums = _make_family(), self._find_sums()
        for number, seconds in zip(sums, self._counts.read_columns(sums.values()), strict=True):
            series = self._series.get(number)
            if series is None or series.seconds != seconds:
                before = series.samples if series else []
                samples = self._compute_samples(number, before)
                series = self._series[number] = _Series(seconds, samples)
            family.samples += series.samples
        return family

    def _find_sums(self) -> dict[int, int]:
        """Return the kinds of requests that have a series, each with the cell of its sum.

        Those of `other` always have one.
        """
        size = len(self._pairs)
        end = size * len(_CLASSES)
        flags = bytes(self._counts.flags[:end])
        before, sums = self._sums
        if flags != before:
            flagged = {flag.start() for flag in _FLAG.finditer(flags)}
            numbers = sorted({*flagged, *range(size - 1, end, size)})
            sums = {number: _cell(number) + _SUM for number in numbers}
            self._sums = flags, sums
        return sums

    def _compute_samples(self, number: int, before: list[Sample]) -> list[Sample]:
        totals = self._counts.totals(_cell(number), _CELLS)
        if before:
            return _renew_samples(before, totals)
        status_class, place = divmod(number, len(self._pairs))
        return _make_samples((*self._pairs[place], _CLASSES[status_class]), totals)


class _Series(NamedTuple):
    """The samples of a histogram.

    :param seconds: the sum of each process, read before the numbers of the samples.
    """

    seconds: tuple[float, ...]
    samples: list[Sample]


class RequestMeter(Collector):
    """WSGI middleware that measures, and the collector of what it has measured."""

    def __init__(self, app: Flask, wsgi_app: Any, counts: Counts) -> None:
        self._wsgi_app = wsgi_app
        self._counts = counts
        self._histograms = Histograms(app, counts)
        self._families = KeptFamilies(_FAMILIES)
        self._cells: dict[tuple[str, str | None, str], int] = {}
        self._row, self._lock = counts.row, counts.lock
        self._running: dict[str, tuple[set[Any], int]] = {
            method: (set(), Gauge.IN_FLIGHT + place) for place, method in enumerate(METHODS)
        }

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Let the application answer, and count the request."""
        status, method = "", environ["REQUEST_METHOD"]

        def start(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal status
            status = line
            return start_response(line, headers, exc_info)

        running, gauge = self._running.get(method) or self._running[_OTHER]
        running.add(start)
        self._row[gauge] = len(running)
        began = perf_counter()
        try:
            return cast(Iterable[bytes], self._wsgi_app(environ, start))
        except StopIteration:  # the live feed has taken the connection
            status = "101" if "HTTP_UPGRADE" in environ else "200"
            raise
        finally:
            seconds = perf_counter() - began
            cell = self._cells.get((method, environ.get(RULE), status))
            cell = self._find(environ, status) if cell is None else cell
            bucket = cell if seconds <= BUCKETS[0] else cell + bisect_left(BUCKETS, seconds)
            running.discard(start)
            with self._lock:
                self._row[bucket] += 1
                self._row[cell + _SUM] += seconds
                self._row[gauge] = len(running)

    def describe(self) -> Iterator[Metric]:
        """Return the families without samples."""
        yield from self._families.describe()
        yield _make_family()

    def collect(self) -> Iterator[Metric]:
        """Return what all processes of the server have measured."""
        totals = self._counts.totals
        running = totals(Gauge.IN_FLIGHT, len(METHODS))
        refused = totals(Counter.REFUSED, len(REFUSALS))
        yield from self._families.build(
            {
                "loki_http_requests_in_flight": dict(zip(_BY_METHOD, running, strict=True)),
                "loki_refused_calls_total": dict(zip(_BY_STATUS, refused, strict=True)),
            }
        )
        yield self._histograms.build_family()

    def _find(self, environ: Environ, status: str) -> int:
        """Return the first cell of a request's histogram; count the request if it was refused."""
        key = environ["REQUEST_METHOD"], environ.get(RULE), status
        cell = self._histograms.find(*key)
        if status[:3] in _REFUSED:
            count_refusal(self._counts, int(status[:3]))
        elif key[0] in METHODS:
            self._cells[key] = cell
        return cell


def _make_family() -> HistogramMetricFamily:
    return HistogramMetricFamily(
        "loki_http_request_duration_seconds",
        "Time to answer requests, until the answer is complete",
        labels=["method", "route", "status"],
    )


def _make_samples(labels: tuple[str, ...], totals: list[float]) -> list[Sample]:
    *counts, seconds = totals
    family = _make_family()
    if any(counts):
        family.add_metric(labels, list(zip(_UPPER, accumulate(counts), strict=True)), seconds)
    return family.samples


def _renew_samples(before: list[Sample], totals: list[float]) -> list[Sample]:
    """Return the samples of a histogram with other numbers, without making their labels again."""
    *counts, seconds = totals
    at_most = list(accumulate(counts))
    values = *at_most, at_most[-1], seconds
    return [
        Sample(sample.name, sample.labels, value)
        for sample, value in zip(before, values, strict=True)
    ]


def _cell(number: int) -> int:
    return REQUESTS + number * _CELLS


def install(app: Flask, sources: Sources) -> RequestMeter:
    """Measure all requests of an application that has all of its routes."""
    installed = RequestMeter(app, app.wsgi_app, sources.counts)
    app.wsgi_app = installed  # type: ignore[method-assign]
    return installed
