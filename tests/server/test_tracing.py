"""OpenTelemetry: spans of requests reach a collector, and the log has their trace."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.live.clients import listening
from tests.support.places import Place
from tests.support.servers import serving
from tests.support.waiting import wait_until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(BaseHTTPRequestHandler):
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a collector, and the bodies that it got."""
    bodies: list[bytes] = []
    with HTTPServer(("127.0.0.1", 0), type("One", (Collector,), {"bodies": bodies})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


def read_spans(bodies: list[bytes]) -> dict[str, Any]:
    # Not above: the fast tests are collected without the extra.
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    return {
        span.name: span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def test_each_request_is_a_span_that_continues_the_trace_of_its_client(
    place: Place, collector: tuple[str, list[bytes]]
) -> None:
    address, bodies = collector
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "LOKI_LOG_FORMAT": "json",
        "LOKI_ACCESS_LOG": "true",
    }
    with serving(place, workers=1, **settings) as server:
        for _ in range(3):  # computed, cached, and sent without Flask
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            assert server.get("/api/agents", headers=headers).status_code == 200
        assert server.get("/nope/1").status_code == 404
        with listening(server):
            pass
        names = {"GET /api/agents", "GET unmatched"}
        wait_until(lambda: names <= set(read_spans(bodies)), "the spans")
        spans = read_spans(bodies)
        assert set(spans) <= {*names, "GET /health"}
        assert spans["GET /api/agents"].trace_id.hex() == TRACE
        assert spans["GET /api/agents"].parent_span_id.hex() == PARENT
        assert server.end() == 0
    lines = [json.loads(line) for line in server.errors if line.startswith("{")]
    traces = {line["path"]: line.get("trace_id") for line in lines if "path" in line}
    assert traces["/api/agents"] == TRACE
    assert traces["/nope/1"] == spans["GET unmatched"].trace_id.hex()
    assert traces["/ws"] is None
    assert b"loki-web" in bodies[0]
