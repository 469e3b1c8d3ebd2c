"""Checks of the Host header (DNS rebinding) and the Origin header (CSRF)."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from loki_web.config.parsers import is_loopback
from loki_web.config.settings import Settings

_DEFAULT_PORTS = {"http": 80, "https": 443}


def host_is_allowed(host_header: str, settings: Settings) -> bool:
    """Return whether the name in a Host header is allowed; the port does not matter.

    A server on loopback allows loopback names and configured names. A server on a public address
    allows every name, unless LOKI_ALLOWED_HOSTS is set.
    """
    name = _host_name(host_header)
    if name is None:
        return False
    if name in _configured_names(settings) or is_loopback(name):
        return True
    return not settings.is_loopback and not settings.allowed_hosts


def is_ip_address(host_header: str) -> bool:
    """Return whether a Host header has an IP address instead of a name."""
    try:
        ip_address(_host_name(host_header) or "")
    except ValueError:
        return False
    return True


def origin_is_allowed(origin: str, host_header: str, settings: Settings) -> bool:
    """Return whether a page of `origin` may change state: a configured origin, or our own."""
    if origin in settings.cors_origins or "*" in settings.cors_origins:
        return True
    return _host_and_port(origin) is not None and _host_and_port(origin) == _host_and_port(
        f"{_scheme(origin)}://{host_header}"
    )


def _configured_names(settings: Settings) -> set[str]:
    names = {name.lower() for name in settings.allowed_hosts}
    names |= {_host_name(urlsplit(origin).netloc) or "" for origin in settings.cors_origins}
    return names - {""} | {settings.host.lower()}


def _host_name(host_header: str) -> str | None:
    try:
        parts = urlsplit(f"//{host_header}")
        _ = parts.port  # raises ValueError for an invalid port
        name = parts.hostname
    except ValueError:
        return None
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        return None
    return name.rstrip(".") if name else None


def _scheme(origin: str) -> str:
    return origin.partition("://")[0].lower()


def _host_and_port(origin: str) -> tuple[str, int] | None:
    """Return host name and port, without the scheme: a proxy may terminate TLS."""
    try:
        parts, usual_port = urlsplit(origin), _DEFAULT_PORTS[_scheme(origin)]
        port = parts.port or usual_port
    except (ValueError, KeyError):
        return None
    if not parts.hostname or parts.username is not None or parts[2:] != ("", "", ""):
        return None
    return parts.hostname, port
