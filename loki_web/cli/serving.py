"""Commands that start a server: `serve`, `sidecar`, `demo`."""

import os
import sys
from typing import Any, NoReturn

import click

from loki_web import __version__
from loki_web.cli.options import setting_options
from loki_web.config.settings import Settings, environment
from loki_web.demo.show import show
from loki_web.logging_setup import TEXT

_GUNICORN = (sys.executable, "-m", "gunicorn", "-c", "python:loki_web.server.conf")
_SERVER = (*_GUNICORN, "loki_web.app:create_app()")
_SIDECAR = (*_GUNICORN, "--workers", "1", "loki_web.app:create_sidecar()")


@click.command()
@setting_options()
def serve(**chosen: Any) -> NoReturn:
    """Serve the session in .loki/: API, live feed, metrics and page on one port."""
    variables = environment(chosen)
    settings = Settings.from_env(variables)
    settings.check_free(settings.host, settings.port)
    _announce(settings, f"on {settings.url} for {settings.loki_dir}")
    os.execve(sys.executable, _SERVER, variables)  # exec keeps the pid, which the CLI has recorded


@click.command()
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
    address = _address(settings, bind)
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        settings.check_free(host.strip("[]"), int(port))
    _announce(settings, f"live feed on {address} for {settings.loki_dir}")
    os.execve(sys.executable, (*_SIDECAR, "--bind", address), variables)


@click.command()
@click.option("--speed", default=1.0, type=click.FloatRange(0.1, 100), help="Playback speed")
@setting_options(without=("loki_dir",))
def demo(speed: float, **chosen: Any) -> int:
    """Play a small demo session in a temporary folder and serve it."""
    variables = environment(chosen)
    settings = Settings.from_env(variables)
    settings.check_free(settings.host, settings.port)
    _announce(settings, f"on {settings.url} with a demo session")
    return show(_SERVER, speed, variables)


def _announce(settings: Settings, what: str) -> None:
    """Print the address, unless the log format is JSON: the line would not be JSON."""
    if settings.log_format == TEXT:
        click.echo(f"Loki Web {__version__} {what}", err=True)


def _address(settings: Settings, bind: str | None) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if bind is None and settings.port == 65535:
        raise click.UsageError("LOKI_DASHBOARD_PORT + 1 is not a valid port. Set --bind.")
    port = bind if bind is not None else str(settings.port + 1)
    return f"{host}:{port}" if port.isdecimal() else port
