"""Encode metrics for Prometheus. Lines are kept between scrapes; changed values are replaced."""

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from cachetools import LRUCache
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

_MAX_FORMATS = 4  # a client can ask for many versions of OpenMetrics
_NO_EXTRAS = (None, None, None)  # timestamp, exemplar, native histogram; the value ends the line

Encode = Callable[[Collector], bytes]


class _Encoded(NamedTuple):
    """A metric as text: comments, then one line for each of the samples.

    :param text: the comments and the lines, joined. Each ends with a line feed.
    """

    comments: list[str]
    samples: list[Sample]
    lines: list[str]
    text: str


class _Some(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


class Exposition:
    """The text of metrics in one format, made from what has changed since the text before.

    A name always has the same description and type.

    :param encode: encodes metrics in the format, with one line for each sample.
    """

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._encoded: dict[str, _Encoded] = {}
        self._end = self._encode_lines([])  # of OpenMetrics

    def encode(self, metrics: Iterable[Metric]) -> str:
        """Return the text of all metrics."""
        texts: list[str] = []
        for metric in metrics:
            encoded = self._encoded.get(metric.name)
            if encoded is None or encoded.samples != metric.samples:
                encoded = self._encoded[metric.name] = self._update(metric, encoded)
            texts.append(encoded.text)
        return "".join([*texts, *self._end])

    def _update(self, metric: Metric, before: _Encoded | None) -> _Encoded:
        """Return a metric with the lines of those samples that are at the same place as before."""
        if before is None:
            before = _Encoded(self._encode_metric(metric, []), [], [], "")
        samples = metric.samples
        kept = zip(samples, before.samples, before.lines, strict=False)
        lines = [line if sample is old else _renew(sample, old, line) for sample, old, line in kept]
        lines += [""] * (len(samples) - len(lines))
        places = [place for place, line in enumerate(lines) if not line]
        if places:
            encoded = self._encode_metric(metric, [samples[place] for place in places])
            for place, line in zip(places, encoded[len(before.comments) :], strict=True):
                lines[place] = line
        return _Encoded(before.comments, samples, lines, "".join([*before.comments, *lines]))

    def _encode_metric(self, metric: Metric, samples: list[Sample]) -> list[str]:
        """Return the comments of a metric and the lines of some of its samples."""
        some = Metric(metric.name, metric.documentation, metric.type)
        some.samples = samples
        lines = self._encode_lines([some])
        return lines[: len(lines) - len(self._end)]

    def _encode_lines(self, metrics: list[Metric]) -> list[str]:
        text = self._encode(_Some(metrics)).decode()
        return [f"{line}\n" for line in text.split("\n")[:-1]]


def _renew(sample: Sample, before: Sample, line: str) -> str:
    """Return the line with the value of a sample; empty if more than the value has changed.

    :param line: of the sample before.
    """
    if sample == before:
        return line
    is_value = sample[:2] == before[:2] and sample[3:] == before[3:] == _NO_EXTRAS
    return f"{line.rpartition(' ')[0]} {_number(sample.value)}\n" if is_value else ""


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


class Expositions:
    """The expositions in the formats that were asked for last, for all threads."""

    def __init__(self) -> None:
        self._expositions: LRUCache[str, Exposition] = LRUCache(_MAX_FORMATS)
        self._lock = threading.Lock()

    def find(self, content_type: str, encode: Encode) -> Exposition:
        """Return the exposition in a format.

        :param encode: the encoder of the format, see `Exposition`.
        """
        with self._lock:
            exposition = self._expositions.get(content_type)
            if exposition is None:
                exposition = self._expositions[content_type] = Exposition(encode)
            return exposition
