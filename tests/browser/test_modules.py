"""The modules of the page: what the first load requests, and what is said if one is missing."""

import re
from collections import Counter

import pytest
from playwright.sync_api import Page, expect

from loki_web.dashboard.page import FIRST_DATA
from tests.browser.conftest import OpenPage
from tests.browser.watching import is_loaded, settled
from tests.support import servers
from tests.support.places import Place
from tests.support.servers import Server

NAMES_OF_OBJECTS = ("__proto__", "constructor", "toString", "hasOwnProperty")


@pytest.mark.parametrize("has_chart", [False, True])
def test_the_first_load_preloads_every_module_and_charts_load_when_one_is_in_view(
    running: Server, blank: Server, open_page: OpenPage, has_chart: bool
) -> None:
    watched = settled(open_page(f"{(running if has_chart else blank).url}/"))
    preloaded = watched.page.evaluate(
        "[...document.querySelectorAll('link[rel=modulepreload]')].map((link) => link.href)"
    )
    modules = [url for url in watched.asked if url.endswith(".js") and "/boot.js" not in url]
    names = {re.sub(".*/js/", "", url) for url in set(modules) - set(preloaded)}
    assert names == ({"ui/chart.js", "ui/drag.js"} if has_chart else set())
    assert set(preloaded) <= set(modules)
    assert all(count == 1 for count in Counter(modules).values())


def test_the_data_of_the_first_view_is_requested_before_the_modules_run(
    running: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(f"{running.url}/"))
    for url in FIRST_DATA:
        entries = watched.page.evaluate(
            "(url) => performance.getEntriesByName(url).map((entry) => entry.initiatorType)",
            f"{running.url}/{url}",
        )
        assert entries[0] == "link", url
    assert watched.said == []


@pytest.mark.parametrize("module", ["js/app.js", "js/core/dom.js", "js/views/now.js"])
def test_a_module_that_is_missing_while_the_page_loads_is_said(
    running: Server, open_page: OpenPage, module: str
) -> None:
    page = open_page(f"{running.url}/", route=lambda page: lose(page, module)).page
    expect(page.locator("#main")).to_contain_text(re.compile("could not be loaded", re.IGNORECASE))
    is_loaded(page)


def test_after_an_update_a_view_and_a_dialog_say_that_they_cannot_be_loaded(
    running: Server, open_page: OpenPage
) -> None:
    page = settled(open_page(f"{running.url}/")).page
    lose(page, "js/views/cost.js")
    lose(page, "js/extra/palette.js")
    page.locator("#open-palette").click()
    expect(page.locator("#warned")).to_contain_text("it has been updated. Reload the page.")
    page.evaluate("location.hash = '#/cost'")
    expect(page.locator("#main")).to_contain_text("it has been updated. Reload the page.")
    page.unroute_all()
    page.get_by_role("button", name="Reload the page").click()
    expect(page.locator("#main h2").first).to_have_text("Budget burn")


IMPORT = """async () => {
  const base = document.querySelector('[href$="core/words.js"]').href;
  const load = (name) => import(base.replace('core/words.js', `${name}.js`));
  const all = ['core/words', 'extra/facts', 'ui/series', 'ui/elements', 'ui/chart'].map(load);
  Object.assign(window, ...(await Promise.all(all)));
  window.put = (element) => (document.body.append(element), element);
  window.dots = (props) => put(chart(props)).querySelectorAll('svg .dot');
  window.told = (selector, element) =>
    [...element.querySelectorAll(selector)].map(({ textContent }) => textContent);
}"""
POINT = "{ iteration: 5, files_changed: 1, no_change_streak: 0, done_signals: 1 }"
CHART = "{ label: '', axis: '', labels: [1], format: compact, series: [SERIES] }"
SERIES = "{ name: '', kind: 'bar', tone: 't1', values: [1] }"
GAPS = "[[4], [null, 1, null], [1, null, 2, 3], [0, NaN, 2], [1, 2, null, 3, 4], [null], []]"
LINE = """{ label: '', axis: '', labels: values, format: compact,
  series: [{ name: '', kind: 'line', tone: 't1', values }] }"""
# An expression, and its value.
SHOWN = [
    ("compact(999_499)", "999k"),
    ("compact(999_500)", "1M"),
    ("compact(-999_700)", "-1M"),
    ("moment(1e20)", None),
    ("dateTime(-1e300)", "–"),
    ("moment('2026-11-20T10:00:00')", 1_795_168_800_000),
    ("facts({ created_at: 1e300 }).textContent", "Created at1e+300"),
    ("facts({ created_at: 1795168800.5 }).textContent", "Created at20 Nov 2026, 10:00:00"),
    ("facts({ created_at: 1795168800500 }).textContent", "Created at20 Nov 2026, 10:00:00"),
    ("facts({ last_used: 'never' }).textContent", "Last usednever"),
    (
        f"""progress({{ convergence: {{ dataPoints: [{POINT}] }}, verdicts: {{ verdicts:
        ['continue', 'complete'].map((result) => ({{ iteration: 5, result }})) }} }}).headline""",
        "Done, says the council",
    ),
    (f"told('svg text', put(chart({CHART.replace('SERIES', SERIES)})))", ["0", "0.5", "1", "1"]),
    (f"{GAPS}.map((values) => dots({LINE}).length)", [1, 1, 1, 2, 0, 0, 0]),
    ("isolated('a\u202eb')", "\u2068a\u202eb\u2069"),
    ("isolated('\u2069a\u2067b')", "\u2068ab\u2069"),
    ("isolated('שלום')", "שלום"),
    ("isolated(undefined)", None),
    (
        """(() => {
        const columns = [{ label: 'A', cell: String, sort: (value) => value }];
        const rows = [2, null, 10, undefined, NaN, 1];
        const made = put(table({ caption: 'T', isPassing: true, key: String, rows, columns }));
        const sorted = () => (made.querySelector('th button').click(), told('td', made).join());
        return [sorted(), sorted()];
        })()""",
        ["1,2,10,null,undefined,NaN", "10,2,1,null,undefined,NaN"],
    ),
]


def test_values_of_every_size_are_shown_as_they_are(running: Server, open_page: OpenPage) -> None:
    page = settled(open_page(f"{running.url}/")).page
    page.evaluate(IMPORT)
    assert page.evaluate(f"[{','.join(expression for expression, _ in SHOWN)}]") == [
        value for _, value in SHOWN
    ]


def lose(page: Page, module: str) -> None:
    """Answer 404 for a module, as a server of another version does."""
    page.route(f"**/assets/*/{module}", lambda route: route.fulfill(status=404, body=""))


def test_fields_with_the_names_of_members_of_objects_are_shown(
    empty_place: Place, open_page: OpenPage
) -> None:
    fields = {name: f"the value of {name}" for name in NAMES_OF_OBJECTS}
    checkpoint = {"id": "chk-1", "created_at": "2026-11-20T10:00:00Z", **fields}
    empty_place.write("state/checkpoints/chk-1/metadata.json", checkpoint)
    with servers.serving(empty_place) as server:
        page = settled(open_page(f"{server.url}/#/checkpoints/chk-1")).page
        for text in fields.values():
            expect(page.locator("dialog.drawer")).to_contain_text(text)


def test_an_address_with_the_name_of_a_member_of_objects_opens_what_any_unknown_name_does(
    running: Server, open_page: OpenPage
) -> None:
    watched = settled(open_page(f"{running.url}/#/{NAMES_OF_OBJECTS[0]}"))
    for name in NAMES_OF_OBJECTS:
        watched.page.evaluate(f"location.hash = '#/{name}'")
        expect(watched.page).to_have_title(re.compile("Not found"))
        for view, heading in (("memory", "Episodes"), ("learning", "Signals")):
            watched.page.evaluate(f"location.hash = '#/{view}/{name}'")
            expect(watched.page.locator("#main h2", has_text=heading).first).to_be_visible()
    assert watched.said == []


def test_states_with_the_names_of_members_of_objects_get_no_style(
    empty_place: Place, open_page: OpenPage
) -> None:
    for name in NAMES_OF_OBJECTS:
        episode = {"id": f"e-{name}", "outcome": name}
        empty_place.write(f"memory/episodic/2026-11-20/task-{name}.json", episode)
    with servers.serving(empty_place) as server:
        pills = settled(open_page(f"{server.url}/#/memory")).page.locator("#main .entry .pill")
        expect(pills).to_have_count(len(NAMES_OF_OBJECTS))
        for pill in pills.all():
            expect(pill).to_have_attribute("class", "pill")
