"""The page below a prefix, behind a proxy that takes it off and tells nobody."""

import os
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.watching import settled
from tests.support import programs, servers
from tests.support.servers import Server

CONFIGURATION = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 64; }}
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
        location = /health {{ proxy_pass http://{app}; }}
        location /tools/loki/ {{
            proxy_pass http://{app}/;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""


def test_the_page_works_below_a_prefix(
    running: Server, open_page: OpenPage, tmp_path: Path
) -> None:
    port = servers.free_port()
    user = "user root;" if os.geteuid() == 0 else ""  # as is who owns the test's folder
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(user=user, folder=tmp_path, app=running.host, port=port)
    )
    command = [programs.needed("nginx", "nginx-light"), "-c", str(configuration)]
    command += ["-p", str(tmp_path)]
    with servers.running(command, dict(os.environ), f"127.0.0.1:{port}") as proxy:
        watched = settled(open_page(f"{proxy.url}/tools/loki/#/tasks"))
        expect(watched.page.get_by_role("heading", name="Tasks", level=1)).to_be_visible()
        assert watched.said == []
        assert all(f"{proxy.host}/tools/loki/" in url for url in watched.asked)
