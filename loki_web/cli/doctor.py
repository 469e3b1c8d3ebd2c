"""`doctor`: what is there, and what is wrong with it."""

import time
from typing import Any

import click

from loki_web.cli.options import setting_options
from loki_web.config.settings import Settings, environment
from loki_web.services.context import Sources
from loki_web.services.doctor import diagnose
from loki_web.text import printable


@click.command()
@setting_options()
def doctor(**chosen: Any) -> int:
    """Say what this folder's .loki/ holds, what is damaged, who is alive and what is set."""
    settings = Settings.from_env(environment(chosen))
    found = diagnose(Sources.of(settings, time.time()))
    for line in [*found.lines, "settings:", *(f"  {line}" for line in settings.in_force())]:
        click.echo(printable(line))
    return 1 if found.faults else 0
