"""The feed as a process of its own, with nginx in front that sends its connections there."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from loki_web.cli.feed_client import follow
from loki_web.services.fleet import selection
from tests.live.clients import Client, listening, streaming
from tests.support.nginx import Proxy, proxied
from tests.support.places import Place
from tests.support.servers import free_port, serving
from tests.support.waiting import wait_until


@pytest.fixture
def behind_nginx(place: Place, tmp_path: Path) -> Iterator[Proxy]:
    """Everything at one address: the API from one process, the feed from another."""
    with (
        serving(place, LOKI_TRUSTED_PROXIES="1") as app,
        serving_sidecar(place, tmp_path),
        proxied(app.host, tmp_path) as server,
    ):
        yield server


@contextmanager
def serving_sidecar(place: Place, folder: Path) -> Iterator[None]:
    """A sidecar on a unix socket and, so that the test can wait for it, on a port."""
    port = free_port()
    options = ["--bind", f"unix:{folder}/live.sock", "--bind", f"127.0.0.1:{port}"]
    with serving(
        place, target="wsgi:sidecar", options=options, LOKI_DASHBOARD_PORT=str(port),
        LOKI_TRUSTED_PROXIES="1",
    ):  # fmt: skip
        yield


def test_the_sidecar_has_the_feed_and_nothing_else(place: Place) -> None:
    focus = selection.set_focus(place.sources(), str(place.loki.parent))
    with serving(place, target="wsgi:sidecar") as server:
        assert selection.get_focus(place.sources()) == focus  # that of the server
        with listening(server) as client, streaming(server):
            place.write("queue/pending.json", [{"id": "a"}])
            assert client.hear()["type"] == "task_created"
            metrics = server.get("/metrics").text
            assert 'loki_connections_open{kind="websocket"} 1.0' in metrics
            assert 'loki_connections_open{kind="event_stream"} 1.0' in metrics
            for name in ("loki_feed_messages_sent_total", "loki_feed_lag_seconds"):
                counted = re.compile(rf"(?m)^{name} (?!0\.0$)")  # after the message was sent
                wait_until(lambda one=counted: one.search(server.get("/metrics").text), name)  # type: ignore[misc]
            assert "loki_session_status" not in metrics
        statuses = {"/health": "healthy", "/health/live": "live", "/health/ready": "ready"}
        for path, status in statuses.items():
            assert server.get(path).json()["status"] == status
        for path in ("/api/status", "/api/tasks", "/openapi.json", "/"):
            assert server.get(path).status_code == 404
        assert server.get("/ws").status_code == 400


def test_clients_of_the_proxy_get_what_changes(place: Place, behind_nginx: Proxy) -> None:
    assert behind_nginx.get("/api/status").status_code == 200
    with listening(behind_nginx) as client, closing(follow(behind_nginx.url)) as events:
        assert next(events)["type"] == "connected"
        place.write("queue/pending.json", [{"id": "a"}])
        assert client.hear()["type"] == "task_created"
        assert next(events)["type"] == "task_created"


def test_pages_of_other_origins_are_refused_behind_the_proxy_too(behind_nginx: Proxy) -> None:
    with listening(behind_nginx, origin=behind_nginx.url):
        pass
    with pytest.raises(Exception, match="403"):
        Client(behind_nginx.host, origin="https://evil.example")


def test_the_end_of_the_sidecar_reaches_clients_of_the_proxy(place: Place, tmp_path: Path) -> None:
    with serving(place) as app, proxied(app.host, tmp_path) as server:
        with serving_sidecar(place, tmp_path):
            client = Client(server.host)
            assert client.hear()["type"] == "connected"
        assert client.close_code() == 1001
        client.close()
        with serving_sidecar(place, tmp_path), listening(server):
            pass
