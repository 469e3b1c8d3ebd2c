"""The command line: `loki-web serve` and its other commands.

Each error is one line on standard error. Exit codes: 0 success, 1 failure or a problem found, 2
usage error.
"""

import io
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from loki_web import __version__
from loki_web.cli.audit import audit
from loki_web.cli.deploy import deploy
from loki_web.cli.doctor import doctor
from loki_web.cli.health import health
from loki_web.cli.install import install, uninstall
from loki_web.cli.serving import demo, serve, sidecar
from loki_web.cli.tail import tail
from loki_web.cli.tokens import token
from loki_web.errors import PublicError, SettingsError
from loki_web.text import printable

_COMMANDS = [serve, demo, doctor, health, token, audit, tail, sidecar, deploy, install, uninstall]
_HELP = {"help_option_names": ["-h", "--help"], "show_default": True}


@click.group(no_args_is_help=True, commands=_COMMANDS, context_settings=_HELP)
@click.version_option(__version__, message="%(version)s")
def loki_web() -> None:
    """Watch and steer a Loki Mode session over HTTP."""


class _ErrorHandler(logging.Handler):
    """Prints logged errors in the form of the command line's own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()
        _print_error(self.last)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    :param arguments: default: those of the process.
    """
    handler = _ErrorHandler()
    logging.getLogger(__package__.partition(".")[0]).addHandler(handler)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal is UTF-8
    try:
        code = loki_web.main(arguments, prog_name="loki-web", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()  # the help
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _exit(error.format_message(), error.exit_code)
    except (SettingsError, PublicError) as error:
        if handler.last.startswith(str(error)):  # already printed, with its cause
            sys.exit(1)
        _exit(str(error), 1)
    except OSError as error:
        reason = error.strerror or "operating system error"
        if isinstance(error, FileNotFoundError) and not error.filename:  # of os.getcwd
            reason = "the current folder has been deleted: change to another one"
        _exit(f"{error.filename}: {reason}" if error.filename else reason, 1)
    except (click.Abort, KeyboardInterrupt):
        _exit("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _exit(message: str, code: int) -> NoReturn:
    _print_error(message)
    sys.exit(code)


def _print_error(message: str) -> None:
    click.echo(f"loki-web: {printable(' '.join(message.split()))}", err=True)
