"""`doctor`: diagnose the session's files, processes and settings."""

import time
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

import click

from loki_web.cli.install import describe_start
from loki_web.cli.options import SettingsCommand, setting_options
from loki_web.config.settings import Settings, environment
from loki_web.services.context import open_sources
from loki_web.services.doctor import diagnose
from loki_web.text import printable

_CLOSE = 0.9  # variables of Loki Mode are less similar to ours, such as LOKI_DASHBOARD


@click.command(cls=SettingsCommand)
@setting_options()
def doctor(**chosen: Any) -> int:
    """Show what .loki/ contains, damaged files, live processes and the settings."""
    variables = environment(chosen)
    settings = Settings.from_env(variables)
    result = diagnose(open_sources(settings, time.time()))
    start, fault = describe_start(variables)
    result.lines.append(f"start: {start}")
    if fault:
        result.add_fault(fault)
    for line in [*result.lines, "settings:", *(f"  {line}" for line in settings.in_force())]:
        click.echo(printable(line))
    for warning in (*settings.warnings, *_find_misspellings(variables)):
        click.echo(printable(f"warning: {warning}"))
    return 1 if result.faults else 0


def _find_misspellings(variables: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that is almost one of ours."""
    names = [item.metadata["name"] for item in fields(Settings) if item.metadata]
    unknown = sorted(name for name in variables if name.startswith("LOKI_") and name not in names)
    return [
        f"{name} is not a setting of this server; did you mean {close[0]}?"
        for name in unknown
        if (close := get_close_matches(name, names, 1, _CLOSE))
    ]
