"""The text of metrics is that of the library, which encodes only samples that are new."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from loki_web.web.exposition import Exposition, Expositions
from tests.support.switching import switching_often

FORMATS = ("text/plain", "application/openmetrics-text", "text/plain;version=1.0.0;escaping=dots")
Numbers = Mapping[str, float]

# What a metric with a label shows, one scrape after another, and how many lines the library makes
# for each.
SCRAPES = {
    "a number changes": ([{"a": 1, "b": 2}, {"a": 1, "b": 3.5e30}], 2, 0),
    "nothing changes": ([{"a": 1, "b": 2}, {"a": 1, "b": 2}], 2, 0),
    "a number comes": ([{"a": 1}, {"a": 1, "b": 2}], 1, 1),
    "the last one goes": ([{"a": 1, "b": 2}, {"a": 1}], 2, 0),
    "one takes the place of another": ([{"a": 1, "b": 2}, {"c": 1, "b": 2}], 2, 1),
    "the first one goes": ([{"a": 1, "b": 2}, {"b": 2}], 2, 1),
    "all go": ([{"a": 1, "b": 2}, {}], 2, 0),
    "a number is no number any more": ([{"a": 1}, {"a": float("nan")}], 1, 0),
    "texts that are escaped": ([{'#"\\\n\u2028': 1, "": 2}, {'#"\\\n\u2028': 1, "": 3}], 2, 0),
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


class Fixed(Collector):
    """Shows one metric."""

    def __init__(self, metric: GaugeMetricFamily) -> None:
        self._metric = metric

    def collect(self) -> list[GaugeMetricFamily]:
        return [self._metric]


def in_library(accept: str, shown: Collector) -> str:
    registry = CollectorRegistry()
    registry.register(shown)
    encode, _ = choose_encoder(accept)
    return encode(registry).decode()


@pytest.mark.parametrize("accept", FORMATS)
@pytest.mark.parametrize("scrapes", [each[0] for each in SCRAPES.values()], ids=SCRAPES.keys())
def test_the_text_is_that_of_the_library(accept: str, scrapes: list[Numbers]) -> None:
    exposition = Exposition(choose_encoder(accept)[0])
    for numbers in [*scrapes, *reversed(scrapes), {"c": 9}, *scrapes]:
        shown = Shown(numbers)
        assert exposition.encode(shown.collect()) == in_library(accept, shown)


@pytest.mark.parametrize(("scrapes", "first", "second"), SCRAPES.values(), ids=SCRAPES.keys())
def test_the_library_encodes_only_samples_that_are_new(
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


@pytest.mark.parametrize("accept", FORMATS)
def test_a_value_that_does_not_end_the_line_is_encoded_by_the_library(accept: str) -> None:
    exposition = Exposition(choose_encoder(accept)[0])
    for number, timestamp in ((1, None), (2, 5), (3, 5), (3, 0), (4, 0), (5, None), (6, None)):
        gauge = GaugeMetricFamily("some", "Numbers", labels=["label"])
        gauge.add_metric(["a"], number, timestamp)
        assert exposition.encode([gauge]) == in_library(accept, Fixed(gauge))


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
