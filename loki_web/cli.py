"""The command line: `loki-web serve`, `loki-web demo`, `loki-web doctor`.

Every error is one line on standard error. Exit codes: 0 done, 1 failed or something is wrong, 2 for
a wrong use.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NoReturn

import click

from loki_web import __version__
from loki_web.demo.show import show
from loki_web.errors import PublicError, SettingsError
from loki_web.services.diagnosis import diagnosis
from loki_web.services.sources import Sources
from loki_web.settings import Settings

_GUNICORN = (sys.executable, "-m", "gunicorn", "-c", "python:loki_web.gunicorn_conf")
_SERVER = (*_GUNICORN, "loki_web.app:create_app()")


@click.group(no_args_is_help=True)
@click.version_option(__version__, message="%(version)s")
def loki_web() -> None:
    """Watch and steer a Loki Mode session over HTTP."""


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each setting; the environment variable holds where it is left out."""
    for item in reversed(fields(Settings)):
        if item.metadata:
            name = item.name.replace("_", "-")
            flag = item.metadata["default"] in ("true", "false")
            command = click.option(
                f"--{name}/--no-{name}" if flag else f"--{name}",
                item.name,
                default=None,
                metavar=None if flag else "VALUE",
                help=f"{item.metadata['about']} [{item.metadata['name']}]".replace("`", ""),
            )(command)
    return command


def put_into_environment(chosen: dict[str, Any]) -> Settings:
    """Lay options over the environment variables, where gunicorn's processes look for them.

    :param chosen: values by the name of the setting's field; None where an option was left out.
    :raises SettingsError: when the server could not start with the result.
    """
    for item in fields(Settings):
        value = chosen.get(item.name)
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else value
            os.environ[item.metadata["name"]] = text
    return Settings.from_env()


@loki_web.command()
@setting_options
def serve(**chosen: Any) -> NoReturn:
    """Serve the session of this folder's .loki/: API, metrics and pages on one port."""
    settings = put_into_environment(chosen)
    click.echo(f"Loki Web {__version__} on {settings.url} for {settings.loki_dir}", err=True)
    os.execv(sys.executable, _SERVER)  # the pid stays that of the process that was started


@loki_web.command()
@click.option("--speed", default=1.0, type=click.FloatRange(0.1, 100), help="How fast to play")
@setting_options
def demo(speed: float, **chosen: Any) -> int:
    """Play a small session into a temporary folder and serve it: a first look."""
    settings = put_into_environment({**chosen, "loki_dir": None})
    click.echo(f"Loki Web {__version__} on {settings.url} with a demo session", err=True)
    return show(_SERVER, speed)


@loki_web.command()
@setting_options
def doctor(**chosen: Any) -> int:
    """Say what this folder's .loki/ holds, what is damaged, who is alive and what is set."""
    settings = put_into_environment(chosen)
    found = diagnosis(Sources.of(settings, time.time()))
    for line in [*found.lines, "settings:", *(f"  {line}" for line in settings.in_force())]:
        click.echo(line)
    return 1 if found.faults else 0


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    try:
        code = loki_web.main(arguments, prog_name="loki-web", standalone_mode=False)
    except click.ClickException as error:
        _leave(error.format_message(), error.exit_code)
    except (SettingsError, PublicError) as error:
        _leave(str(error), 1)
    except OSError as error:
        _leave(error.strerror or "the operating system refused", 1)
    except (click.Abort, KeyboardInterrupt):
        _leave("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _leave(message: str, code: int) -> NoReturn:
    click.echo(f"loki-web: {' '.join(message.split())}", err=True)
    sys.exit(code)
