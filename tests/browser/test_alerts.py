"""The view Alerts: notifications and who has seen them, triggers and when they tell."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.failing import refusing, retry
from tests.browser.reading import panel
from tests.browser.seen import HOSTILE, PHONE, is_accessible, is_no_wider, is_only_text
from tests.browser.watching import settled
from tests.support import places, servers
from tests.support.places import Place
from tests.support.servers import Server

NOTIFICATIONS = "notifications/active.json"
TRIGGERS = "notifications/triggers.json"


def alert(identity: str, severity: str, *, seen: bool = False, **more: Any) -> dict[str, Any]:
    number = int(identity[-1])
    return {
        "id": identity,
        "trigger_id": "context",
        "severity": severity,
        "message": f"Message of {identity}",
        "timestamp": f"2026-11-24T10:0{number}:00Z",
        "iteration": number,
        "acknowledged": seen,
        **more,
    }


ALERTS = [
    alert("n-1", "warning"),
    alert("n-2", "critical"),
    alert("n-3", "info", seen=True),
    alert("n-4", "warning", seen=True, data={"context_pct": 81.5}),
    alert("n-5", "warning"),
]
CONFIGURED = [
    {"id": "context", "type": "context_threshold", "enabled": True, "threshold_pct": 80, "own": 1},
    {"id": "stuck", "type": "stagnation", "enabled": False, "max_no_progress": 4},
    {"id": "files", "type": "file_access", "enabled": True, "patterns": ["\\.pem$"]},
]


def prepared(place: Place) -> Place:
    place.write(NOTIFICATIONS, {"notifications": ALERTS})
    place.write(TRIGGERS, {"triggers": CONFIGURED})
    return place


@pytest.fixture
def alerting(empty_place: Place) -> Place:
    """Five alerts and three triggers, for a server of the test's own."""
    return prepared(empty_place)


@pytest.fixture(scope="module")
def alerted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on five alerts and three triggers, which tests share and do not change."""
    with servers.serving(prepared(places.empty(tmp_path_factory.mktemp("alerted")))) as server:
        yield server


def listed(page: Page) -> Locator:
    return panel(page, "Notifications").locator("li")


def stored(place: Place) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in place.read(TRIGGERS)["triggers"]}


def seen(place: Place) -> set[str]:
    entries = place.read(NOTIFICATIONS)["notifications"]
    return {each["id"] for each in entries if each["acknowledged"]}


def test_alerts_are_in_the_order_of_the_api(running: Server, read_page: OpenPage) -> None:
    said = running.get("/api/notifications").json()
    assert said
    watched = settled(read_page(f"{running.url}/#/alerts"))
    shown = listed(watched.page)
    expect(shown).to_have_count(len(said))
    for row, each in zip(shown.all(), said, strict=True):
        expect(row).to_contain_text(each["message"])
        expect(row).to_contain_text(f"iteration {each['iteration']}")
        expect(row.locator("time")).to_have_attribute("datetime", _browser_time(each["timestamp"]))
        expect(row.get_by_role("button")).to_have_text(
            "Acknowledged" if each["acknowledged"] else "Acknowledge"
        )
        expect(row).to_have_text(re.compile(f"^{each['severity'].capitalize()}"))
    assert watched.said == []


def _browser_time(timestamp: str) -> str:
    return f"{timestamp[:23]}Z"


def test_details_have_what_the_checker_noted(alerted: Server, open_page: OpenPage) -> None:
    row = listed(settled(open_page(f"{alerted.url}/#/alerts")).page).nth(1)
    row.get_by_text("Details").click()
    expect(row.locator("dl")).to_contain_text("81.5%")
    expect(row.locator("dl")).to_contain_text("n-4")


FILTERS: list[tuple[str, list[str]]] = [
    ("", ["n-5", "n-4", "n-3", "n-2", "n-1"]),
    ("?severity=warning", ["n-5", "n-4", "n-1"]),
    ("?severity=info", ["n-3"]),
    ("?open=1", ["n-5", "n-2", "n-1"]),
    ("?severity=critical&open=1", ["n-2"]),
    ("?severity=none-such", ["n-5", "n-4", "n-3", "n-2", "n-1"]),
]


@pytest.mark.parametrize(("query", "names"), FILTERS)
def test_a_filter_is_a_link(
    alerted: Server, read_page: OpenPage, query: str, names: list[str]
) -> None:
    page = settled(read_page(f"{alerted.url}/#/alerts{query}")).page
    expect(listed(page).locator("p:first-child")).to_have_text(
        [f"Message of {name}" for name in names]
    )


def test_chips_filter_and_count(alerted: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{alerted.url}/#/alerts")).page
    chips = page.get_by_role("group", name="Severity").get_by_role("button")
    expect(chips).to_have_text(["All 5", "Critical 1", "Warning 3", "Info 1"])
    chips.nth(2).click()
    expect(listed(page)).to_have_count(3)
    expect(chips.nth(2)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Not acknowledged").click()
    expect(listed(page)).to_have_count(2)
    expect(page).to_have_url(f"{alerted.url}/#/alerts?severity=warning&open=1")


def test_acknowledging_one_changes_the_file_and_keeps_the_place(
    alerting: Place, open_page: OpenPage
) -> None:
    with servers.serving(alerting) as server:
        page = settled(open_page(f"{server.url}/#/alerts")).page
        button = page.get_by_role("button", name="Acknowledge: Message of n-2")
        button.focus()
        page.keyboard.press("Enter")
        done = page.get_by_role("button", name="Acknowledged: Message of n-2")
        expect(done).to_be_focused()
        expect(page.locator("#said")).to_contain_text("Alert acknowledged")
        assert seen(alerting) == {"n-2", "n-3", "n-4"}
        expect(page.locator('[data-badge="alerts"]')).to_contain_text("2")


@pytest.mark.parametrize(
    ("query", "label", "after"),
    [
        ("", "Acknowledge all", {"n-1", "n-2", "n-3", "n-4", "n-5"}),
        ("?severity=warning", "Acknowledge all warning", {"n-1", "n-3", "n-4", "n-5"}),
    ],
)
def test_listed_alerts_are_acknowledged_at_once(
    alerting: Place, open_page: OpenPage, query: str, label: str, after: set[str]
) -> None:
    with servers.serving(alerting) as server:
        page = settled(open_page(f"{server.url}/#/alerts{query}")).page
        page.get_by_role("button", name=label, exact=True).click()
        asked = page.get_by_role("dialog")
        expect(asked).to_contain_text(re.compile(r"Acknowledge \d alerts?\?"))
        asked.get_by_role("button", name="Acknowledge").click()
        expect(page.locator("#said")).to_contain_text("acknowledged")
        assert seen(alerting) == after
        button = page.get_by_role("button", name=label)
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_attribute("title", "There is nothing to acknowledge")
        page.locator("#said").get_by_role("button", name="Undo").click()
        expect(button).not_to_have_attribute("aria-disabled", "true")
        assert seen(alerting) == {"n-3", "n-4"}


def test_alerts_are_selected_by_keys_and_acknowledged_together(
    alerting: Place, open_page: OpenPage
) -> None:
    with servers.serving(alerting) as server:
        page = settled(open_page(f"{server.url}/#/alerts")).page
        chosen = page.get_by_role("group", name="Selected alerts")
        every = chosen.get_by_role("checkbox", name="Select all 3")
        expect(listed(page).get_by_role("checkbox")).to_have_count(3)
        listed(page).first.get_by_role("link").first.focus()
        page.keyboard.press("x")
        expect(chosen.get_by_role("status")).to_have_text("1 alert selected")
        expect(every).not_to_be_checked()
        page.get_by_role("checkbox", name="Select Message of n-2").focus()
        page.keyboard.press("Shift+Space")
        expect(chosen.get_by_role("status")).to_have_text("2 alerts selected")
        chosen.get_by_role("button", name="Acknowledge 2").press("Enter")
        expect(page.locator("#said")).to_contain_text("2 alerts acknowledged")
        assert seen(alerting) == {"n-2", "n-3", "n-4", "n-5"}
        every = chosen.get_by_role("checkbox", name="Select all 1")
        expect(every).to_be_focused()
        expect(every).not_to_be_checked()
        expect(chosen.get_by_role("button")).to_have_count(0)
        page.locator("#said").get_by_role("button", name="Undo").click()
        expect(listed(page).get_by_role("checkbox")).to_have_count(3)
        assert seen(alerting) == {"n-3", "n-4"}
        page.get_by_role("button", name="Grouped").click()
        expect(page).to_have_url(f"{server.url}/#/alerts?grouped=1")
        groups = panel(page, "Notifications").locator("li:visible")
        expect(groups).to_have_text([re.compile(f"Message of n-{n}") for n in (5, 3, 2)])
        groups.first.get_by_text("2 earlier").click()
        expect(groups).to_have_count(5)
        groups.first.get_by_role("button", name="Acknowledge 2").click()
        expect(page.locator("#said")).to_contain_text("2 alerts acknowledged")
        assert seen(alerting) == {"n-1", "n-3", "n-4", "n-5"}


def test_a_refusal_to_acknowledge_all_is_told_and_changes_nothing(
    alerting: Place, open_page: OpenPage
) -> None:
    with servers.serving(alerting, LOKI_CONTROL_RATE_LIMIT="1") as server:
        page = settled(open_page(f"{server.url}/#/alerts")).page
        page.get_by_role("button", name="Acknowledge: Message of n-2").click()
        expect(page.locator("#said")).to_contain_text("Alert acknowledged")
        page.get_by_role("button", name="Acknowledge all").click()
        page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
        expect(page.locator("#warned")).to_contain_text("Try again in")
        assert seen(alerting) == {"n-2", "n-3", "n-4"}
        expect(listed(page).get_by_text("Acknowledged", exact=True)).to_have_count(3)


def test_alerts_come_and_go_by_themselves(alerting: Place, open_page: OpenPage) -> None:
    with servers.serving(alerting) as server:
        page = settled(open_page(f"{server.url}/#/alerts")).page
        expect(listed(page)).to_have_count(5)
        alerting.write(NOTIFICATIONS, {"notifications": [*ALERTS, alert("n-6", "critical")]})
        expect(listed(page).first).to_contain_text("Message of n-6")
        alerting.write(NOTIFICATIONS, {"notifications": ALERTS})
        expect(listed(page)).to_have_count(5)


def test_many_alerts_come_fifty_at_a_time(alerting: Place, open_page: OpenPage) -> None:
    many = [{**alert("n-1", "info"), "id": f"n-{number}"} for number in range(120)]
    alerting.write(NOTIFICATIONS, {"notifications": many})
    with servers.serving(alerting) as server:
        page = settled(open_page(f"{server.url}/#/alerts")).page
        expect(listed(page)).to_have_count(50)
        page.get_by_role("button", name="Show more").click()
        expect(listed(page)).to_have_count(100)


def trigger(page: Page, identity: str) -> Locator:
    return panel(page, "Triggers").locator("li").filter(has_text=identity)


def test_triggers_are_shown_as_the_api_has_them(alerted: Server, read_page: OpenPage) -> None:
    said = alerted.get("/api/notifications/triggers").json()["triggers"]
    page = settled(read_page(f"{alerted.url}/#/alerts")).page
    expect(panel(page, "Triggers").locator("li")).to_have_count(len(said))
    for each in said:
        row = trigger(page, each["id"])
        expect(row.get_by_role("switch")).to_be_checked(checked=each["enabled"])
        fields = row.get_by_role("spinbutton")
        if each["threshold"] is None:
            expect(fields).to_have_count(0)
        else:
            expect(fields).to_have_value(str(each["threshold"]))
            expect(row.get_by_role("slider")).to_have_value(str(each["threshold"]))
    expect(trigger(page, "context")).to_contain_text("Context window at 80% capacity")
    expect(trigger(page, "files")).to_contain_text("\\.pem$")


def test_changes_are_kept_back_until_saved_and_only_they_are_sent(
    alerting: Place, open_page: OpenPage
) -> None:
    before = stored(alerting)
    with servers.serving(alerting) as server:
        watched = settled(open_page(f"{server.url}/#/alerts"))
        page = watched.page
        save = page.get_by_role("button", name="Save triggers")
        expect(save).to_have_attribute("aria-disabled", "true")
        trigger(page, "context").get_by_role("spinbutton").fill("72")
        expect(trigger(page, "context").get_by_role("slider")).to_have_value("72")
        expect(trigger(page, "context")).to_contain_text("at 72% capacity")
        trigger(page, "stuck").get_by_role("switch").check()
        expect(panel(page, "Triggers")).to_contain_text("2 changes not saved")
        assert stored(alerting) == before
        with page.expect_request("**/api/notifications/triggers") as put:
            save.click()
        assert put.value.post_data_json == {
            "triggers": [{"id": "context", "threshold": 72}, {"id": "stuck", "enabled": True}]
        }
        expect(page.locator("#said")).to_contain_text("Triggers saved")
        after = stored(alerting)
        assert after["context"]["threshold_pct"] == 72
        assert after["context"]["own"] == 1
        assert after["stuck"]["enabled"] is True
        assert after["files"]["patterns"] == before["files"]["patterns"]
        expect(save).to_have_attribute("aria-disabled", "true")
        expect(trigger(page, "context").get_by_role("spinbutton")).to_have_value("72")
        assert watched.said == []


def test_the_slider_is_moved_by_keys(alerted: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{alerted.url}/#/alerts")).page
    trigger(page, "context").get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(trigger(page, "context").get_by_role("spinbutton")).to_have_value("82")


def test_discarding_puts_back_what_is_stored(alerted: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{alerted.url}/#/alerts")).page
    trigger(page, "context").get_by_role("spinbutton").fill("12")
    trigger(page, "files").get_by_role("switch").uncheck()
    page.get_by_role("button", name="Discard").click()
    expect(trigger(page, "context").get_by_role("spinbutton")).to_have_value("80")
    expect(trigger(page, "files").get_by_role("switch")).to_be_checked()
    expect(panel(page, "Triggers")).not_to_contain_text("not saved")


def test_changing_back_by_hand_is_no_change(alerted: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{alerted.url}/#/alerts")).page
    field = trigger(page, "context").get_by_role("spinbutton")
    field.fill("81")
    expect(panel(page, "Triggers")).to_contain_text("1 change not saved")
    field.fill("80")
    expect(panel(page, "Triggers")).not_to_contain_text("not saved")


def test_changes_wait_while_another_view_is_looked_at(alerted: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{alerted.url}/#/alerts")).page
    trigger(page, "context").get_by_role("spinbutton").fill("61")
    page.goto(f"{alerted.url}/#/checkpoints")
    expect(page.get_by_role("heading", name="Checkpoints", level=1)).to_be_visible()
    page.goto(f"{alerted.url}/#/alerts")
    expect(trigger(page, "context").get_by_role("spinbutton")).to_have_value("61")
    expect(panel(page, "Triggers")).to_contain_text("1 change not saved")


@pytest.mark.parametrize("value", ["", "-1", "101"])
def test_a_threshold_that_cannot_be_is_not_sent(
    alerted: Server, open_page: OpenPage, value: str
) -> None:
    page = settled(open_page(f"{alerted.url}/#/alerts")).page
    field = trigger(page, "context").get_by_role("spinbutton")
    field.fill(value)
    expect(field).to_have_attribute("aria-invalid", "true")
    save = page.get_by_role("button", name="Save triggers")
    expect(save).to_have_attribute("aria-disabled", "true")
    expect(save).to_have_attribute(
        "title", "The threshold of “Context threshold” has to be a number from 0 to 100"
    )


def test_a_refused_trigger_stays_unsaved(alerted: Server, open_page: OpenPage) -> None:
    def refuse(route: Route) -> None:
        if route.request.method == "PUT":
            route.fulfill(status=500, json={"detail": "The triggers cannot be written"})
        else:
            route.continue_()

    page = settled(
        open_page(
            f"{alerted.url}/#/alerts",
            route=lambda page: page.route("**/api/notifications/triggers", refuse),
        )
    ).page
    trigger(page, "context").get_by_role("spinbutton").fill("50")
    page.get_by_role("button", name="Save triggers").click()
    expect(page.locator("#warned")).to_contain_text("The triggers cannot be written")
    expect(panel(page, "Triggers")).to_contain_text("1 change not saved")
    expect(trigger(page, "context").get_by_role("spinbutton")).to_have_value("50")


def test_an_empty_view_says_what_is_missing(blank: Server, read_page: OpenPage) -> None:
    watched = settled(read_page(f"{blank.url}/#/alerts"))
    expect(panel(watched.page, "Notifications")).to_contain_text("No alerts")
    said = blank.get("/api/notifications/triggers").json()["triggers"]
    expect(panel(watched.page, "Triggers").locator("li")).to_have_count(len(said))
    assert watched.said == []


def test_a_filter_that_nothing_fits_can_be_put_away(alerted: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{alerted.url}/#/alerts?severity=info&open=1")).page
    expect(panel(page, "Notifications")).to_contain_text("No open info alert")
    page.get_by_role("button", name="Show all").click()
    expect(listed(page)).to_have_count(5)


@pytest.mark.parametrize(
    ("path", "title"),
    [("**/api/notifications?**", "Notifications"), ("**/api/notifications/triggers", "Triggers")],
)
def test_a_part_that_fails_says_so_and_the_other_stays(
    alerted: Server, open_page: OpenPage, path: str, title: str
) -> None:
    page = open_page(
        f"{alerted.url}/#/alerts", feed=False, route=refusing(path, "Not now", status=503)
    ).page
    other = {"Notifications": "Triggers", "Triggers": "Notifications"}[title]
    expect(panel(page, other).locator("li").first).to_be_visible()
    retry(panel(page, title), path, "Not now")
    expect(panel(page, title).locator("li").first).to_be_visible()


def test_hostile_texts_stay_text(empty_place: Place, open_page: OpenPage) -> None:
    hostile = {**alert("n-1", "critical", data={HOSTILE: HOSTILE}), "message": HOSTILE}
    empty_place.write(NOTIFICATIONS, {"notifications": [hostile]})
    empty_place.write(
        TRIGGERS,
        {"triggers": [{"id": HOSTILE, "type": HOSTILE, "description": HOSTILE, "threshold": 1}]},
    )
    with servers.serving(empty_place) as server:
        watched = settled(open_page(f"{server.url}/#/alerts", viewport=PHONE))
        watched.page.get_by_text("Details").click()
        is_only_text(watched)
        is_no_wider(watched, PHONE["width"])


def test_axe_finds_nothing(alerted: Server, open_page: OpenPage) -> None:
    watched = settled(open_page(f"{alerted.url}/#/alerts"))
    trigger(watched.page, "context").get_by_role("spinbutton").fill("50")
    is_accessible(watched)
    watched.page.set_viewport_size(PHONE)
    is_accessible(watched)
    is_no_wider(watched, PHONE["width"])


NOTICES = """
window.notices = [];
window.Notification = class {
  constructor(title, { body, tag }) { window.notices.push([title, body, tag]); }
  static permission = 'default';
  static asked = 0;
  static async requestPermission() {
    this.asked += 1;
    return this.permission = window.answer ?? 'granted';
  }
};
Object.defineProperty(document, 'visibilityState', { get: () => window.seen ?? 'visible' });
Object.defineProperty(document, 'hidden', { get: () => window.seen === 'hidden' });
const paint = window.requestAnimationFrame;
const held = []; // a hidden tab is not painted
window.requestAnimationFrame = (draw) => (document.hidden ? held.push(draw) : paint(draw));
window.see = (seen) => {
  window.seen = seen;
  document.dispatchEvent(new Event('visibilitychange'));
  if (!document.hidden) held.splice(0).forEach(paint);
};
"""


def test_new_alerts_notify_whoever_has_asked_for_it(alerting: Place, open_page: OpenPage) -> None:
    def add(number: int) -> None:
        more = [alert(f"m-{each}", "critical") for each in range(1, number + 1)]
        alerting.write(NOTIFICATIONS, {"notifications": [*ALERTS, *more]})
        expect(page.locator("#main")).to_contain_text(f"Message of m-{number}")

    with servers.serving(alerting, workers=1) as server:
        page = settled(
            open_page(f"{server.url}/#/alerts", prepare=lambda page: page.add_init_script(NOTICES))
        ).page
        icon = page.locator("link[rel=icon]")
        expect(icon).to_have_attribute("href", re.compile("icon-alert.svg$"))
        switch = page.get_by_role("switch", name="Notify me")
        expect(switch).not_to_be_checked()
        page.evaluate("see('hidden')")
        add(1)
        assert page.evaluate("[Notification.asked, notices]") == [0, []]
        page.evaluate("window.answer = 'denied'")
        switch.click()
        expect(page.locator("#warned")).to_contain_text("does not allow notifications")
        expect(switch).not_to_be_checked()
        page.evaluate("window.answer = 'granted'")
        switch.click()
        expect(switch).to_be_checked()
        add(2)
        page.wait_for_function("notices.length", polling=50)
        assert page.evaluate("notices.map(([title, ...more]) => more)") == [
            ["Message of m-2", "m-2"]
        ]
        page.evaluate("see('visible')")
        add(3)
        page.evaluate("see('hidden')")
        add(4)
        page.wait_for_function("notices.length > 1", polling=50)
        expect(page).to_have_title(re.compile(r"^\(7\) "))
        assert [tag for _, _, tag in page.evaluate("notices")] == ["m-2", "m-4"]
        page.get_by_role("button", name="Acknowledge all").click()
        page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
        expect(icon).to_have_attribute("href", re.compile("/icon.svg$"))


def test_a_snoozed_alert_and_its_repeats_are_silent_until_the_snooze_ends(
    alerting: Place, open_page: OpenPage
) -> None:
    def prepare(page: Page) -> None:
        page.add_init_script(NOTICES)
        page.clock.install()

    def silence(name: str, time: str) -> None:
        row = listed(page).filter(has_text=name).first
        row.locator("summary", has_text="Snooze").click()
        row.get_by_role("button", name=time).click()

    with servers.serving(alerting, workers=1) as server:
        page = settled(open_page(f"{server.url}/#/alerts", prepare=prepare)).page
        badge = page.locator('[data-badge="alerts"] [aria-hidden]')
        fold = page.locator(".snoozed > summary")
        silence("Message of n-2", "1 day")
        expect(fold).to_have_text("1 snoozed in this browser")
        expect(badge).to_have_text("2")
        fold.click()
        page.get_by_role("button", name="End snooze: Message of n-2").click()
        expect(badge).to_have_text("3")
        silence("Message of n-5", "1 hour")
        expect(fold).to_have_text("2 snoozed in this browser")  # n-1 is the same but for its number
        expect(page.locator("#said")).to_contain_text("in this browser only")
        expect(badge).to_have_text("1")
        expect(page).to_have_title(re.compile(r"^\(1\) "))
        page.get_by_role("switch", name="Notify me").click()
        page.evaluate("see('hidden')")
        more = [alert("n-7", "warning"), alert("m-1", "critical")]
        alerting.write(NOTIFICATIONS, {"notifications": [*ALERTS, *more]})
        page.wait_for_function("() => notices.length > 0", polling=50)
        assert [tag for _, _, tag in page.evaluate("notices")] == ["m-1"]
        page.clock.fast_forward("01:00:01")
        page.wait_for_function("() => notices.length > 1", polling=50)
        rung = {tag for _, _, tag in page.evaluate("notices")}
        assert rung == {"m-1", "n-1", "n-5", "n-7"}
        page.evaluate("see('visible')")
        expect(badge).to_have_text("5")
        expect(fold).to_have_count(0)
        assert page.evaluate("localStorage.getItem('loki-snoozed')") is None
        assert seen(alerting) == {"n-3", "n-4"}
