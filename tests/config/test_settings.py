"""Which settings the server starts with, and what it says of the others."""

from typing import Any

import pytest

from loki_web.auth.scopes import ROLES
from loki_web.errors import SettingsError
from tests.support.places import Place


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *((word, True) for word in ("1", "true", "yes", "on", "TRUE", "Yes", " on ")),
        *((word, False) for word in ("0", "false", "no", "off", "", "FALSE", " Off ")),
    ],
)
def test_yes_and_no_have_several_words(place: Place, text: str, meant: bool) -> None:
    settings = place.settings(LOKI_ENTERPRISE_AUTH=text, LOKI_WATCHDOG=text)
    assert (settings.enterprise_auth, settings.watchdog) == (meant, meant)


@pytest.mark.parametrize("text", ["2", "maybe", "truee", "нет", "-1", "1.0"])
def test_other_words_than_yes_and_no_are_refused(place: Place, text: str) -> None:
    with pytest.raises(SettingsError, match="LOKI_ENTERPRISE_AUTH must be one of"):
        place.settings(LOKI_ENTERPRISE_AUTH=text)


@pytest.mark.parametrize(
    "text", ["0", "-1", "65536", "57374x", "0x10", "1e3", "٣", "1.5", "9" * 400]
)
def test_a_port_out_of_range_is_refused(place: Place, text: str) -> None:
    with pytest.raises(SettingsError, match="LOKI_DASHBOARD_PORT"):
        place.settings(LOKI_DASHBOARD_PORT=text)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9", "LOCALHOST"])
def test_a_loopback_address_needs_no_authentication(place: Place, host: str) -> None:
    assert place.settings(LOKI_DASHBOARD_HOST=host).is_loopback


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "loki.example", "127.0.0.1.example"]
)
def test_another_address_needs_authentication(place: Place, host: str) -> None:
    with pytest.raises(SettingsError, match="reachable from outside"):
        place.settings(LOKI_DASHBOARD_HOST=host)
    assert not place.settings(LOKI_DASHBOARD_HOST=host, LOKI_ENTERPRISE_AUTH="1").is_loopback
    assert not place.settings(LOKI_DASHBOARD_HOST=host, LOKI_ALLOW_ANONYMOUS="1").is_loopback


def test_the_default_address_is_loopback(place: Place) -> None:
    assert place.settings().host == "127.0.0.1"


@pytest.mark.parametrize("text", [" ", ",", " , ,, "])
def test_an_empty_list_of_origins_is_empty(place: Place, text: str) -> None:
    assert place.settings(LOKI_DASHBOARD_CORS=text).cors_origins == ()


def test_origins_are_trimmed(place: Place) -> None:
    settings = place.settings(LOKI_DASHBOARD_CORS=" https://a.example/ ,, http://b.example:81 ")
    assert settings.cors_origins == ("https://a.example", "http://b.example:81")


def is_refused(place: Place, name: str, text: str) -> bool:
    """Whether the start ends with one line that names the variable."""
    with pytest.raises(SettingsError) as refused:
        place.settings(**{name: text})
    return str(refused.value).startswith(name) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("loki.example", "loki.example"),
        ("Loki.Example", "loki.example"),
        ("loki.example.", "loki.example"),
        ("loki.example:8443", "loki.example"),
        ("https://loki.example", "loki.example"),
        ("HTTPS://Loki.Example:443/ui/", "loki.example"),
        ("loki_web", "loki_web"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("stra\u00dfe.example", "xn--strae-oqa.example"),
        ("\u4f8b\u3048\u3002\u30c6\u30b9\u30c8", "xn--r8jz45g.xn--zckzah"),
        ("10.0.0.5", "10.0.0.5"),
        ("10.0.0.5:57374", "10.0.0.5"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::0001]", "2001:db8::1"),
        ("https://[2001:db8::1]:8443/", "2001:db8::1"),
        ("fe80::1%eth0 [fe80::2%25eth0]:80", "fe80::1,fe80::2"),
        ("*", "*"),
        ("*.example.com", "*.example.com"),
        ("https://*.Example.com:8443", "*.example.com"),
        (".example.com", ".example.com"),
        ("a.example b.example", "a.example,b.example"),
        ("'a.example', \"b.example\"\r\n", "a.example,b.example"),
        ("a.example,A.example:80,a.example.", "a.example"),
        ("", ""),
    ],
)
def test_allowed_hosts_as_people_write_them(place: Place, text: str, meant: str) -> None:
    assert ",".join(place.settings(LOKI_ALLOWED_HOSTS=text).allowed_hosts) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("a.*.example", "*example.com", "loki-*.example", "**.example", "*.", ".", "a..example"),
        *("10.0.0.0/8", "2001:db8::/32", "loki.example/ui", "loki.example?x", "me@loki.example"),
        *("loki.example:x", "loki.example:99999", "ftp://loki.example", "010.0.0.5", "127.1"),
        *(
            "0x7f000001",
            "2130706433",
            "[::1",
            "::1]",
            "a b,-c",
            "https://",
            "*.10.1",
            "a.example;b",
        ),
        *('["a.example"]', "f" * 64 + ".example"),
    ],
)
def test_allowed_hosts_that_there_cannot_be(place: Place, text: str) -> None:
    assert is_refused(place, "LOKI_ALLOWED_HOSTS", text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("https://ui.example", "https://ui.example"),
        ("https://ui.example/", "https://ui.example"),
        ("https://ui.example/app/index.html", "https://ui.example"),
        ("HTTPS://UI.Example", "https://ui.example"),
        ("https://ui.example:443", "https://ui.example"),
        ("http://ui.example:80/", "http://ui.example"),
        ("http://ui.example:443", "http://ui.example:443"),
        ("https://ui.example.", "https://ui.example"),
        ("http://[::0001]:3000", "http://[::1]:3000"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ('"https://a.example https://b.example"\r', "https://a.example,https://b.example"),
        ("*", "*"),
    ],
)
def test_origins_as_people_write_them(place: Place, text: str, meant: str) -> None:
    assert ",".join(place.settings(LOKI_DASHBOARD_CORS=text).cors_origins) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("ui.example", "//ui.example", "https://*.ui.example", "https://*", "null", "file:///x"),
        *(
            "https://me@ui.example",
            "https://ui.example?x",
            "https://ui.example#x",
            "ws://a.example",
        ),
        *("https://ui.example:x", "https://", "https:/ui.example", "https://a..example"),
    ],
)
def test_origins_that_there_cannot_be(place: Place, text: str) -> None:
    assert is_refused(place, "LOKI_DASHBOARD_CORS", text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *(
            ("[::1]", "::1"),
            ("::0001", "::1"),
            ("LocalHost", "localhost"),
            ("localhost.", "localhost"),
        ),
        *(("127.0.0.1\r", "127.0.0.1"), ('"127.0.0.1"', "127.0.0.1"), ("'[::1]'\r\n", "::1")),
        *(("", "127.0.0.1"), ("\r\n", "127.0.0.1"), ('""', "127.0.0.1")),
    ],
)
def test_the_address_to_listen_on(place: Place, text: str, meant: str) -> None:
    assert place.settings(LOKI_DASHBOARD_HOST=text).host == meant


@pytest.mark.parametrize(
    "text", ["localhost:57374", "http://localhost", "[::1]:80", "*", "127.1", "0", "a b", "[::1"]
)
def test_addresses_that_nobody_can_listen_on(place: Place, text: str) -> None:
    assert is_refused(place, "LOKI_DASHBOARD_HOST", text)


@pytest.mark.parametrize(
    ("name", "text", "field", "meant"),
    [
        ("LOKI_WORKERS", "4\r", "workers", 4),
        ("LOKI_WORKERS", "'4'", "workers", 4),
        ("LOKI_ENTERPRISE_AUTH", '"true"\r\n', "enterprise_auth", True),
        ("LOKI_LOG_FORMAT", "json\r", "log_format", "json"),
        ("LOKI_OIDC_ISSUER", '"https://id.example"\r', "oidc_issuer", "https://id.example"),
        ("LOKI_OIDC_CLIENT_ID", "loki\r", "oidc_client_id", "loki"),
        ("LOKI_BUDGET_LIMIT", "'5.5'", "budget_limit", 5.5),
        ("LOKI_AUDIT_SYSLOG_HOST", "[::1]\r", "audit_syslog_host", "::1"),
        ("LOKI_AUDIT_SYSLOG_HOST", "", "audit_syslog_host", ""),
        *(
            ("LOKI_LOG_LEVEL", text, "log_level", "warning")
            for text in ("warn", "WARN", "Warning\r")
        ),
        *(("LOKI_LOG_LEVEL", text, "log_level", "error") for text in ("fatal", "critical", "err")),
        *(("LOKI_LOG_LEVEL", text, "log_level", "debug") for text in ("trace", "verbose")),
    ],
)
def test_additions_of_env_files_and_other_programs_are_ignored(
    place: Place, name: str, text: str, field: str, meant: Any
) -> None:
    settings = place.settings(**{name: text})
    assert getattr(settings, field) == meant
    assert settings.warnings == ()


def test_quotes_and_blanks_around_a_path_are_not_part_of_it(place: Place) -> None:
    settings = place.settings(LOKI_DIR=f'"{place.loki}"\r', LOKI_SKILL_DIR=f" '{place.home} ' ")
    assert (settings.loki_dir, settings.skill_dir) == (place.loki, place.home)


@pytest.mark.parametrize(
    ("name", "text", "field", "meant"),
    [
        ("LOKI_DASHBOARD_PORT", "tcp://10.0.0.1:57374", "port", 57374),
        ("LOKI_DASHBOARD_PORT", "udp://[fd00::1]:57374", "port", 57374),
        ("LOKI_AUDIT_SYSLOG_PORT", "tcp://10.0.0.1:6514", "audit_syslog_port", 514),
        ("LOKI_LOG_LEVEL", "loud", "log_level", "info"),
    ],
)
def test_values_with_another_meaning_are_ignored_with_a_warning(
    place: Place, name: str, text: str, field: str, meant: Any
) -> None:
    settings = place.settings(**{name: text})
    assert getattr(settings, field) == meant
    (warning,) = settings.warnings
    assert warning.startswith(f"{name}={text} is ignored")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2", "2"),
        ("10.0.0.1,10.0.0.0/8", "10.0.0.1/32,10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("[::1] 2001:DB8::/32", "::1/128,2001:db8::/32"),
        ("::ffff:10.0.0.1 [::FFFF:a00:0]/104", "10.0.0.1/32,10.0.0.0/8"),
        ("::ffff:0:0/96 ::/0", "0.0.0.0/0,::/0"),
        ("", "0"),
    ],
)
def test_proxies_by_number_or_address(place: Place, text: str, meant: str) -> None:
    settings = place.settings(LOKI_TRUSTED_PROXIES=text)
    assert f"LOKI_TRUSTED_PROXIES={meant}" in settings.in_force()


@pytest.mark.parametrize("text", ["11", "-1", "1.5", "proxy.example", "10.0.0.1:80", "10.0.0.0/33"])
def test_proxies_that_there_cannot_be(place: Place, text: str) -> None:
    assert is_refused(place, "LOKI_TRUSTED_PROXIES", text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("sre=operator", "sre=operator"),
        ("/SRE=Operator, Loki Admins = admin", "sre=operator,loki admins=admin"),
        ("a=b=viewer;c=auditor", "a=b=viewer,c=auditor"),
        ("\"Loki Admins\"=admin, '/SRE' = viewer", "loki admins=admin,sre=viewer"),
        ("A\u0308rzte=viewer", "\u00e4rzte=viewer"),
        ('{"CN=Admins,OU=x": "admin", "sre": ["viewer", "auditor"]}',
         "cn=admins,ou=x=admin,sre=viewer,sre=auditor"),
        *((f"x={role}", f"x={role}") for role in ROLES),
    ],
)  # fmt: skip
def test_roles_are_mapped_from_groups(place: Place, text: str, meant: str) -> None:
    assert ",".join(place.settings(LOKI_OIDC_ROLE_MAP=text).oidc_role_map) == meant


@pytest.mark.parametrize(
    "text",
    ["sre", "sre=", "=admin", "sre=root", "a=admin,b", "{", "{}x", '{"a": "root"}', '{"a": 1}'],
)
def test_a_malformed_map_of_roles_is_refused(place: Place, text: str) -> None:
    assert is_refused(place, "LOKI_OIDC_ROLE_MAP", text)


@pytest.mark.parametrize("text", ["a.", ".a", "a..b", '"a', "a\\", '"a"b', "."])
def test_claims_that_there_cannot_be(place: Place, text: str) -> None:
    assert is_refused(place, "LOKI_OIDC_ROLES_CLAIM", text)


@pytest.mark.parametrize(
    "text", ["*", "portal.example", "javascript:alert(1)", "https://a.example;script-src", "none'"]
)
def test_frames_of_anybody_are_not_allowed(place: Place, text: str) -> None:
    assert is_refused(place, "LOKI_FRAME_ANCESTORS", text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://localhost", "redis://localhost"),
        ("redis://:s3cret@10.0.0.5:6380/2", "redis://:***@10.0.0.5:6380/2"),
        ("rediss://loki:p@ss@redis.example/0", "rediss://loki:***@redis.example/0"),
        ("rediss://[::1]?ssl_ca_certs=/etc/ca.pem", "rediss://[::1]?ssl_ca_certs=/etc/ca.pem"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("", ""),
    ],
)
def test_redis_is_shown_without_its_password(place: Place, text: str, shown: str) -> None:
    settings = place.settings(LOKI_REDIS_URL=text)
    assert settings.redis_url == text
    assert f"LOKI_REDIS_URL={shown}" in settings.in_force()


@pytest.mark.parametrize(
    "text",
    [
        *("localhost:6379", "http://redis.example", "redis://", "unix://", "redis://a:x"),
        *("redis://a:99999", "redis://[::1"),
        "rediss://a?ssl_cert_reqs=none",
        "rediss://a?ssl_check_hostname=false",
        "redis://a?socket_timeout=60",
    ],
)
def test_redis_servers_that_are_refused(place: Place, text: str) -> None:
    assert is_refused(place, "LOKI_REDIS_URL", text)


@pytest.mark.parametrize("name", ["LOKI_REDIS_URL", "LOKI_WEBHOOK_URL", "LOKI_OIDC_ISSUER"])
@pytest.mark.parametrize(
    "rest", ["me:s3cret#w@host", "me:s3cret/w@host", "me:s3cret?@host", "[s3cret", "host:s3cret"]
)
def test_a_refused_address_is_not_repeated(place: Place, name: str, rest: str) -> None:
    scheme = "redis" if name == "LOKI_REDIS_URL" else "https"
    with pytest.raises(SettingsError, match=f"{name} must ") as refused:
        place.settings(**{name: f"{scheme}://{rest}"})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *((text, text) for text in ("https://id.example", "https://id.example/", "http://[::1]")),
        ("HTTPS://ID.Example/realms/Main", "https://id.example/realms/Main"),
        ("https://id.example/a/.well-known/openid-configuration", "https://id.example/a"),
        ("http://127.0.0.1:8080/a/", "http://127.0.0.1:8080/a/"),
        *((text, None) for text in ("http://id.example", "https://id.example:99999", "id.example")),
        *((text, None) for text in ("https://me@id.example", "https://id.example?a", "https://a#")),
        *((text, None) for text in ("https://id.example/a b", "https://id.example:0", "https://[")),
    ],
)
def test_issuers_as_people_write_them(place: Place, text: str, meant: str | None) -> None:
    if meant is None:
        assert is_refused(place, "LOKI_OIDC_ISSUER", text)
    else:
        assert place.settings(LOKI_OIDC_ISSUER=text).oidc_issuer == meant


@pytest.mark.parametrize("name", ["LOKI_DIR", "LOKI_CACHE_DIR", "LOKI_TLS_CERT"])
def test_the_home_of_nobody(place: Place, name: str) -> None:
    assert is_refused(place, name, "~no-such-user/x")


def test_machines_have_plain_names(place: Place) -> None:
    assert place.settings(LOKI_MACHINE="alpha-1").machine == "alpha-1"
    assert place.settings().machine
    for text in ("a:b", "a b", "a/b", "x" * 64, "bücher"):
        assert is_refused(place, "LOKI_MACHINE", text)


def test_an_edge_needs_redis(place: Place) -> None:
    assert is_refused(place, "LOKI_EDGE", "true")
    assert place.settings(LOKI_EDGE="true", LOKI_REDIS_URL="redis://localhost").is_edge


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", True),
        ("http://10.0.0.7:8080/hook?key=1", True),
        ("", True),
        *((text, False) for text in ("hooks.slack.com/x", "ftp://host/x", "https://", "http:x")),
        *((text, False) for text in ("https://host/a b", "https://hóst/", "https://[::1/")),
        *((text, False) for text in ("https://host:99999/", "https://host:x/", "https://host:0/")),
    ],
)
def test_only_an_http_url_is_an_address_of_webhooks(
    place: Place, text: str, is_right: bool
) -> None:
    if is_right:
        assert place.settings(LOKI_WEBHOOK_URL=text).webhook_url == text
    else:
        with pytest.raises(SettingsError, match="LOKI_WEBHOOK_URL"):
            place.settings(LOKI_WEBHOOK_URL=text)


def test_the_events_of_webhooks_can_be_chosen(place: Place) -> None:
    chosen = place.settings(LOKI_WEBHOOK_EVENTS="Alert, session_ended")
    assert chosen.webhook_events == ("alert", "session_ended")
    with pytest.raises(SettingsError, match="LOKI_WEBHOOK_EVENTS must be some of alert, "):
        place.settings(LOKI_WEBHOOK_EVENTS="alerts")


def test_secrets_are_not_shown(place: Place) -> None:
    secrets = {"LOKI_WEBHOOK_URL": "https://host/s3cret", "LOKI_WEBHOOK_SECRET": "s3cret"}
    shown = place.settings(**secrets).in_force()
    assert {f"{name}=***" for name in secrets} <= set(shown)
    assert "s3cret" not in " ".join(shown)
    assert "LOKI_WEBHOOK_URL=" in place.settings().in_force()
