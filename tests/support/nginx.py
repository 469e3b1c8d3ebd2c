"""A real nginx with one of the configurations of deploy/nginx in front of a server."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.programs import needed
from tests.support.servers import ROOT, Server, free_port, running
from tests.support.tls import certificate
from tests.support.waiting import PATIENCE_SECONDS

SAMPLES = ROOT / "deploy" / "nginx"
PREFIX = "/tools/loki"
# The second server tells that nginx is ready, whatever paths the sample has.
AROUND = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/startup.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {sample};
    server {{ listen {ready}; access_log off; location = /health {{ return 200; }} }}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """:param url: of the server behind it, with its prefix.
    :param ca: the certificate to trust, of `tls.conf`.
    """

    url: str
    folder: Path
    process: Server
    ca: str | None

    @property
    def host(self) -> str:
        return self.url.partition("://")[2].partition("/")[0]

    @property
    def prefix(self) -> str:
        return self.url.partition(self.host)[2]

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        options["verify"] = self.ca or True
        return requests.request(method, self.url + path, timeout=PATIENCE_SECONDS, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def head(self, path: str) -> requests.Response:
        return self.request("HEAD", path)

    def log(self, name: str = "loki-web.log") -> str:
        return (self.folder / name).read_text()


@contextmanager
def proxied(
    app: str, folder: Path, sample: str = "plain.conf", *, live: str = "", **limits: str
) -> Iterator[Proxy]:
    """nginx with a sample, whose addresses and folders are replaced by those of the test.

    :param app: host and port of the server.
    :param live: the address of the live feed; default: a unix socket of the folder.
    :param limits: `rate`, `burst` and `connections`; default: more than a test needs.
    """
    port, other, ready = free_port(), free_port(), f"127.0.0.1:{free_port()}"
    ca = certificate(folder)[0] if sample == "tls.conf" else None
    _copy(
        folder,
        {
            "127.0.0.1:57374": app,
            "unix:/run/loki-web/live.sock": live or f"unix:{folder}/live.sock",
            "/var/log/nginx": str(folder),
            "/var/cache/nginx-loki-web": str(folder / "cache"),
            "/etc/nginx/loki-web": str(folder),
            "rate=50r/s": f"rate={limits.get('rate', '10000r/s')}",
            "burst=200": f"burst={limits.get('burst', '1000')}",
            "loki_connections 100": f"loki_connections {limits.get('connections', '100')}",
            "listen 443": f"listen 127.0.0.1:{port}",
            "listen 80": f"listen 127.0.0.1:{other if ca else port}",
            "loki.example.com": "localhost",
        },
    )
    user = "user root;" if os.geteuid() == 0 else ""  # as is who owns the test's folder
    around = AROUND.format(folder=folder, user=user, sample=sample, ready=ready)
    (folder / "nginx.conf").write_text(around)
    command = [needed("nginx", "nginx"), "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    root = f"https://localhost:{port}" if ca else f"http://127.0.0.1:{port}"
    with running(command, dict(os.environ), ready) as process:
        prefix = PREFIX if sample == "prefix.conf" else ""
        yield Proxy(root + prefix, folder, process, ca)


def _copy(folder: Path, replaced: dict[str, str]) -> None:
    """Copy the samples; each text that is replaced has to be in one of them."""
    shutil.copytree(SAMPLES, folder, dirs_exist_ok=True)
    unseen = set(replaced)
    for name in SAMPLES.rglob("*.*"):
        path = folder / name.relative_to(SAMPLES)
        text = path.read_text(encoding="utf-8")
        for theirs, ours in replaced.items():
            if theirs in text:
                unseen.discard(theirs)
                text = text.replace(theirs, ours)
        path.write_text(text, encoding="utf-8")
    assert not unseen
