"""Whose forwarded headers count, and that a client behind a proxy is one client."""

import pytest
from flask.testing import FlaskClient

from loki_web.web.proxies import parse_client
from tests.support.places import Place

PAUSE = "/api/control/pause"


def pause(client: FlaskClient, peer: str, forwarded: str | None) -> int:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client.post(PAUSE, headers=headers, environ_base={"REMOTE_ADDR": peer}).status_code


@pytest.mark.parametrize(
    ("text", "address"),
    [
        *((text, "203.0.113.9") for text in ("203.0.113.9", " 203.0.113.9 ", "203.0.113.9:4711")),
        *((text, "203.0.113.9") for text in ('"203.0.113.9:4711"', "::ffff:203.0.113.9")),
        *((text, "203.0.113.9") for text in ("[::FFFF:cb00:7109]:80", "::ffff:cb00:7109")),
        *((text, "2001:db8::1") for text in ("2001:db8::1", "2001:DB8:0:0::0001", "[2001:db8::1]")),
        *((text, "2001:db8::1") for text in ("[2001:db8:0::1]:4711", '"[2001:db8::1]:4711"')),
        *((text, "fe80::1") for text in ("fe80::1%eth0", "[fe80::1%25eth0]:80")),
        *((text, "None") for text in ("unknown", "_hidden", "", "203.0.113", "example.com:80")),
    ],
)
def test_each_spelling_of_an_address_is_parsed(text: str, address: str) -> None:
    assert str(parse_client(text)) == address


@pytest.mark.parametrize("proxies", ["1", "127.0.0.0/8"])
def test_spellings_and_ports_do_not_make_another_client(place: Place, proxies: str) -> None:
    client = place.client(LOKI_CONTROL_RATE_LIMIT="2", LOKI_TRUSTED_PROXIES=proxies)
    spelled = ["2001:db8::1", "[2001:DB8:0::1]:4711", "2001:0db8::0001", '"[2001:db8::1]"']
    assert [pause(client, "127.0.0.1", text) for text in spelled] == [200, 200, 429, 429]
    assert pause(client, "127.0.0.1", "2001:db8::2") == 200


def test_a_malformed_address_counts_as_the_proxy(place: Place) -> None:
    client = place.client(LOKI_CONTROL_RATE_LIMIT="1", LOKI_TRUSTED_PROXIES="1")
    assert pause(client, "127.0.0.1", "unknown") == 200
    assert pause(client, "127.0.0.1", "_hidden") == 429


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # no proxy of ours
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.2.3.4", "198.51.100.1"),
        ("10.0.0.1", "10.9.9.9, 10.2.3.4", "10.9.9.9"),
        ("::ffff:10.0.0.1", "198.51.100.1:80, [::ffff:10.2.3.4]:81", "198.51.100.1"),
        ("", "198.51.100.1", "198.51.100.1"),  # a unix socket
        ("10.0.0.1", None, "10.0.0.1"),
    ],
)
def test_only_proxies_with_a_trusted_address_are_believed(
    place: Place, peer: str, forwarded: str | None, client: str
) -> None:
    app = place.client(LOKI_TRUSTED_PROXIES="10.0.0.0/8", LOKI_CONTROL_RATE_LIMIT="1")
    assert pause(app, peer, forwarded) == 200
    assert pause(app, "10.0.0.1", client) == 429


def test_a_host_is_believed_from_a_trusted_address_only(place: Place) -> None:
    client = place.client(LOKI_TRUSTED_PROXIES="10.0.0.0/8", LOKI_ALLOWED_HOSTS="loki.example")
    told = {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "198.51.100.1"}
    for peer, code in (("10.0.0.1", 403), ("203.0.113.9", 200)):
        response = client.get("/api/status", headers=told, environ_base={"REMOTE_ADDR": peer})
        assert response.status_code == code
