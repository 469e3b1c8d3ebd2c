"""Under which names the server answers, and whose pages may change something."""

import pytest

from loki_web.web.origins import host_is_allowed, origin_is_allowed
from tests.support.places import Place

OWN = "http://localhost:57374"
PUBLIC = {"LOKI_DASHBOARD_HOST": "0.0.0.0", "LOKI_ENTERPRISE_AUTH": "true"}


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:9999", "LOCALHOST:57374", "localhost."),
        *("127.0.0.1", "127.0.0.1:57374", "127.8.9.1", "[::1]", "[::1]:57374"),
    ],
)
def test_loopback_names_are_ours(place: Place, host: str) -> None:
    assert host_is_allowed(host, place.settings())


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:57374", "127.0.0.1.evil.example", "10.evil.example"),
        *("localhost.evil.example", "localhost:57374.evil.example", "evil.example:localhost"),
        *("localhost@evil.example", "evil@localhost", "localhost/evil", "localhost#evil", ""),
        *("[::1", "10.0.0.5", "0x7f.1", "xn--lcalhost-6jb"),
    ],
)
def test_other_names_are_not_ours(place: Place, host: str) -> None:
    assert not host_is_allowed(host, place.settings())


def test_configured_names_and_those_of_allowed_origins_are_ours(place: Place) -> None:
    settings = place.settings(
        LOKI_ALLOWED_HOSTS="loki.internal, Other.Internal",
        LOKI_DASHBOARD_CORS="https://ui.example",
    )
    for host in ("loki.internal:8443", "other.internal", "ui.example", "localhost"):
        assert host_is_allowed(host, settings)
    assert not host_is_allowed("evil.example", settings)


@pytest.mark.parametrize(
    ("listed", "host", "allowed"),
    [
        ("https://Loki.Example:8443/", "loki.example", True),
        ("loki.example.", "loki.example:57374", True),
        ("loki.example", "LOKI.EXAMPLE.:443", True),
        ("b\u00fccher.example", "xn--bcher-kva.example", True),
        ("[2001:DB8:0::1]", "[2001:db8::1]:57374", True),
        ("2001:db8::1", "[2001:0db8::0001]", True),
        ("10.0.0.5", "[::ffff:10.0.0.5]:80", True),
        ("[::FFFF:a00:5]", "10.0.0.5", True),
        ("::ffff:10.0.0.5", "[::ffff:a00:6]", False),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.EXAMPLE.com:80", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "evilexample.com", False),
        (".example.com", "example.com", True),
        (".example.com", "a.example.com", True),
        (".example.com", "evilexample.com", False),
        ("*", "any.example", True),
        ("*", "a.example/b", False),
        ("loki.example", "loki.example.evil", False),
    ],
)
def test_hosts_as_people_write_them_are_found(
    place: Place, listed: str, host: str, allowed: bool
) -> None:
    for more in ({}, PUBLIC):
        settings = place.settings(**more, LOKI_ALLOWED_HOSTS=listed)
        assert host_is_allowed(host, settings) == allowed


def test_on_a_public_address_every_name_goes_until_names_are_configured(place: Place) -> None:
    assert host_is_allowed("any.example", place.settings(**PUBLIC))
    named = place.settings(**PUBLIC, LOKI_ALLOWED_HOSTS="loki.example")
    assert host_is_allowed("loki.example:443", named)
    assert not host_is_allowed("any.example", named)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (OWN, "127.0.0.1:57374"),  # configured by default
        ("http://localhost:8080", "localhost:8080"),
        ("http://LOCALHOST:8080", "localhost:8080"),
        ("https://loki.example", "loki.example"),  # TLS ends at a proxy
        ("http://loki.example", "loki.example:80"),
        ("http://[::1]:57374", "[::1]:57374"),
    ],
)
def test_configured_and_own_pages_may_change_something(
    place: Place, origin: str, host: str
) -> None:
    assert origin_is_allowed(origin, host, place.settings())


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "", "file://", "http://localhost:57374.evil.example"),
        *("http://localhost:3000", "https://localhost:57374:1", "http://localhost:57374/page"),
        *("localhost:57374", "http://localhost:x"),
    ],
)
def test_pages_of_other_origins_may_not(place: Place, origin: str) -> None:
    settings = place.settings(LOKI_DASHBOARD_CORS=OWN)
    assert not origin_is_allowed(origin, "127.0.0.1:57374", settings)


def test_a_star_lets_every_page(place: Place) -> None:
    settings = place.settings(LOKI_DASHBOARD_CORS="*")
    assert origin_is_allowed("https://any.example", "localhost", settings)
