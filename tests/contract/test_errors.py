"""Every refusal of the real server is `{"detail": "sentence"}`, whoever refuses."""

import json
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from tests.support import places
from tests.support.accounts import bearer, everybody
from tests.support.places import Place, snapshot
from tests.support.routes import routes
from tests.support.servers import Server, serving
from tests.support.wire import Answer, exchange, head


class Headers(Protocol):
    def get(self, name: str, /) -> str | None: ...


EVIL = "https://evil.example"
OWN = "http://localhost:57374"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return places.empty(tmp_path_factory.mktemp("errors"))


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[Server]:
    with serving(place, workers=2, LOKI_AUDIT_DISABLED="true") as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = places.empty(tmp_path_factory.mktemp("guarded"))
    everybody(place)
    settings = {"LOKI_ENTERPRISE_AUTH": "true", "LOKI_CONTROL_RATE_LIMIT": "2"}
    with serving(place, workers=2, **settings) as server:
        yield server


def is_a_sentence(headers: Headers, content: bytes) -> bool:
    body = json.loads(content)
    typed = headers.get("content-type") == "application/json"
    return typed and set(body) == {"detail"} and 5 < len(body["detail"]) < 400


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/api/tasks?status=a&status=b", {}, 400),
        ("GET", "/api/logs?lines=0", {}, 400),
        ("GET", "/api/checkpoints/..", {}, 404),
        ("GET", "/api/checkpoints/a%0A", {}, 400),
        ("GET", "/api/status", {"headers": {"Host": "evil.example"}}, 403),
        ("GET", "/", {"headers": {"Host": "evil.example"}}, 403),
        ("POST", "/api/control/stop", {"headers": {"Origin": EVIL}}, 403),
        ("GET", "/api/no/such/thing", {}, 404),
        ("GET", "/no/such/page", {}, 404),
        ("GET", "/API/STATUS", {}, 404),
        ("GET", "/api/checkpoints/unknown", {}, 404),
        ("POST", "/api/checkpoints", {"data": b"x" * 2_000_000}, 413),
        ("POST", "/api/checkpoints", {"data": b"{}"}, 415),
    ],
)
def test_refusals_are_a_sentence(
    server: Server, method: str, path: str, options: dict[str, object], status: int
) -> None:
    answer = server.request(method, path, **options)
    assert (answer.status_code, is_a_sentence(answer.headers, answer.content)) == (status, True)


def test_missing_tokens_and_scopes_are_told_in_a_sentence(guarded: Server) -> None:
    for path in ("/api/status", "/metrics", "/api/no/such/thing", "/no/such/page"):
        nobody = guarded.get(path)
        assert (nobody.status_code, nobody.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert is_a_sentence(nobody.headers, nobody.content)
    viewer = guarded.post("/api/control/pause", headers=bearer("viewer"))
    assert (viewer.status_code, is_a_sentence(viewer.headers, viewer.content)) == (403, True)


def test_too_many_changes_are_told_in_a_sentence(guarded: Server) -> None:
    answers = [guarded.post("/api/control/pause", headers=bearer("operator")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert is_a_sentence(answers[2].headers, answers[2].content)
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60


def test_a_fault_of_the_server_is_told_without_words(place: Place) -> None:
    """A route that breaks, beside the real ones."""
    app = place.app()
    nothing: dict[str, Any] = {}
    app.add_url_rule("/api/broken", view_func=lambda: nothing["/secret/path"])
    answer = app.test_client().get("/api/broken")
    assert (answer.status_code, is_a_sentence(answer.headers, answer.data)) == (500, True)
    assert b"secret" not in answer.data
    assert answer.headers["X-Request-ID"]


def test_every_route_knows_its_methods(server: Server, place: Place) -> None:
    known: dict[str, set[str]] = {}
    for route in routes(place.app()):
        known.setdefault(route.path, set()).add(route.method)
    for path, methods in known.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - methods:
            answer = server.request(method, path)
            assert answer.status_code == 405, (method, path)
            assert is_a_sentence(answer.headers, answer.content)
            allowed = set(answer.headers["Allow"].split(", "))
            assert allowed - {"OPTIONS", "HEAD"} == methods, (method, path)
            assert ("HEAD" in allowed) == ("GET" in methods)


def test_head_is_get_without_a_body(server: Server, place: Place) -> None:
    for route in routes(place.app()):
        if route.method != "GET" or route.rule == "/api/events":
            continue
        got, asked = server.get(route.path), server.head(route.path)
        assert (asked.status_code, asked.content) == (got.status_code, b""), route
        assert asked.headers["Content-Type"] == got.headers["Content-Type"]


def files(place: Place) -> dict[str, tuple[int, bytes]]:
    """What the session and its user have; a lock is nobody's."""
    found = {**snapshot(place.loki), **snapshot(place.home / ".loki")}
    return {name: held for name, held in found.items() if name.endswith((".json", "jsonl"))}


ODD_IDENTIFIERS = [
    *("..", "%2e%2e", ".", "..%2f..%2fetc", "..%5c..%5cetc", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
    *("a%0A", "a%0a%0d", "%0a", "a%00", "%00", "a%1b", "%20", "a%20b", "%ff", "a%ff"),
    *("%c3%a4", "%ef%bc%97", "a" * 129, "a" * 5000, "*", "a;b", "a%3fb", "~", "$HOME", "a.json"),
]


@pytest.mark.parametrize("identifier", ODD_IDENTIFIERS, ids=range(len(ODD_IDENTIFIERS)))
def test_odd_identifiers_find_nothing_and_touch_nothing(
    place: Place, server: Server, identifier: str
) -> None:
    before = files(place)
    for route in routes(place.app()):
        if "<" not in route.rule:
            continue
        path = route.path.replace("x1", identifier)
        request = head(f"{route.method} {path} HTTP/1.1", "Connection: close")
        (answer,) = exchange(server, request)
        assert answer.status_code in (400, 404, 405, 414) or (
            answer.status_code == 403 and "/tokens/" in route.rule  # there are none
        ), (route, answer.content)
        assert is_a_sentence(answer.headers, answer.content)
    assert files(place) == before


def test_a_head_of_the_event_stream_opens_none(server: Server) -> None:
    asked = server.head("/api/events")
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["Content-Type"].startswith("text/event-stream")


BROKEN = {
    "no request": (b"NONSENSE\r\n\r\n", 400),
    "no version": (b"GET /health\r\n\r\n", 400),
    "another version": (head("GET /health HTTP/9.9"), 400),
    "small letters": (head("get /health HTTP/1.1"), 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no header": (head("GET /health HTTP/1.1", "no header"), 400),
    "two hosts": (head("GET /health HTTP/1.1", "Host: evil.example"), 400),
    "no length": (head("POST /api/control/stop HTTP/1.1", "Content-Length: x"), 400),
    "negative length": (head("POST /api/control/stop HTTP/1.1", "Content-Length: -1"), 400),
    "length twice": (
        head("POST /api/control/stop HTTP/1.1", "Content-Length: 0", "Content-Length: 5"), 400,
    ),
    "length and chunks": (
        head(
            "POST /api/control/stop HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked"
        ), 400,
    ),
    "unknown coding": (head("POST /api/control/stop HTTP/1.1", "Transfer-Encoding: x"), None),
    "long address": (head(f"GET /{'a' * 9000} HTTP/1.1"), 414),
    "long header": (head("GET /health HTTP/1.1", f"X: {'a' * 70_000}"), 431),
    "many headers": (head("GET /health HTTP/1.1", *[f"X{n}: a" for n in range(200)]), 431),
    "raw bytes": (b"GET /api/memory/episodes/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "space in a name": (head("POST /api/control/stop HTTP/1.1", "Content-Length : 5"), 400),
    "folded header": (head("GET /health HTTP/1.1", "X: a", " b"), 400),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_requests_that_cannot_be_parsed_are_answered_in_a_sentence(
    place: Place, server: Server, name: str
) -> None:
    data, status = BROKEN[name]
    before, logged = snapshot(place.loki), len(server.errors)
    answer: Answer
    (answer,) = exchange(server, data)
    assert answer.status_code == status or (status is None and answer.status_code in (400, 501))
    assert is_a_sentence(answer.headers, answer.content)
    assert "server" not in answer.headers
    assert snapshot(place.loki) == before
    assert not [line for line in server.errors[logged:] if "Traceback" in line or "\x16" in line]


def test_bytes_after_a_broken_request_are_not_read(place: Place, server: Server) -> None:
    broken = head("GET /health HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked")
    smuggled = head("POST /api/control/stop HTTP/1.1", "Connection: close")
    assert len(exchange(server, broken + smuggled)) == 1
    assert not (place.loki / "STOP").exists()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("localhost", 200), ("localhost:9999", 200), ("127.0.0.1", 200), ("[::1]:57374", 200)),
        *(("evil.example", 403), ("127.0.0.1.evil.example", 403), ("10.evil.example", 403)),
        *(("localhost.evil.example:57374", 403), ("evil.example:127.0.0.1", 403), ("", 403)),
    ],
)
def test_names_of_the_server(server: Server, host: str, status: int) -> None:
    (answer,) = exchange(server, head("GET /api/status HTTP/1.1", "Connection: close", host=host))
    assert answer.status_code in (status, 400) if status == 403 else answer.status_code == status
    (probe,) = exchange(server, head("GET /health HTTP/1.1", "Connection: close", host="10.0.0.9"))
    assert probe.status_code == 200


@pytest.mark.parametrize(
    "target", ["http://evil.example/api/status", "http://localhost@evil.example/api/status"]
)
def test_a_whole_address_does_not_hide_the_host(server: Server, target: str) -> None:
    request = head(f"GET {target} HTTP/1.1", "Connection: close", host="evil.example")
    (answer,) = exchange(server, request)
    assert answer.status_code in (400, 403, 404)


def test_pages_of_other_origins_change_nothing_and_read_nothing(
    place: Place, server: Server
) -> None:
    before = snapshot(place.loki)
    for route in routes(place.app()):
        if route.rule == "/api/events":
            continue
        for headers in ({"Origin": EVIL}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            if route.changes:
                body = {"Content-Type": "text/plain", **headers}
                answer = server.request(route.method, route.path, data="{}", headers=body)
                assert answer.status_code == 403, route
            else:
                answer = server.get(route.path, headers=headers)
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert snapshot(place.loki) == before


def test_pages_of_allowed_origins_may(server: Server) -> None:
    asked = {
        "Origin": OWN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type, x-custom",
    }
    preflight = server.request("OPTIONS", "/api/notifications/triggers", headers=asked)
    assert preflight.status_code in (200, 204)
    assert preflight.headers["Access-Control-Allow-Origin"] == OWN
    assert preflight.headers["Access-Control-Allow-Methods"] == "*"
    assert preflight.headers["Access-Control-Allow-Headers"] == "*"
    assert "Access-Control-Allow-Credentials" not in preflight.headers
    answer = server.post("/api/control/resume", headers={"Origin": OWN})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, OWN)
    assert "Origin" in answer.headers["Vary"]
