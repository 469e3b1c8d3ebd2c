"""Which settings the server starts with, and what it says of the others."""

import pytest

from loki_web.errors import SettingsError
from tests.support.places import Place


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *((word, True) for word in ("1", "true", "yes", "on", "TRUE", "Yes", " on ")),
        *((word, False) for word in ("0", "false", "no", "off", "", "FALSE", " Off ")),
    ],
)
def test_words_for_yes_and_no(place: Place, text: str, meant: bool) -> None:
    settings = place.settings(LOKI_ENTERPRISE_AUTH=text, LOKI_WATCHDOG=text)
    assert (settings.enterprise_auth, settings.watchdog) == (meant, meant)


@pytest.mark.parametrize("text", ["2", "maybe", "truee", "нет", "-1", "1.0"])
def test_other_words_are_none(place: Place, text: str) -> None:
    with pytest.raises(SettingsError, match="LOKI_ENTERPRISE_AUTH must be one of"):
        place.settings(LOKI_ENTERPRISE_AUTH=text)


@pytest.mark.parametrize(
    "text", ["0", "-1", "65536", "57374x", "0x10", "1e3", "٣", "1.5", "9" * 400]
)
def test_ports_that_there_are_not(place: Place, text: str) -> None:
    with pytest.raises(SettingsError, match="LOKI_DASHBOARD_PORT"):
        place.settings(LOKI_DASHBOARD_PORT=text)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9", "LOCALHOST"])
def test_this_machine_alone_needs_no_authentication(place: Place, host: str) -> None:
    assert place.settings(LOKI_DASHBOARD_HOST=host).is_loopback


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "loki.example", "127.0.0.1.example"]
)
def test_an_address_for_others_needs_it(place: Place, host: str) -> None:
    with pytest.raises(SettingsError, match="reachable from outside"):
        place.settings(LOKI_DASHBOARD_HOST=host)
    assert not place.settings(LOKI_DASHBOARD_HOST=host, LOKI_ENTERPRISE_AUTH="1").is_loopback
    assert not place.settings(LOKI_DASHBOARD_HOST=host, LOKI_ALLOW_ANONYMOUS="1").is_loopback


def test_only_this_machine_by_default(place: Place) -> None:
    assert place.settings().host == "127.0.0.1"


@pytest.mark.parametrize("text", [" ", ",", " , ,, "])
def test_an_empty_list_of_origins_is_empty(place: Place, text: str) -> None:
    assert place.settings(LOKI_DASHBOARD_CORS=text).cors_origins == ()


def test_origins_are_trimmed(place: Place) -> None:
    settings = place.settings(LOKI_DASHBOARD_CORS=" https://a.example/ ,, http://b.example:81 ")
    assert settings.cors_origins == ("https://a.example", "http://b.example:81")
