"""Whether the settings together are what the server can start with."""

import os
import ssl
from pathlib import Path

from loki_web.config.parsers import is_loopback
from loki_web.errors import SettingsError


def check_exposure(host: str, *, may_be_open: bool) -> None:
    """:raises SettingsError: where strangers could reach a server that asks nobody who they are."""
    if not host:
        raise SettingsError("LOKI_DASHBOARD_HOST must not be empty")
    if not (is_loopback(host) or may_be_open):
        raise SettingsError(
            f"LOKI_DASHBOARD_HOST={host} is reachable from outside: set "
            "LOKI_ENTERPRISE_AUTH=true, or LOKI_ALLOW_ANONYMOUS=true if that is what you want"
        )


def check_oidc(*, skips_verification: bool) -> None:
    """:raises SettingsError: where tokens would count without their signature."""
    if skips_verification:
        raise SettingsError(
            "LOKI_OIDC_SKIP_SIGNATURE_VERIFY must be off: tokens are never accepted unverified"
        )


def check_tls(certificate: Path | None, key: Path | None) -> None:
    """:raises SettingsError: unless both are left out, or belong together and can be read."""
    if bool(certificate) != bool(key):
        missing = "LOKI_TLS_KEY" if certificate else "LOKI_TLS_CERT"
        raise SettingsError(f"HTTPS needs both LOKI_TLS_CERT and LOKI_TLS_KEY; {missing} is empty")
    for name, path in (("LOKI_TLS_CERT", certificate), ("LOKI_TLS_KEY", key)):
        if path and not (path.is_file() and os.access(path, os.R_OK)):
            raise SettingsError(f"{name} is not a file that can be read: {path}")
    if certificate and key:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        except (ssl.SSLError, OSError):
            raise SettingsError(
                "LOKI_TLS_CERT and LOKI_TLS_KEY are not a PEM certificate and its key"
            ) from None


def check_loki_dir(path: Path) -> None:
    """:raises SettingsError: for something that is there and is no directory to be read."""
    try:
        readable = os.access(path, os.R_OK | os.X_OK)
        wrong = path.exists() and not (path.is_dir() and readable)
    except OSError:
        wrong = True
    if wrong:
        raise SettingsError(f"LOKI_DIR is not a directory that can be read: {path}")
