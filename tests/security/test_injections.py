"""What attackers write, in every place of every route: nothing breaks, tells too much, or acts."""

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from loki_web.auth import tokens
from tests.support import answers, places
from tests.support.places import Place

STRINGS = (
    "' OR '1'='1", '" OR ""="', "1; DROP TABLE hit--", "admin'--", "%27%20OR%201=1",
    '* NEAR("a" "b")', "NOT AND OR", 'a" OR rowid>0 --', "col:*", "^\"", "(((", "a*b*c*",
    "../../../../etc/passwd", "..\\..\\etc\\passwd", "%2e%2e%2f", "/etc/passwd", "file:///etc/passwd",
    "\0", "a\0b", "\r\nX-Injected: 1", "\x1b[31mred", "\ud7ff\uffff", "é" * 64, "𝟙𝟚", "٣", "-0",
    "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", "$(id)", "`id`", "|id", "; sleep 9",
    "__proto__", "constructor", "__class__", "%s%n", "{0.__class__}", "NaN", "Infinity", "1e999",
    "9" * 400, "-1", "true", "null", "[]", "{}", "A" * 3000, "a" * 129, ".", "..", "~", "*", "%",
    "2026-02-30", "0000-00-00", "9999-12-31T23:59:59Z", "loki_" + "x" * 43, "Bearer x",
)  # fmt: skip
ROUNDS = 2


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return places.recorded(tmp_path_factory.mktemp("injections") / "p", today=True)


@pytest.fixture(scope="module")
def client(place: Place) -> FlaskClient:
    """Of somebody who may do everything."""
    settings = {"LOKI_ENTERPRISE_AUTH": "true", "LOKI_ENTERPRISE_AUDIT": "true"}
    made = tokens.create(place.sources(**settings), "tester", role="admin")
    client = place.client(**settings)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made['token']}"
    return client


@pytest.fixture(scope="module")
def document(client: FlaskClient) -> Any:
    return client.get("/openapi.json").get_json()


def operations(document: Any) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Method, path, names of query parameters and names of body fields.

    `project`, which all routes read alike, at one of them: what is no project is 404 before
    anything else of a request is looked at.
    """
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            parameters = operation.get("parameters", [])
            queries = [found["name"] for found in parameters if found.get("in") == "query"]
            queries = [name for name in queries if name != "project" or path == "/api/status"]
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            name = schema.get("$ref", "").rsplit("/", 1)[-1]
            fields = document["components"]["schemas"].get(name, {}).get("properties", {})
            yield method.upper(), path, queries, list(fields)


def filled(path: str, value: str) -> str:
    before, brace, rest = path.partition("{")
    if not brace:
        return path
    return before + quote(value, safe="") + filled(rest.partition("}")[2], value)


def attacks(document: Any) -> Iterator[tuple[str, str, dict[str, str], Any]]:
    chance = random.Random(4)
    for method, path, queries, fields in operations(document):
        for value in STRINGS if "{" in path or queries or fields else STRINGS[:2]:
            query = dict.fromkeys(queries, value)
            yield method, filled(path, value), query, dict.fromkeys(fields, value)
            for _ in range(ROUNDS if fields else 0):
                odd: Any = chance.choice((value, [value], {value: value}, None, 1.5, [[]]))
                some = {name: odd for name in fields if chance.random() < 0.6}
                yield method, filled(path, value), {}, some


@pytest.mark.slow
def test_no_string_breaks_a_route_or_brings_out_the_inside(
    place: Place, client: FlaskClient, document: Any
) -> None:
    asked = 0
    for method, path, query, body in attacks(document):
        sent = {"json": body} if method in ("POST", "PUT") else {}
        answer = client.open(path, method=method, query_string=query, **sent)
        asked += 1
        told = answer.get_data(as_text=True)
        where = (method, path, query, body)
        assert answer.status_code < 500, where
        assert not any(line.startswith("X-Injected") for line in map(str, answer.headers)), where
        if answer.status_code >= 400:
            assert set(answers.strict_json(answer)) == {"detail"}, where
            assert not any(word in told for word in ("Traceback", "Errno", str(place.home))), where
        assert "root:x:0:0" not in told, where
    assert asked > 3000
    assert [path.name for path in place.home.parent.iterdir()] == ["home"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", "bearer  x", "Basic YTpi", "Bearer loki_", "Bearer loki_\u00e9",
        "Bearer " + "loki_" + "x" * 8000, "Bearer loki_x, Bearer loki_y", "Token loki_x",
        "Bearer null", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "Bearer ' OR 1=1 --",
    ],
)  # fmt: skip
def test_a_malformed_token_opens_nothing(place: Place, document: Any, header: str) -> None:
    stranger = place.client(LOKI_ENTERPRISE_AUTH="true")
    before = places.snapshot(place.loki)
    for method, path, _, _ in operations(document):
        if path.startswith("/health") or path in ("/api/enterprise/status", "/api/auth/info"):
            continue
        answer = stranger.open(filled(path, "x"), method=method, headers={"Authorization": header})
        assert answer.status_code == 401, (method, path)
    assert places.snapshot(place.loki) == before
