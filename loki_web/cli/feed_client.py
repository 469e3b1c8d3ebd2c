"""A client of the live feed that reconnects."""

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from loki_web import outgoing
from loki_web.cli.options import explain_failure

SILENCE_SECONDS = 45.0  # the server sends a heartbeat every 15 seconds
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0
_BROKEN = (OSError, http.client.HTTPException)


class Refused(Exception):
    """The server refused the request, and a retry would not help; the text is its reason."""


class _Busy(Exception):
    """The server refused the request for now; the text is its reason."""


def _wait(seconds: float, _reason: str) -> None:
    time.sleep(seconds)


def follow(
    url: str,
    channels: Iterable[str] = (),
    token: str | None = None,
    *,
    ca_file: str | None = None,
    wait: Callable[[float, str], None] = _wait,
    project: str | None = None,
) -> Generator[dict[str, Any], None, None]:
    """Yield the messages of the feed without end, and reconnect when the connection breaks.

    Each connection starts with `connected`. After a reconnect the missed messages follow, or
    `reset` and the whole lists.

    :param url: of the server, such as `http://localhost:57374`.
    :param channels: the channels to subscribe to; default: tasks and projects.
    :param token: the access token, if the server requires one.
    :param ca_file: a PEM file of the CA certificates to check the server's certificate against.
    :param wait: sleeps between two attempts, with the reason for the next one; the seconds double
        from FIRST to LONGEST_WAIT_SECONDS.
    :param project: the id, alias or path of the project to follow; default: the one that is shown.
    :raises Refused: when the server refuses the connection or its certificate is not trusted.
    :raises ValueError: when the answer is not an event stream: another program listens there.
    """
    opener = _opener(url, ca_file)
    address = f"{url.rstrip('/')}/api/events?channels={quote(','.join(channels))}"
    address += f"&project={quote(project, errors='surrogateescape')}" if project else ""
    headers = {"Accept": "text/event-stream"}
    seconds = FIRST_WAIT_SECONDS
    while True:
        reason = "the server closed it"
        try:
            for message, last_id in _messages(opener, _request(address, headers, token)):
                if last_id:
                    headers["Last-Event-ID"] = last_id
                seconds = FIRST_WAIT_SECONDS
                yield message
        except _Busy as error:
            reason = str(error)
        except _BROKEN as error:
            reason = explain_failure(error, url, SILENCE_SECONDS)
        wait(seconds, reason)
        seconds = min(LONGEST_WAIT_SECONDS, seconds * 2)


def _request(address: str, headers: dict[str, str], token: str | None) -> urllib.request.Request:
    request = urllib.request.Request(address, headers=headers)  # noqa: S310
    if token:  # must not be sent to the target of a redirect
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return request


def _opener(url: str, ca_file: str | None) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = []
    if ca_file is not None:
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except OSError:
            raise Refused(f"{ca_file} is not a readable file of PEM certificates") from None
        handlers.append(urllib.request.HTTPSHandler(context=context))
    return outgoing.build_opener(url, *handlers)


def _messages(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the messages of one connection, each with its event id or an empty string."""
    try:
        stream = opener.open(request, timeout=SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            if error.code >= 500 or error.code == http.HTTPStatus.TOO_MANY_REQUESTS:
                raise _Busy(_reason(error)) from None
            raise Refused(_reason(error)) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise Refused("The certificate of the server is not trusted: see --cacert") from None
        raise
    with stream:
        if stream.headers.get_content_type() != "text/event-stream":
            raise ValueError("not an event stream")
        fields: dict[str, str] = {}
        for line in stream:
            name, _, value = line.decode("utf-8", errors="replace").rstrip("\r\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                message = json.loads(fields["data"])
                yield message, fields.get("id", "")
                fields = {}


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(4096))["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"The server answered {error.code}"
