"""Checks of the Host header (DNS rebinding) and the Origin header (CSRF)."""

from urllib.parse import urlsplit

from loki_web.config.parsers import (
    ANY,
    DEFAULT_PORTS,
    host_name,
    is_loopback,
    parse_address,
    unmapped,
)
from loki_web.config.settings import Settings


def host_is_allowed(host_header: str, settings: Settings) -> bool:
    """Return whether the name in a Host header is allowed; the port does not matter.

    A server on loopback allows loopback names and configured names. A server on a public address
    allows every name, unless LOKI_ALLOWED_HOSTS is set.
    """
    name = _host_name(host_header)
    if name is None:
        return False
    plain = _without_mapping(name)
    patterns = map(_without_mapping, _patterns(settings))
    if is_loopback(name) or any(_matches(plain, pattern) for pattern in patterns):
        return True
    return not settings.is_loopback and not settings.allowed_hosts


def is_address(host_header: str) -> bool:
    """Return whether the Host is an IP address, which no name server can point elsewhere."""
    return parse_address(_host_name(host_header) or "") is not None


def origin_is_allowed(origin: str, host_header: str, settings: Settings) -> bool:
    """Return whether a page of `origin` may change state: a configured origin, or our own."""
    if origin in settings.cors_origins or ANY in settings.cors_origins:
        return True
    return origin_is_own(origin, host_header)


def origin_is_own(origin: str, host_header: str) -> bool:
    """Return whether a page of `origin` comes from the host and port of a request."""
    return _host_and_port(origin) is not None and _host_and_port(origin) == _host_and_port(
        f"{_scheme(origin)}://{host_header}"
    )


def _patterns(settings: Settings) -> set[str]:
    """Return the configured hosts in the forms of `parsers.hosts`."""
    names = {urlsplit(origin).hostname or "" for origin in settings.cors_origins}
    return {*settings.allowed_hosts, *names, settings.host} - {""}


def _without_mapping(name: str) -> str:
    """Return 10.0.0.1 for ::ffff:10.0.0.1, and any other name as it is, also a loopback one."""
    address = parse_address(name) if name.startswith("::ffff:") else None
    plain = str(unmapped(address)) if address else name
    return name if is_loopback(plain) else plain


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith((ANY, ".")):
        return name.endswith(pattern.removeprefix(ANY)) or name == pattern[1:]
    return name == pattern


def _host_name(host_header: str) -> str | None:
    """Return the name of a Host header in the form of the settings; None if it is malformed."""
    try:
        parts = urlsplit(f"//{host_header}")
        _ = parts.port  # raises ValueError for an invalid port
        if parts.path or parts.query or parts.fragment or parts.username is not None:
            return None
        return host_name(parts.hostname or "")
    except ValueError:
        return None


def _scheme(origin: str) -> str:
    return origin.partition("://")[0].lower()


def _host_and_port(origin: str) -> tuple[str, int] | None:
    """Return host name and port, without the scheme: a proxy may terminate TLS."""
    try:
        parts, usual_port = urlsplit(origin), DEFAULT_PORTS[_scheme(origin)]
        port = parts.port or usual_port
    except (ValueError, KeyError):
        return None
    if not parts.hostname or parts.username is not None or parts[2:] != ("", "", ""):
        return None
    return parts.hostname, port
