"""The README's table of settings is the settings."""

import re
from dataclasses import fields
from pathlib import Path

from loki_web.cli.tail import TOKEN_VARIABLE
from loki_web.settings import Settings

README = Path(__file__).parent.parent / "README.md"


def rows() -> list[str]:
    known = [item.metadata for item in fields(Settings) if item.metadata]
    return [
        f"| `{setting['name']}` | {code(setting['default'])} | {setting['about']} |"
        for setting in known
    ]


def code(default: str) -> str:
    return f"`{default}`" if default else "–"


def test_the_table_of_settings_is_complete_and_right() -> None:
    text = README.read_text(encoding="utf-8")
    shown = re.findall(
        r"^\| `LOKI_.*\|$", text.split("## Settings")[1].split("## ")[0], re.MULTILINE
    )
    assert shown == rows()


def test_no_setting_is_named_that_does_not_exist() -> None:
    named = set(re.findall(r"\bLOKI_[A-Z_]+\b", README.read_text(encoding="utf-8")))
    known = {item.metadata["name"] for item in fields(Settings) if item.metadata}
    assert named <= known | {TOKEN_VARIABLE}
