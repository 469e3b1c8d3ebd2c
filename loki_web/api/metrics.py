"""`/metrics` for Prometheus: the same numbers from any worker."""

import platform
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, has_request_context, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics

from loki_web import __version__
from loki_web.services.cells import Counter, Gauge
from loki_web.services.context import Sources
from loki_web.services.fleet import selection
from loki_web.services.metrics import (
    DOCUMENTED,
    MORE,
    Family,
    KeptFamilies,
    Labels,
    Metric,
    Numbers,
    build_families,
    compute_all_numbers,
    compute_numbers,
    label_families,
)
from loki_web.store.coerce import Json
from loki_web.store.look import Summary, observe
from loki_web.store.shared.counts import Counts
from loki_web.store.sqlite import IndexState
from loki_web.web import access, answers, context, meter, openapi
from loki_web.web.exposition import Expositions
from loki_web.web.readiness import EXTENSION, Readiness

if TYPE_CHECKING:
    from loki_web.store.shared.redis import Link

_PATH = "/metrics"
_ALL = "*"  # as a project
_SESSION = (*DOCUMENTED, *MORE)
_ENDPOINT = "prometheus_metrics"  # the library's name for it
_DESCRIPTION: Json = {
    "operationId": "metrics",
    "summary": "Prometheus/OpenMetrics compatible metrics.",
    "description": "The text format, or OpenMetrics if the Accept header prefers it.",
    "parameters": [
        {
            "in": "query",
            "name": "name[]",
            "description": "Only samples of this name; may be repeated",
            "schema": {"type": "array", "items": {"type": "string"}},
            "explode": True,
        },
        {
            "in": "query",
            "name": access.PROJECT,
            "description": "Id, alias or path of the project whose metrics to return; `*` for "
            "those of all, with the labels `project` and `project_id`: at most 64, running ones "
            "first. Default: that of the server.",
            "schema": {"type": "string"},
        },
    ],
    "responses": {
        "200": {
            "description": "Current values",
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": (
                        "# HELP loki_iteration_current Current iteration number\n"
                        "# TYPE loki_iteration_current gauge\n"
                        "loki_iteration_current 12.0\n"
                    ),
                }
            },
        },
        "default": {"$ref": "#/components/responses/DEFAULT_ERROR"},
    },
}


_CONDITIONS = (
    Family("loki_up", "Whether the state folder is there (0=gone)"),
    Family("loki_audit_writable", "Whether audit entries can be written"),
    Family("loki_watch_failed", "Whether file system events have failed and files are polled"),
    Family("loki_webhooks_failing", "Whether webhook messages cannot be delivered"),
    Family("loki_webhooks_waiting", "Webhook messages that wait for the receiver"),
    Family("loki_webhooks_sent_total", "Webhook messages that were delivered", (), True),
    Family("loki_webhooks_lost_total", "Webhook messages that were given up", (), True),
    Family("loki_build_info", "Version of the server, always 1", ("version", "python")),
    Family("loki_index_size_bytes", "Size of the derived index; no sample without one"),
    Family("loki_index_updated_timestamp_seconds", "When it was last written, since 1970"),
)
_WEBHOOKS = {
    "is_failing": "loki_webhooks_failing",
    "waiting": "loki_webhooks_waiting",
    "sent": "loki_webhooks_sent_total",
    "lost": "loki_webhooks_lost_total",
}
_ACTIVITY = (
    Family("loki_connections_open", "Live connections", ("kind",)),
    Family("loki_feed_messages_sent_total", "Messages sent to live connections", (), True),
    Family(
        "loki_feed_messages_dropped_total", "Messages that clients were too slow to read", (), True
    ),
    Family("loki_feed_lag_seconds", "From a file system event to the messages, last time"),
    Family("loki_audit_failures_total", "Audit entries that could not be written", (), True),
)


_REDIS = (
    Family("loki_redis_up", "Whether Redis answers (0=this machine works alone)"),
    Family("loki_redis_failures_total", "Calls of Redis that were in vain", (), True),
    Family("loki_redis_waiting_entries", "Changes that wait for Redis"),
)


class KeptCollector(Collector):
    """Computes metrics from files and conditions, again only when one of them has changed.

    :param families: of all samples.
    :param compute: returns the numbers.
    """

    def __init__(self, families: Sequence[Family], compute: Callable[[], Numbers]) -> None:
        self._families = KeptFamilies(families)
        self._metrics = Summary(lambda: self._families.build(compute()))

    def describe(self) -> list[Metric]:
        """Return the families without samples: the registry reads them at start, not the files."""
        return self._families.describe()

    def collect(self) -> list[Metric]:
        """Return the families with the numbers of this moment."""
        metrics: list[Metric] = self._metrics.examine()
        return metrics


class ProjectCollector(Collector):
    """Gives the metrics of the project that the request names, by default that of the server."""

    def __init__(self, sources: Sources) -> None:
        self._own = KeptCollector(_SESSION, partial(compute_numbers, sources))

    def describe(self) -> list[Metric]:
        """Return the families without samples."""
        return self._own.describe()

    def collect(self) -> Iterable[Metric]:
        """Return the families with the numbers of this moment.

        Without a request they are those of the server's project.

        :raises NotFound: for an unknown project.
        """
        if not has_request_context():
            return self._own.collect()
        name = request.args.get(access.PROJECT)
        if name == _ALL:
            numbers = compute_all_numbers(context.server_sources())
            return build_families(label_families(_SESSION), numbers)
        if name or access.get_identity().projects is not None:
            metrics: list[Metric] = selection.keep(context.sources(), _build_metrics).examine()
            return metrics
        return self._own.collect()


def _build_metrics(sources: Sources) -> list[Metric]:
    return list(build_families(_SESSION, compute_numbers(sources)))


class ActivityCollector(Collector):
    """Adds up what the processes of the server have done."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._families = KeptFamilies(_ACTIVITY)

    def describe(self) -> list[Metric]:
        """Return the families without samples."""
        return self._families.describe()

    def collect(self) -> list[Metric]:
        """Return the families with the numbers of this moment."""
        total = self._counts.total
        open_now: dict[Labels, float] = {
            ("websocket",): total(Gauge.WEBSOCKETS),
            ("event_stream",): total(Gauge.EVENT_STREAMS),
        }
        return self._families.build(
            {
                "loki_connections_open": open_now,
                "loki_feed_messages_sent_total": total(Counter.MESSAGES_SENT),
                "loki_feed_messages_dropped_total": total(Counter.MESSAGES_DROPPED),
                "loki_feed_lag_seconds": self._counts.greatest(Gauge.FEED_LAG),
                "loki_audit_failures_total": total(Counter.AUDIT_FAILURES),
            },
        )


class RedisCollector(Collector):
    """Tells how the processes of the server get on with Redis."""

    def __init__(self, link: "Link", counts: Counts) -> None:
        self._link = link
        self._counts = counts
        self._families = KeptFamilies(_REDIS)

    def describe(self) -> list[Metric]:
        """Return the families without samples."""
        return self._families.describe()

    def collect(self) -> list[Metric]:
        """Return the families with the numbers of this moment."""
        return self._families.build(
            {
                "loki_redis_up": self._link.examine(),
                "loki_redis_failures_total": self._counts.total(Counter.REDIS_FAILURES),
                "loki_redis_waiting_entries": self._counts.total(Gauge.REDIS_WAITING),
            },
        )


def _compute_conditions(readiness: Readiness, index: IndexState) -> Numbers:
    conditions, index_file = readiness.examine(), observe(index)
    numbers: dict[str, float | dict[Labels, float]] = {
        "loki_up": not conditions.is_gone,
        "loki_audit_writable": conditions.is_audit_writable,
        "loki_watch_failed": conditions.is_watch_failed,
        "loki_build_info": {(__version__, platform.python_version()): 1},
    }
    for name, number in conditions.webhooks._asdict().items() if conditions.webhooks else ():
        numbers[_WEBHOOKS[name]] = number
    if index_file:
        numbers["loki_index_size_bytes"], numbers["loki_index_updated_timestamp_seconds"] = (
            index_file
        )
    return numbers


class _Metrics(PrometheusMetrics):  # type: ignore[misc]  # the library has no types
    """Serve the samples of one registry only.

    The library would read files of process counters if PROMETHEUS_MULTIPROC_DIR is set, even when
    it is set for another program.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._expositions = Expositions()
        super().__init__(*args, **kwargs)

    def generate_metrics(
        self, accept_header: str | None = None, names: list[str] | None = None
    ) -> tuple[str, str]:
        encode, content_type = _encoder(accept_header or "")
        if names:
            return encode(self.registry.restricted_registry(names)).decode(), content_type

        def write() -> str:
            # What is kept must not hold an exposition that is no longer in use.
            return self._expositions.find(content_type, encode).encode(self.registry.collect())

        answers.bypass_flask(lambda: write().encode())
        return write(), content_type


def install(app: Flask, sources: Sources) -> None:
    """Add `/metrics` to an application that has all of its other routes."""
    _install(app, sources, [ProjectCollector(sources)])
    about = {"name": "metrics", "description": "Metrics of the session for Prometheus."}
    openapi.describe(app, _ENDPOINT, about, {"get": _DESCRIPTION})


def install_sidecar(app: Flask, sources: Sources) -> None:
    """Add `/metrics` without those of the session, which the server beside it has."""
    _install(app, sources, [])


def _install(app: Flask, sources: Sources, collectors: Iterable[Collector]) -> None:
    """Add `/metrics` with the server's own metrics after others, and measure all requests."""
    registry = CollectorRegistry()
    readiness, index = app.extensions[EXTENSION], IndexState(sources.index)
    conditions = partial(_compute_conditions, readiness, index)
    for collector in collectors:
        registry.register(collector)
    registry.register(KeptCollector(_CONDITIONS, conditions))
    registry.register(ActivityCollector(sources.counts))
    if sources.link is not None:
        registry.register(RedisCollector(sources.link, sources.counts))
    _Metrics(app, path=_PATH, registry=registry, export_defaults=False)
    registry.register(meter.install(app, sources))


def _encoder(accept: str) -> tuple[Callable[[Any], bytes], str]:
    """Return the encoder for an Accept header; the text format if the header is malformed."""
    try:
        return choose_encoder(accept)
    except TypeError:  # the header has a version that is not a number
        return choose_encoder("")
