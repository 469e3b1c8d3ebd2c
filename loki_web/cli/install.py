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
    found = _find(folder)
    click.echo(f"Loki Mode {found.version} in {found.folder}")
    if found.uses_running_server:
        click.echo("Nothing to change: start `loki-web serve` first, and a session uses it.")
        return 0
    if found.is_current:
        click.echo("Nothing to change: it starts this server.")
        return 0
    click.echo(f"  write  {found.program}: starts `loki-web serve`")
    if found.interpreter is None and os.path.lexists(found.program):
        click.echo(f"  keep   what is there now as {found.kept.name}")
    return _change(yes, lambda: installation.install(found))


@click.command()
@_folder_argument
@_yes_option
def uninstall(folder: Path | None, yes: bool) -> int:
    """Let Loki Mode, installed in DIR, start its own dashboard again."""
    found = _find(folder)
    click.echo(f"Loki Mode {found.version} in {found.folder}")
    if found.interpreter is None:
        click.echo("Nothing to change: it does not start this server.")
        return 0
    click.echo(f"  remove  {found.program}")
    if os.path.lexists(found.kept):
        click.echo(f"  restore what was there before, from {found.kept.name}")
    return _change(yes, lambda: installation.uninstall(found))


def describe_start(variables: Mapping[str, str]) -> tuple[str, str | None]:
    """Return which server Loki Mode starts, and what is wrong with that.

    :param variables: the environment, in which `LOKI_DASHBOARD=false` is for the runner.
    """
    found = _search(variables)
    if found is None:
        return _NONE, None
    name = f"Loki Mode {found.version} in {found.folder}"
    if variables.get("LOKI_DASHBOARD", "").lower() == "false":
        return f"{name} starts no server (LOKI_DASHBOARD=false): run `loki-web serve`", None
    if found.uses_running_server:
        return f"{name} uses a server that runs before it: run `loki-web serve` first", None
    if found.interpreter is None:
        return f"{name} starts its own dashboard: `loki-web install` changes that", None
    said = f"{name} starts this server"
    if not os.access(found.interpreter, os.X_OK):
        return said, f"{found.program} needs {found.interpreter}, which is gone: `loki-web install`"
    return said if found.is_current else f"{said}, with {found.interpreter}", None


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
    found = _search(environment({}), folder)
    if found is None:
        raise click.ClickException(f"{folder} has no Loki Mode" if folder else _NONE)
    return found


def _search(variables: Mapping[str, str], folder: Path | None = None) -> Installation | None:
    named = variables.get("LOKI_SKILL_DIR")
    command = shutil.which("loki", path=variables.get("PATH"))
    folder = folder or (Path(named) if named else None)
    return installation.find(folder, Path(variables.get("HOME") or "/"), command)
