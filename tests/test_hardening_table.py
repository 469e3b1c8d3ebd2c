"""docs/hardening.md names every item of the catalogue, and tests that there are."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "hardening.md"
ITEMS = [f"H{number:02}" for number in range(1, 101) if number != 39]
ITEMS += [f"W{number:02}" for number in range(1, 15)]  # not of the catalogue
ROW = re.compile(r"^\| ([HW]\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def rows() -> dict[str, tuple[str, str]]:
    return {item: (done, tests) for item, done, tests in ROW.findall(TABLE.read_text())}


def test_every_item_is_there_once_and_in_order() -> None:
    assert [item for item, _, _ in ROW.findall(TABLE.read_text())] == ITEMS


@pytest.mark.parametrize("item", ITEMS)
def test_each_item_names_its_tests(item: str) -> None:
    done, tests = rows()[item]
    named = NAMED.findall(tests)
    assert done
    assert named
    assert len(named) == tests.count("::")


def test_each_test_that_the_document_names_exists() -> None:
    named = set(NAMED.findall(TABLE.read_text()))
    assert [each for each in sorted(named) if each[1] not in functions(TESTS / each[0])] == []


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
