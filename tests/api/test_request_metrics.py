"""Metrics of the requests themselves: counted once each, whichever worker answers."""

import os
import re
import signal
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from loki_web.store.shared.counts import SharedCounts
from loki_web.web.meter import BUCKETS, Histograms
from tests.support import places
from tests.support.places import Place
from tests.support.servers import Server, serving
from tests.support.waiting import wait_until

MOST_SERIES = 600
DURATION = "loki_http_request_duration_seconds"


def parse(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the values of the samples by name and labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def count(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Return how many requests there were by method, route and status class."""
    return parse(client.get("/metrics").get_data(as_text=True)).get(f"{DURATION}_count", {})


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/health", ("GET", "/health", "2xx")),
        ("HEAD", "/health", ("HEAD", "/health", "2xx")),
        ("GET", "/api/agents", ("GET", "/api/agents", "2xx")),
        ("GET", "/api/memory/episodes/x1", ("GET", "/api/memory/episodes/<id>", "4xx")),
        ("POST", "/api/control/pause", ("POST", "/api/control/pause", "2xx")),
        ("POST", "/health", ("POST", "unmatched", "4xx")),
        ("GET", "/api/agents/", ("GET", "unmatched", "3xx")),
        ("GET", "/nope/1", ("GET", "unmatched", "4xx")),
        ("BREW", "/nope/2", ("other", "unmatched", "4xx")),
        ("GET", "/metrics", ("GET", "/metrics", "2xx")),
    ],
)
def test_a_request_is_counted_by_method_route_and_status_class(
    client: FlaskClient, method: str, path: str, expected: tuple[str, str, str]
) -> None:
    for _ in range(3):  # computed, cached as an answer, cached as a form
        client.open(path, method=method)
    labels = (expected[0], re.sub("<.*>", "<", expected[1]), expected[2])
    counted = {(m, re.sub("<.*>", "<", route), s): n for (m, route, s), n in count(client).items()}
    assert counted[labels] == 3


def test_answers_that_the_client_has_are_of_class_3xx(client: FlaskClient) -> None:
    etag = client.get("/api/agents").headers["ETag"]
    client.get("/api/agents", headers={"If-None-Match": etag})
    assert count(client)["GET", "/api/agents", "3xx"] == 1


def test_refused_calls_are_counted_by_status(place: Place) -> None:
    client = place.client(LOKI_ENTERPRISE_AUTH="true", LOKI_METRICS_PUBLIC="true")
    for _ in range(2):
        client.get("/api/status")
    client.get("/api/status", headers={"Host": "evil.example"})
    refused = parse(client.get("/metrics").get_data(as_text=True))["loki_refused_calls_total"]
    assert {labels: number for labels, number in refused.items() if number} == {
        ("401",): 2,
        ("403",): 1,
    }


@pytest.mark.slow
def test_series_are_bounded_and_what_is_beyond_is_counted_as_other(place: Place) -> None:
    app = place.app()
    client, asked = app.test_client(), 0
    for rule in app.url_map.iter_rules():
        for method in {*(rule.methods or ()), "BREW"} - {"OPTIONS"}:
            for host in ("localhost", "evil.example"):
                if rule.rule not in ("/ws", "/api/events"):
                    path = re.sub("<[^>]*>", "1", rule.rule)
                    client.open(path, method=method, headers={"Host": host})
                    asked += 1
    text = client.get("/metrics").get_data(as_text=True)
    counted = parse(text)[f"{DURATION}_count"]
    assert sum(counted.values()) == asked
    assert counted["other", "other", "2xx"] > 0
    assert sum(not line.startswith("#") for line in text.splitlines()) <= MOST_SERIES


def test_a_row_goes_on_counting_when_its_process_has_ended() -> None:
    shared = SharedCounts(2)
    rows = [shared.take_row(), shared.take_row()]
    assert rows == [0, 1]
    assert shared.take_row() is None
    first, second = shared.open(0), shared.open(1)
    for counts in (first, second):
        counts.put(3, 2)  # a gauge
        counts.add(100, 5)
    assert (second.total(3), second.total(100), second.greatest(3)) == (4, 10, 2)
    shared.give_back(0)
    assert (second.total(3), second.total(100)) == (2, 10)
    assert shared.take_row() == 0
    shared.open(0).add(100)
    assert second.total(100) == 11


def of_server(server: Server) -> dict[str, dict[tuple[str, ...], float]]:
    return parse(server.get("/metrics").text)


def do_nothing(server: Server) -> None:
    pass


def kill_a_worker(server: Server) -> None:
    killed = server.workers()[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in server.workers(), "the end of a worker")


def reload(server: Server) -> None:
    before = server.workers()
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.has_replaced(before), "new workers")


def test_no_count_is_lost_when_workers_end(tmp_path: Path) -> None:
    with serving(places.recorded(tmp_path / "p"), workers=3) as server:
        asked = 0
        for change in (do_nothing, kill_a_worker, reload):
            change(server)
            wait_until(lambda: len(server.workers()) == 3, "all workers")
            for _ in range(20):
                server.get("/api/agents")
            asked += 20
            found = [of_server(server) for _ in range(6)]
            counts = {each[f"{DURATION}_count"]["GET", "/api/agents", "2xx"] for each in found}
            assert counts == {asked}
            running = {sum(each["loki_http_requests_in_flight"].values()) for each in found}
            assert running == {1}
        maps = [Path(f"/proc/{pid}/maps").read_text() for pid in server.workers()]
        assert not [each for each in maps if str(tmp_path) in each]


def test_a_series_is_renewed_after_a_request_of_any_process(place: Place) -> None:
    shared, app = SharedCounts(2), place.app()
    rows = [shared.open(row) for row in (shared.take_row(), shared.take_row()) if row is not None]
    kept = Histograms(app, rows[0])
    cell = kept.find("GET", "/health", "200 OK")
    for counts, bucket in ((rows[0], 0), (rows[1], 3), (rows[0], len(BUCKETS))):
        counts.add(cell + bucket)
        kept.build_family()  # a scrape between the two steps of counting a request
        counts.add(cell + len(BUCKETS) + 1, 0.25)
        assert kept.build_family().samples == Histograms(app, rows[0]).build_family().samples
    before, after = kept.build_family().samples, kept.build_family().samples
    assert len(before) == len(BUCKETS) + 3
    assert all(old is new for old, new in zip(before, after, strict=True))
