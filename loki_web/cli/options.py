"""What several commands need: the settings as options, and what is printed."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import click

from loki_web.config.settings import Settings
from loki_web.store.times import parse_time
from loki_web.text import printable


def setting_options(*, without: Sequence[str] = ()) -> Callable[..., Any]:
    """An option for each setting; the environment variable holds where it is left out.

    :param without: names of the fields for which there is to be none.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for item in reversed(fields(Settings)):
            if item.metadata and item.name not in without:
                command = _option(item.name, item.metadata)(command)
        return command

    return decorate


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns as wide as they need to be."""
    shown = [heads, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in shown
    )
    return [line.rstrip() for line in lines]


def moment(text: str | None) -> str:
    """A time in UTC to the second; a dash where there is none."""
    found = parse_time(text)
    return f"{found:%Y-%m-%d %H:%M:%S}" if found else "-"


def counted(number: int, thing: str, things: str) -> str:
    return f"{number} {thing if number == 1 else things}"


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
