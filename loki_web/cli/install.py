"""`install`, `uninstall`: let an installation of Loki Mode start this server."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from loki_web.config.settings import environment
from loki_web.services import installation
from loki_web.services.installation import Installation

_NONE = "no installation of Loki Mode found: name its folder, or set LOKI_SKILL_DIR"

_folder_argument = click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path)
)
_yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask")


@click.command()
@_folder_argument
@_yes_option
def install(folder: Path | None, yes: bool) -> int:
    """Let Loki Mode, installed in DIR, start this server instead of its dashboard.

    Without DIR: LOKI_SKILL_DIR, else the installation of the command `loki`. Loki Mode 9 uses a
    server that already runs, and nothing is changed.
    """
    loki_mode = _find(folder)
    click.echo(f"Loki Mode {loki_mode.version} in {loki_mode.folder}")
    if loki_mode.uses_running_server:
        click.echo("Nothing to change: start `loki-web serve` first, and a session uses it.")
        return 0
    if loki_mode.is_current:
        click.echo("Nothing to change: it starts this server.")
        return 0
    click.echo(f"  write  {loki_mode.program}: starts `loki-web serve`")
    if loki_mode.interpreter is None and os.path.lexists(loki_mode.program):
        click.echo(f"  keep   what is there now as {loki_mode.backup.name}")
    return _change(yes, lambda: installation.install(loki_mode))


@click.command()
@_folder_argument
@_yes_option
def uninstall(folder: Path | None, yes: bool) -> int:
    """Let Loki Mode, installed in DIR, start its own dashboard again."""
    loki_mode = _find(folder)
    click.echo(f"Loki Mode {loki_mode.version} in {loki_mode.folder}")
    if loki_mode.interpreter is None:
        click.echo("Nothing to change: it does not start this server.")
        return 0
    click.echo(f"  remove  {loki_mode.program}")
    if os.path.lexists(loki_mode.backup):
        click.echo(f"  restore what was there before, from {loki_mode.backup.name}")
    return _change(yes, lambda: installation.uninstall(loki_mode))


def describe_start(variables: Mapping[str, str]) -> tuple[str, str | None]:
    """Return which server Loki Mode starts, and what is wrong with that.

    :param variables: the environment, in which `LOKI_DASHBOARD=false` is for the runner.
    """
    loki_mode = _search(variables)
    if loki_mode is None:
        return _NONE, None
    name = f"Loki Mode {loki_mode.version} in {loki_mode.folder}"
    if variables.get("LOKI_DASHBOARD", "").lower() == "false":
        return f"{name} starts no server (LOKI_DASHBOARD=false): run `loki-web serve`", None
    if loki_mode.uses_running_server:
        return f"{name} uses a server that runs before it: run `loki-web serve` first", None
    if loki_mode.interpreter is None:
        return f"{name} starts its own dashboard: `loki-web install` changes that", None
    text = f"{name} starts this server"
    if not os.access(loki_mode.interpreter, os.X_OK):
        fault = f"{loki_mode.program} needs {loki_mode.interpreter}, which is gone"
        return text, f"{fault}: `loki-web install`"
    return text if loki_mode.is_current else f"{text}, with {loki_mode.interpreter}", None


def _change(yes: bool, change: Callable[[], None]) -> int:
    if not yes and not _confirm():
        click.echo("Nothing was changed.")
        return 1
    change()
    return 0


def _confirm() -> bool:
    try:
        return click.confirm("Change this?")
    except click.Abort:  # no terminal, or the end of the input
        click.echo()
        return False


def _find(folder: Path | None) -> Installation:
    loki_mode = _search(environment({}), folder)
    if loki_mode is None:
        raise click.ClickException(f"{folder} has no Loki Mode" if folder else _NONE)
    return loki_mode


def _search(variables: Mapping[str, str], folder: Path | None = None) -> Installation | None:
    setting = variables.get("LOKI_SKILL_DIR")
    command = shutil.which("loki", path=variables.get("PATH"))
    folder = folder or (Path(setting) if setting else None)
    return installation.find(folder, Path(variables.get("HOME") or "/"), command)
