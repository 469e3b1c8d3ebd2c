"""What each answer of the real server says about itself: caching, compression, protection."""

import gzip
import json
from collections.abc import Iterator

import pytest
import requests

from tests.support import places
from tests.support.places import Place
from tests.support.routes import SESSION_METRICS, routes
from tests.support.servers import Server, serving
from tests.support.wire import exchange, head

IDENTITY, GZIP = {"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip"}
NEVER_KEPT = (
    *("/api/enterprise/", "/api/secrets/", "/health/ready", "/metrics"),
    *("/api/fleet", "/api/running-projects", "/api/focus", "/api/auth/session"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = places.recorded(tmp_path_factory.mktemp("headers") / "p", today=True)
    place.write("queue/pending.json", [{"id": f"t{n}", "title": "words " * 20} for n in range(300)])
    return place


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[Server]:
    with serving(place, workers=3, LOKI_ENTERPRISE_AUDIT="true") as server:
        yield server


def gets(place: Place) -> list[str]:
    return [
        route.path
        for route in routes(place.app())
        if route.method == "GET" and route.rule != "/api/events"
    ]


def test_protection_stands_on_every_answer(server: Server, place: Place) -> None:
    for path in [*gets(place), "/no/such/page", "/api/no/such/thing"]:
        headers = server.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["X-Frame-Options"] == "DENY", path
        assert headers["Referrer-Policy"] == "no-referrer", path
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
        assert headers.get("Server", "loki-web") == "loki-web", path
        assert {"Accept-Encoding", "Origin"} <= set(headers["Vary"].split(", ")), path
        assert "X-Powered-By" not in headers
        assert "Set-Cookie" not in headers


def test_answers_of_the_api_are_revalidated(server: Server, place: Place) -> None:
    for path in gets(place):
        if not path.startswith(("/api/", "/metrics", "/health", "/openapi.json")):
            continue
        answer = server.get(path)
        tagged = answer.status_code == 200 and not path.startswith(NEVER_KEPT)
        expected = "private, no-cache" if tagged else "no-store"
        assert answer.headers["Cache-Control"] == expected, path
        assert ("ETag" in answer.headers) is tagged, path


def test_every_worker_answers_304_to_the_same_etag(server: Server) -> None:
    tag = server.get("/api/tasks").headers["ETag"]
    assert tag.startswith('W/"')
    for encoding in (IDENTITY, GZIP, {"Accept-Encoding": "zstd, br, deflate, gzip"}):
        for held in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
            for _ in range(6):
                headers = {**encoding, "If-None-Match": held}
                answer = server.get("/api/tasks", headers=headers)
                assert (answer.status_code, answer.content) == (304, b"")
                assert answer.headers["ETag"] == tag
                assert answer.headers["Cache-Control"] == "private, no-cache"
                assert "Content-Encoding" not in answer.headers
    assert server.head("/api/tasks", headers={"If-None-Match": tag}).status_code == 304
    assert server.head("/api/tasks").headers["ETag"] == tag


def test_a_change_is_told_at_once(server: Server, place: Place) -> None:
    for number in range(5):
        tag = server.get("/api/tasks").headers["ETag"]
        place.write("queue/failed.json", [{"id": f"new-{number}"}])
        answer = server.get("/api/tasks", headers={"If-None-Match": tag})
        assert answer.status_code == 200
        assert f"new-{number}" in answer.text


def test_an_answer_without_an_etag_is_never_304(server: Server) -> None:
    for path in ("/api/secrets/status", "/api/enterprise/audit", "/api/no/such/thing"):
        assert server.get(path, headers={"If-None-Match": "*"}).status_code in (200, 404), path
    answer = server.post(
        "/api/memory/retrieve", json={"query": "a"}, headers={"If-None-Match": "*"}
    )
    assert answer.status_code == 200


def test_a_connection_goes_on_after_an_answer_without_a_body(server: Server) -> None:
    tag = server.get("/api/pricing").headers["ETag"]
    with requests.Session() as session:
        for _ in range(3):
            url = server.url + "/api/pricing"
            assert session.get(url, headers={"If-None-Match": tag}).status_code == 304
            assert session.get(url).json()["models"]


@pytest.mark.parametrize("path", ["/api/tasks", "/api/logs", "/openapi.json", SESSION_METRICS, "/"])
def test_compressed_and_plain_are_the_same(server: Server, path: str) -> None:
    plain, packed = (server.get(path, headers=headers) for headers in (IDENTITY, GZIP))
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"]) / 2
    assert steady(plain.content) == steady(packed.content)


def steady(content: bytes) -> list[bytes]:
    return [line for line in content.splitlines() if b"loki_uptime_seconds" not in line]


def test_only_long_answers_are_compressed(server: Server, place: Place) -> None:
    for path in gets(place):
        answer = server.get(path, headers=GZIP)  # whose content is unpacked
        is_worth_it = answer.status_code == 200 and len(answer.content) >= 1024
        assert ("Content-Encoding" in answer.headers) is is_worth_it, path


@pytest.mark.parametrize("wanted", ["", "identity", "*;q=0", "nonsense", ",,;", "compress"])
def test_an_answer_is_plain_unless_compression_is_accepted(server: Server, wanted: str) -> None:
    request = head("GET /api/tasks HTTP/1.1", "Connection: close", f"Accept-Encoding: {wanted}")
    (answer,) = exchange(server, request)
    assert "content-encoding" not in answer.headers
    assert len(json.loads(answer.content)) > 300


def test_gzip_is_gzip(server: Server) -> None:
    request = head("GET /api/tasks HTTP/1.1", "Connection: close", "Accept-Encoding: gzip")
    (answer,) = exchange(server, request)
    assert len(json.loads(gzip.decompress(answer.content))) > 300


TRAVERSALS = [
    "/assets/../../etc/passwd",
    "/assets/../app.py",
    "/assets/%2e%2e/%2e%2e/etc/passwd",
    "/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/assets/%252e%252e%252fetc%252fpasswd",
    "/assets/..%5c..%5cetc%5cpasswd",
    "/assets/x/..\\..\\page.py",
    "/assets//etc/passwd",
    "/assets/x//etc/passwd",
    "/assets/%00",
    "/assets/x/../../page.py",
    "/docs/static/../page.py",
    "/docs/static/%2e%2e/page.py",
    "/docs/static/..%2fpage.py",
    "/docs/static//etc/passwd",
    "/docs/static/..%5cpage.py",
    "/docs/static/%00",
    "/../../../etc/passwd",
    "/.git/config",
    "/wsgi.py",
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_address_leads_to_other_files(server: Server, path: str) -> None:
    (answer,) = exchange(server, head(f"GET {path} HTTP/1.1", "Connection: close"))
    assert (answer.status_code, set(answer.json())) == (404, {"detail"})
