"""Shared by several commands: settings as options, and formatting of output."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import click

from loki_web.config.settings import Settings
from loki_web.store.times import parse_time
from loki_web.text import printable


def setting_options(*, without: Sequence[str] = ()) -> Callable[..., Any]:
    """Decorate a command with an option for each setting; the default is the variable's value.

    :param without: field names of settings without an option.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for item in reversed(fields(Settings)):
            if item.metadata and item.name not in without:
                command = _option(item.name, item.metadata)(command)
        return command

    return decorate


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines; cells are escaped for the terminal."""
    escaped = [heads, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in escaped
    )
    return [line.rstrip() for line in lines]


def moment(text: str | None) -> str:
    """Format a time in UTC, to the second; a dash for None."""
    time = parse_time(text)
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else "-"


def counted(number: int, singular: str, plural: str) -> str:
    """Return a number with its noun, such as `1 token` or `2 tokens`."""
    return f"{number} {singular if number == 1 else plural}"


def _option(field: str, setting: Any) -> Callable[..., Any]:
    name = field.replace("_", "-")
    flag = setting["default"] in ("true", "false")
    return click.option(
        f"--{name}/--no-{name}" if flag else f"--{name}",
        field,
        default=None,
        metavar=None if flag else "VALUE",
        help=f"{setting['about']} [{setting['name']}]".replace("`", ""),
    )
