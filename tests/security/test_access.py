"""Who may call what: every route of the URL map, asked by everybody."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from loki_web.auth.scopes import expand_scopes
from loki_web.web import access
from tests.support.accounts import bearer, entry, everybody, raw, store
from tests.support.issuer import Issuer
from tests.support.places import Place, snapshot
from tests.support.routes import Route, routes

ON = {"LOKI_ENTERPRISE_AUTH": "true", "LOKI_ENTERPRISE_AUDIT": "true"}
PUBLIC = {
    *(
        "/",
        "/health",
        "/health/live",
        "/health/ready",
        "/api/enterprise/status",
        "/api/auth/info",
        "/openapi.json",
        "/docs",
    ),
    *("/asyncapi.json", "/favicon.ico"),
}
NEEDED = {
    "/api/enterprise/tokens": "admin",
    "/api/enterprise/tokens/<name:identifier>": "admin",
    "/api/enterprise/audit": "audit",
    "/api/enterprise/audit/summary": "audit",
    "/api/secrets/status": "admin",
}
READ_BY_CHANGES = ("/api/memory/retrieve", "/api/auth/session")  # a search, and the sign-in
MAY = {
    "viewer": {"read"},
    "operator": {"read", "control"},
    "auditor": {"read", "audit"},
    "admin": {"read", "control", "audit", "admin"},
    "bogus": set[str](),
    "oidc viewer": {"read"},
}
UNKNOWN = ("nobody", "garbage", "expired", "revoked", "basic", "empty", "signed garbage")


def headers(who: str, issuer: Issuer) -> dict[str, str]:
    made = {
        "nobody": None,
        "garbage": f"Bearer loki_{'x' * 43}",
        "basic": "Basic YWRtaW46YWRtaW4=",
        "empty": "Bearer ",
        "signed garbage": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
        "oidc viewer": f"Bearer {issuer.token()}" if who == "oidc viewer" else None,
    }
    if who not in made:
        return bearer(who)
    value = made[who]
    return {"Authorization": value} if value else {}


def is_public(route: Route) -> bool:
    folder = route.rule.startswith(("/assets/", "/docs/"))
    return not route.changes and (route.rule in PUBLIC or folder)


def scope_needed(route: Route) -> str:
    if route.rule in NEEDED:
        return NEEDED[route.rule]
    return "control" if route.changes and route.rule not in READ_BY_CHANGES else "read"


def without_audit(place: Place) -> dict[str, tuple[int, bytes]]:
    """Names, times and contents of all files of the home, but of the audit log and our cache.

    The key of the audit log is in `.config`.
    """
    return {
        name: found
        for name, found in snapshot(place.home).items()
        if "dashboard/audit" not in name and not name.startswith((".cache", ".config"))
    }


@pytest.fixture
def app(place: Place, issuer: Issuer) -> Flask:
    everybody(place)
    place.write_home("dashboard/audit/audit.lock", b"")
    return place.app(**issuer.settings(**ON))


@pytest.mark.slow
@pytest.mark.parametrize("who", [*UNKNOWN, *MAY])
def test_every_route_for_everybody(app: Flask, place: Place, issuer: Issuer, who: str) -> None:
    client = app.test_client()
    before = without_audit(place)
    for route in routes(app):
        response = client.open(route.path, method=route.method, headers=headers(who, issuer))
        code = response.status_code
        if is_public(route):
            assert code not in (401, 403), route
            before = without_audit(place)
            continue
        if who in UNKNOWN:
            assert code == 401, route
            assert response.headers["WWW-Authenticate"] == "Bearer"
        elif scope_needed(route) in MAY[who]:
            assert code not in (401, 403), route
            before = without_audit(place)
            continue
        else:
            assert code == 403, route
        assert set(response.get_json()) == {"detail"}
        assert without_audit(place) == before, route


def test_every_exception_is_a_route(app: Flask) -> None:
    """A rule that was renamed would fall back to the scope of its method."""
    rules = {route.rule for route in routes(app)}
    assert set(NEEDED) - {"/api/secrets/status"} <= rules


@pytest.mark.parametrize(
    ("method", "rule", "scope"),
    [
        ("GET", "/api/new", "read"),
        ("HEAD", "/api/new", "read"),
        ("POST", "/api/new", "control"),
        ("PATCH", "/api/new", "control"),
        ("GET", "/api/enterprise/new", "admin"),
        ("GET", "/api/enterprise/audit/new", "audit"),
        ("POST", "/api/memory/retrieve", "read"),
        ("PUT", "/api/memory/retrieve", "control"),
    ],
)
def test_a_route_that_comes_later(method: str, rule: str, scope: str) -> None:
    assert access.scope_of(method, rule) == scope


@pytest.mark.parametrize(("path", "known"), [("/nothing", 404), ("/api/status/", 308)])
def test_404_is_only_for_users_who_may_look(app: Flask, path: str, known: int) -> None:
    client = app.test_client()
    assert client.get(path).status_code == 401
    assert client.get(path, headers=bearer("viewer")).status_code == known


def test_a_method_that_does_not_exist(app: Flask) -> None:
    client = app.test_client()
    assert client.post("/health").status_code == 405
    assert client.put("/api/status").status_code == 401
    assert client.put("/api/status", headers=bearer("viewer")).status_code == 405


@pytest.mark.parametrize(("public", "code"), [("true", 200), ("false", 401)])
def test_metrics_need_a_token_unless_they_are_public(place: Place, public: str, code: int) -> None:
    everybody(place)
    client = place.client(**ON, LOKI_METRICS_PUBLIC=public)
    assert client.get("/metrics").status_code == code
    assert client.get("/metrics", headers=bearer("viewer")).status_code == 200


def test_a_token_for_prometheus_opens_metrics_and_nothing_else(place: Place) -> None:
    store(place, entry("prometheus", "metrics"))
    client, headers = place.client(**ON), bearer("prometheus")
    assert client.get("/metrics", headers=headers).status_code == 200
    assert client.post("/metrics", headers=headers).status_code == 405
    for path in ("/api/status", "/api/enterprise/audit", "/api/enterprise/tokens", "/api/events"):
        assert client.get(path, headers=headers).status_code == 403, path
    assert client.post("/api/control/pause", headers=headers).status_code == 403


def test_a_token_in_the_address_counts_only_for_sockets(app: Flask) -> None:
    assert app.test_client().get(f"/api/status?token={raw('admin')}").status_code == 401


def test_without_authentication_everything_is_open(place: Place) -> None:
    client = place.client()
    assert client.get("/api/status").status_code == 200
    assert client.post("/api/control/pause").status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_without_regard_to_case(app: Flask, scheme: str) -> None:
    given = {"Authorization": f"{scheme} {raw('viewer')}"}
    assert app.test_client().get("/api/status", headers=given).status_code == 200


SHAPES: list[object] = [
    *([], {}, 5, "x", None, {"version": "1.0"}, {"tokens": []}, {"tokens": 5}),
    *({"tokens": {"a": 5}}, {"tokens": {"a": []}}, {"tokens": None}),
]


@pytest.mark.parametrize("content", [*SHAPES, "{", "", b"\xff\xfe\x00"])
def test_a_store_in_disorder_opens_nothing(place: Place, content: object) -> None:
    place.write_home("dashboard/tokens.json", content)
    client = place.client(**ON)
    assert client.get("/api/status", headers=bearer("admin")).status_code == 401
    assert client.get("/health").status_code == 200


def test_a_store_that_is_cut_short_opens_nothing_from_then_on(place: Place) -> None:
    everybody(place)
    client = place.client(**ON)
    assert client.get("/api/status", headers=bearer("admin")).status_code == 200
    path = place.home / ".loki/dashboard/tokens.json"
    path.write_bytes(path.read_bytes()[:200])
    assert client.get("/api/status", headers=bearer("admin")).status_code == 401
    everybody(place)
    assert client.get("/api/status", headers=bearer("admin")).status_code == 200


def test_bad_entries_do_not_disable_good_ones(place: Place) -> None:
    store(
        place,
        {**entry("a", "*"), "expires_at": "garbage"},
        {**entry("b", "*"), "expires_at": ""},
        {**entry("c", "*"), "expires_at": "2026-02-19T17:00:00.1"},  # no zone, and past
        {**entry("d", "*"), "hash": "é"},
        {**entry("e", "*"), "hash": 5},
        {**entry("f", "*"), "salt": ["x"]},
        {**entry("g", "*"), "revoked": "yes"},
        {**entry("h", "*"), "scopes": "*"},
        {**entry("i", "*"), "scopes": "no-read"},
        entry("good", "read", expires_at="2099-01-01T00:00:00"),
    )
    client = place.client(**ON)
    assert client.get("/api/status", headers=bearer("good")).status_code == 200
    for name in "abcdefg":
        assert client.get("/api/status", headers=bearer(name)).status_code == 401, name
    for name in "hi":
        assert client.get("/api/status", headers=bearer(name)).status_code == 403, name


def test_a_token_that_the_cli_revokes_opens_nothing_at_the_next_request(place: Place) -> None:
    everybody(place)
    client = place.client(**ON)
    assert client.get("/api/status", headers=bearer("viewer")).status_code == 200
    store(place, entry("viewer", "read", salt="e8" * 16, revoked=True))
    assert client.get("/api/status", headers=bearer("viewer")).status_code == 401


def test_the_tokens_of_a_recorded_session(session: Place) -> None:
    client: FlaskClient = session.client(**ON)

    def code(name: str, path: str = "/api/status") -> int:
        token = f"loki_FIXTURE-ONLY-{name}-not-a-secret-".ljust(48, "0")
        return client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code

    assert [code(name) for name in ("ci-bot", "viewer-kiosk", "ops", "old-laptop")] == [
        *(200, 200, 200, 401)
    ]
    assert code("dashboard-admin", "/api/enterprise/tokens") == 200


def test_last_use_is_written_once_a_minute_and_only_for_what_was_allowed(place: Place) -> None:
    everybody(place)
    client = place.client(**ON)
    path = place.home / ".loki/dashboard/tokens.json"
    before = path.read_bytes()
    client.post("/api/control/pause", headers=bearer("viewer"))
    assert path.read_bytes() == before
    client.get("/api/status", headers=bearer("viewer"))
    written = path.read_bytes()
    assert written != before
    for _ in range(3):
        client.get("/api/status", headers=bearer("viewer"))
    assert path.read_bytes() == written
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_identity_can_be_checked_again_later(place: Place) -> None:
    everybody(place)
    app = place.app(**ON)
    checker = access.get_authenticator(app)
    viewer = checker.authenticate(raw("viewer"))
    assert viewer is not None
    assert checker.get_current_scopes(viewer) == expand_scopes(["read"])
    store(place, entry("viewer", "read", salt="e8" * 16, expires_at="2026-02-19T17:00:00+00:00"))
    assert not checker.is_still_valid(viewer)
    assert checker.authenticate(raw("viewer")) is None
    assert checker.authenticate(None) is None


@pytest.mark.parametrize(
    ("who", "may"),
    [("viewer", "read"), ("auditor", "audit read"), ("bogus", ""), ("nobody", None)],
)
def test_each_answer_tells_the_holder_what_the_token_may_do(
    app: Flask, who: str, may: str | None
) -> None:
    answer = app.test_client().get("/api/status", headers=bearer(who))
    assert answer.headers.get(access.SCOPES_HEADER) == may


def test_without_authentication_each_answer_says_that_everything_is_allowed(place: Place) -> None:
    client = place.client()
    first = client.get("/api/status")
    again = client.get("/api/status", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code) == (200, 304)
    assert {answer.headers[access.SCOPES_HEADER] for answer in (first, again)} == {
        "* admin audit control metrics read write"
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": raw("viewer")},
        {"x-api-key": f" {raw('viewer')} "},
        {"X-API-Key": raw("viewer"), "Authorization": "Basic cHJveHk6c2VjcmV0"},
        {"X-API-Key": raw("viewer"), "Authorization": "Bearer of-the-proxy"},
        {"X-API-Key": "", "Authorization": f"Bearer {raw('viewer')}"},
    ],
)
def test_a_token_as_an_api_key(app: Flask, headers: dict[str, str]) -> None:
    client = app.test_client()
    assert client.get("/api/status", headers=headers).status_code == 200
    assert client.post("/api/control/pause", headers=headers).status_code == 403
