"""Following the feed from another program."""

import json
import signal
from typing import Any

import pytest

from loki_web.cli.feed_client import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, Refused, follow
from tests.cli.commands import answering
from tests.live.clients import listening
from tests.support import accounts
from tests.support.places import Place
from tests.support.servers import free_port, serving


def test_the_client_yields_changes(place: Place) -> None:
    with serving(place) as server:
        messages = follow(server.url, ["tasks"])
        assert next(messages)["type"] == "connected"
        place.write("queue/pending.json", [{"id": "a"}])
        assert next(messages)["type"] == "task_created"
        messages.close()


@pytest.mark.parametrize("project", ["/srv/\udcff", "né/x", "a&b#c"])
def test_a_project_that_is_not_there_is_refused_by_the_server(place: Place, project: str) -> None:
    with serving(place) as server, pytest.raises(Refused, match="Project not found"):
        next(follow(server.url, project=project))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_on_this_machine_is_not_asked_through_a_proxy(
    place: Place, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with serving(place) as server, monkeypatch.context() as changed:
        changed.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
        changed.delenv("no_proxy", raising=False)
        messages = follow(server.url.replace("127.0.0.1", host), ["tasks"])
        assert next(messages)["type"] == "connected"
        messages.close()


def test_the_client_reconnects_and_misses_nothing(place: Place) -> None:
    """The server reloads. A worker that knows the state before tells what is new; one that does
    not tells all."""
    waits: list[float] = []

    with serving(place, workers=2) as server:
        place.write("queue/pending.json", [{"id": "a"}])

        def change_meanwhile(seconds: float, _: str) -> None:
            waits.append(seconds)
            if len(waits) == 1:
                place.write("queue/pending.json", [{"id": "a"}, {"id": "b"}])

        messages = follow(server.url, wait=change_meanwhile)
        assert next(messages)["type"] == "connected"
        with listening(server):
            server.process.send_signal(signal.SIGHUP)
            heard: list[dict[str, Any]] = []
            while not heard or '"b"' not in json.dumps(heard[-1]):
                heard.append(next(messages))
        assert heard[0]["type"] == "connected"
        before = [message["type"] for message in heard[:-1]]
        assert heard[-1]["type"] == ("tasks" if "reset" in before else "task_created")
        messages.close()
    assert waits[0] == FIRST_WAIT_SECONDS


class Enough(Exception):
    """Raised by a test to stop the retries."""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'503 No\r\n\r\n{"detail": "Too many live connections."}', "Too many live connections."),
        (b'429 No\r\n\r\n{"detail": "Slow down."}', "Slow down."),
        (b"502 Bad Gateway\r\n\r\n<html>", "The server answered 502"),
        (b"200 OK\r\nContent-Type: text/event-stream\r\n\r\n", "the server closed it"),
    ],
)
def test_the_reason_of_the_server_is_told_before_the_next_attempt(
    answer: bytes, reason: str
) -> None:
    def wait(_: float, why: str) -> None:
        raise Enough(why)

    with answering(b"HTTP/1.1 " + answer) as url, pytest.raises(Enough) as end:
        next(follow(url, wait=wait))
    assert str(end.value) == reason


def test_an_answer_that_is_no_event_stream_ends_the_feed() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"
    with answering(page) as url, pytest.raises(ValueError, match="event stream"):
        next(follow(url))


def test_the_client_backs_off_while_there_is_no_server() -> None:
    waits: list[float] = []

    def wait(seconds: float, why: str) -> None:
        assert why == "Connection refused"
        waits.append(seconds)
        if len(waits) == 8:
            raise Enough

    with pytest.raises(Enough):
        next(follow(f"http://127.0.0.1:{free_port()}", wait=wait))
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)


def test_the_client_sends_its_token_and_reports_a_refusal(place: Place) -> None:
    accounts.everybody(place)
    with serving(place, LOKI_ENTERPRISE_AUTH="true") as server:
        messages = follow(server.url, token=accounts.raw("viewer"))
        assert next(messages)["type"] == "connected"
        messages.close()
        with pytest.raises(Refused, match="token"):
            next(follow(server.url))
    with serving(place) as server, pytest.raises(Refused, match="channels"):
        next(follow(server.url, ["nonsense"]))
