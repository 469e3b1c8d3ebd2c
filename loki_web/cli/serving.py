"""Commands that start a server: `serve`, `sidecar`, `demo`."""

import os
import re
import socket
import sys
import time
import webbrowser
from typing import Any, NoReturn

import click

from loki_web import ROOT, __version__
from loki_web.cli.options import SettingsCommand, setting_options
from loki_web.config.settings import Settings, environment
from loki_web.demo.show import play_and_serve
from loki_web.logging_setup import TEXT

_SERVER = ("loki_web.app:create_app()",)
_SIDECAR = ("--workers", "1", "loki_web.app:create_sidecar()")
_POLL_SECONDS = 0.1
_MAX_PORT = 65535
_ADDRESS = re.compile(
    r"unix:(?://)?(?P<path>.+)|fd://(?P<fd>[0-9]{1,9})|"
    r"(?:\[(?P<v6>[^]\s]+)\]|(?P<host>[^\s\[\]:,/]*)):(?P<port>[0-9]{1,5})"
)

_open_option = click.option(
    "--open", "opens_page", is_flag=True, help="Open the page in a browser when the server is ready"
)


@click.command(cls=SettingsCommand)
@_open_option
@setting_options()
def serve(opens_page: bool, **chosen: Any) -> NoReturn:
    """Serve the session in .loki/: API, live feed, metrics and page on one port."""
    variables = environment(chosen)
    settings = Settings.from_env(variables)
    settings.check_free(settings.host, settings.port)
    _announce(settings, settings.url)
    if opens_page:
        _open_page(settings)
    _replace_process(_gunicorn(*_SERVER), variables)


@click.command(cls=SettingsCommand)
@click.option(
    "--bind",
    metavar="ADDRESS",
    help="Port, host:port or unix:/path to listen on. Default: LOKI_DASHBOARD_HOST and "
    "LOKI_DASHBOARD_PORT + 1",
)
@setting_options(without=("port", "workers"))
def sidecar(bind: str | None, **chosen: Any) -> NoReturn:
    """Serve the live feed only, in one process; a proxy routes /ws and /api/events to it.

    Run it beside `serve`, with the same settings.
    """
    variables = environment(chosen)
    settings = Settings.from_env(variables)
    address = _parse_address(settings, bind)
    if address["port"]:
        settings.check_free(address["v6"] or address["host"], int(address["port"]), "--bind")
    else:
        settings.check_socket(address["path"] or int(address["fd"]))
    _announce(settings, address[0], what="live feed ")
    _replace_process(_gunicorn(*_SIDECAR, "--bind", address[0]), variables)


@click.command(cls=SettingsCommand)
@click.option("--speed", default=1.0, type=click.FloatRange(0.1, 100), help="Playback speed")
@_open_option
@setting_options(without=("loki_dir",))
def demo(speed: float, opens_page: bool, **chosen: Any) -> int:
    """Play a small demo session in a temporary folder and serve it."""
    variables = environment(chosen)
    settings = Settings.from_env(variables)
    settings.check_free(settings.host, settings.port)
    _announce(settings, settings.url, session="a demo session")
    if opens_page:
        _open_page(settings)
    return play_and_serve(_gunicorn(*_SERVER), speed, variables)


def _gunicorn(*arguments: str) -> tuple[str, ...]:
    """Return the command that starts gunicorn with our configuration.

    -P keeps the project's folder out of the module path: a `flask.py` in it would be imported.
    """
    python = (sys.executable,) if os.getcwd() == ROOT else (sys.executable, "-P")
    return (*python, "-m", "loki_web.server", "-c", "python:loki_web.server.conf", *arguments)


def _replace_process(command: tuple[str, ...], variables: dict[str, str]) -> NoReturn:
    """Execute a command with the pid of this process, which the CLI has recorded."""
    os.execve(command[0], command, variables)


def _announce(settings: Settings, address: str, *, what: str = "", session: str = "") -> None:
    """Print what is served and on which address, unless the log format is JSON."""
    if settings.log_format != TEXT:
        return
    session = session or str(settings.loki_dir)
    click.echo(f"Loki Web {__version__}: {what}{session} on {address}", err=True)


def _open_page(settings: Settings) -> None:
    """Open the page from a child process as soon as the server listens."""
    if os.fork():
        return
    server = os.getppid()
    while os.getppid() == server:
        try:
            socket.create_connection((settings.host, settings.port)).close()
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            webbrowser.open(settings.url)
            break
    os._exit(0)


def _parse_address(settings: Settings, bind: str | None) -> re.Match[str]:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if bind is None and settings.port == _MAX_PORT:
        raise click.UsageError("LOKI_DASHBOARD_PORT + 1 is not a valid port. Set --bind.")
    port = bind if bind is not None else str(settings.port + 1)
    address = f"{host}:{port}" if port.isdecimal() else port
    match = _ADDRESS.fullmatch(address)  # gunicorn would take port 8000 where there is none
    if not match or int(match["port"] or 0) > _MAX_PORT:
        raise click.UsageError("--bind must be a port, host:port, [IPv6]:port or unix:/path")
    return match
