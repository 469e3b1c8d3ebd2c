"""Tokens of an OIDC issuer: verification, roles, and an issuer that fails."""

import base64
import contextlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient

from loki_web.auth import jwks
from loki_web.errors import SettingsError
from tests.support.accounts import bearer, everybody
from tests.support.issuer import CLIENT, Issuer, Key
from tests.support.places import Place
from tests.support.servers import free_port
from tests.support.waiting import wait_until

STATUS, PAUSE, TOKENS = "/api/status", "/api/control/pause", "/api/enterprise/tokens"


def holding(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def client(place: Place, issuer: Issuer) -> FlaskClient:
    return place.client(**issuer.settings())


def test_a_verified_person_may_look_and_nothing_else(client: FlaskClient, issuer: Issuer) -> None:
    headers = holding(issuer.token())
    assert client.get(STATUS, headers=headers).status_code == 200
    assert client.post(PAUSE, headers=headers).status_code == 403
    assert client.get(TOKENS, headers=headers).status_code == 403
    assert client.get(STATUS).status_code == 401


def _unsigned(issuer: Issuer) -> str:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none")


def _signed_with_the_public_key(issuer: Issuer) -> str:
    """The confusion of a public key with an HMAC secret, by hand: the library will not do it."""
    _, claims, _ = issuer.token().split(".")
    header = _encoded(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "first"}).encode())
    public = issuer.keys[0].private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signature = hmac.digest(pem, f"{header}.{claims}".encode(), "sha256")
    return f"{header}.{claims}.{_encoded(signature)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _tampered(issuer: Issuer) -> str:
    head, claims, signature = issuer.token().split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed = json.dumps({**decoded, "roles": ["admin"]}).encode()
    return f"{head}.{_encoded(changed)}.{signature}"


NOW = int(time.time())
REFUSED: dict[str, Callable[[Issuer], str]] = {
    "algorithm none": _unsigned,
    "symmetric": _signed_with_the_public_key,
    "tampered": _tampered,
    "own key under the known id": lambda issuer: issuer.token(Key("first")),
    "unknown key": lambda issuer: issuer.token(Key("other")),
    "another algorithm": lambda issuer: issuer.token(Key("first", "ES256")),
    "other issuer": lambda issuer: issuer.token(iss="https://evil.example"),
    "other audience": lambda issuer: issuer.token(aud="other"),
    "no audience": lambda issuer: issuer.token(aud=None),
    "no issuer": lambda issuer: issuer.token(iss=None),
    "no subject": lambda issuer: issuer.token(sub=None),
    "never ends": lambda issuer: issuer.token(exp=None),
    "ended": lambda issuer: issuer.token(exp=NOW - 600),
    "ends beyond time": lambda issuer: issuer.token(exp=10**20),
    "not yet": lambda issuer: issuer.token(nbf=NOW + 3600),
    "issued tomorrow": lambda issuer: issuer.token(iat=NOW + 86400),
    "critical header": lambda issuer: issuer.token(header={"crit": ["x"], "x": 1}),
    "half": lambda issuer: issuer.token()[:-20],
    "dots": lambda _: "a.b.c",
    "long": lambda _: "a.b." + "c" * 20_000,
    "empty": lambda _: "..",
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_invalid_token_is_refused(client: FlaskClient, issuer: Issuer, name: str) -> None:
    response = client.get(STATUS, headers=holding(REFUSED[name](issuer)))
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("says", [True, False])
def test_asymmetric_algorithms_are_accepted(
    client: FlaskClient, issuer: Issuer, algorithm: str, says: bool
) -> None:
    issuer.keys = [Key("k", algorithm, says_algorithm=says)]
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 200


def test_a_token_without_key_id_is_tried_with_every_key(
    client: FlaskClient, issuer: Issuer
) -> None:
    issuer.keys = [Key("a", "ES256"), Key("b"), Key("c")]
    token = issuer.token(issuer.keys[2], header={"kid": None})
    assert client.get(STATUS, headers=holding(token)).status_code == 200


def test_a_changed_key_is_fetched_and_the_old_one_forgotten(
    client: FlaskClient, issuer: Issuer
) -> None:
    old = issuer.token()
    assert client.get(STATUS, headers=holding(old)).status_code == 200
    issuer.keys = [Key("second")]
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 200
    assert client.get(STATUS, headers=holding(old)).status_code == 401


@pytest.mark.parametrize(
    ("claims", "allowed"),
    [
        ({"roles": ["admin"]}, {STATUS, PAUSE, TOKENS}),
        ({"roles": "operator"}, {STATUS, PAUSE}),
        ({"roles": ["operator", "auditor"]}, {STATUS, PAUSE}),
        ({"roles": ["Admin", "root", 5]}, {STATUS}),
        ({"roles": {"admin": True}}, {STATUS}),
        ({"roles": "not admin"}, {STATUS}),
        ({"roles": "no, not admin"}, {STATUS}),
        ({"roles": ["not admin", "admin,"]}, {STATUS}),
        ({"roles": "viewer operator"}, {STATUS, PAUSE}),
        ({"roles": "users, operator"}, {STATUS, PAUSE}),
        ({"scope": "admin", "groups": ["admin"]}, {STATUS}),
    ],
)
def test_roles_open_their_routes(
    place: Place, issuer: Issuer, claims: dict[str, Any], allowed: set[str]
) -> None:
    client = place.client(**issuer.settings(LOKI_ENTERPRISE_AUTH="true"))
    headers = holding(issuer.token(**claims))
    found = {
        path for path in (STATUS, TOKENS) if client.get(path, headers=headers).status_code == 200
    }
    found |= {PAUSE} if client.post(PAUSE, headers=headers).status_code == 200 else set()
    assert found == allowed


@pytest.mark.parametrize("claim", ["realm_access.roles", "https://loki.example/roles"])
def test_the_claim_with_the_roles_is_configurable(place: Place, issuer: Issuer, claim: str) -> None:
    client = place.client(**issuer.settings(LOKI_OIDC_ROLES_CLAIM=claim))
    claims: dict[str, Any] = {
        "realm_access": {"roles": ["operator"]},
        "https://loki.example/roles": ["operator"],
        "roles": ["admin"],
    }
    assert client.post(PAUSE, headers=holding(issuer.token(**claims))).status_code == 200


def test_the_audience_is_configurable(place: Place, issuer: Issuer) -> None:
    client = place.client(**issuer.settings(LOKI_OIDC_AUDIENCE="api://loki"))
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 401
    token = issuer.token(aud=["other", "api://loki"])
    assert client.get(STATUS, headers=holding(token)).status_code == 200


@pytest.mark.parametrize("audience", ["one", "api://two", "three"])
def test_one_of_several_audiences_is_enough(place: Place, issuer: Issuer, audience: str) -> None:
    client = place.client(**issuer.settings(LOKI_OIDC_AUDIENCE="one, api://two,three"))
    assert client.get(STATUS, headers=holding(issuer.token(aud=audience))).status_code == 200
    assert client.get(STATUS, headers=holding(issuer.token(aud="four"))).status_code == 401
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 401


@pytest.mark.parametrize("configured", ["", "/"])
@pytest.mark.parametrize("stated", ["", "/"])
@pytest.mark.parametrize("named", ["", "/"])
def test_an_issuer_with_and_without_a_slash(
    place: Place, issuer: Issuer, configured: str, stated: str, named: str
) -> None:
    issuer.stated = issuer.url + stated
    client = place.client(**issuer.settings(LOKI_OIDC_ISSUER=issuer.url + configured))
    token = issuer.token(iss=issuer.url + named)
    assert client.get(STATUS, headers=holding(token)).status_code == 200
    other = issuer.token(iss=f"{issuer.url}{named}x")
    assert client.get(STATUS, headers=holding(other)).status_code == 401


@pytest.mark.parametrize(
    ("settings", "seconds", "code"),
    [
        ({}, 30, 200),
        ({}, 600, 401),
        ({"LOKI_OIDC_LEEWAY": "0"}, 30, 401),
        ({"LOKI_OIDC_LEEWAY": "600"}, 300, 200),
    ],
)
def test_clocks_may_differ_by_the_leeway(
    place: Place, issuer: Issuer, settings: dict[str, str], seconds: int, code: int
) -> None:
    client, now = place.client(**issuer.settings(**settings)), int(time.time())
    different: list[dict[str, Any]] = [
        *({"exp": now - seconds}, {"nbf": now + seconds}, {"iat": now + seconds}),
    ]
    for claims in different:
        assert client.get(STATUS, headers=holding(issuer.token(**claims))).status_code == code


@pytest.mark.parametrize(
    "claim",
    [
        'resource_access."my.client".roles',
        "resource_access.'my.client'.roles",
        r"resource_access.my\.client.roles",
        "resource_access.my.client.roles",
    ],
)
def test_a_claim_with_dots_in_a_part(place: Place, issuer: Issuer, claim: str) -> None:
    client = place.client(**issuer.settings(LOKI_OIDC_ROLES_CLAIM=claim))
    token = issuer.token(resource_access={"my.client": {"roles": ["operator"]}})
    assert client.post(PAUSE, headers=holding(token)).status_code == 200
    other = issuer.token(resource_access={"my": {"client": ["operator"]}})
    assert client.post(PAUSE, headers=holding(other)).status_code == 403


@pytest.mark.parametrize(
    ("groups", "allowed"),
    [
        (["sre"], {STATUS, PAUSE}),
        (["/SRE"], {STATUS, PAUSE}),
        (["/Sre", "everyone"], {STATUS, PAUSE}),
        ("SRE", {STATUS, PAUSE}),
        ("staff, sre", {STATUS, PAUSE}),
        ("Loki Admins", {STATUS, PAUSE, TOKENS}),
        (["/loki admins"], {STATUS, PAUSE, TOKENS}),
        (["sre-interns", "admin", "operator", "/org/sre"], {STATUS}),
        ([], {STATUS}),
        (None, {STATUS}),
    ],
)
def test_groups_of_the_provider(
    place: Place, issuer: Issuer, groups: Any, allowed: set[str]
) -> None:
    mapping = {
        "LOKI_OIDC_ROLES_CLAIM": "groups",
        "LOKI_OIDC_ROLE_MAP": "sre=operator,/Loki Admins=admin",
    }
    client = place.client(**issuer.settings(LOKI_ENTERPRISE_AUTH="true", **mapping))
    headers = holding(issuer.token(groups=groups))
    found = {
        path for path in (STATUS, TOKENS) if client.get(path, headers=headers).status_code == 200
    }
    found |= {PAUSE} if client.post(PAUSE, headers=headers).status_code == 200 else set()
    assert found == allowed


REASONS = {
    "ended": "expired",
    "other audience": "LOKI_OIDC_AUDIENCE",
    "other issuer": "LOKI_OIDC_ISSUER",
    "not yet": "not valid yet",
    "tampered": "signature",
    "unknown key": "does not publish",
    "symmetric": "algorithm",
    "no subject": "claims",
    "dots": "malformed",
}


@pytest.mark.parametrize("name", REASONS)
def test_the_log_says_why_a_token_is_refused_and_not_the_token(
    client: FlaskClient, issuer: Issuer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    token = REFUSED[name](issuer)
    for _ in range(3):
        assert client.get(STATUS, headers=holding(token)).status_code == 401
    (line,) = [text for text in caplog.messages if "refused a token" in text]
    assert REASONS[name] in line
    assert not [part for part in token.split(".") if len(part) > 3 and part in caplog.text]


def test_the_issuer_is_asked_under_our_own_name(client: FlaskClient, issuer: Issuer) -> None:
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 200
    assert len(issuer.headers) == 2
    for headers in issuer.headers:
        assert headers["User-Agent"].startswith("loki-web/")
        assert headers["Accept"] == "application/json"


def test_an_issuer_on_this_machine_is_not_asked_through_a_proxy(
    place: Place, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    client = place.client(**issuer.settings())
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 200


@pytest.mark.parametrize(
    ("header", "claims", "status"),
    [
        ({"typ": "at+jwt"}, {}, 200),
        ({"typ": None}, {"typ": "Bearer"}, 200),
        ({}, {"azp": CLIENT}, 200),
        ({}, {"azp": "another"}, 401),
        ({"typ": "logout+jwt"}, {}, 401),
        ({"typ": "dpop+jwt"}, {}, 401),
        ({}, {"typ": "Logout"}, 401),
        ({}, {"typ": "Refresh"}, 401),
        ({}, {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, 401),
    ],
)
def test_tokens_of_other_kinds_and_clients_are_refused(
    client: FlaskClient,
    issuer: Issuer,
    header: dict[str, Any],
    claims: dict[str, Any],
    status: int,
) -> None:
    token = issuer.token(header=header, **claims)
    assert client.get(STATUS, headers=holding(token)).status_code == status


def test_tokens_of_ours_open_nothing_while_only_oidc_is_on(
    place: Place, client: FlaskClient
) -> None:
    everybody(place)
    assert client.get(STATUS, headers=bearer("admin")).status_code == 401


def test_both_kinds_of_token(place: Place, issuer: Issuer) -> None:
    everybody(place)
    client = place.client(**issuer.settings(LOKI_ENTERPRISE_AUTH="true"))
    assert client.get(STATUS, headers=bearer("viewer")).status_code == 200
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 200


def test_oidc_tokens_are_refused_without_oidc(place: Place, issuer: Issuer) -> None:
    client = place.client(LOKI_ENTERPRISE_AUTH="true")
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 401
    assert issuer.asked == 0


def test_an_address_that_describes_another_issuer_is_not_trusted(
    client: FlaskClient, issuer: Issuer
) -> None:
    issuer.stated = "https://evil.example"
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 503


def test_an_issuer_in_trouble_costs_bounded_time_and_then_none(
    place: Place, issuer: Issuer
) -> None:
    everybody(place)
    client = place.client(**issuer.settings(LOKI_ENTERPRISE_AUTH="true"))
    issuer.answers.clear()
    response = client.get(STATUS, headers=holding(issuer.token()))
    issuer.answers.set()
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert client.get(STATUS, headers=bearer("viewer")).status_code == 200


def test_a_dead_issuer_is_not_asked_again_at_once(place: Place) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    client = place.client(LOKI_OIDC_ISSUER=address, LOKI_OIDC_CLIENT_ID="x")
    issuer = Issuer()
    for _ in range(20):
        assert client.get(STATUS, headers=holding(issuer.token())).status_code == 503


def test_nonsense_from_the_issuer_is_unavailable(client: FlaskClient, issuer: Issuer) -> None:
    issuer.broken = True
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 503


def test_keys_serve_on_while_the_issuer_is_away(client: FlaskClient, issuer: Issuer) -> None:
    assert client.get(STATUS, headers=holding(issuer.token())).status_code == 200
    issuer.broken = True
    assert client.get(STATUS, headers=holding(issuer.token(sub="other"))).status_code == 200
    assert client.get(STATUS, headers=holding(issuer.token(Key("new")))).status_code == 401


def test_many_at_once_make_one_fetch(place: Place, issuer: Issuer) -> None:
    app = place.app(**issuer.settings())
    issuer.answers.clear()
    codes: list[int] = []

    def call() -> None:
        token = holding(issuer.token())
        codes.append(app.test_client().get(STATUS, headers=token).status_code)

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    wait_until(lambda: issuer.asked, "the first question")
    issuer.answers.set()
    for thread in threads:
        thread.join()
    assert codes == [200] * 16
    assert issuer.asked == 2  # the description and the keys


def test_one_request_for_a_key_does_not_delay_others(place: Place, issuer: Issuer) -> None:
    app = place.app(**issuer.settings())
    assert app.test_client().get(STATUS, headers=holding(issuer.token())).status_code == 200
    issuer.answers.clear()
    codes: list[int] = []

    def call(number: int) -> None:
        token = holding(issuer.token(header={"kid": f"invented-{number}"}))
        codes.append(app.test_client().get(STATUS, headers=token).status_code)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(codes) >= 15, "answers without a wait")
    issuer.answers.set()
    for thread in threads:
        thread.join()
    assert codes[:15] == [503] * 15


def test_an_issuer_may_have_many_keys(client: FlaskClient, issuer: Issuer) -> None:
    issuer.keys = [Key(f"k{number}", "ES256") for number in range(100)]
    token = issuer.token(issuer.keys[-1])
    assert client.get(STATUS, headers=holding(token)).status_code == 200


def test_invented_key_ids_do_not_drive_the_issuer(client: FlaskClient, issuer: Issuer) -> None:
    for number in range(50):
        token = issuer.token(header={"kid": f"invented-{number}"})
        assert client.get(STATUS, headers=holding(token)).status_code == 401
    assert issuer.asked <= 12


@pytest.mark.parametrize(
    "settings",
    [
        {"LOKI_OIDC_SKIP_SIGNATURE_VERIFY": "true"},
        {"LOKI_OIDC_ISSUER": "http://issuer.example", "LOKI_OIDC_CLIENT_ID": "x"},
        {"LOKI_OIDC_ISSUER": "issuer", "LOKI_OIDC_CLIENT_ID": "x"},
    ],
)
def test_settings_with_which_a_forged_token_could_pass(
    place: Place, settings: dict[str, str]
) -> None:
    with pytest.raises(SettingsError, match=next(iter(settings))):
        place.settings(**settings)


REMOTE, LOCAL = "https://id.example.com", "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("address", "issuer", "allowed"),
    [
        ("https://id.example.com/keys", REMOTE, True),
        ("https://keys.example.net/keys", REMOTE, True),
        ("http://id.example.com/keys", REMOTE, False),
        ("file:///etc/passwd", REMOTE, False),
        ("ftp://id.example.com/keys", REMOTE, False),
        ("", REMOTE, False),
        ("//id.example.com/keys", REMOTE, False),
        *(
            (f"https://{host}/keys", REMOTE, False)
            for host in (
                *("127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "127.8.8.8"),
                *("2130706433", "0x7f000001", "0", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"),
                *("[::ffff:7f00:1]", "[0::FFFF:127.1.2.3]", "[::ffff:0:0]"),
                *("[::]", "x.localhost", "a@127.0.0.1", "127.0.0.1:8443"),
            )
        ),
        ("http://127.0.0.1:8080/keys", LOCAL, True),
        ("http://localhost:8080/keys", LOCAL, True),
        ("https://127.0.0.1/keys", LOCAL, True),
        ("http://id.example.com/keys", LOCAL, False),
    ],
)
def test_keys_are_fetched_only_from_allowed_addresses(
    address: str, issuer: str, allowed: bool
) -> None:
    with contextlib.nullcontext() if allowed else pytest.raises(ValueError, match="address"):
        jwks.check_address(address, issuer)
