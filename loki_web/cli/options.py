"""Shared by several commands: settings as options, and formatting of output."""

import ssl
import urllib.error
from collections.abc import Callable, Sequence
from dataclasses import fields
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import click

from loki_web.config.settings import Settings
from loki_web.store.times import parse_time
from loki_web.text import printable

_GROUPS = {  # prefixes of variables, by the heading of their options in --help
    "Address": ("LOKI_DASHBOARD_", "LOKI_TLS_", "LOKI_ALLOW", "LOKI_TRUSTED_", "LOKI_FRAME_"),
    "Processes": ("LOKI_WORKER", "LOKI_THREADS", "LOKI_MAX_WS_", "LOKI_CACHE_"),
    "Logs and metrics": ("LOKI_LOG_", "LOKI_ACCESS_", "LOKI_METRICS_"),
    "Accounts": ("LOKI_ENTERPRISE_AUTH", "LOKI_OIDC_", "LOKI_CONTROL_", "LOKI_SIGN_IN_"),
    "Audit log": ("LOKI_AUDIT_", "LOKI_ENTERPRISE_AUDIT"),
    "Webhooks": ("LOKI_WEBHOOK_",),
    "Session": ("LOKI_",),
}
cacert_option = click.option(
    "--cacert",
    type=click.Path(exists=True, dir_okay=False),
    help="PEM file of the CA certificates that the server's certificate is checked against",
)


class SettingsCommand(click.Command):
    """A command whose help lists the options of settings in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each setting below the heading of its group."""
        groups: dict[str, list[tuple[str, str]]] = {"Options": [], **{name: [] for name in _GROUPS}}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups[getattr(parameter, "group", "Options")].append(record)
        for name, records in groups.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class _SettingOption(click.Option):
    """:ivar group: the heading of the option in the help."""

    def __init__(self, *args: Any, variable: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.group = next(
            name for name, prefixes in _GROUPS.items() if variable.startswith(prefixes)
        )


def setting_options(*, without: Sequence[str] = ()) -> Callable[..., Any]:
    """Decorate a command with an option for each setting; the default is the variable's value.

    :param without: field names of settings without an option.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for item in reversed(fields(Settings)):
            if item.metadata and item.name not in without and not item.metadata["is_secret"]:
                command = _option(item.name, item.metadata)(command)
        return command

    return decorate


def checked_url(url: str, *, more: str = "") -> str:
    """Return the URL of a server without query and fragment.

    :param more: other addresses that the command accepts, for the error.
    :raises click.UsageError: for anything else than an http or https URL.
    """
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and parts.port != 0
        # http.client encodes the host too, and would fail with a traceback for one such as a..b
        is_valid = is_valid and bool((parts.hostname or "").encode("idna"))
    except ValueError:
        is_valid = False
    if not is_valid or "@" in url or not url.isascii() or not url.isprintable() or " " in url:
        raise click.UsageError(
            "URL must be an http or https URL such as http://localhost:57374" + more
        )
    return url.partition("?")[0].partition("#")[0]


def explain_failure(error: OSError | HTTPException, address: str, timeout: float | None) -> str:
    """Return in a few words why a server gave no answer.

    :param address: its URL, or the address of its unix socket.
    :param timeout: of the connection, in seconds.
    """
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    # A server that waits for a request in plain HTTP lets the handshake time out.
    if isinstance(cause, ssl.SSLError) or "handshake" in str(cause):
        return "no TLS handshake; if it has no certificate, use http:// or unset LOKI_TLS_CERT"
    if isinstance(cause, TimeoutError):
        return f"it took longer than {timeout:g} seconds"
    if isinstance(cause, ConnectionError) and not cause.strerror:
        hint = "; if it has a certificate, use https://" if address.startswith("http:") else ""
        return f"the connection was closed{hint}"
    if isinstance(cause, OSError):
        return cause.strerror or str(cause)
    return "it does not speak HTTP"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines; cells are escaped for the terminal."""
    escaped = [heads, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in escaped
    )
    return [line.rstrip() for line in lines]


def moment(text: str | None) -> str:
    """Format a time in UTC, to the second; a dash for None."""
    time = parse_time(text)
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else "-"


def counted(number: int, singular: str, plural: str) -> str:
    """Return a number with its noun, such as `1 token` or `2 tokens`."""
    return f"{number} {singular if number == 1 else plural}"


def _option(field: str, setting: Any) -> Callable[..., Any]:
    name, variable, default = field.replace("_", "-"), setting["name"], setting["default"]
    flag = default in ("true", "false")
    hint = f"{variable}; default: {default}" if default else variable
    return click.option(
        f"--{name}/--no-{name}" if flag else f"--{name}",
        field,
        cls=_SettingOption,
        variable=variable,
        default=None,
        show_default=False,
        metavar=None if flag else "VALUE",
        help=f"{setting['about']} [{hint}]".replace("`", ""),
    )
