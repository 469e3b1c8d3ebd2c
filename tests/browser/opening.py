"""Open pages for tests with little work for Chromium."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Error, Page

from tests.browser.watching import Watched
from tests.support.waiting import PATIENCE_SECONDS

MILLISECONDS = PATIENCE_SECONDS * 1000
_DEFAULTS = {"reduced_motion": "reduce", "timezone_id": "UTC"}
_VIEWPORT = {"width": 1280, "height": 720}  # Playwright's own
_CHANGEABLE = {"viewport", "color_scheme", "forced_colors"}  # options that an open page can get
Prepare = Callable[[Page], object]


class Pages:
    """The pages of one test at a time.

    A new page needs a process of its own, and twice the CPU of opening another address in an open
    page. So all tests share one page for the first address that they open; `clean` removes what a
    test left in it. A test gets a new page for a second address, for `prepare`, because scripts,
    clocks and routes of sockets cannot be removed, and for options that an open page cannot get.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._kept: Page | None = None
        self._in_use: Watched | None = None
        self._new: list[BrowserContext] = []

    def open(
        self,
        url: str,
        *,
        prepare: Prepare | None = None,
        route: Prepare | None = None,
        **options: Any,
    ) -> Watched:
        """Open an address, watched from the first moment.

        :param prepare: changes a new page before it is opened.
        :param route: adds routes of requests to the page before it is opened.
        :param options: those of a browser context, as `color_scheme` and `viewport`.
        """
        is_new = prepare or self._in_use or not options.keys() <= _CHANGEABLE
        watched = Watched(self._open_new(options) if is_new else self._take(options))
        for change in (prepare, route):
            if change:
                change(watched.page)
        if not is_new:
            self._in_use = watched
        watched.page.goto(url)
        return watched

    def clean(self) -> None:
        """Close the new pages of a test, and reset the shared one."""
        for context in self._new:
            for page in context.pages:
                page.unroute_all(behavior="ignoreErrors")  # requests that are still being answered
            context.close()
        self._new.clear()
        watched, self._in_use = self._in_use, None
        if watched:
            watched.forget()
            self._forget(watched.page)

    def _open_new(self, options: dict[str, Any]) -> Page:
        context = self._browser.new_context(**{**_DEFAULTS, **options})
        context.set_default_timeout(MILLISECONDS)
        self._new.append(context)
        return context.new_page()

    def _take(self, options: dict[str, Any]) -> Page:
        if self._kept is None:
            self._kept = self._open_new({})
            self._new.remove(self._kept.context)
        self._kept.set_viewport_size(options.get("viewport", _VIEWPORT))
        self._kept.emulate_media(
            color_scheme=options.get("color_scheme", "light"),
            forced_colors=options.get("forced_colors", "none"),
            contrast="no-preference",
            media="screen",
        )
        return self._kept

    def _forget(self, page: Page) -> None:
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
