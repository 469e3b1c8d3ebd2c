"""Checks of settings that depend on each other or on the file system."""

import errno
import os
import socket
import ssl
import stat
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import psutil

from loki_web.config.parsers import is_loopback
from loki_web.errors import SettingsError

_MAX_SOCKET_PATH = 107  # bytes, see unix(7)


def check_exposure(host: str, *, may_be_open: bool) -> None:
    """Refuse to listen on a public address without authentication.

    :raises SettingsError: unless authentication is on or LOKI_ALLOW_ANONYMOUS is set.
    """
    if not host:
        raise SettingsError("LOKI_DASHBOARD_HOST must not be empty")
    check_addresses([host], may_be_open=may_be_open, prefix="LOKI_DASHBOARD_HOST=")


def check_own_sockets(*, may_be_open: bool) -> None:
    """Check the addresses that this process listens on, also those it inherited.

    :raises SettingsError: as `check_exposure`.
    """
    connections = psutil.Process().net_connections("inet")
    hosts = [each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN]
    check_addresses(hosts, may_be_open=may_be_open)


def check_addresses(hosts: Iterable[str], *, may_be_open: bool, prefix: str = "") -> None:
    """Refuse addresses that are not loopback, unless `may_be_open`.

    :raises SettingsError: for the first one.
    """
    for host in hosts:
        if not (is_loopback(host) or may_be_open):
            raise SettingsError(
                f"{prefix}{host} is reachable from outside: set LOKI_ENTERPRISE_AUTH=true, "
                "or LOKI_ALLOW_ANONYMOUS=true to run without authentication"
            )


def check_oidc(*, skips_verification: bool) -> None:
    """Refuse to accept tokens without verified signatures.

    :raises SettingsError: when verification is switched off.
    """
    if skips_verification:
        raise SettingsError(
            "LOKI_OIDC_SKIP_SIGNATURE_VERIFY must be off: tokens are never accepted unverified"
        )


def check_redis(url: str, *, is_edge: bool) -> None:
    """Refuse a Redis server without the library for it, and an edge without a Redis server.

    :raises SettingsError: then.
    """
    if is_edge and not url:
        raise SettingsError("LOKI_EDGE needs LOKI_REDIS_URL: an edge has no files of its own")
    if url and not all(map(find_spec, ("redis", "limits"))):
        raise SettingsError("LOKI_REDIS_URL needs: pip install 'loki-web[redis]'")


def check_audit(*, is_required: bool, is_recorded: bool) -> None:
    """Refuse to require a log that is not written.

    :raises SettingsError: then.
    """
    if is_required and not is_recorded:
        raise SettingsError("LOKI_AUDIT_REQUIRED and LOKI_AUDIT_DISABLED exclude each other")


def check_tls(certificate: Path | None, key: Path | None) -> None:
    """Check that certificate and key are readable and match, or are both unset.

    :raises SettingsError: otherwise.
    """
    if bool(certificate) != bool(key):
        missing = "LOKI_TLS_KEY" if certificate else "LOKI_TLS_CERT"
        raise SettingsError(f"HTTPS needs both LOKI_TLS_CERT and LOKI_TLS_KEY; {missing} is empty")
    for name, path in (("LOKI_TLS_CERT", certificate), ("LOKI_TLS_KEY", key)):
        if path and not (os.path.isfile(path) and os.access(path, os.R_OK)):
            raise SettingsError(f"{name} is not a readable file: {path}")
    if certificate and key:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        except (ssl.SSLError, OSError):
            raise SettingsError(
                "LOKI_TLS_CERT and LOKI_TLS_KEY are not a PEM certificate and its key"
            ) from None


def check_loki_dir(path: Path) -> None:
    """Check that the state directory, if it exists, is readable.

    :raises SettingsError: for anything else than a readable directory.
    """
    try:
        readable = os.access(path, os.R_OK | os.X_OK)
        is_invalid = path.exists() and not (path.is_dir() and readable)
    except OSError:
        is_invalid = True
    if is_invalid:
        raise SettingsError(f"LOKI_DIR is not a readable directory: {path}")


def check_free(host: str, port: int, setting: str) -> None:
    """Check that the server can listen on an address.

    :param setting: the variable or option that sets the port, for the error.
    :raises SettingsError: when another process listens there, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"port {port} of {host} is in use: end what listens there, or set another {setting}"
            ) from None
        reason = error.strerror or "unknown error"
        raise SettingsError(f"cannot listen on port {port} of {host}: {reason}") from None


def check_socket(address: str | int) -> None:
    """Check that the server can listen on a unix socket; gunicorn would retry for seconds.

    :param address: its path, or the number of an open descriptor.
    :raises SettingsError: otherwise.
    """
    if isinstance(address, int):
        try:
            is_socket = stat.S_ISSOCK(os.fstat(address).st_mode)
        except OSError:
            is_socket = False
        if not is_socket:
            raise SettingsError(f"descriptor {address} is not an open socket")
        return
    folder = os.path.dirname(os.path.abspath(address))
    if not os.path.isdir(folder):
        reason = f"there is no folder {folder}"
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = f"the folder {folder} is not writable"
    elif os.path.lexists(address) and not Path(address).is_socket():
        reason = "the file exists and is not a socket"
    elif len(os.fsencode(address)) > _MAX_SOCKET_PATH:
        reason = f"the path is longer than {_MAX_SOCKET_PATH} bytes"
    else:
        return
    raise SettingsError(f"cannot listen on unix:{address}: {reason}")


def check_audit_key(path: Path, *folders: Path) -> None:
    """Check that the key of the audit log is not in a folder that agents use, such as `.loki/`.

    :raises SettingsError: for a path below one of the folders.
    """
    if any(path.is_relative_to(folder) for folder in folders):
        raise SettingsError("LOKI_AUDIT_KEY_FILE must not be below .loki/: choose another folder")
