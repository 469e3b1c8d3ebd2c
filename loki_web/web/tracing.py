"""Spans of requests for OpenTelemetry, if the extra `otel` and its standard variables ask for them.

The SDK reads these: OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_* ...
It starts a thread, so `install` is called after the fork.
"""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from flask import Flask

from loki_web.config.settings import wants_traces
from loki_web.web.access import EVENT_STREAM, SOCKET
from loki_web.web.meter import RULE, UNMATCHED

if TYPE_CHECKING:
    from opentelemetry.trace import Span

Environ = dict[str, Any]
_SERVICE = "loki-web"

log = logging.getLogger(__name__)


class Tracing:
    """WSGI middleware that makes a span of each request but those that become live connections.

    :param traced: the application with spans.
    :param wsgi_app: the application without.
    """

    def __init__(self, traced: Any, wsgi_app: Any) -> None:
        self._traced, self._wsgi_app = traced, wsgi_app

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Let the application answer."""
        is_live = environ.get("PATH_INFO") in (SOCKET, EVENT_STREAM)
        answer = self._wsgi_app if is_live else self._traced
        return cast(Iterable[bytes], answer(environ, start_response))


def install(app: Flask) -> None:
    """Send spans of an application, if the environment names where to."""
    if not wants_traces():
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("no traces: pip install 'loki-web[otel]' (%s)", error)
        return
    name = OTELResourceDetector().detect().attributes.get("service.name", _SERVICE)
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    traced = OpenTelemetryMiddleware(
        app.wsgi_app, _pass_on_trace, _name_after_route, tracer_provider=provider
    )
    app.wsgi_app = Tracing(traced, app.wsgi_app)  # type: ignore[method-assign]


def _pass_on_trace(span: "Span", environ: Environ) -> None:
    """Make the log lines of the request have the id of its trace, also if it begins here."""
    context = span.get_span_context()
    environ["HTTP_TRACEPARENT"] = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def _name_after_route(span: "Span", environ: Environ, status: str, headers: Any) -> None:
    """Name a span after the route: paths are too many."""
    route = environ.get(RULE) or UNMATCHED
    span.update_name(f"{environ['REQUEST_METHOD']} {route}")
    span.set_attribute("http.route", route)
