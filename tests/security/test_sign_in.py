"""The session cookie: who gets one, where it counts, when it ends, and attacks on it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
import websocket
from flask.testing import FlaskClient

from loki_web.auth import sign_ins
from loki_web.store.times import isoformat
from loki_web.web import access
from tests.live.clients import Client, listening
from tests.support import accounts, places, servers
from tests.support.accounts import bearer, entry, everybody, store
from tests.support.issuer import Issuer
from tests.support.places import Place
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_SECONDS

ON = {"LOKI_ENTERPRISE_AUTH": "true"}
SESSION, NAME, FILE = "/api/auth/session", "loki-session-80", "dashboard/sign-ins.json"
Kept = dict[str, str]


@pytest.fixture
def client(place: Place) -> FlaskClient:
    """A client that keeps no cookies: tests send those that they mean."""
    everybody(place)
    return place.app(**ON).test_client(use_cookies=False)


def sign_in(client: FlaskClient, name: str = "operator", **headers: str) -> Kept:
    """Sign in; return the headers of a change that a page of the server makes."""
    answer = client.post(SESSION, headers={**bearer(name), **headers})
    assert answer.status_code == 201
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    return {"Cookie": cookie, "X-CSRF-Token": answer.get_json()["csrf_token"]}


def only_cookie(kept: Kept) -> Kept:
    return {"Cookie": kept["Cookie"]}


def stored(place: Place) -> dict[str, Any]:
    path = place.home / ".loki" / FILE
    found: dict[str, Any] = json.loads(path.read_text())["sign_ins"]
    return found


def test_a_sign_in_opens_what_its_token_opens(client: FlaskClient, place: Place) -> None:
    kept = sign_in(client, "viewer")
    answer = client.get("/api/status", headers=only_cookie(kept))
    assert (answer.status_code, answer.headers["X-Loki-Scopes"]) == (200, "read")
    assert client.post("/api/control/pause", headers=kept).status_code == 403
    kept = sign_in(client)
    assert client.post("/api/control/pause", headers=kept).status_code == 200
    said = client.get(SESSION, headers=only_cookie(kept))
    assert said.get_json()["name"] == "operator"
    assert said.headers["Cache-Control"] == "no-store"
    written = (place.home / ".loki" / FILE).read_text()
    for secret in (kept["Cookie"].partition("=")[2], kept["X-CSRF-Token"]):
        assert len(secret) == 43
        assert secret not in written
    assert (place.home / ".loki" / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("base", "prefix", "name", "path"),
    [
        ("http://localhost", "", "loki-session-80", "/"),
        ("http://localhost:8080", "", "loki-session-8080", "/"),
        ("http://[::1]:57374", "/loki", "loki-session-57374", "/loki/"),
        ("https://localhost", "", "__Host-loki-session-443", "/"),
        ("https://localhost:8443", "/loki", "__Secure-loki-session-8443", "/loki/"),
    ],
)
def test_the_cookie_is_for_this_server_alone(
    place: Place, base: str, prefix: str, name: str, path: str
) -> None:
    everybody(place)
    client = place.app(**ON, LOKI_TRUSTED_PROXIES="1").test_client(use_cookies=False)
    forwarded = {"X-Forwarded-Prefix": prefix, "X-Forwarded-For": "192.0.2.1"}
    answer = client.post(SESSION, base_url=base, headers={**bearer("viewer"), **forwarded})
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert cookie.partition("=")[0] == name
    assert {f"Path={path}", "HttpOnly", "SameSite=Strict"} <= set(attributes)
    assert ("Secure" in attributes) == base.startswith("https:")
    assert not any(each.startswith("Domain") for each in attributes)
    headers = {"Cookie": cookie, **forwarded}
    assert client.get("/api/status", base_url=base, headers=headers).status_code == 200
    elsewhere = client.get("/api/status", base_url="http://localhost:9", headers=headers)
    assert elsewhere.status_code == 401


@pytest.mark.parametrize("name", ["unknown", "expired", "revoked"])
def test_only_a_valid_token_signs_in(client: FlaskClient, place: Place, name: str) -> None:
    answer = client.post(SESSION, headers=bearer(name))
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert not (place.home / ".loki" / FILE).exists()


def test_a_cookie_does_not_renew_itself(client: FlaskClient) -> None:
    assert client.post(SESSION, headers=sign_in(client)).status_code == 401


def test_without_authentication_there_is_nothing_to_sign_in_to(place: Place) -> None:
    assert place.client().post(SESSION).status_code == 409


FOREIGN: list[Kept] = [
    *({"Origin": origin} for origin in ("http://localhost:8000", "http://evil.example", "null")),
    {"Origin": "http://localhost:57374"},  # a configured origin: its pages have tokens
    *({"Sec-Fetch-Site": site} for site in ("cross-site", "same-site")),
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_page_of_another_origin_cannot_use_the_cookie(client: FlaskClient, foreign: Kept) -> None:
    kept = sign_in(client)
    for method, path in [
        ("GET", "/api/status"),
        ("POST", "/api/control/pause"),
        ("DELETE", SESSION),
    ]:
        answer = client.open(path, method=method, headers={**kept, **foreign})
        assert answer.status_code == 403, method
    own = {**kept, "Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.get("/api/status", headers=own).status_code == 200


def test_another_page_cannot_sign_a_browser_in(client: FlaskClient) -> None:
    """Login CSRF: forms carry no header with a token, and the origin is checked first."""
    form = {"token": accounts.raw("viewer"), "access_token": accounts.raw("viewer")}
    assert client.post(SESSION, data=form).status_code == 401
    assert client.post(f"{SESSION}?token={accounts.raw('viewer')}").status_code == 401
    headers = {**bearer("viewer"), "Origin": "http://evil.example"}
    assert client.post(SESSION, headers=headers).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("given", ["missing", "", "x" * 43, "é", "of another sign-in"])
def test_a_change_needs_the_csrf_token_of_its_sign_in(
    client: FlaskClient, method: str, given: str
) -> None:
    kept, others = sign_in(client, "admin"), sign_in(client, "admin")
    wrong = {"missing": {}, "of another sign-in": others}.get(given, {"X-CSRF-Token": given})
    path = {
        "POST": "/api/memory/retrieve",  # needs `read` alone, and is unsafe all the same
        "PUT": "/api/notifications/triggers",
        "DELETE": "/api/enterprise/tokens/viewer",
    }[method]
    headers = {**wrong, **only_cookie(kept)}
    answer = client.open(path, method=method, headers=headers, json={"query": "x", "triggers": []})
    assert answer.status_code == 403
    assert "X-CSRF-Token" in answer.get_json()["detail"]
    assert client.get("/api/status", headers=bearer("viewer")).status_code == 200


@pytest.mark.parametrize(
    "cookie",
    [
        "{other}; {mine}",
        "{mine}; {other}",
        "{mine}; {mine}",
        f"{NAME}=; {{mine}}",
        "{mine},{other}",
        "{mine}x",
        f"{NAME}={'A' * 43}",
        f"{NAME}={'A' * 3000}",
        f"{NAME}",
        f'{NAME}="quoted',
        "__Host-{mine}",
        "{upper}",
        "=;;; ; ==",
    ],
)
def test_a_cookie_that_is_not_clearly_ours_opens_nothing(client: FlaskClient, cookie: str) -> None:
    """Neighbors (another port, a subdomain) can set cookies of our name beside ours."""
    mine, other = sign_in(client)["Cookie"], sign_in(client, "viewer")["Cookie"]
    sent = cookie.format(mine=mine, other=other, upper=mine.upper())
    assert client.get("/api/status", headers={"Cookie": sent}).status_code == 401
    assert (
        client.get("/api/status", headers={"Cookie": sent, **bearer("viewer")}).status_code == 200
    )


def test_other_cookies_of_the_host_do_not_matter(client: FlaskClient) -> None:
    mine = sign_in(client)["Cookie"]
    others = "; ".join(f"loki-session-{port}={'B' * 43}" for port in range(1000, 1100))
    for sent in (f"{others}; {mine}", f"{mine};{others}", f"a=b ;  {mine}  ; c"):
        assert client.get("/api/status", headers={"Cookie": sent}).status_code == 200


def test_a_sign_in_has_a_cookie_of_its_own_whatever_was_sent(client: FlaskClient) -> None:
    """Fixation: a planted cookie does not become a sign-in, and ends if it was one."""
    planted = f"{NAME}={'P' * 43}"
    kept = sign_in(client, Cookie=planted)
    assert kept["Cookie"] != planted
    assert client.get("/api/status", headers={"Cookie": planted}).status_code == 401
    later = sign_in(client, Cookie=kept["Cookie"])
    assert client.get("/api/status", headers=only_cookie(kept)).status_code == 401
    assert client.get("/api/status", headers=only_cookie(later)).status_code == 200


def test_a_token_that_is_sent_counts_more_than_the_cookie(client: FlaskClient) -> None:
    kept = sign_in(client)
    answer = client.get("/api/status", headers={**only_cookie(kept), **bearer("viewer")})
    assert answer.headers["X-Loki-Scopes"] == "read"
    headers = {**only_cookie(kept), **bearer("unknown")}
    assert client.get("/api/status", headers=headers).status_code == 401


def test_after_sign_out_nothing_opens_it_again(client: FlaskClient, place: Place) -> None:
    kept, other = sign_in(client), sign_in(client)
    checker = access.get_authenticator(client.application)
    listener = checker.find_signed_in(kept["Cookie"].partition("=")[2])
    assert listener is not None
    assert checker.is_still_valid(listener)
    answer = client.delete(SESSION, headers=kept)
    assert answer.status_code == 204
    assert not checker.is_still_valid(listener)  # which a socket asks at each keepalive
    assert answer.headers["Set-Cookie"].startswith(f"{NAME}=; Expires=Thu, 01 Jan 1970")
    for again in (client, place.app(**ON).test_client(use_cookies=False)):
        assert again.get("/api/status", headers=only_cookie(kept)).status_code == 401
        assert again.get("/api/status", headers=only_cookie(other)).status_code == 200
    assert client.delete(SESSION, headers=kept).status_code == 401
    assert client.delete(SESSION, headers=bearer("viewer")).status_code == 204


ENDS: dict[str, dict[str, Any]] = {
    "revoked": {"revoked": True},
    "expired": {"expires_at": accounts.PAST},
    "of an unreadable expiry": {"expires_at": "soon"},
}


@pytest.mark.parametrize("end", [*ENDS, "deleted"])
def test_a_sign_in_ends_with_its_token(client: FlaskClient, place: Place, end: str) -> None:
    kept = sign_in(client)
    changed = [entry("operator", "control", **ENDS[end], salt="5a" * 16)] if end in ENDS else []
    store(place, *changed)
    assert client.get("/api/status", headers=only_cookie(kept)).status_code == 401
    assert client.post("/api/control/pause", headers=kept).status_code == 401


def test_a_sign_in_has_the_scopes_that_its_token_has_now(client: FlaskClient, place: Place) -> None:
    kept = sign_in(client)
    store(place, entry("operator", "read", salt="5a" * 16))
    assert client.get("/api/status", headers=only_cookie(kept)).status_code == 200
    assert client.post("/api/control/pause", headers=kept).status_code == 403


@pytest.mark.parametrize(
    ("token_hours", "hours"), [(None, 3), (1, 1), (5, 3)], ids=["no expiry", "earlier", "later"]
)
def test_a_sign_in_ends_after_its_time_and_with_its_token(
    place: Place, token_hours: int | None, hours: int
) -> None:
    start = place.clock()
    expires = None if token_hours is None else isoformat(start + timedelta(hours=token_hours))
    store(place, entry("operator", "control", expires_at=expires))
    settings = {**ON, "LOKI_SIGN_IN_HOURS": "3"}
    kept = sign_in(replace(place, now=start).app(**settings).test_client(use_cookies=False))
    seen = {}
    for minutes in (-1, 1):
        later = start + timedelta(hours=hours, minutes=minutes)
        client = replace(place, now=later).app(**settings).test_client(use_cookies=False)
        seen[minutes] = client.get("/api/status", headers=only_cookie(kept)).status_code
    assert seen == {-1: 200, 1: 401}


def test_old_sign_ins_make_room(client: FlaskClient, place: Place) -> None:
    others = {
        f"{number:064}": {"kind": "token", "key": f"k{number}", "expires_at": accounts.FAR}
        for number in range(sign_ins.MAX_OF_ALL)
    }
    past = {
        "f" * 64: {"kind": "token", "key": "k", "expires_at": accounts.PAST},
        "e" * 64: "damaged",
    }
    place.write_home(FILE, {"version": "1.0", "sign_ins": {**others, **past}})
    first, *_, last = [sign_in(client) for _ in range(sign_ins.MAX_OF_HOLDER + 1)]
    assert client.get("/api/status", headers=only_cookie(first)).status_code == 401
    assert client.get("/api/status", headers=only_cookie(last)).status_code == 200
    assert len(stored(place)) == sign_ins.MAX_OF_ALL
    assert not {*past} & {*stored(place)}


@pytest.mark.parametrize("content", ["{", [], {"sign_ins": []}, {"sign_ins": {"x": 5}}, b"\xff"])
def test_a_damaged_file_opens_nothing(client: FlaskClient, place: Place, content: object) -> None:
    kept = sign_in(client)
    place.write_home(FILE, content)
    assert client.get("/api/status", headers=only_cookie(kept)).status_code == 401
    assert client.get("/api/status", headers=bearer("viewer")).status_code == 200
    assert client.post(SESSION, headers=bearer("viewer")).status_code in (201, 500)


@pytest.mark.parametrize(
    "odd",
    [
        {"kind": "anonymous"},
        {"kind": ["token"]},
        {"key": None},
        {"key": "nobody"},
        {"expires_at": None},
        {"expires_at": "x"},
        {"kind": "oidc", "scopes": ["*"]},
    ],
)
def test_an_odd_entry_opens_nothing(client: FlaskClient, place: Place, odd: dict[str, Any]) -> None:
    kept = sign_in(client)
    entries = {key: {**each, **odd} for key, each in stored(place).items()}
    place.write_home(FILE, {"version": "1.0", "sign_ins": entries})
    assert client.get("/api/status", headers=only_cookie(kept)).status_code == 401


def test_people_of_an_issuer_sign_in_too(place: Place, issuer: Issuer) -> None:
    claims: dict[str, Any] = {"roles": ["operator"], "email": "maria@example.com"}
    token = {"Authorization": f"Bearer {issuer.token(**claims)}"}
    client = place.app(**issuer.settings()).test_client(use_cookies=False)
    answer = client.post(SESSION, headers=token)
    kept = {
        "Cookie": answer.headers["Set-Cookie"].partition(";")[0],
        "X-CSRF-Token": answer.get_json()["csrf_token"],
    }
    assert client.get(SESSION, headers=only_cookie(kept)).get_json()["name"] == claims["email"]
    assert client.post("/api/control/pause", headers=kept).status_code == 200
    for settings in (issuer.settings(LOKI_OIDC_CLIENT_ID="another"), ON):
        other = place.app(**settings).test_client(use_cookies=False)
        assert other.get("/api/status", headers=only_cookie(kept)).status_code == 401


def test_attempts_to_sign_in_are_limited_by_address(place: Place) -> None:
    everybody(place)
    client = place.app(**ON, LOKI_CONTROL_RATE_LIMIT="3").test_client(use_cookies=False)
    given = [bearer("unknown"), bearer("expired"), {}]
    assert [client.post(SESSION, headers=each).status_code for each in given] == [401] * 3
    answer = client.post(SESSION, headers=bearer("viewer"))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/api/status", headers=bearer("viewer")).status_code == 200


def test_the_audit_log_has_who_signed_in_and_out(place: Place) -> None:
    everybody(place)
    client = place.app(**ON, LOKI_ENTERPRISE_AUDIT="true").test_client(use_cookies=False)
    client.post(SESSION, headers=bearer("unknown"))
    kept = sign_in(client)
    client.delete(SESSION, headers=only_cookie(kept))
    client.delete(SESSION, headers=kept)
    path = "/api/enterprise/audit?resource_type=browser"
    text = client.get(path, headers=bearer("auditor")).get_data(as_text=True)
    entries = [(e["action"], e["user_id"], e["success"]) for e in json.loads(text)]
    assert sorted(entries) == sorted(
        [
            ("sign_in", "anonymous", False),
            ("sign_in", "operator", True),
            ("sign_out", "anonymous", False),
            ("sign_out", "operator", True),
        ]
    )
    for secret in (kept["Cookie"].partition("=")[2], kept["X-CSRF-Token"]):
        assert secret not in text


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Server]]:
    place = places.empty(tmp_path_factory.mktemp("signed"))
    everybody(place)
    with servers.serving(place, workers=2, **ON) as server:
        yield place, server


def real_sign_in(server: Server) -> Kept:
    answer = server.post(SESSION, headers=bearer("operator"))
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    return {"Cookie": cookie, "X-CSRF-Token": answer.json()["csrf_token"]}


def test_every_worker_knows_a_sign_in_also_after_a_restart(serving: tuple[Place, Server]) -> None:
    place, server = serving
    kept = real_sign_in(server)
    for _ in range(8):  # each on a new connection, so that both workers answer
        assert server.get("/api/status", headers=only_cookie(kept)).status_code == 200
    port = server.host.rpartition(":")[2]
    with servers.serving(place, workers=1, **ON) as another:
        headers = {**only_cookie(kept), "Host": f"127.0.0.1:{port}"}
        assert another.get("/api/status", headers=headers).status_code == 200
        # a cookie of the neighbor at another port, which the browser sends along
        assert another.get("/api/status", headers=only_cookie(kept)).status_code == 401
    assert server.request("DELETE", SESSION, headers=kept).status_code == 204
    for _ in range(8):
        assert server.get("/api/status", headers=only_cookie(kept)).status_code == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://{host}", 101),
        (None, 403),
        ("http://127.0.0.1:1", 403),
        ("http://localhost:57374", 403),
        ("null", 403),
        ("http://evil.example", 403),
    ],
)
def test_a_socket_opens_with_the_cookie_for_own_pages_alone(
    serving: tuple[Place, Server], origin: str | None, status: int
) -> None:
    """Cross-site WebSocket hijacking: browsers send cookies with the handshake of any page."""
    _, server = serving
    cookie = only_cookie(real_sign_in(server))
    options: dict[str, Any] = {"header": cookie, "suppress_origin": origin is None}
    if origin:
        options["origin"] = origin.format(host=server.host)
    if status == 101:
        with listening(server, **options) as client:
            assert client.ask({"type": "ping"}) == {"type": "pong"}
    else:
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            Client(server.host, "/ws", **options)
        assert caught.value.status_code == status
    if origin:
        headers = {**cookie, "Origin": origin.format(host=server.host)}
        with requests.get(
            f"{server.url}/api/events", headers=headers, stream=True, timeout=PATIENCE_SECONDS
        ) as stream:
            assert stream.status_code == (200 if status == 101 else 403)
