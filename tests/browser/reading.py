"""What stands on the page, as a test compares it, and figures as the page writes them."""

from collections.abc import Callable

from playwright.sync_api import Locator, Page, Route


def cells(table: Locator) -> list[dict[str, str]]:
    """The rows of a table, each as its texts by the heads of their columns."""
    found: list[dict[str, str]] = table.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => Object.fromEntries([...row.cells].map("
        "cell => [cell.dataset.label, cell.innerText.trim().replace(/\\s+/g, ' ')])))"
    )
    return found


def panel(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def chart_rows(shown: Locator) -> list[dict[str, str]]:
    """The table behind the chart of a panel, which has to be opened first."""
    shown.get_by_text("Table", exact=True).click()
    table = shown.locator("details table")
    table.locator("tbody tr").first.wait_for()
    return cells(table)


def facts(shown: Locator) -> dict[str, str]:
    """The pairs of a list of facts."""
    found: dict[str, str] = shown.locator("dt").evaluate_all(
        "names => Object.fromEntries(names.map(name => [name.textContent,"
        " name.nextElementSibling.innerText.replace(/\\s+/g, ' ')]))"
    )
    return found


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


def refusing(address: str, said: str) -> Callable[[Page], None]:
    """Prepares a page whose server fails at an address, and tells no news otherwise."""

    def refuse(route: Route) -> None:
        route.fulfill(status=500, json={"detail": said})

    def prepare(page: Page) -> None:
        page.route_web_socket("**/ws", lambda socket: socket.close())
        page.route("**/api/events*", lambda route: route.abort())
        page.route(address, refuse)

    return prepare


def retry(shown: Locator, address: str) -> None:
    """Ask again by the button of a panel that could not be loaded, then let it succeed."""
    page = shown.page
    with page.expect_request(address):
        shown.get_by_role("button", name="Retry").click()
    page.unroute(address)
    page.evaluate("document.querySelectorAll('.face button').forEach(button => button.click())")
