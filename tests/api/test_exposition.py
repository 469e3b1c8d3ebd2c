"""The text of metrics is that of the library, and a line is made only for a sample that changed."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from loki_web.web.exposition import Exposition, Expositions

FORMATS = ("text/plain", "application/openmetrics-text", "text/plain;version=1.0.0;escaping=dots")
Numbers = Mapping[str, float]

# What a metric with a label shows, one scrape after another, and how many lines are made for each.
SCRAPES = {
    "a number changes": ([{"a": 1, "b": 2}, {"a": 1, "b": 3}], 2, 1),
    "nothing changes": ([{"a": 1, "b": 2}, {"a": 1, "b": 2}], 2, 0),
    "a number comes": ([{"a": 1}, {"a": 1, "b": 2}], 1, 1),
    "the last one goes": ([{"a": 1, "b": 2}, {"a": 1}], 2, 0),
    "the first one goes": ([{"a": 1, "b": 2}, {"b": 2}], 2, 1),
    "all go": ([{"a": 1, "b": 2}, {}], 2, 0),
    "a number is no number any more": ([{"a": 1}, {"a": float("nan")}], 1, 1),
    "texts that are escaped": ([{'#"\\\n\u2028': 1, "": 2}, {'#"\\\n\u2028': 1, "": 3}], 2, 1),
}


class Shown(Collector):
    """Shows numbers by a label in three families."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def collect(self) -> Sequence[GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily]:
        gauge = GaugeMetricFamily("some", 'A "number"\nin \\ lines', labels=["label"])
        counter = CounterMetricFamily("other_total", "Others", labels=["label"])
        histogram = HistogramMetricFamily("times", "Seconds", labels=["label"])
        for label, number in self._numbers.items():
            gauge.add_metric([label], number)
            counter.add_metric([label], 7)
            histogram.add_metric([label], [("0.1", 1), ("+Inf", number)], 0.5)
        return gauge, counter, histogram


def in_library(accept: str, numbers: Numbers) -> str:
    registry = CollectorRegistry()
    registry.register(Shown(numbers))
    encode, _ = choose_encoder(accept)
    return encode(registry).decode()


@pytest.mark.parametrize("accept", FORMATS)
@pytest.mark.parametrize("scrapes", [each[0] for each in SCRAPES.values()], ids=SCRAPES.keys())
def test_the_text_is_that_of_the_library(accept: str, scrapes: list[Numbers]) -> None:
    exposition = Exposition(choose_encoder(accept)[0])
    for numbers in [*scrapes, *reversed(scrapes), {"c": 9}, *scrapes]:
        assert exposition.encode(Shown(numbers).collect()) == in_library(accept, numbers)


@pytest.mark.parametrize(("scrapes", "first", "second"), SCRAPES.values(), ids=SCRAPES.keys())
def test_only_samples_that_have_changed_are_encoded(
    scrapes: list[Numbers], first: int, second: int
) -> None:
    encode, _ = choose_encoder("")
    made: list[str] = []

    def note(metrics: Collector) -> bytes:
        made.extend(sample.name for metric in metrics.collect() for sample in metric.samples)
        return encode(metrics)

    exposition = Exposition(note)
    for numbers, count in zip(scrapes, (first, second), strict=True):
        made.clear()
        exposition.encode(Shown(numbers).collect())
        assert made.count("some") == count


@contextmanager
def switching_often() -> Iterator[None]:
    """Let another thread run after almost each step of one."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def test_threads_that_ask_for_many_formats_get_their_own() -> None:
    expositions = Expositions()
    accepted = [f"application/openmetrics-text;version=1.0.{number}" for number in range(9)]
    formats = [choose_encoder(accept) for accept in accepted]

    def find(start: int) -> set[tuple[str, str]]:
        found = set[tuple[str, str]]()
        for number in range(3000):
            encode, content_type = formats[(start + number) % len(formats)]
            found.add((content_type, expositions.find(content_type, encode).encode([])))
        return found

    with switching_often(), ThreadPoolExecutor(8) as threads:
        answered = set().union(*threads.map(find, range(8)))
    assert len(answered) == len(formats)
