"""Webhooks against a real receiver: what is sent, once, and what happens if it fails."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from loki_web.services.context import WritableSources
from loki_web.webhooks import ledger, sender
from loki_web.webhooks.sender import Sender
from tests.support import places, servers
from tests.support.places import Place
from tests.support.receiver import Receiver, receiving
from tests.support.servers import free_port
from tests.support.waiting import wait_until

ALERTS, SECRET = "notifications/active.json", "sk-ant-api03-" + "x" * 40


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def alert(name: str, message: str = "Low budget", **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "severity": "warning",
        "message": message,
        "trigger_id": "budget-80pct",
        "timestamp": "2026-02-20T09:12:59Z",
        "acknowledged": False,
        **more,
    }


class Server:
    """A worker whose clock the test moves; it sends when the test says so."""

    def __init__(self, place: Place, receiver: Receiver, **settings: str) -> None:
        self._place, self.now = place, place.clock()
        self.settings = {"LOKI_WEBHOOK_URL": f"{receiver.url}/hook", **settings}
        self.restart()

    def restart(self) -> None:
        moving = replace(self._place, now=None)
        object.__setattr__(moving, "clock", lambda: self.now)
        self.sources: WritableSources = moving.sources(**self.settings)
        self._sender = Sender(self.sources)

    def turn(self, **later: float) -> None:
        self.now += timedelta(**later)
        self._sender.turn()

    def write(self, *alerts: dict[str, Any]) -> None:
        self._place.write(ALERTS, {"notifications": list(alerts)})

    @property
    def state(self) -> ledger.State:
        return ledger.LedgerState(self.sources).examine()


def texts(receiver: Receiver) -> list[str]:
    return [json.loads(body)["text"] for _, _, body in receiver.got]


def test_each_new_alert_is_sent_once(place: Place, receiver: Receiver) -> None:
    server, another = Server(place, receiver), Server(place, receiver)
    server.write(alert("old"))
    server.turn()
    server.write(alert("old"), alert("b", "Second"), alert("a", "First", acknowledged=True))
    for each in (server, another, server):
        each.turn()
    server.write(alert("old"), alert("b", "Second", acknowledged=True), alert("c", "Third"))
    server.restart()
    for each in (another, server):
        each.turn()
    assert [text.rpartition(": ")[2] for text in texts(receiver)] == ["Second", "Third"]
    path, headers, body = receiver.got[0]
    message = json.loads(body)
    assert path == "/hook"
    assert headers["Content-Type"] == "application/json"
    assert "X-Loki-Signature" not in headers
    assert message["event"] == "alert"
    assert message["timestamp"].startswith("2026-02-20T09:12:59")
    assert (message["data"]["id"], message["data"]["severity"]) == ("b", "warning")
    assert server.state == ledger.State(False, 0, 2, 0)


def test_a_message_is_signed_with_its_time(place: Place, receiver: Receiver) -> None:
    server = Server(place, receiver, LOKI_WEBHOOK_SECRET="key")
    server.turn()
    server.write(alert("a"))
    server.turn()
    _, headers, body = receiver.got[0]
    assert headers["X-Loki-Timestamp"] == str(int(server.now.timestamp()))
    signed = f"{headers['X-Loki-Timestamp']}.".encode() + body
    expected = hmac.new(b"key", signed, hashlib.sha256).hexdigest()
    assert headers["X-Loki-Signature"] == f"sha256={expected}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1"])
def test_a_receiver_on_this_machine_is_not_asked_through_a_proxy(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    url = receiver.url.replace("127.0.0.1", host)
    server = Server(place, receiver, LOKI_WEBHOOK_URL=f"{url}/hook")
    server.turn()
    server.write(alert("a"))
    server.turn()
    assert [path for path, _, _ in receiver.got] == ["/hook"]


def test_a_receiver_elsewhere_is_asked_through_the_proxy(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", receiver.url)
    monkeypatch.delenv("no_proxy", raising=False)
    server = Server(place, receiver, LOKI_WEBHOOK_URL="http://chat.invalid/hook")
    server.turn()
    server.write(alert("a"))
    server.turn()
    assert [path for path, _, _ in receiver.got] == ["http://chat.invalid/hook"]


def test_a_text_is_redacted_and_calls_nobody(place: Place, receiver: Receiver) -> None:
    server = Server(place, receiver)
    server.turn()
    server.write(alert("a", f"<!channel> key {SECRET} & more", data={"api_key": SECRET}))
    server.turn()
    (_, _, body) = receiver.got[0]
    assert SECRET.encode() not in body
    assert "&lt;!channel&gt;" in texts(receiver)[0]
    assert "&amp; more" in texts(receiver)[0]


def test_a_huge_alert_is_sent_without_its_data(place: Place, receiver: Receiver) -> None:
    server = Server(place, receiver)
    server.turn()
    server.write(alert("a" * 5000, "m" * 100_000, data={"x": "words " * 50_000}))
    server.turn()
    (_, _, body) = receiver.got[0]
    assert len(body) < 16 * 1024
    assert json.loads(body)["data"] == {}


def test_verdicts_are_sent(place: Place, receiver: Receiver) -> None:
    server = Server(place, receiver)
    server.turn()
    verdict = {"iteration": 7, "verdict": "COMPLETE", "complete_votes": 2, "continue_votes": 1}
    place.write("council/votes/round-7.json", {**verdict, "timestamp": "2026-02-20T09:00:00Z"})
    server.turn()
    server.turn()
    (text,) = texts(receiver)
    assert "votes to complete after iteration 7: 2 complete, 1 continue" in text


def test_the_end_of_a_session_is_sent_once_it_is_sure(
    tmp_path: Path, sleeper: int, receiver: Receiver
) -> None:
    place = places.recorded(tmp_path / "p", live_pid=sleeper, today=True)
    server = Server(place, receiver)
    server.turn()
    pid_file = place.loki / "loki.pid"
    pid = pid_file.read_text()

    pid_file.unlink()
    server.turn(hours=3)
    server.turn(seconds=1)
    pid_file.write_text(pid)
    server.turn(seconds=1)  # it was only restarted
    pid_file.unlink()
    server.turn()
    assert receiver.got == []
    server.restart()  # which forgets since when it is stopped
    for seconds in (0, 3, 3, 60):
        server.turn(seconds=seconds)
    assert [json.loads(body)["event"] for _, _, body in receiver.got] == ["session_ended"]
    assert "The session has ended after" in texts(receiver)[0]


@pytest.mark.parametrize("event", ["alert", "council_verdict"])
def test_only_chosen_events_are_sent(place: Place, receiver: Receiver, event: str) -> None:
    server = Server(place, receiver, LOKI_WEBHOOK_EVENTS=event)
    server.turn()
    server.write(alert("a"))
    place.write("council/votes/round-7.json", {"iteration": 7, "verdict": "COMPLETE"})
    server.turn()
    assert [json.loads(body)["event"] for _, _, body in receiver.got] == [event]


def test_a_failing_receiver_is_tried_again_in_order(place: Place, receiver: Receiver) -> None:
    server = Server(place, receiver)
    server.turn()
    receiver.answers = [500, 429, 503]
    server.write(alert("a", "First"), alert("b", "Second"))
    server.turn()
    assert server.state == ledger.State(True, 2, 0, 0)
    server.turn(seconds=1)
    assert len(receiver.got) == 1
    server.turn(seconds=1.5)  # the second attempt, after two seconds
    server.restart()
    server.turn(seconds=3)
    assert len(receiver.got) == 2
    server.turn(seconds=1.5)  # the third, after four
    server.turn(minutes=6)
    assert [text.rpartition(": ")[2] for text in texts(receiver)] == [*["First"] * 4, "Second"]
    ids = {json.loads(body)["id"] for _, _, body in receiver.got[:4]}
    assert len(ids) == 1
    assert server.state == ledger.State(False, 0, 2, 0)


def test_a_refused_message_is_not_repeated_and_does_not_delay_others(
    place: Place, receiver: Receiver
) -> None:
    server = Server(place, receiver)
    server.turn()
    receiver.answers = [302, 307, 400, 410]
    server.write(*(alert(name, name) for name in "abcde"))
    server.turn()
    assert [path for path, _, _ in receiver.got] == ["/hook"] * 5
    assert server.state == ledger.State(False, 0, 1, 4)


def test_a_receiver_that_is_gone_or_slow_delays_nothing_but_messages(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "RECEIVER_SECONDS", 0.05)
    server = Server(place, receiver)
    server.turn()
    receiver.open.clear()
    server.write(alert("a"))
    server.turn()
    assert server.state == ledger.State(True, 1, 0, 0)
    receiver.open.set()
    server.settings["LOKI_WEBHOOK_URL"] = f"http://127.0.0.1:{servers.free_port()}/"
    server.restart()
    server.turn(minutes=6)
    assert server.state == ledger.State(True, 1, 0, 0)
    server.turn(hours=25)
    assert server.state == ledger.State(True, 0, 0, 1)


def test_messages_do_not_wait_for_a_time_that_the_clock_had_by_mistake(
    place: Place, receiver: Receiver
) -> None:
    server = Server(place, receiver)
    server.turn()
    receiver.answers = [500]
    server.write(alert("a"))
    server.turn(days=400)
    assert server.state.waiting == 1
    server.turn(days=-400)
    assert server.state == ledger.State(False, 0, 1, 0)


def test_many_messages_that_wait_are_bounded(place: Place, receiver: Receiver) -> None:
    server = Server(place, receiver)
    server.turn()
    receiver.answers = [500]
    server.write(*(alert(f"a{number}", str(number)) for number in range(ledger.MAX_WAITING + 7)))
    server.turn()
    assert server.state == ledger.State(True, ledger.MAX_WAITING, 0, 7)


def test_an_alert_that_returns_after_a_damaged_file_is_not_new(
    place: Place, receiver: Receiver
) -> None:
    server = Server(place, receiver)
    server.write(alert("a"))
    server.turn()
    contents: list[Any] = ["{", {"notifications": []}, {"notifications": [alert("a")]}]
    for content in contents:
        place.write(ALERTS, content)
        server.restart()
        server.turn(minutes=1)
    assert receiver.got == []


def test_an_alert_that_stays_is_not_sent_again_after_many_others(
    place: Place, receiver: Receiver
) -> None:
    server = Server(place, receiver)
    server.write(alert("stays"))
    server.turn()
    content = json.loads((place.loki / ledger.FILE).read_text())
    content["seen"] += [f"alert {number}" for number in range(6000)]  # of alerts that are gone
    place.write(ledger.FILE, content)
    for name in ("b", "c"):
        server.write(alert("stays", "Stays"), alert(name, name))
        server.turn()
    assert [text.rpartition(": ")[2] for text in texts(receiver)] == ["b", "c"]


DAMAGED: list[Any] = ["{", [], {"seen": 5, "waiting": [], "live": {}, "sent": "x"}]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_ledger_does_no_harm(place: Place, receiver: Receiver, content: Any) -> None:
    server = Server(place, receiver)
    place.write(ledger.FILE, content)
    server.write(alert("a"))
    server.turn()
    server.write(alert("a"), alert("b", "Later"))
    server.turn()
    assert texts(receiver)[-1].endswith("Later")
    assert not server.state.is_failing


def test_no_file_is_created_without_a_session(tmp_path: Path, receiver: Receiver) -> None:
    place = places.empty(tmp_path)
    place.loki.rmdir()
    Server(place, receiver).turn()
    assert not place.loki.exists()


def shows(server: servers.Server, sample: str) -> Callable[[], bool]:
    return lambda: sample in server.get("/metrics").text


def warns(server: servers.Server, *warnings: str) -> Callable[[], bool]:
    return lambda: server.get("/health/ready").json()["warnings"] == [*warnings]


@pytest.mark.slow
def test_workers_and_servers_on_one_folder_send_one_message(
    place: Place, receiver: Receiver
) -> None:
    settings = {"LOKI_WEBHOOK_URL": receiver.url, "LOKI_METRICS_PUBLIC": "true"}
    with ExitStack() as ends:
        first = ends.enter_context(servers.serving(place, workers=2, **settings))
        second = ends.enter_context(servers.serving(place, workers=2, **settings))
        wait_until((place.loki / ledger.FILE).exists, "the first turn")
        receiver.answers = [500] * 100
        receiver.open.clear()
        place.write(ALERTS, {"notifications": [alert("a")]})
        wait_until(lambda: receiver.got, "the first attempt")
        for server in (first, second):
            for _ in range(8):  # no worker waits for the receiver
                assert server.get("/api/status").status_code == 200
        receiver.open.set()
        wait_until(shows(second, "loki_webhooks_failing 1.0"), "the failure")
        wait_until(warns(first, "Webhook messages cannot be delivered"), "a warning")
        receiver.answers.clear()
        wait_until(shows(second, "loki_webhooks_sent_total 1.0"), "a later attempt")
        wait_until(warns(first), "no warning")
        place.write(ALERTS, {"notifications": [alert("a"), alert("b", "Next")]})
        wait_until(shows(first, "loki_webhooks_sent_total 2.0"), "the next message")
        wait_until(shows(second, "loki_webhooks_sent_total 2.0"), "the same on the other server")
        assert warns(first)()
    *attempts, last = texts(receiver)
    assert {text.rpartition(": ")[2] for text in attempts} == {"Low budget"}
    assert last.endswith("Next")
