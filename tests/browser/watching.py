"""A page of which everything that it says and asks for is noted."""

from dataclasses import dataclass, field

from playwright.sync_api import (
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    WebSocket,
    expect,
)


@dataclass
class Watched:
    """:param said: messages on the console and errors that nobody caught.
    :param asked: the addresses of all requests and sockets.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._hear_message)
        self.page.on("pageerror", self._hear_error)
        self.page.on("request", self._note_request)
        self.page.on("websocket", self._note_request)

    def forget(self) -> None:
        """Stop noting messages, errors and requests."""
        self.page.remove_listener("console", self._hear_message)
        self.page.remove_listener("pageerror", self._hear_error)
        self.page.remove_listener("request", self._note_request)
        self.page.remove_listener("websocket", self._note_request)

    def _hear_message(self, message: ConsoleMessage) -> None:
        self.said.append(message.text)

    def _hear_error(self, error: Error) -> None:
        self.said.append(str(error))

    def _note_request(self, request: Request | WebSocket) -> None:
        self.asked.append(request.url)

    @property
    def strip(self) -> Locator:
        return self.page.locator("#strip")

    def fact(self, name: str) -> Locator:
        """A value of the session strip."""
        return self.strip.locator(".fact", has=self.page.get_by_text(name, exact=True)).locator(
            "dd"
        )


def settled(watched: Watched) -> Watched:
    """Wait until the page is live, its view is there, and none of its parts is being loaded."""
    expect(watched.strip.locator(".link-state")).to_have_text("Live")
    is_loaded(watched.page)
    return watched


def is_loaded(page: Page) -> None:
    """Wait until the view is there and none of its parts is being loaded."""
    expect(page.locator("#main[aria-busy], #main [aria-busy]")).to_have_count(0)
