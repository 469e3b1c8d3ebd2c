"""The feed as a process of its own, with nginx in front that sends its connections there."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from loki_web.live.client import follow
from tests.live.clients import Client, listening, streaming
from tests.places import Place
from tests.servers import Server, environment, free_port, running, serving

HOW_TO_INSTALL = "nginx is needed for this test: apt-get install nginx-light"
CONFIGURATION = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{app};
            proxy_set_header Host $http_host;
        }}
        location ~ ^/(ws|api/events)$ {{
            proxy_pass http://unix:{folder}/live.sock;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_read_timeout 60s;
        }}
    }}
}}
"""


def nginx() -> str:
    """The program; a test that needs it says how to install it, and may not be skipped in CI."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(HOW_TO_INSTALL)
    if found is None:
        pytest.skip(HOW_TO_INSTALL)
    return found


@contextmanager
def proxied(app: Server, folder: Path) -> Iterator[Server]:
    port = free_port()
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # as is who owns the test's folder
    configuration.write_text(
        CONFIGURATION.format(folder=folder, app=app.host, port=port, user=user)
    )
    command = [nginx(), "-c", str(configuration), "-p", str(folder)]
    with running(command, dict(os.environ), f"127.0.0.1:{port}") as server:
        yield server


@pytest.fixture
def behind_nginx(place: Place, tmp_path: Path) -> Iterator[Server]:
    """Everything at one address: the API from one process, the feed from another."""
    with (
        serving(place) as app,
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
    with running(command, environment(place, LOKI_WORKERS="1"), host):
        yield


def test_the_sidecar_has_the_feed_and_nothing_else(place: Place) -> None:
    with serving(place, target="wsgi:sidecar") as server:
        with listening(server) as client, streaming(server):
            place.write("queue/pending.json", [{"id": "a"}])
            assert client.hear()["type"] == "task_created"
        assert server.get("/health").json()["status"] == "healthy"
        for path in ("/api/status", "/api/tasks", "/metrics", "/openapi.json", "/"):
            assert server.get(path).status_code == 404
        assert server.get("/ws").status_code == 400


def test_clients_of_the_proxy_get_what_changes(place: Place, behind_nginx: Server) -> None:
    assert behind_nginx.get("/api/status").status_code == 200
    with listening(behind_nginx) as client, closing(follow(behind_nginx.url)) as events:
        assert next(events)["type"] == "connected"
        started = time.monotonic()
        place.write("queue/pending.json", [{"id": "a"}])
        assert client.hear()["type"] == "task_created"
        assert next(events)["type"] == "task_created"
        assert time.monotonic() - started < 3


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
