"""The table of settings in docs/operations.md is the settings, and no document names others."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from loki_web.cli.tail import TOKEN_VARIABLE
from loki_web.config.settings import Settings

ROOT = Path(__file__).parent.parent
OPERATIONS = ROOT / "docs" / "operations.md"
OF_LOKI_MODE = {"LOKI_DASHBOARD"}
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
EXAMPLES = [path for path in ROOT.glob("deploy/**/*") if path.is_file()]


def rows() -> list[str]:
    known = [item.metadata for item in fields(Settings) if item.metadata]
    return [
        f"| `{setting['name']}` | {code(setting['default'])} | {setting['about']} |"
        for setting in known
    ]


def code(default: str) -> str:
    return f"`{default}`" if default else "–"


def test_the_table_of_settings_is_complete_and_right() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    table = text.split("<!-- settings -->")[1].split("<!-- /settings -->")[0]
    assert re.findall(r"^\| `LOKI_.*\|$", table, re.MULTILINE) == rows()


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, *EXAMPLES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_setting_is_named_that_does_not_exist(document: Path) -> None:
    named = set(re.findall(r"\bLOKI_[A-Z_]+\b", document.read_text(encoding="utf-8")))
    known = {item.metadata["name"] for item in fields(Settings) if item.metadata}
    assert named <= known | {TOKEN_VARIABLE} | OF_LOKI_MODE
