"""The gate before every request: host, origin, rate, length; and what it adds to every answer."""

import pytest
from flask import Flask

from tests.support.accounts import bearer, entry, everybody, store
from tests.support.places import Place, snapshot
from tests.support.routes import Route, routes

EVIL = "https://evil.example"


def changing(app: Flask) -> list[Route]:
    return [route for route in routes(app) if route.changes]


@pytest.mark.parametrize(
    "headers", [{"Origin": EVIL}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_pages_of_other_origins_change_nothing(place: Place, headers: dict[str, str]) -> None:
    app = place.app()
    client, before = app.test_client(), snapshot(place.loki)
    for route in changing(app):
        response = client.open(
            route.path, method=route.method, headers=headers, content_type="text/plain", data="{}"
        )
        assert response.status_code == 403, route
        assert response.is_json
    assert snapshot(place.loki) == before


def test_clients_without_an_origin_may(place: Place) -> None:
    assert place.client().post("/api/control/pause").status_code == 200


@pytest.mark.slow
def test_another_host_name_gets_nothing_but_health(place: Place) -> None:
    app = place.app()
    client = app.test_client()
    for route in routes(app):
        response = client.open(route.path, method=route.method, headers={"Host": "evil.example"})
        assert response.status_code == (200 if route.rule == "/health" else 403), route


@pytest.mark.parametrize("host", ["10.1.2.3", "10.1.2.3:57374", "[fd00::1]:57374"])
def test_a_probe_may_name_the_server_by_its_address(place: Place, host: str) -> None:
    client = place.client(LOKI_METRICS_PUBLIC="true")
    for path, code in (("/health", 200), ("/metrics", 200), ("/api/status", 403), ("/", 403)):
        assert client.get(path, headers={"Host": host}).status_code == code, path
    for other in ("evil.example", "10.1.2.3.evil.example", "0x7f.1"):
        assert client.get("/metrics", headers={"Host": other}).status_code == 403


@pytest.mark.parametrize("path", ["/api/status", "/health", "/metrics", "/api/tasks"])
def test_a_slash_at_the_end_leads_to_the_path_without(place: Place, path: str) -> None:
    client = place.client()
    for slashes in ("/", "//"):
        response = client.get(f"{path}{slashes}?limit=1", headers={"X-Forwarded-Prefix": "/x"})
        assert (response.status_code, response.headers["Location"]) == (308, f"{path}?limit=1")
    assert client.get(f"{path}/x/").status_code == 404


def test_a_slash_at_the_end_keeps_method_and_prefix(place: Place) -> None:
    client = place.client(LOKI_TRUSTED_PROXIES="1")
    response = client.post("/api/control/pause/", headers={"X-Forwarded-Prefix": "/loki"})
    assert (response.status_code, response.headers["Location"]) == (308, "/loki/api/control/pause")
    assert not (place.loki / "PAUSE").exists()
    for path in ("/evil.example//", "/api//status/", "/api/no/such/"):
        assert client.get(path).status_code == 404, path


def test_a_probe_with_a_slash_needs_no_token(place: Place) -> None:
    client = place.client(LOKI_ENTERPRISE_AUTH="true")
    assert client.get("/health/").status_code == 308
    assert client.get("/api/status/").status_code == 401


@pytest.mark.parametrize(
    ("listed", "policy"),
    [
        ("https://portal.example/x", "frame-ancestors https://portal.example"),
        ("self, https://*.Example.com:443", "frame-ancestors 'self' https://*.example.com"),
        ("'self'", "frame-ancestors 'self'"),
    ],
)
def test_listed_pages_may_show_ours_in_a_frame(place: Place, listed: str, policy: str) -> None:
    client = place.client(LOKI_FRAME_ANCESTORS=listed)
    for path in ("/", "/api/status", "/docs", "/nothing"):
        headers = client.get(path).headers
        assert headers["Content-Security-Policy"].endswith(policy), path
        assert "X-Frame-Options" not in headers


def test_a_client_that_changes_too_much_waits_and_others_do_not(place: Place) -> None:
    store(place, entry("first", "control"), entry("second", "control"))
    client = place.client(LOKI_ENTERPRISE_AUTH="true", LOKI_CONTROL_RATE_LIMIT="3")
    for _ in range(3):
        assert client.post("/api/control/pause", headers=bearer("first")).status_code == 200
    refused = client.post("/api/control/pause", headers=bearer("first"))
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert client.get("/api/status", headers=bearer("first")).status_code == 200
    assert client.post("/api/control/pause", headers=bearer("second")).status_code == 200


def test_a_forwarded_address_is_not_believed_unless_a_proxy_is_configured(place: Place) -> None:
    client = place.client(LOKI_CONTROL_RATE_LIMIT="3")
    codes = [
        client.post("/api/control/pause", headers={"X-Forwarded-For": f"10.0.0.{n}"}).status_code
        for n in range(6)
    ]
    assert codes == [200, 200, 200, 429, 429, 429]


def test_behind_one_proxy_the_last_forwarded_address_counts(place: Place) -> None:
    client = place.client(LOKI_CONTROL_RATE_LIMIT="1", LOKI_TRUSTED_PROXIES="1")

    def call(forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded}
        return client.post("/api/control/pause", headers=headers).status_code

    assert call("127.0.0.1, 203.0.113.9") == 200
    assert call("10.9.9.9, 203.0.113.9") == 429
    assert call("127.0.0.1, 203.0.113.10") == 200


def test_a_body_that_is_too_long_is_refused_also_where_none_is_read(place: Place) -> None:
    app = place.app()
    client = app.test_client()
    for route in changing(app):
        response = client.open(route.path, method=route.method, data=b"x" * (2 * 1024 * 1024))
        assert response.status_code == 413, route


@pytest.mark.parametrize("path", ["/health", "/api/status", "/nothing"])
def test_every_answer_says_how_to_treat_it(place: Place, path: str) -> None:
    everybody(place)
    headers = place.client(LOKI_ENTERPRISE_AUTH="true").get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_a_search_is_no_change_and_counts_for_no_limit(place: Place) -> None:
    client = place.client(LOKI_CONTROL_RATE_LIMIT="1")
    asked = [client.post("/api/memory/retrieve", json={"query": "x"}) for _ in range(3)]
    assert [answer.status_code for answer in asked] == [200, 200, 200]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("10.1.2.3", 200), ("10.1.2.3:57374", 200), ("[fd00::7]:80", 200), ("localhost", 200)),
        *(("evil.example", 403), ("10.1.2.3.evil.example", 403), ("[::1", 403)),
    ],
)
def test_probes_may_use_the_address_of_a_container(
    place: Place, path: str, host: str, status: int
) -> None:
    assert place.client().get(path, headers={"Host": host}).status_code == status
