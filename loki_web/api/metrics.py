"""`/metrics` for Prometheus, computed from the files at scrape time by any worker."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics

from loki_web.services.context import Sources
from loki_web.services.metrics import SessionCollector
from loki_web.store.coerce import Json
from loki_web.web import openapi
from loki_web.web.answers import kept
from loki_web.web.readiness import EXTENSION, Readiness

_PATH = "/metrics"
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
        }
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


_SERVER_FAMILIES = {
    "loki_up": "Whether the state folder is there (0=gone)",
    "loki_audit_writable": "Whether audit entries can be written",
    "loki_watch_failed": "Whether file system events have failed and files are polled",
}


class ServerCollector(Collector):
    """Compute what tells whether the numbers of the session can be trusted."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Return the families without samples."""
        return _build_families({})

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the families with the conditions of this moment."""
        conditions = self._readiness.examine()
        return _build_families(
            {
                "loki_up": not conditions.is_gone,
                "loki_audit_writable": conditions.is_audit_writable,
                "loki_watch_failed": conditions.is_watch_failed,
            }
        )


def _build_families(values: Mapping[str, bool]) -> Iterator[GaugeMetricFamily]:
    """Return the families of the server, with samples for those in `values`."""
    for name, description in _SERVER_FAMILIES.items():
        yield GaugeMetricFamily(name, description, value=values.get(name))


class _Metrics(PrometheusMetrics):  # type: ignore[misc]  # the library has no types
    """Serve the samples of one registry only.

    The library would read files of process counters if PROMETHEUS_MULTIPROC_DIR is set, even when
    it is set for another program.
    """

    def generate_metrics(
        self, accept_header: str | None = None, names: list[str] | None = None
    ) -> tuple[str, str]:
        encode, content_type = _encoder(accept_header or "")
        registry = self.registry.restricted_registry(names) if names else self.registry
        return encode(registry).decode(), content_type


def install(app: Flask, sources: Sources) -> None:
    """Add `/metrics`, computed from the files at each scrape."""
    registry = CollectorRegistry()
    registry.register(SessionCollector(sources))
    registry.register(ServerCollector(app.extensions[EXTENSION]))
    _Metrics(app, path=_PATH, registry=registry, export_defaults=False)
    app.view_functions[_ENDPOINT] = kept(app.view_functions[_ENDPOINT])
    about = {"name": "metrics", "description": "Metrics of the session for Prometheus."}
    openapi.describe(app, _ENDPOINT, about, {"get": _DESCRIPTION})


def _encoder(accept: str) -> tuple[Callable[[Any], bytes], str]:
    """Return the encoder for an Accept header; the text format if the header is malformed."""
    try:
        return choose_encoder(accept)
    except TypeError:  # the header has a version that is not a number
        return choose_encoder("")
