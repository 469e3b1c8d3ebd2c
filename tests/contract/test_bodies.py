"""Whatever stands in the body of a request: each route that changes something stands it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support import places
from tests.support.places import Place, snapshot
from tests.support.routes import Route, routes
from tests.support.servers import Server, serving
from tests.support.wire import chunked, exchange, head

METHODS = {"get", "post", "put", "patch", "delete"}
JSON = {"Content-Type": "application/json"}
TWO_MEGABYTES = b'{"message": "' + b"x" * (2 * 1024 * 1024) + b'"}'
NO_OBJECT = {
    "null": b"null",
    "list": b"[]",
    "number": b"5",
    "text": b'"x"',
    "half": b"{",
    "no JSON": b"message=x",
    "two": b"{}{}",
    "not UTF-8": b'{"message": "\xff\xfe"}',
    "UTF-16": '{"message": "x"}'.encode("utf-16"),
    "lone surrogate": b'{"message": "\\ud800"}',
    "NaN": b'{"message": NaN}',
    "infinite": b'{"message": 1e999}',
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "long number": b"[" + b"1" * 5_000 + b"]",
    "key twice": b'{"message": "a", "message": "b"}',
    "unknown key": b'{"no_such_key": 1}',
    "NUL": b"\0",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return places.empty(tmp_path_factory.mktemp("bodies"))


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[Server]:
    settings = {"LOKI_AUDIT_DISABLED": "true"}  # so that nothing at all is written
    with serving(place, workers=2, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def changing(place: Place) -> list[Route]:
    return [route for route in routes(place.app()) if route.changes]


@pytest.fixture(scope="module")
def reading_a_body(changing: list[Route], server: Server) -> list[Route]:
    with_body = {
        (method.upper(), path.partition("{")[0], path.rpartition("}")[2])
        for path, method, operation in operations(server.get("/openapi.json").json())
        if "requestBody" in operation
    }
    found = [
        route
        for route in changing
        if (route.method, route.rule.partition("<")[0], route.rule.rpartition(">")[2]) in with_body
    ]
    assert len(found) == len(with_body) >= 15
    return found


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Path, method and description."""
    for path, item in document["paths"].items():
        for method in METHODS & set(item):
            yield path, method, item[method]


def kept(place: Place) -> list[Any]:
    """Everything there is below both `.loki/`."""
    return [snapshot(place.loki), snapshot(place.home / ".loki")]


def is_clean(answer: requests.Response) -> bool:
    """No fault of the server, and every refusal is a sentence."""
    if answer.status_code < 400:
        return True
    body = answer.json()
    sentence = isinstance(body["detail"], str) and len(body["detail"]) < 400
    return answer.status_code < 500 and set(body) == {"detail"} and sentence


@pytest.mark.parametrize("name", NO_OBJECT)
def test_a_body_other_than_an_object_of_known_keys_is_refused(
    place: Place, server: Server, reading_a_body: list[Route], name: str
) -> None:
    before = kept(place)
    for route in reading_a_body:
        if name == "unknown key" and route.rule == "/api/memory/retrieve":
            continue  # it takes the keys of all clients
        answer = server.request(route.method, route.path, data=NO_OBJECT[name], headers=JSON)
        assert (answer.status_code, is_clean(answer)) == (400, True), (route, answer.text)
    assert kept(place) == before


@pytest.mark.parametrize("name", NO_OBJECT)
def test_routes_without_a_body_stand_one(
    server: Server, changing: list[Route], reading_a_body: list[Route], name: str
) -> None:
    for route in changing:
        if route not in reading_a_body:
            answer = server.request(route.method, route.path, data=NO_OBJECT[name], headers=JSON)
            assert is_clean(answer), (route, answer.text)


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_no_body_is_no_fault_where_none_is_needed(
    server: Server, changing: list[Route], content_type: str | None
) -> None:
    needing = {
        path.partition("{")[0]
        for path, _, operation in operations(server.get("/openapi.json").json())
        if operation.get("requestBody", {}).get("required")
    }
    headers = {"Content-Type": content_type} if content_type else {}
    for route in changing:
        answer = server.request(route.method, route.path, headers=headers)
        assert is_clean(answer), (route, answer.text)
        if route.rule.partition("<")[0] in needing and route.method in ("POST", "PUT"):
            assert answer.status_code in (400, 403), route
        else:
            assert answer.status_code not in (400, 415), route


def test_a_body_of_two_megabytes_is_too_large_whether_its_length_is_told_or_not(
    place: Place, server: Server, changing: list[Route], reading_a_body: list[Route]
) -> None:
    before = kept(place)
    for route in changing:
        told = head(
            f"{route.method} {route.path} HTTP/1.1",
            *("Connection: close", "Content-Type: application/json"),
            f"Content-Length: {len(TWO_MEGABYTES)}",
        )
        (answer,) = exchange(server, told + TWO_MEGABYTES)
        assert (answer.status_code, set(answer.json())) == (413, {"detail"}), route
    for route in reading_a_body:
        # A valid beginning: what is cut off at the limit must not be taken for the whole.
        body = chunked(b"{}", *[b" " * 65536] * 32)
        (answer,) = exchange(server, in_chunks(route) + body)
        assert (answer.status_code, set(answer.json())) == (413, {"detail"}), route
    assert kept(place) == before


def in_chunks(route: Route) -> bytes:
    return head(
        f"{route.method} {route.path} HTTP/1.1",
        "Connection: close",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
    )


def test_a_body_in_chunks_is_read(server: Server) -> None:
    body = json.dumps({"message": "in chunks"}).encode()
    request = head(
        "POST /api/checkpoints HTTP/1.1",
        *("Connection: close", "Content-Type: application/json", "Transfer-Encoding: chunked"),
    )
    (answer,) = exchange(server, request + chunked(body[:3], body[3:4], body[4:]))
    assert (answer.status_code, answer.json()["message"]) == (201, "in chunks")


BROKEN_CHUNKS = [
    b"zz\r\n",
    b"2\r\n{}XX0\r\n\r\n",
    b"5;\r\x01\r\nabcde\r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\r\nbad trailer\r\n\r\n",
    b"2\r\n{",
    b"2\r\n{}\r\n",
    b"-1\r\n",
    b"ffffffffffffffffffff\r\n{}",
]


@pytest.mark.parametrize("body", BROKEN_CHUNKS)
def test_chunks_that_are_none_are_refused(place: Place, server: Server, body: bytes) -> None:
    before, logged = snapshot(place.loki), len(server.errors)
    request = head(
        "POST /api/control/pause HTTP/1.1",
        *("Connection: close", "Content-Type: application/json", "Transfer-Encoding: chunked"),
    )
    (answer,) = exchange(server, request + body, hang_up=True)
    assert (answer.status_code, set(answer.json())) == (400, {"detail"})
    assert snapshot(place.loki) == before
    assert not [line for line in server.errors[logged:] if "Traceback" in line]


def test_a_client_that_hangs_up_in_the_middle_has_asked_for_nothing(
    place: Place, server: Server
) -> None:
    before = snapshot(place.loki)
    request = head(
        "POST /api/control/stop HTTP/1.1",
        *("Connection: close", "Content-Type: application/json", "Content-Length: 10"),
    )
    (answer,) = exchange(server, request + b"{}", hang_up=True)
    assert (answer.status_code, set(answer.json())) == (400, {"detail"})
    assert snapshot(place.loki) == before


def test_expect_100_continue_is_answered(server: Server) -> None:
    request = head(
        "POST /api/checkpoints HTTP/1.1",
        *("Connection: close", "Content-Type: application/json", "Content-Length: 2"),
        "Expect: 100-continue",
    )
    (answer,) = exchange(server, request + b"{}")
    assert (answer.before[:12], answer.status_code) == (b"HTTP/1.1 100", 201)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        *(("text/plain", 415), ("application/xml", 415), ("", 415), ("application/jsonx", 415)),
        *(("multipart/form-data", 415), ("application/x-www-form-urlencoded", 415)),
        *(("application/json; charset=utf-8", 201), ("APPLICATION/JSON", 201)),
        ("application/merge-patch+json", 201),
    ],
)
def test_only_json_content_types_are_accepted(
    server: Server, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = server.post("/api/checkpoints", data=b'{"message": "x"}', headers=headers)
    assert (answer.status_code, is_clean(answer)) == (status, True)


ODD_VALUES: list[Any] = [
    None,
    5,
    1.5,
    True,
    [],
    {},
    "",
    "x" * 1_000_000,
    "\0",
    "\x1b[31m",
    "\ud800",
]


@pytest.mark.parametrize("value", ODD_VALUES, ids=range(len(ODD_VALUES)))
def test_a_known_key_may_have_any_value(server: Server, value: Any) -> None:
    described = server.get("/openapi.json").json()
    for path, method, operation in operations(described):
        for key in keys_of(described, operation):
            address = path.replace("{", "").replace("}", "")
            answer = server.request(method.upper(), address, json={key: value})
            assert is_clean(answer), (method, path, key, answer.text)


def keys_of(document: Any, operation: Any) -> list[str]:
    if "requestBody" not in operation:
        return []
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema.get("properties", {}))
