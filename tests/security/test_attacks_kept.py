"""Answers that are kept in the server: nobody gets one whom the guard would refuse."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support import places
from tests.support.accounts import bearer, entry, everybody, raw, store
from tests.support.places import Place
from tests.support.routes import routes

pytestmark = pytest.mark.slow

ON = {"LOKI_ENTERPRISE_AUTH": "true", "LOKI_ENTERPRISE_AUDIT": "true"}
WHO = ("nobody", "viewer", "operator", "auditor", "bogus", "expired", "revoked")
WAYS: dict[str, dict[str, str]] = {
    "as it is": {},
    "a range": {"Range": "bytes=0-0"},
    "conditional": {"If-None-Match": "*"},
    "compressed": {"Accept-Encoding": "br;q=1, gzip"},
    "another method": {"X-HTTP-Method-Override": "GET"},
    "forwarded": {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Prefix": "/health"},
    "another address": {"X-Original-URL": "/health", "X-Rewrite-URL": "/health"},
}
SPELLINGS = ("/%2f{}", "{}/", "{};x", "{}.", "{}%2f", "{}?token=" + raw("admin"), "{}/.", "{}%00")


def headers_of(who: str) -> dict[str, str]:
    return {} if who == "nobody" else bearer(who)


def reads(app: Flask) -> list[str]:
    return [
        route.path for route in routes(app) if not route.changes and route.rule != "/api/events"
    ]


def warm(client: FlaskClient, path: str) -> None:
    """Let the admin have the answer in every form; the first request leaves none."""
    for more in ({}, {}, {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "br"}):
        client.get(path, headers={**bearer("admin"), **more})


@pytest.fixture
def app(place: Place) -> Flask:
    everybody(place)
    return place.app(**ON)


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = places.empty(tmp_path_factory.mktemp("shared"))
    everybody(place)
    return place


@pytest.fixture(scope="module")
def shared(shared_place: Place) -> Flask:
    """A server whose accounts no test changes: an answer that one test kept, the next one finds."""
    return shared_place.app(**ON)


@pytest.mark.parametrize("who", WHO)
def test_a_kept_answer_is_refused_to_whom_a_new_one_is(
    shared: Flask, shared_place: Place, who: str
) -> None:
    cold, kept = shared_place.client(**ON), shared.test_client()
    for path in reads(shared):
        code = cold.get(path, headers=headers_of(who)).status_code
        warm(kept, path)
        for name, more in WAYS.items():
            headers = {**headers_of(who), **more}
            for method in ("GET", "HEAD") if not more else ("GET",):
                answer = kept.open(path, method=method, headers=headers)
                expected = (code, 304, 206) if code == 200 else (code,)
                assert answer.status_code in expected, (path, name, method)
                assert code < 400 or set(answer.get_json(silent=True) or {}) <= {"detail"}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_path_finds_a_kept_answer(shared: Flask, spelling: str) -> None:
    client = shared.test_client()
    for path in reads(shared):
        if client.get(path).status_code == 401:
            warm(client, path)
            odd = spelling.format(path)
            assert client.get(odd).status_code in (400, 401, 404), odd
            warm(client, odd)
            assert client.get(odd).status_code in (400, 401, 404), odd


def test_a_kept_answer_is_the_same_for_everybody(app: Flask, place: Place) -> None:
    """None of them depends on who asks, or on the name under which the server is asked."""
    cold, kept = place.client(**ON), app.test_client()
    for path in reads(app):
        elsewhere = {**bearer("admin"), "Host": "[::1]:1234"}
        for _ in range(2):
            kept.get(path, headers=elsewhere)
        first = kept.get(path, headers=bearer("viewer"))
        second = cold.get(path, headers=bearer("viewer"))
        assert first.status_code == second.status_code, path
        assert b"[::1]" not in first.data or b"[::1]" in second.data, path
        assert first.headers.get("X-Loki-Scopes") in ("read", None), path


@pytest.mark.parametrize("change", [{"revoked": True}, {"expires_at": "2026-02-19T17:00:00Z"}])
def test_a_token_that_ends_gets_no_kept_answer_any_more(
    app: Flask, place: Place, change: dict[str, object]
) -> None:
    client = app.test_client()
    paths = [path for path in reads(app) if client.get(path).status_code == 401]
    for path in paths:
        warm(client, path)
    store(place, {**entry("admin", "*"), **change})
    assert {client.get(path, headers=bearer("admin")).status_code for path in paths} == {401}


@pytest.mark.parametrize(
    ("key", "authorization", "code"),
    [
        ("viewer", "admin", 403),
        ("admin", "viewer", 200),
        ("revoked", "admin", 401),
        ("admin", "revoked", 200),
    ],
)
def test_the_api_key_counts_before_a_token_for_kept_answers_too(
    app: Flask, key: str, authorization: str, code: int
) -> None:
    client = app.test_client()
    warm(client, "/api/enterprise/tokens")
    both = {"X-API-Key": raw(key), **bearer(authorization)}
    assert client.get("/api/enterprise/tokens", headers=both).status_code == code


@pytest.mark.parametrize("path", ["/api/status", "/openapi.json", "/", "/health"])
def test_no_kept_answer_to_another_host(place: Place, path: str) -> None:
    client = place.client()
    for _ in range(2):
        client.get(path)
    code = client.get(path, headers={"Host": "evil.example"}).status_code
    assert code == (200 if path == "/health" else 403)
