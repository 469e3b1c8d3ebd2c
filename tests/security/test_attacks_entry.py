"""Who wants in: odd tokens, paths, methods, hosts and origins, byte by byte to a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loki_web.store.sqlite import path_in
from tests.support import places
from tests.support.accounts import everybody, raw
from tests.support.places import Place
from tests.support.servers import Server, serving
from tests.support.wire import connect, exchange, head

ADMIN = raw("admin")
CLOSE = "Connection: close"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = places.empty(tmp_path_factory.mktemp("entry"))
    everybody(place)
    return place


@pytest.fixture(scope="module")
def guarded(place: Place) -> Iterator[Server]:
    with serving(place, workers=2, LOKI_ENTERPRISE_AUTH="true") as server:
        yield server


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(places.empty(tmp_path_factory.mktemp("opened"))) as server:
        yield server


def status(server: Server, line: str, *lines: str, host: str = "localhost") -> int:
    (answer,) = exchange(server, head(f"{line} HTTP/1.1", CLOSE, *lines, host=host))
    return answer.status_code


NO_TOKEN = {
    "twice the same": [f"Authorization: Bearer {ADMIN}"] * 2,
    "a good one after a bad one": ["Authorization: Bearer x", f"Authorization: Bearer {ADMIN}"],
    "a bad one after a good one": [f"Authorization: Bearer {ADMIN}", "Authorization: Bearer x"],
    "tabulator": [f"Authorization: Bearer\t{ADMIN}"],
    "NUL": [f"Authorization: Bearer {ADMIN}\0"],
    "capitals": [f"Authorization: Bearer {ADMIN.upper()}"],
    "quoted": [f'Authorization: Bearer "{ADMIN}"'],
    "list": [f"Authorization: Bearer {ADMIN},{ADMIN}"],
    "named": [f"Authorization: Bearer token={ADMIN}"],
    "long": [f"Authorization: Bearer loki_{'a' * 60_000}"],
    "other scheme": [f"Authorization: Basic {ADMIN}"],
    "cookie": [f"Cookie: token={ADMIN}; Authorization=Bearer {ADMIN}"],
    "other headers": [f"X-Token: {ADMIN}", f"Proxy-Authorization: Bearer {ADMIN}"],
    "a bad key beside it": ["X-API-Key: x", f"Authorization: Bearer {ADMIN}"],
    "a key with its scheme": [f"X-API-Key: Bearer {ADMIN}"],
    "subprotocols": [f"Sec-WebSocket-Protocol: bearer, {ADMIN}"],
    "subprotocol": [f"Sec-WebSocket-Protocol: loki.token.{ADMIN}"],
    "other address": ["X-Original-URL: /health", "X-Rewrite-URL: /health"],
}


@pytest.mark.parametrize("name", NO_TOKEN)
def test_a_token_counts_in_one_place_and_one_form(guarded: Server, name: str) -> None:
    assert status(guarded, "GET /api/status", *NO_TOKEN[name]) in (400, 401, 431)


WAYS_ROUND = [
    *(f"/api/status?token={ADMIN}", f"/api/status?access_token={ADMIN}"),
    *("//api/status", "/api/./status", "/api//status", "/%61pi/status", "/api/status/"),
    *("/api/status;x", "/API/status", "/api%2fstatus", "/health/../api/status", "/health%00/x"),
    *("/assets/../api/status", "/assets/%2e%2e/api/status", "/docs/..%2fapi/status", "/docs/x"),
    *("/docs/%2e%2e/%2e%2e/etc/passwd", "/assets/..%5c..%5cetc/passwd", "/assets//etc/passwd"),
    *("/assets/../../../../etc/passwd", "/api/enterprise/status/../tokens", "/openapi.json/"),
    *(
        "http://localhost/api/status",
        "http://localhost/health/../api/status",
        "*",
        "/api/status%0a",
    ),
]


@pytest.mark.parametrize("path", WAYS_ROUND)
def test_no_spelling_of_a_path_is_a_way_round(guarded: Server, path: str) -> None:
    assert status(guarded, f"GET {path}") in (400, 401, 404)


@pytest.mark.parametrize("method", ["HEAD", "TRACE", "CONNECT", "PROPFIND", "get", "GETT", "QUERY"])
@pytest.mark.parametrize("path", ["/api/status", "/api/control/stop", "/ws", "/metrics", "/x"])
def test_no_method_is_a_way_round(guarded: Server, method: str, path: str) -> None:
    assert status(guarded, f"{method} {path}") in (400, 401)


def test_no_header_changes_the_method(guarded: Server, place: Place) -> None:
    own = f"Authorization: Bearer {ADMIN}"
    override = "X-HTTP-Method-Override: "
    assert status(guarded, "GET /api/control/stop", own, f"{override}POST") == 405
    assert status(guarded, "POST /api/control/stop", f"{override}GET") == 401
    assert not (place.loki / "STOP").exists()


@pytest.mark.parametrize(
    "host",
    [
        *("xn--aaaaaaaa", "\xff\xfe", "localhost..", "[::ffff:127.0.0.1]", "0", "127.1"),
        *("2130706433", "0177.0.0.1", "[::1%25lo]", "[fe80::1]", "localhost:99999"),
        *("localhost:-1", "localhost, evil.example", "localhost%00.evil.example", "localhost;x"),
        *("evil.example\\@localhost", "[::1]evil", "[::1].evil.example", "a.localhost", "[::]"),
    ],
)
def test_names_that_look_like_ours(opened: Server, host: str) -> None:
    assert status(opened, "GET /api/status", host=host) in (400, 403)


FOREIGN = [
    *(
        "null",
        "NULL",
        "http://localhost:57374.",
        "http://localhost.:57374",
        "file://",
        "//localhost",
    ),
    *("http://localhost:8080/", "http://localhost:8080#x", "http://localhost:8080?x"),
    *("http://evil@localhost:8080", "http://localhost:8080@evil.example", "ftp://localhost:8080"),
    *("chrome-extension://localhost:8080", "javascript://localhost:8080", "http://[::1]:8080"),
    *("http://localhost:8080, http://evil.example", "http://localhost:8081", "HTTP://evil.example"),
]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x"])
def test_origins_that_look_like_ours_change_nothing(opened: Server, origin: str, kind: str) -> None:
    lines = ["Content-Length: 0", f"Content-Type: {kind}", f"Origin: {origin}"]
    assert status(opened, "POST /api/control/resume", *lines, host="localhost:8080") == 403


@pytest.mark.parametrize("origin", FOREIGN)
def test_origins_that_look_like_ours_do_not_listen(opened: Server, origin: str) -> None:
    lines = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==", f"Origin: {origin}"]
    with connect(opened) as sock:
        sock.sendall(head("GET /ws HTTP/1.1", *lines, host="localhost:8080"))
        assert sock.recv(100).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("forwarded", ["localhost", "127.0.0.1:57374", "[::1]"])
def test_a_page_cannot_speak_for_its_host_through_a_proxy(place: Place, forwarded: str) -> None:
    """A rebound page may set X-Forwarded-Host, and most proxies hand it on; Host it cannot set."""
    client = place.client(LOKI_TRUSTED_PROXIES="1")
    told = {"Host": "evil.example", "X-Forwarded-Host": forwarded}
    assert client.get("/api/status", headers=told).status_code == 403
    told["Host"] = "127.0.0.1:57374"  # as a proxy that does not keep the name
    assert client.get("/api/status", headers=told).status_code == 200


def test_smuggled_requests_are_not_read(guarded: Server, place: Place) -> None:
    stop = head("POST /api/control/stop HTTP/1.1", f"Authorization: Bearer {ADMIN}", CLOSE)
    for lines in (
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        [f"Content-Length: {len(stop)}", "Transfer-Encoding : chunked"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["Content-Length: +5"],
        ["Content-Length: 5, 5"],
    ):
        begun = head("POST /api/auth/info HTTP/1.1", *lines)
        assert len(exchange(guarded, begun + b"0\r\n\r\n" + stop)) == 1, lines
    assert not (place.loki / "STOP").exists()


def test_a_planted_cache_is_not_written_through(tmp_path: Path) -> None:
    place = places.empty(tmp_path)
    victim = place.home / "victim"
    victim.write_text("precious")
    folder = place.sources().cache_folder
    assert folder is not None
    for name in (path_in(folder).name, "connections.lock"):
        (folder / name).symlink_to(victim)
    client = place.client()
    assert client.post("/api/memory/retrieve", json={"query": "x"}).status_code == 200
    assert client.post("/api/control/pause").status_code == 200
    assert victim.read_text() == "precious"
