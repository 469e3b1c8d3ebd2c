"""The contract through a real nginx with each configuration of deploy/nginx."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from loki_web.web.request_parser import MAX_BODY_BYTES
from tests.live.clients import Client
from tests.support import answers, nginx, places
from tests.support.nginx import Proxy, proxied
from tests.support.places import Place
from tests.support.programs import installed, needed
from tests.support.servers import Server, serving
from tests.support.waiting import PATIENCE_SECONDS, wait_until

SAMPLES = ["plain.conf", "tls.conf", "prefix.conf"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return places.recorded(tmp_path_factory.mktemp("nginx") / "p", today=True)


@pytest.fixture(scope="module")
def app(place: Place) -> Iterator[Server]:
    with serving(
        place, LOKI_TRUSTED_PROXIES="1", LOKI_ENTERPRISE_AUDIT="true",
        LOKI_ACCESS_LOG="true", LOKI_LOG_FORMAT="json",
    ) as app:  # fmt: skip
        yield app


@pytest.fixture(scope="module", params=SAMPLES)
def proxy(
    app: Server, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("proxy")
    with proxied(app.host, folder, request.param, live=app.host) as proxy:
        yield proxy


def test_every_get_answers_as_described(proxy: Proxy) -> None:
    document = proxy.get("/openapi.json").json()
    for template in answers.gets():
        for path in answers.addresses(proxy.get, template):
            answers.check(document, template, path, proxy.get(path))
    for path in ("/", "/docs", "/metrics"):
        assert proxy.get(path).status_code == 200, path


def test_a_project_is_addressed_by_its_path(proxy: Proxy, place: Place) -> None:
    """Its slashes are %2F in the address, which a proxy must not decode."""
    project = str(place.loki.parent)
    proxy.request("POST", "/api/registry/projects", json={"path": project})
    answer = proxy.get(f"/api/registry/projects/{quote(project, safe='')}")
    assert (answer.status_code, answer.json()["path"]) == (200, project)


def test_changes_of_the_page_are_allowed_and_those_of_others_are_not(proxy: Proxy) -> None:
    origin = proxy.url.removesuffix(proxy.prefix)
    for allowed, status in ((origin, 200), ("https://evil.example", 403)):
        answer = proxy.request("POST", "/api/control/resume", headers={"Origin": allowed})
        assert answer.status_code == status


def test_headers_that_only_a_proxy_may_set_are_not_taken_from_a_client(
    proxy: Proxy, app: Server
) -> None:
    forged = {
        "X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "666", "X-Forwarded-For": "203.0.113.66",
        "X-Forwarded-Proto": "gopher", "Forwarded": "for=203.0.113.66;host=evil.example",
        "X-Request-ID": "forged",
    }  # fmt: skip
    answer = proxy.get("/openapi.json", headers=forged)
    assert answer.json()["servers"] == [{"url": proxy.prefix or "/"}]
    assert len(answer.headers["X-Request-ID"]) == 32
    entry = entry_of(app, answer.headers["X-Request-ID"])
    assert entry["client"] == "127.0.0.1"


def entry_of(app: Server, request_id: str) -> Any:
    """The entry of the server's access log for a request."""

    def find() -> Any:
        lines = (line for line in list(app.errors) if request_id in line)
        return next((entry for line in lines if "path" in (entry := json.loads(line))), None)

    return wait_until(find, "the request in the server's log")


def test_both_logs_name_a_request_alike(proxy: Proxy, app: Server) -> None:
    path = "/api/logs?lines=5"
    request_id = proxy.get(path, headers={"User-Agent": '"}\n'.strip()}).headers["X-Request-ID"]
    wait_until(lambda: request_id in proxy.log(), "the request in nginx's log")
    (theirs,) = (each for line in proxy.log().splitlines() if (each := json.loads(line))
                 and each["request_id"] == request_id)  # fmt: skip
    ours = entry_of(app, request_id)
    assert (theirs["method"], theirs["status"]) == (ours["method"], ours["status"]) == ("GET", 200)
    assert theirs["path"] == f"{proxy.prefix}/api/logs"
    assert ours["path"].endswith("/api/logs")


def test_the_files_of_the_page_are_kept_and_answers_are_not(
    proxy: Proxy, app: Server, place: Place
) -> None:
    version = proxy.get("/").text.partition("assets/")[2].partition("/")[0]
    ids = set()
    for _ in range(3):
        answer = proxy.get(f"/assets/{version}/js/app.js")
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        ids.add(answer.headers["X-Request-ID"])
    assert len(ids) == 3
    entry_of(app, proxy.get("/health").headers["X-Request-ID"])  # all earlier ones are written
    assert sum(each in line for each in ids for line in list(app.errors)) <= 1
    for count in (1, 2):
        place.write("queue/pending.json", [{"id": f"t{number}"} for number in range(count)])
        tasks = proxy.get("/api/tasks?status=pending").json()
        assert f"t{count - 1}" in {task["id"] for task in tasks}


@pytest.mark.parametrize("size", [MAX_BODY_BYTES - 100, MAX_BODY_BYTES + 1])
def test_bodies_are_limited_as_by_the_server(proxy: Proxy, size: int) -> None:
    headers = {"Content-Type": "application/json"}
    answer = proxy.request("POST", "/api/memory/retrieve", data=b" " * size, headers=headers)
    assert answer.status_code == (413 if size > MAX_BODY_BYTES else 400)
    assert set(answer.json()) == {"detail"}
    assert "nginx/" not in answer.headers.get("Server", "")


def test_the_live_feed_comes_through(proxy: Proxy, place: Place) -> None:
    scheme, options = "ws", {}
    if proxy.ca:
        scheme, options = "wss", {"sslopt": {"ca_certs": proxy.ca}}
    client = Client(proxy.host, f"{proxy.prefix}/ws", scheme, **options)
    assert client.hear()["type"] == "connected"
    place.write("queue/pending.json", [{"id": f"new-{proxy.host}"}])
    assert client.hear()["type"].startswith("task_")
    client.close()
    with proxy.get("/api/events?channels=tasks", stream=True) as stream:
        assert any(b"connected" in line for line in stream.iter_lines(chunk_size=1))


def test_addresses_outside_of_the_prefix_are_not_passed_on(app: Server, tmp_path: Path) -> None:
    with proxied(app.host, tmp_path, "prefix.conf", live=app.host) as proxy:
        for path in ("/api/status", "/", "/tools", "/tools/lokiX", "/x/../tools/loki/api/status"):
            assert raw(proxy, path).startswith(b"HTTP/1.1 404"), path
        moved = raw(proxy, "/tools/loki")
    assert b"\r\nLocation: /tools/loki/\r\n" in moved


def raw(proxy: Proxy, path: str) -> bytes:
    """The answer to an address that clients would normalize."""
    name, _, port = proxy.host.partition(":")
    with socket.create_connection((name, int(port))) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: {proxy.host}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_http_2_and_the_redirect_to_it(app: Server, tmp_path: Path) -> None:
    with proxied(app.host, tmp_path, "tls.conf", live=app.host) as proxy:
        url = f"{proxy.url}/api/control/resume"
        command = [
            needed("curl", "curl"), "--silent", "--http2", "--cacert", str(proxy.ca),
            "--request", "POST", "--header", f"Origin: {proxy.url}", "--output", "/dev/null",
            "--write-out", "%{http_version} %{response_code}", url,
        ]  # fmt: skip
        assert subprocess.run(command, capture_output=True, text=True).stdout == "2 200"
        insecure = re.findall(r"listen ([\d.:]+);", (tmp_path / "tls.conf").read_text())
        address = f"http://{insecure[0]}/api/status?x=%2F"
        moved = requests.get(address, allow_redirects=False, timeout=PATIENCE_SECONDS)
    assert moved.status_code == 308
    assert moved.headers["Location"] == "https://localhost/api/status?x=%2F"


@pytest.mark.parametrize("sample", SAMPLES)
def test_no_log_holds_a_token_while_the_live_feed_is_down(
    app: Server, tmp_path: Path, sample: str
) -> None:
    secret = "loki_never-in-a-log"
    with proxied(app.host, tmp_path, sample, live="127.0.0.1:1") as proxy:
        for path in ("/api/events", "/ws", "/api/%65vents", "//ws"):
            answer = proxy.get(f"{path}?token={secret}")
            assert answer.status_code == 502
            assert answer.json() == {"detail": "The server is not available. Try again later."}
        proxy.get(f"/api/status?token={secret}")
        wait_until(lambda: "/api/status" in proxy.log(), "the last request in the log")
        for log in tmp_path.glob("*.log"):
            assert secret not in log.read_text()


def test_a_client_that_asks_too_often_is_told_so(app: Server, tmp_path: Path) -> None:
    with (
        proxied(app.host, tmp_path, live=app.host, rate="1r/m", burst="5") as proxy,
        ThreadPoolExecutor(8) as pool,
    ):
        replies = list(pool.map(proxy.get, ["/health"] * 30))
    refused = [reply for reply in replies if reply.status_code == 429]
    assert 0 < len(refused) < 30
    assert all("Try again later" in reply.json()["detail"] for reply in refused)


def test_an_address_with_too_many_connections_is_refused(app: Server, tmp_path: Path) -> None:
    with proxied(app.host, tmp_path, live=app.host, connections="1") as proxy:
        with proxy.get("/api/events?channels=tasks", stream=True) as stream:
            content = stream.iter_content(1)  # the connection ends with it
            assert next(content)
            refused = proxy.get("/health")
            assert (refused.status_code, set(refused.json())) == (429, {"detail"})
        wait_until(lambda: proxy.get("/health").status_code == 200, "the end of the stream")


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_configuration_has_no_known_weakness(tmp_path: Path, sample: str) -> None:
    """Of those that gixy finds."""
    program = installed("gixy")
    shutil.copytree(nginx.SAMPLES, tmp_path, dirs_exist_ok=True)
    (tmp_path / "nginx.conf").write_text(f"events {{}}\nhttp {{ include {sample}; }}\n")
    # It takes each path after a host for a decoded one; that of prefix.conf is the client's.
    skips = "--skips=proxy_pass_normalized"
    done = subprocess.run([program, skips, str(tmp_path / "nginx.conf")], capture_output=True)
    assert done.returncode == 0, done.stdout.decode()
