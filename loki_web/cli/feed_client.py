"""Following a server's live feed from another program, with nothing but the standard library."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

SILENCE_SECONDS = 45.0  # the server says something at least every 15
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0
_BROKEN = (OSError, http.client.HTTPException)


class Refused(Exception):
    """The server will not answer this differently a second time; the text says why."""


def follow(
    url: str,
    channels: Iterable[str] = (),
    token: str | None = None,
    *,
    wait: Callable[[float], None] = time.sleep,
) -> Generator[dict[str, Any], None, None]:
    """The messages of the feed as they come, for ever; a connection that breaks is made anew.

    Each connection begins with `connected`. What came in between is not missed, or `reset` says
    that it is.

    :param url: of the server, as `http://localhost:57374`.
    :param channels: the ones to listen to; left out, tasks and projects.
    :param wait: sleeps some seconds between two attempts.
    :raises Refused: when the server does not let us listen.
    """
    address = f"{url.rstrip('/')}/api/events?channels={quote(','.join(channels))}"
    headers = {"Accept": "text/event-stream"}
    seconds = FIRST_WAIT_SECONDS
    while True:
        with suppress(*_BROKEN):
            for message, last_id in _messages(_request(address, headers, token)):
                if last_id:
                    headers["Last-Event-ID"] = last_id
                seconds = FIRST_WAIT_SECONDS
                yield message
        wait(seconds)
        seconds = min(LONGEST_WAIT_SECONDS, seconds * 2)


def _request(address: str, headers: dict[str, str], token: str | None) -> urllib.request.Request:
    request = urllib.request.Request(address, headers=headers)  # noqa: S310
    if token:  # meant for this server only, wherever it may redirect to
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return request


def _messages(request: urllib.request.Request) -> Iterator[tuple[dict[str, Any], str]]:
    """The messages of one connection, each with the id after it, empty where it has none."""
    try:
        stream = urllib.request.urlopen(request, timeout=SILENCE_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            if error.code >= 500 or error.code == http.HTTPStatus.TOO_MANY_REQUESTS:
                return
            raise Refused(_reason(error)) from None
    with stream:
        found: dict[str, str] = {}
        for line in stream:
            name, _, value = line.decode("utf-8", errors="replace").rstrip("\r\n").partition(": ")
            if name:
                found[name] = value
            elif "data" in found:
                message = json.loads(found["data"])
                yield message, found.get("id", "")
                found = {}


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(4096))["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"The server answered {error.code}"
