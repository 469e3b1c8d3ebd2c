"""What a test expects of the page, waited for, and figures as the page writes them."""

import time
from collections.abc import Callable, Mapping, Sequence
from re import Pattern
from typing import TypeVar

from playwright.sync_api import Locator, Page, expect

from tests.support.waiting import PATIENCE_SECONDS

T = TypeVar("T")
Text = str | Pattern[str]
Row = Mapping[str, Text]


def expect_equal(page: Page, read: Callable[[], T], expected: T) -> None:
    """Wait, from frame to frame, until what is read from the page is as expected."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (value := read()) != expected and time.monotonic() < deadline:
        page.evaluate("new Promise(requestAnimationFrame)")
    assert value == expected


def expect_rows(table: Locator, rows: Sequence[Row]) -> None:
    """Wait until a table has exactly these rows, given by their texts below some of its heads."""
    expect(table.locator("tbody tr")).to_have_count(len(rows))
    for label in rows[0] if rows else ():
        expect(table.locator(f'tbody td[data-label="{label}"]')).to_have_text(
            [row[label] for row in rows], use_inner_text=True
        )


def expect_facts(shown: Locator, facts: Row) -> None:
    """Wait until a list of facts has these among its pairs."""
    for name, value in facts.items():
        expect(fact(shown, name)).to_have_text(value, use_inner_text=True)


def fact(shown: Locator, name: str) -> Locator:
    """The value that a list of facts has under a name."""
    return shown.locator(f'dt:text-is("{name}") + dd')


def panel(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def table_behind(chart: Locator) -> Locator:
    """Open the table behind the chart of a panel."""
    chart.get_by_text("Table", exact=True).click()
    return chart.locator("details table")


def money(usd: float) -> str:
    return f"${usd:,.{4 if 0 < usd < 0.1 else 2}f}"


def compact(tokens: int) -> str:
    """Thousands with one figure after the point, from a hundred thousand on with none."""
    if tokens < 1000:
        return str(tokens)
    thousands = tokens / 1000
    return (
        f"{int(thousands + 0.5)}k"
        if thousands >= 100
        else f"{thousands:.1f}".removesuffix(".0") + "k"
    )
