"""`doctor`: diagnose the session's files, processes and settings."""

import time
from typing import Any

import click

from loki_web.cli.install import describe_start
from loki_web.cli.options import SettingsCommand, setting_options
from loki_web.config.settings import Settings, environment
from loki_web.services.context import open_sources
from loki_web.services.doctor import diagnose
from loki_web.text import printable


@click.command(cls=SettingsCommand)
@setting_options()
def doctor(**chosen: Any) -> int:
    """Show what .loki/ contains, damaged files, live processes and the settings."""
    variables = environment(chosen)
    settings = Settings.from_env(variables)
    result = diagnose(open_sources(settings, time.time()))
    way, fault = describe_start(variables)
    result.lines.append(f"start: {way}")
    if fault:
        result.add_fault(fault)
    for line in [*result.lines, "settings:", *(f"  {line}" for line in settings.in_force())]:
        click.echo(printable(line))
    for warning in settings.warnings:
        click.echo(printable(f"warning: {warning}"))
    return 1 if result.faults else 0
