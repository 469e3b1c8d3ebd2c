"""The feed over TLS that gunicorn itself speaks, where a socket cannot leave its object."""

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from tests.live.clients import Client, Message
from tests.places import Place
from tests.servers import ROOT, environment, free_port

PING = {"type": "ping"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.fixture
def host(place: Place, certificate: tuple[str, str], tmp_path: Path) -> Iterator[str]:
    """Where a server speaks TLS; it has to end cleanly and without a fault in its log."""
    port, (cert, key) = free_port(), certificate
    settings = {"LOKI_TLS_CERT": cert, "LOKI_TLS_KEY": key, "LOKI_DASHBOARD_PORT": str(port)}
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    said = tmp_path / "said"
    with (
        said.open("w") as stderr,
        subprocess.Popen(
            command, cwd=ROOT, env=environment(place, LOKI_WORKERS="1", **settings), stderr=stderr
        ) as process,
    ):
        try:
            assert is_reachable(port), said.read_text()
            yield f"127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=20)
    assert code == 0
    assert not [line for line in said.read_text().splitlines() if "ERROR" in line]


def is_reachable(port: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), secured(port):
            return True
        time.sleep(0.05)
    return False


def secured(port: int) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))


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
