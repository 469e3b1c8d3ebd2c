"""Open pages for tests with little work for Chromium."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Error, Page

from tests.browser.watching import Watched
from tests.support.waiting import PATIENCE_SECONDS

MILLISECONDS = PATIENCE_SECONDS * 1000
TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
_DEFAULTS = {"reduced_motion": "reduce", "timezone_id": "UTC"}
_VIEWPORT = {"width": 1280, "height": 720}  # Playwright's own
_CHANGEABLE = {"viewport", "color_scheme", "forced_colors"}  # options that an open page can get
_NOTE_INPUT = """
for (const type of ['pointerdown', 'keydown', 'input'])
  addEventListener(type, () => (window.hasInput = true), true);
"""
_LIVE, _CUT_OFF, _READ = "live", "cut off", "read"  # the pages that are kept
Prepare = Callable[[Page], object]


class Pages:
    """The pages of one test at a time.

    A new page needs a process of its own, and twice the CPU of opening another address in an open
    page. So all tests share one page for the first address that they open; `clean` removes what a
    test left in it. A test gets a new page for a second address, for `prepare`, because scripts
    and clocks cannot be removed, and for options that an open page cannot get.

    To load the application takes four times the CPU of following a link in it. So tests that only
    read share another page, in which it stays loaded.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._kept: dict[str, Page] = {}
        self._in_use: Watched | None = None
        self._new: list[BrowserContext] = []

    def open(
        self,
        url: str,
        *,
        prepare: Prepare | None = None,
        route: Prepare | None = None,
        token: str | None = None,
        feed: bool = True,
        **options: Any,
    ) -> Watched:
        """Open an address, watched from the first moment.

        :param prepare: changes a new page before it is opened.
        :param route: adds routes of requests to the page before it is opened.
        :param token: the access token that the tab holds.
        :param feed: False to cut off news: the page learns only what it asks for.
        :param options: those of a browser context, as `color_scheme` and `viewport`.
        """
        is_new = bool(prepare or self._in_use or not options.keys() <= _CHANGEABLE)
        use = _LIVE if feed else _CUT_OFF
        page = self._open_new(use, options) if is_new else self._take(use, options)
        if token:
            _hold(page, url, token)
        watched = Watched(page)
        if not is_new:
            self._in_use = watched
        if not feed:
            page.route("**/api/events*", lambda route: route.abort())
        for change in (prepare, route):
            if change:
                change(page)
        page.goto(url)
        return watched

    def read(self, url: str) -> Watched:
        """Show an address to a test that only reads, in a window of the usual size.

        Such a test presses no key and no button.
        """
        watched = self._in_use = Watched(self._take(_READ, {}))
        watched.page.goto(url)
        watched.page.evaluate(TWO_FRAMES)  # an application that is there has heard of the address
        return watched

    def clean(self) -> None:
        """Close the new pages of a test, and reset the shared ones."""
        for context in self._new:
            for page in context.pages:
                page.unroute_all(behavior="ignoreErrors")  # requests that are still being answered
            context.close()
        self._new.clear()
        watched, self._in_use = self._in_use, None
        if watched is None:
            return
        watched.forget()
        if watched.page is self._kept.get(_READ):
            has_input = watched.page.evaluate("window.hasInput")
            assert not has_input, "a test that does more than read needs `open_page`"
        else:
            _forget(watched.page)

    def _open_new(self, use: str, options: dict[str, Any]) -> Page:
        context = self._browser.new_context(**{**_DEFAULTS, **options})
        context.set_default_timeout(MILLISECONDS)
        self._new.append(context)
        page = context.new_page()
        if use == _CUT_OFF:
            page.route_web_socket("**/ws", lambda socket: socket.close())
        if use == _READ:
            page.add_init_script(_NOTE_INPUT)
        return page

    def _take(self, use: str, options: dict[str, Any]) -> Page:
        if use not in self._kept:
            self._kept[use] = self._open_new(use, {})
            self._new.remove(self._kept[use].context)
        page = self._kept[use]
        page.set_viewport_size(options.get("viewport", _VIEWPORT))
        page.emulate_media(
            color_scheme=options.get("color_scheme", "light"),
            forced_colors=options.get("forced_colors", "none"),
            contrast="no-preference",
            media="screen",
        )
        return page


def _hold(page: Page, url: str, token: str) -> None:
    """Give the tab a token, at an address of the server that loads nothing else."""
    page.goto(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/health")
    page.evaluate("(token) => sessionStorage.setItem('loki-token', token)", token)


def _forget(page: Page) -> None:
    page.unroute_all(behavior="ignoreErrors")
    context = page.context
    for other in context.pages:
        if other is not page:
            other.close()
    context.set_offline(False)
    context.clear_permissions()
    context.clear_cookies()
    with suppress(Error):  # the page of an address that did not answer has no storage
        page.evaluate("localStorage.clear(), sessionStorage.clear()")
    page.goto("about:blank")
