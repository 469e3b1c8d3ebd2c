"""What clients of /ws say and are told, with real clients on a real server."""

import json
from typing import Any

import pytest
import websocket
from websockets.sync.client import connect

from tests.live.clients import Client, Message, listening
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_SECONDS

PING = {"type": "ping"}


def test_the_first_message_is_connected(shared: Server) -> None:
    client = Client(shared.host)
    first = client.hear()
    assert first["type"] == "connected"
    assert first["data"]["channels"] == ["projects", "tasks"]
    client.close()


def test_ping_is_answered_by_pong(shared: Server) -> None:
    with listening(shared) as client:
        assert client.ask(PING) == {"type": "pong"}


@pytest.mark.parametrize(
    "data",
    [
        {"channel": "tasks"},
        {"channel": "logs"},
        {"channels": ["tasks", "logs"]},
        {"channels": []},
        {"channel": "logs", "note": {"kept": [1]}},
    ],
)
def test_a_subscription_is_confirmed_with_the_data_that_were_sent(
    shared: Server, data: Message
) -> None:
    with listening(shared) as client:
        answer = client.ask({"type": "subscribe", "data": data})
        assert answer == {"type": "subscribed", "data": data}


def test_a_subscription_without_data_is_one_to_the_broadcasts(shared: Server) -> None:
    with listening(shared) as client:
        assert client.ask({"type": "subscribe"}) == {"type": "subscribed", "data": {}}


@pytest.mark.parametrize("channel", ["status", "agents", "cost", "council"])
def test_a_subscription_to_a_value_gets_it_at_once(shared: Server, channel: str) -> None:
    with listening(shared, channel) as client:
        assert client.hear()["type"] == channel


@pytest.mark.parametrize("is_current", [True, False])
def test_a_subscriber_with_the_etag_of_a_list_learns_whether_it_is_current(
    shared: Server, is_current: bool
) -> None:
    etag = shared.get("/api/tasks").headers["ETag"].removeprefix("W/").strip('"')
    known = {"tasks": etag if is_current else "of another list"}
    command = {"type": "subscribe", "data": {"channels": ["tasks"], "known": known}}
    with listening(shared) as client:
        assert client.ask(command) == {**command, "type": "subscribed"}
        following = client.hear() if not is_current else client.ask(PING)
        assert following["type"] == ("pong" if is_current else "reset")
        assert is_current or following["data"]["channels"] == ["tasks"]


def test_a_value_is_what_the_rest_api_shows(shared: Server) -> None:
    with listening(shared, "cost") as client:
        assert client.hear()["data"] == shared.get("/api/cost").json()


ODD = [
    "[]",
    "5",
    "null",
    '"x"',
    "",
    "{",
    '{"type":5}',
    '{"type":"noise"}',
    '{"type":"subscribe","data":5}',
    '{"type":"subscribe","data":{"channel":{}}}',
    '{"type":"subscribe","data":{"channel":"no such channel"}}',
    '{"type":"subscribe","data":{"channels":"tasks"}}',
    '{"type":"subscribe","data":{"channels":[1]}}',
    '{"type":"subscribe","data":{"channel":"tasks","known":["tasks"]}}',
    '{"type":"subscribe","data":{"channel":"tasks","known":{"tasks":1}}}',
    '{"type":"ping","type":"ping"}',
    '{"type":NaN}',
    json.dumps({"type": "subscribe", "data": {"channel": "x" * 60_000}}),
    json.dumps({"type": "subscribe", "data": {"channels": ["c"] * 10_000}}),
    "[" * 30_000,
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_an_odd_message_is_answered_and_the_connection_goes_on(shared: Server, text: str) -> None:
    with listening(shared) as client:
        answer = client.ask(text)
        assert answer["type"] == "error"
        assert isinstance(answer["data"]["detail"], str)
        assert len(answer["data"]["detail"]) < 300
        assert client.ask(PING) == {"type": "pong"}


def test_a_binary_message_is_answered_and_the_connection_goes_on(shared: Server) -> None:
    with listening(shared) as client:
        client.socket.send_binary(b"\0\xff")
        assert client.hear()["type"] == "error"
        assert client.ask(PING) == {"type": "pong"}


def test_commands_of_one_packet_are_answered_in_order(shared: Server) -> None:
    """A subscription takes a moment; what comes after it waits."""
    with listening(shared) as client:
        said: list[Any] = [
            PING,
            {"type": "subscribe", "data": {"channel": "notifications"}},
            {"type": "unsubscribe", "data": {"channel": "notifications"}},
            PING,
        ]
        frames = [websocket.ABNF.create_frame(json.dumps(one), 1).format() for one in said]
        client.send_raw(b"".join(frames))
        types = [client.hear()["type"] for _ in said]
        assert types == ["pong", "subscribed", "unsubscribed", "pong"]


def test_a_message_in_fragments_is_one_message(shared: Server) -> None:
    with listening(shared) as client:
        frame = websocket.ABNF.create_frame
        client.send_raw(frame('{"type":', 1, 0).format())
        client.send_raw(frame("", 0, 0).format())
        client.send_raw(frame('"ping"}', 0, 1).format())
        assert client.hear() == {"type": "pong"}


def test_another_client_library_is_understood_too(shared: Server) -> None:
    with connect(f"ws://{shared.host}/ws") as socket:
        first = json.loads(socket.recv())
        assert socket.ping().wait(PATIENCE_SECONDS)
        socket.send(json.dumps(PING))
        assert [first["type"], json.loads(socket.recv())["type"]] == ["connected", "pong"]


def test_compression_is_not_negotiated(shared: Server) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    with listening(shared, header=offer) as client:
        assert "sec-websocket-extensions" not in client.socket.headers


UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade"}


@pytest.mark.parametrize(
    ("path", "headers", "status", "words"),
    [
        ("/ws", {}, 400, ["ws://", "Upgrade header", "/api/events"]),
        ("/ws", UPGRADE, 426, ["version 13"]),
        (
            "/ws",
            {**UPGRADE, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "short"},
            400,
            ["Sec-WebSocket-Key"],
        ),
        ("/", UPGRADE, 400, ["connect to /ws"]),
        ("/api/events", UPGRADE, 400, ["connect to /ws"]),
    ],
)
def test_a_malformed_handshake_is_refused_in_words(
    shared: Server, path: str, headers: dict[str, str], status: int, words: list[str]
) -> None:
    answer = shared.get(path, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"detail"}
    assert [word for word in words if word not in answer.json()["detail"]] == []


def test_large_cookies_do_not_break_the_handshake(shared: Server) -> None:
    many = {f"X-Note-{number}": "n" * 7000 for number in range(6)}
    with listening(shared, header=many) as client:
        assert client.ask(PING) == {"type": "pong"}
