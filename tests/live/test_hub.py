"""How the hub treats its connections: keepalive, dead peers, slow ones, and the end."""

from collections.abc import Iterator

import pytest
from wsproto.events import CloseConnection, TextMessage

from loki_web.live.hub.connection import MAX_WAITING_BYTES
from loki_web.live.messages import Message, Topic
from tests.live.hubs import Bench, Peer

MOVED = Message("task_moved", {"id": "a"})
LARGE = Message("task_updated", {"id": "a", "title": "x" * 100_000})


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def types(peer: Peer) -> list[str]:
    return [message["type"] for message in peer.heard()]


def subscribe(bench: Bench, peer: Peer, *channels: str) -> None:
    peer.say({"type": "subscribe", "data": {"channels": list(channels)}})
    bench.turn()


def test_a_client_without_a_subscription_gets_the_broadcasts(bench: Bench) -> None:
    peer = bench.client()
    bench.publish("tasks", MOVED)
    bench.publish("logs", Message("log", {}))
    bench.publish("projects", Message("project_created", {}))
    assert types(peer) == ["connected", "task_moved", "project_created"]


def test_a_client_with_a_subscription_gets_the_named_channels(bench: Bench) -> None:
    peer = bench.client()
    subscribe(bench, peer, "logs")
    bench.publish("tasks", MOVED)
    bench.publish("logs", Message("log", {}))
    subscribe(bench, peer, "tasks")
    bench.publish("tasks", MOVED)
    bench.publish("projects", Message("project_created", {}))
    assert types(peer) == ["connected", "subscribed", "log", "subscribed", "task_moved"]


def test_an_unsubscribed_channel_is_not_sent(bench: Bench) -> None:
    peer = bench.client()
    peer.say({"type": "unsubscribe", "data": {"channel": "tasks"}})
    bench.turn()
    bench.publish("tasks", MOVED)
    bench.publish("projects", Message("project_created", {}))
    assert types(peer) == ["connected", "unsubscribed", "project_created"]


def test_the_topics_in_use_are_those_of_somebody(bench: Bench) -> None:
    peer = bench.client()
    subscribe(bench, peer, "cost")
    assert bench.hub.topics_in_use == {Topic("cost")}
    peer.socket.close()
    bench.turn()
    assert bench.hub.topics_in_use == frozenset()


def test_a_live_client_is_pinged_and_stays(bench: Bench) -> None:
    peer = bench.client()
    for _ in range(8):
        bench.turn(25)
        assert peer.is_pinged()
        bench.turn(0.1)
    assert bench.hub.count == 1


@pytest.mark.parametrize("silent_after", [0.0, 10.0, 24.9])
def test_a_client_that_answers_no_ping_is_gone_within_a_minute(
    bench: Bench, silent_after: float
) -> None:
    peer = bench.client()
    bench.turn(silent_after)
    peer.say({"type": "ping"})
    bench.turn()
    for _ in range(59):
        bench.turn(1)
    assert bench.hub.count == 0
    assert bench.given_back == 1


def test_a_listener_hears_a_heartbeat_every_quarter_of_a_minute(bench: Bench) -> None:
    peer = bench.listener()
    peer.came()
    for _ in range(8):
        bench.turn(15)
        assert peer.came() == b": heartbeat\n\n"
    assert bench.hub.count == 1


def test_a_listener_that_takes_nothing_is_gone_within_a_minute(bench: Bench) -> None:
    bench.listener()
    for _ in range(4):
        bench.publish("tasks", LARGE)
    for _ in range(59):
        bench.turn(1)
    assert bench.hub.count == 0


def test_a_client_that_does_not_read_is_dropped_and_nobody_waits(bench: Bench) -> None:
    stuck, good = bench.client(), bench.client()
    good.came()
    sent = 0
    for _ in range(12):
        bench.publish("tasks", LARGE)
        sent += len(LARGE.text)
        assert len(good.came()) >= len(LARGE.text)
    assert sent > 2 * MAX_WAITING_BYTES
    closing = None
    for _ in range(20):  # one that reads again in time is told why
        closing = closing or stuck.closing()
        bench.turn()
    assert closing is not None
    assert closing.code == 1013
    bench.turn(3)
    assert bench.hub.count == 1


def test_messages_to_a_slow_reader_arrive_whole_and_in_order(bench: Bench) -> None:
    peer = bench.client()
    numbered = [Message("log", {"number": n, "text": "y" * 40_000}) for n in range(6)]
    subscribe(bench, peer, "logs")
    for message in numbered:
        bench.publish("logs", message)
    heard = []
    for _ in range(30):
        heard += peer.heard()
        bench.turn()
    assert [one["data"]["number"] for one in heard if one["type"] == "log"] == list(range(6))


def test_a_client_that_hangs_up_is_forgotten(bench: Bench) -> None:
    peers = [bench.client(), bench.listener()]
    for peer in peers:
        peer.socket.close()
    bench.turn()
    bench.publish("tasks", MOVED)
    assert bench.hub.count == 0
    assert bench.given_back == 2


def test_a_close_frame_is_answered(bench: Bench) -> None:
    peer = bench.client()
    peer.send(CloseConnection(1000, "done"))
    bench.turn()
    closing = peer.closing()
    assert closing is not None
    assert closing.code == 1000
    assert bench.hub.count == 0


def test_a_client_that_may_not_stay_is_closed_at_the_next_keepalive(bench: Bench) -> None:
    allowed = True
    peer = bench.client(may_stay=lambda: allowed)
    bench.turn(25)
    assert peer.is_pinged()
    allowed = False
    bench.turn(25)
    closing = peer.closing()
    assert closing is not None
    assert closing.code == 1008


def test_a_check_that_fails_ends_that_connection_alone(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> bool:
        raise RuntimeError("no idea")

    bench.client(may_stay=broken)
    other = bench.client()
    bench.turn(25)
    assert other.is_pinged()
    assert bench.hub.count == 1
    assert "no idea" in caplog.text


def test_everybody_is_told_that_the_server_goes_away(bench: Bench) -> None:
    socket, stream = bench.client(), bench.listener()
    bench.hub.close()
    bench.turn()
    closing = socket.closing()
    assert closing is not None
    assert closing.code == 1001
    assert stream.socket.recv(1 << 16)
    assert stream.socket.recv(1 << 16) == b""
    late = bench.client()
    told = late.closing()
    assert told is not None
    assert told.code == 1001


def test_a_connection_above_the_limit_is_closed_and_not_counted(bench: Bench) -> None:
    first, peer = bench.client(), bench.refused(1013)
    closing = peer.closing()
    assert closing is not None
    assert closing.code == 1013
    peer.send(CloseConnection(1013))
    bench.turn()
    assert bench.hub.count == 1
    assert bench.given_back == 0
    assert types(first) == ["connected"]


@pytest.mark.parametrize("size", [65 * 1024, 1024 * 1024])
def test_a_message_too_large_ends_the_connection_with_1009(bench: Bench, size: int) -> None:
    peer = bench.client()
    peer.socket.setblocking(True)
    peer.socket.settimeout(0.2)
    data = peer.frames.send(TextMessage("x" * size))
    closing = None
    for start in range(0, len(data), 16_384):
        peer.socket.sendall(data[start : start + 16_384])
        bench.turn()
    peer.socket.setblocking(False)
    closing = peer.closing()
    assert closing is not None
    assert closing.code == 1009


def test_endless_fragments_end_the_connection_with_1009(bench: Bench) -> None:
    peer = bench.client()
    for _ in range(2000):
        peer.socket.sendall(peer.frames.send(TextMessage("", message_finished=False)))
        bench.loop.turn(0.0)
    closing = peer.closing()
    assert closing is not None
    assert closing.code == 1009


def test_a_compressed_frame_is_no_frame_here(bench: Bench) -> None:
    peer = bench.client()
    frame = bytearray(peer.frames.send(TextMessage("zip")))
    frame[0] |= 0x40
    peer.socket.sendall(frame)
    bench.turn()
    closing = peer.closing()
    assert closing is not None
    assert closing.code == 1002


def test_text_that_is_not_utf_8_ends_the_connection_with_1007(bench: Bench) -> None:
    peer = bench.client()
    peer.socket.sendall(b"\x81\x82\0\0\0\0\xff\xfe")
    bench.turn()
    closing = peer.closing()
    assert closing is not None
    assert closing.code == 1007
