"""Which origins a browser is told may read the answers."""

import pytest

from tests.support.accounts import everybody
from tests.support.places import Place

OWN = "http://localhost:57374"
ALLOW = "Access-Control-Allow-Origin"


def test_an_allowed_origin_is_echoed(place: Place) -> None:
    response = place.client().get("/api/status", headers={"Origin": OWN})
    assert response.headers[ALLOW] == OWN
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "http://LOCALHOST:57374", "http://localhost:573740"),
        *("http://localhost:57374.evil.example", "http://localhostx57374", "x" + OWN),
    ],
)
@pytest.mark.parametrize("listed", [OWN, f" {OWN} , ,", ","])
def test_an_unknown_origin_is_never_reflected(place: Place, origin: str, listed: str) -> None:
    client = place.client(LOKI_DASHBOARD_CORS=listed)
    response = client.get("/api/status", headers={"Origin": origin})
    assert ALLOW not in response.headers
    assert "Origin" in response.headers["Vary"]


def test_an_empty_list_allows_nobody(place: Place) -> None:
    response = place.client(LOKI_DASHBOARD_CORS=",").get("/health", headers={"Origin": OWN})
    assert ALLOW not in response.headers


def test_a_star_is_without_credentials(place: Place) -> None:
    client = place.client(LOKI_DASHBOARD_CORS="*")
    headers = client.get("/health", headers={"Origin": "https://any.example"}).headers
    assert headers[ALLOW] in ("*", "https://any.example")
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("auth", ["false", "true"])
def test_a_preflight_needs_no_token(place: Place, auth: str) -> None:
    everybody(place)
    asked = {
        "Origin": OWN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, x-custom",
        "Access-Control-Request-Private-Network": "true",
    }
    client = place.client(LOKI_ENTERPRISE_AUTH=auth)
    response = client.options("/api/control/pause", headers=asked)
    assert response.status_code in (200, 204)
    assert response.headers[ALLOW] == OWN
    assert response.headers["Access-Control-Allow-Methods"] == "*"
    assert response.headers["Access-Control-Allow-Headers"] == "*, Authorization"
    assert "Access-Control-Allow-Private-Network" not in response.headers


def test_a_refusal_can_be_read_by_an_allowed_page(place: Place) -> None:
    client = place.client(LOKI_ENTERPRISE_AUTH="true")
    response = client.get("/api/status", headers={"Origin": OWN})
    assert response.status_code == 401
    assert response.headers[ALLOW] == OWN


@pytest.mark.parametrize("path", ["/api/status", "/api/no/such", "/api/memory/retrieve/"])
def test_an_allowed_page_may_read_the_headers_that_clients_need(place: Place, path: str) -> None:
    headers = place.client().get(path, headers={"Origin": OWN}).headers
    exposed = headers["Access-Control-Expose-Headers"].split(", ")
    assert {"ETag", "Retry-After", "X-Request-ID"} <= set(exposed)
    foreign = place.client().get(path, headers={"Origin": "https://evil.example"}).headers
    assert "Access-Control-Expose-Headers" not in foreign


@pytest.mark.parametrize(
    "listed", ["HTTPS://UI.Example:443/app", '"https://ui.example/"\r', "https://ui.example."]
)
def test_an_origin_as_people_write_it_is_found(place: Place, listed: str) -> None:
    client, origin = place.client(LOKI_DASHBOARD_CORS=listed), {"Origin": "https://ui.example"}
    assert client.get("/api/status", headers=origin).headers[ALLOW] == "https://ui.example"
    assert client.post("/api/control/pause", headers=origin).status_code == 200
