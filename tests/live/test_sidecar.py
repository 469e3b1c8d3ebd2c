"""The feed as a process of its own, with nginx in front that sends its connections there."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from loki_web.cli.feed_client import follow
from tests.live.clients import Client, listening, streaming
from tests.support.places import Place
from tests.support.programs import needed
from tests.support.servers import ROOT, Server, environment, free_port, running, serving
from tests.support.waiting import wait_until

SAMPLE = ROOT / "deploy" / "nginx.conf"
AROUND = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {sample}
}}
"""


@contextmanager
def proxied(app: Server, folder: Path) -> Iterator[Server]:
    port = free_port()
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # as is who owns the test's folder
    sample = SAMPLE.read_text(encoding="utf-8")
    for theirs, ours in {
        "127.0.0.1:57374": app.host,
        "/run/loki-web": str(folder),
        "listen 80": f"listen 127.0.0.1:{port}",
        "/var/log/nginx": str(folder),
    }.items():
        assert theirs in sample
        sample = sample.replace(theirs, ours)
    configuration.write_text(AROUND.format(folder=folder, user=user, sample=sample))
    command = [needed("nginx", "nginx"), "-c", str(configuration), "-p", str(folder)]
    with running(command, dict(os.environ), f"127.0.0.1:{port}") as server:
        yield server


@pytest.fixture
def behind_nginx(place: Place, tmp_path: Path) -> Iterator[Server]:
    """Everything at one address: the API from one process, the feed from another."""
    with (
        serving(place, LOKI_TRUSTED_PROXIES="1") as app,
        serving_sidecar(place, tmp_path),
        proxied(app, tmp_path) as server,
    ):
        yield server


@contextmanager
def serving_sidecar(place: Place, folder: Path) -> Iterator[None]:
    """A sidecar on a unix socket and, so that the test can wait for it, on a port."""
    host = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:sidecar"]
    command += ["--bind", f"unix:{folder}/live.sock", "--bind", host]
    with running(command, environment(place, LOKI_WORKERS="1", LOKI_TRUSTED_PROXIES="1"), host):
        yield


def test_the_sidecar_has_the_feed_and_nothing_else(place: Place) -> None:
    with serving(place, target="wsgi:sidecar") as server:
        with listening(server) as client, streaming(server):
            place.write("queue/pending.json", [{"id": "a"}])
            assert client.hear()["type"] == "task_created"
        statuses = {"/health": "healthy", "/health/live": "live", "/health/ready": "ready"}
        for path, status in statuses.items():
            assert server.get(path).json()["status"] == status
        for path in ("/api/status", "/api/tasks", "/metrics", "/openapi.json", "/"):
            assert server.get(path).status_code == 404
        assert server.get("/ws").status_code == 400


def test_clients_of_the_proxy_get_what_changes(place: Place, behind_nginx: Server) -> None:
    assert behind_nginx.get("/api/status").status_code == 200
    with listening(behind_nginx) as client, closing(follow(behind_nginx.url)) as events:
        assert next(events)["type"] == "connected"
        place.write("queue/pending.json", [{"id": "a"}])
        assert client.hear()["type"] == "task_created"
        assert next(events)["type"] == "task_created"


def test_pages_of_other_origins_are_refused_behind_the_proxy_too(behind_nginx: Server) -> None:
    with listening(behind_nginx, origin=behind_nginx.url):
        pass
    with pytest.raises(Exception, match="403"):
        Client(behind_nginx.host, origin="https://evil.example")


def test_the_end_of_the_sidecar_reaches_clients_of_the_proxy(place: Place, tmp_path: Path) -> None:
    with serving(place) as app, proxied(app, tmp_path) as server:
        with serving_sidecar(place, tmp_path):
            client = Client(server.host)
            assert client.hear()["type"] == "connected"
        assert client.close_code() == 1001
        client.close()
        with serving_sidecar(place, tmp_path), listening(server):
            pass


def test_the_proxys_log_holds_no_token(behind_nginx: Server, tmp_path: Path) -> None:
    behind_nginx.get("/api/events?channels=bogus&token=loki_never-in-a-log")
    behind_nginx.get("/api/status?token=loki_never-in-a-log")
    log = tmp_path / "loki-web.log"
    wait_until(lambda: "/api/status" in log.read_text(), "the request in the log")
    logged = log.read_text()
    assert "never-in-a-log" not in logged
