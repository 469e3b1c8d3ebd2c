"""`health`: ask a running server whether it is ready, as the probe of a container."""

import http.client
import json
import os
import socket
import ssl
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import click

from loki_web.cli.options import cacert_option, checked_url, explain_failure
from loki_web.config.parsers import is_this_machine
from loki_web.config.settings import Settings
from loki_web.store.coerce import as_dict, texts_in
from loki_web.text import printable

_MAX_BYTES = 64 * 1024
_DEGRADED = "degraded"  # serves, but alone: no reason to restart it
_UNIX = "unix:"


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a unix socket, with TLS if the server has a certificate."""

    def __init__(self, path: str, context: ssl.SSLContext | None, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path, self._context = path, context

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
        if self._context:
            self.sock = self._context.wrap_socket(self.sock)


@click.command()
@click.argument("url", required=False)
@click.option(
    "--live", "is_live", is_flag=True, help="Ask only whether the process answers (/health/live)"
)
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(0.1, 600),
    default=5.0,
    help="Seconds to wait for a connection, and for each part of the answer",
)
@cacert_option
def health(url: str | None, is_live: bool, seconds: float, cacert: str | None) -> None:
    """Check that a running server is ready; exit with 1 if it is not.

    URL is the address of the server, or unix:/path/of/its/socket; default: from the settings. A
    server on this machine may use the certificate in LOKI_TLS_CERT, whatever names are in it.
    """
    settings = Settings.read()
    address = settings.url if url is None else url
    connection, prefix = _connection_to(address, settings.tls_cert, cacert, seconds)
    expected = "live" if is_live else "ready"
    status, body = _get(connection, f"{prefix}/health/{expected}", address)
    answer = as_dict(_parse(body))
    words = (expected,) if is_live else (expected, _DEGRADED)
    if status != HTTPStatus.OK or answer.get("status") not in words:
        detail = answer.get("detail") or f"the answer of {address} ({status}) is not Loki Web's"
        raise click.ClickException(str(detail))
    click.echo(printable("; ".join([str(answer["status"]), *texts_in(answer.get("warnings"))])))


def _connection_to(
    address: str, certificate: Path | None, ca_file: str | None, seconds: float
) -> tuple[http.client.HTTPConnection, str]:
    """Return a connection that is not yet open, and the prefix of the server's paths."""
    if address.startswith(_UNIX):
        path = os.path.normpath(address.removeprefix(_UNIX))
        context = _tls_context(certificate, ca_file) if certificate else None
        return _UnixConnection(path, context, seconds), ""
    parts = urlsplit(checked_url(address, more=", or unix:/path/of/its/socket"))
    host, prefix = parts.hostname or "", parts.path.rstrip("/")
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=seconds), prefix
    context = _tls_context(certificate if is_this_machine(host) else None, ca_file)
    secured = http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=context)
    return secured, prefix


def _tls_context(certificate: Path | None, ca_file: str | None) -> ssl.SSLContext:
    """Return the context that trusts the CAs of a file, this server's certificate, or the system's.

    :param certificate: trusted by itself: neither its issuer nor its names are checked.
    :raises click.ClickException: when a file cannot be read.
    """
    try:
        if ca_file or not certificate:
            return ssl.create_default_context(cafile=ca_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(certificate)
    except OSError:
        name = ca_file or certificate
        raise click.ClickException(f"{name} is not a readable file of PEM certificates") from None
    return context


def _get(connection: http.client.HTTPConnection, path: str, address: str) -> tuple[int, bytes]:
    """Return status and body of a response.

    :raises click.ClickException: with one sentence, if there is none.
    """
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        reason = explain_failure(error, address, connection.timeout)
    finally:
        connection.close()
    raise click.ClickException(f"no answer from {address}: {reason}")


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
