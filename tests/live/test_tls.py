"""The feed over TLS that gunicorn itself speaks, where a socket cannot leave its object."""

import json
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import websocket

from loki_web.cli.feed_client import Refused, follow
from loki_web.live import messages
from tests.live.clients import Client, Message
from tests.live.hubs import Bench
from tests.support.places import Place
from tests.support.tls import certificate, secured, serving_tls

PING = {"type": "ping"}


@pytest.fixture
def host(place: Place, tmp_path: Path) -> Iterator[str]:
    with serving_tls(place, tmp_path) as found:
        yield found


def connect(host: str) -> Client:
    client = Client(host, scheme="wss", sslopt={"cert_reqs": ssl.CERT_NONE})
    assert client.hear()["type"] == "connected"
    return client


def test_sockets_over_tls_get_what_changes(place: Place, host: str) -> None:
    clients = [connect(host) for _ in range(20)]
    place.write("queue/pending.json", [{"id": "a", "title": "x" * 100_000}])
    for client in clients:
        assert client.hear()["type"] == "task_created"
        assert client.ask(PING) == {"type": "pong"}
        client.close()
    again = connect(host)
    again.close()


def test_many_frames_in_one_record_are_all_answered(host: str) -> None:
    """They lie in the TLS layer, where no selector sees them."""
    client = connect(host)
    ping = websocket.ABNF.create_frame(json.dumps(PING), 1).format()
    subscribe = websocket.ABNF.create_frame('{"type":"subscribe"}', 1).format()
    client.send_raw(subscribe + ping * 300 + subscribe + ping * 300)
    types = [client.hear()["type"] for _ in range(602)]
    assert types.count("pong") == 600
    client.close()


def test_event_streams_over_tls_get_what_changes(place: Place, host: str) -> None:
    with secured(int(host.rpartition(":")[2])) as stream:
        stream.sendall(f"GET /api/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert "connected" in read_until(stream, b"connected")
        place.write("queue/pending.json", [{"id": "a"}])
        assert "task_created" in read_until(stream, b"task_created")


def read_until(stream: ssl.SSLSocket, mark: bytes) -> str:
    data = b""
    while mark not in data:
        data += stream.recv(65536)
    return data.decode()


def test_a_peer_that_vanishes_without_a_tls_goodbye_is_forgotten(host: str) -> None:
    for _ in range(10):
        connect(host).hang_up()
    client = connect(host)
    answer: Message = client.ask(PING)
    assert answer == {"type": "pong"}
    client.close()


def test_a_terminal_follows_a_server_whose_certificate_it_is_given(
    host: str, tmp_path: Path
) -> None:
    url, certificate = f"https://{host}", str(tmp_path / "cert.pem")
    messages = follow(url, ["tasks"], ca_file=certificate)
    assert next(messages)["type"] == "connected"
    messages.close()
    with pytest.raises(Refused, match="not trusted"):
        next(follow(url))
    with pytest.raises(Refused, match="is not a readable file of PEM certificates"):
        next(follow(url, ca_file=str(tmp_path / "key.pem")))


def test_a_slow_reader_is_told_why_it_has_to_go(tmp_path: Path) -> None:
    """TLS takes nothing else before it has written the rest of a record."""
    server, client = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    server.load_cert_chain(*certificate(tmp_path))
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor() as pool:
        secured_ours = pool.submit(server.wrap_socket, ours, server_side=True)
        secured_theirs = client.wrap_socket(theirs)
    bench = Bench()
    peer = bench.meet(secured_ours.result(), secured_theirs)
    for _ in range(12):
        bench.publish("tasks", messages.Message("task_updated", {"title": "x" * 100_000}))
    closing = None
    for _ in range(20):
        closing = closing or peer.closing()
        bench.turn()
    assert closing is not None
    assert closing.code == 1013
    bench.close()
