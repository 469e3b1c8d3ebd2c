"""Requests that wait for the test, while the browser makes all others by itself.

A route of Playwright sees every request of its page and switches the cache off, so that all modules
are loaded again. Without one, such a page takes a fifth less CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import CDPSession, Page


@dataclass(frozen=True)
class HeldRequest:
    session: CDPSession
    identity: str
    url: str

    def let_through(self) -> None:
        self.session.send("Fetch.continueRequest", {"requestId": self.identity})


class Held:
    """The requests to addresses of a pattern, in the order in which the page made them."""

    def __init__(self, pattern: str) -> None:
        self.requests: list[HeldRequest] = []
        self._pattern = pattern
        self._is_over = False
        self._session: CDPSession | None = None

    def begin(self, page: Page) -> None:
        """Hold the requests of a page from now on."""
        session = self._session = page.context.new_cdp_session(page)
        session.on("Fetch.requestPaused", lambda paused: self._hear(session, paused))
        session.send("Fetch.enable", {"patterns": [{"urlPattern": self._pattern}]})

    def stop(self) -> None:
        """Hold no further requests; those that are held still wait."""
        self._is_over = True

    def end(self) -> None:
        """Let everything through."""
        if self._session:
            self._session.detach()

    def _hear(self, session: CDPSession, paused: dict[str, Any]) -> None:
        request = HeldRequest(session, paused["requestId"], paused["request"]["url"])
        if self._is_over:
            request.let_through()
        else:
            self.requests.append(request)


@contextmanager
def holding(pattern: str) -> Iterator[Held]:
    """Hold requests of the page that `Held.begin` gets, to the end of the block at the latest."""
    held = Held(pattern)
    try:
        yield held
    finally:
        held.end()
