"""The page `/docs`: reading it without JavaScript, filtering, copying, and sending a GET."""

import json
import re

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.seen import is_accessible
from tests.support.servers import Server


def opened(page: Page, identity: str) -> None:
    page.locator(f"#{identity} > summary").click()
    expect(page.locator(f"#{identity}")).to_have_attribute("open", "")


def test_a_route_is_found_copied_and_tried(running: Server, open_page: OpenPage) -> None:
    watched = open_page(f"{running.url}/docs")
    page = watched.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("Filter").fill("LOG curl")
    expect(page.locator("#get-api-logs")).to_be_visible()
    expect(page.locator("#get-api-cost")).to_be_hidden()
    expect(page.locator("#budget")).to_be_hidden()
    page.get_by_label("Filter").fill("")
    opened(page, "get-api-status")
    status = page.locator("#get-api-status")
    status.get_by_role("button", name="Copy").first.click()
    expect(status.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f'curl "{running.url}/api/status"'
    status.get_by_role("button", name="Send").click()
    answer = status.locator("form + pre")
    expect(answer).to_contain_text('"iteration"')
    head, _, body = answer.inner_text().partition("\n")
    assert head.startswith("200")
    assert json.loads(body).keys() == running.get("/api/status").json().keys()
    field = status.get_by_label("Path and query")
    for path, text in [
        ("api/logs?lines=-1", "400"),
        ("api/events", "endless stream"),
        ("//evil.example/x", "404"),
        ("https://evil.example/x", "not a path of this server"),
        ("http://[", "not a path of this server"),
    ]:
        field.fill(path)
        status.get_by_role("button", name="Send").click()
        expect(answer).to_contain_text(text)
    held: list[Route] = []
    page.route("**/api/agents", lambda route: held.append(route))
    for path in ("api/agents", "api/council/verdicts"):
        field.fill(path)
        status.get_by_role("button", name="Send").click()
    expect(answer).to_contain_text('"verdicts"')
    with page.expect_request_finished(lambda request: request.url.endswith("/api/agents")):
        held[0].continue_()
    page.evaluate("new Promise((resolve) => setTimeout(resolve))")
    expect(answer).to_contain_text('"verdicts"')
    opened(page, "message-task_moved")
    expect(page.locator("#message-task_moved pre")).to_contain_text('"type": "task_moved"')
    assert not [url for url in watched.asked if not url.startswith(running.url)]


def test_a_link_opens_its_route(running: Server, open_page: OpenPage) -> None:
    watched = open_page(f"{running.url}/docs#%E0%A4%A")
    page = watched.page
    assert watched.said == []
    page.goto(f"{running.url}/docs#post%2Dapi-control-pause")
    route = page.locator("#post-api-control-pause")
    expect(route).to_have_attribute("open", "")
    expect(route.locator(".curl")).to_have_text('curl -X POST "$URL/api/control/pause"')
    expect(route.get_by_role("button", name="Send")).to_have_count(0)
    expect(page.locator("main")).not_to_contain_text(re.compile("`"))
    opened(page, "get-api-tasks")
    is_accessible(watched)
