"""The command line: `loki-web serve`, `demo`, `doctor`, `token`, `audit`, `tail` and `sidecar`.

Every error is one line on standard error. Exit codes: 0 done, 1 failed or something is wrong, 2 for
a wrong use.
"""

import io
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from loki_web import __version__
from loki_web.cli.audit import audit
from loki_web.cli.doctor import doctor
from loki_web.cli.serving import demo, serve, sidecar
from loki_web.cli.tail import tail
from loki_web.cli.tokens import token
from loki_web.errors import PublicError, SettingsError
from loki_web.text import printable


@click.group(no_args_is_help=True, commands=[serve, demo, doctor, token, audit, tail, sidecar])
@click.version_option(__version__, message="%(version)s")
def loki_web() -> None:
    """Watch and steer a Loki Mode session over HTTP."""


class _Complaints(logging.Handler):
    """Errors that modules log, as lines on standard error like our own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()
        _complain(self.last)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    complaints = _Complaints()
    logging.getLogger(__package__.partition(".")[0]).addHandler(complaints)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal need not know all letters
    try:
        code = loki_web.main(arguments, prog_name="loki-web", standalone_mode=False)
    except click.ClickException as error:
        _leave(error.format_message(), error.exit_code)
    except (SettingsError, PublicError) as error:
        if complaints.last.startswith(str(error)):  # said already, and why
            sys.exit(1)
        _leave(str(error), 1)
    except OSError as error:
        _leave(error.strerror or "the operating system refused", 1)
    except (click.Abort, KeyboardInterrupt):
        _leave("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _leave(message: str, code: int) -> NoReturn:
    _complain(message)
    sys.exit(code)


def _complain(message: str) -> None:
    click.echo(f"loki-web: {printable(' '.join(message.split()))}", err=True)
