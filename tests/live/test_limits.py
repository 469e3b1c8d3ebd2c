"""What one client can do to the others: nothing."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import websocket

from tests.live.clients import Client, listening, streaming, told
from tests.support.accounts import bearer, everybody
from tests.support.places import Place
from tests.support.servers import Server, serving
from tests.support.waiting import PATIENCE_SECONDS, wait_until

LISTEN = """
import sys, websocket
socket = websocket.create_connection(sys.argv[1])
print(socket.recv(), flush=True)
while True:
    socket.recv()
"""


@pytest.fixture
def server(place: Place) -> Iterator[Server]:
    with serving(place) as made:
        yield made


def fresh_connections(server: Server) -> int:
    """How many can connect at once until one is told that there are too many."""
    clients: list[Client] = []
    try:
        while len(clients) < 100:
            clients.append(Client(server.host))
            if clients[-1].socket.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE:
                return len(clients) - 1
        return len(clients)
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_more_than_the_most_are_told_to_try_later(place: Place, workers: int) -> None:
    with (
        serving(place, workers=workers, LOKI_MAX_WS_CONNECTIONS="5", LOKI_THREADS="2") as server,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(listening(server)) for _ in range(4)]
        stack.enter_context(streaming(server))
        surplus = [Client(server.host) for _ in range(6)]
        assert server.get("/health").status_code == 200
        assert [client.close_code() for client in surplus] == [1013] * 6
        full = server.get("/api/events")
        assert full.status_code == 503
        assert int(full.headers["Retry-After"]) >= 1
        for client in (*surplus, clients[0]):
            client.close()
        wait_until(lambda: fresh_connections(server) == 1, "the place of the one that left")


def test_a_viewer_cannot_take_the_places_of_others(place: Place) -> None:
    everybody(place)
    with (
        serving(place, LOKI_MAX_WS_CONNECTIONS="12", LOKI_ENTERPRISE_AUTH="true") as server,
        ExitStack() as stack,
    ):
        admitted = []
        for name in ["viewer"] * 12 + ["auditor"] * 4 + ["operator"]:
            client = Client(server.host, header=bearer(name))
            stack.callback(client.hang_up)
            opcode, _ = client.socket.recv_data(control_frame=True)
            admitted += [name] * (opcode == websocket.ABNF.OPCODE_TEXT)
        assert admitted == ["viewer"] * 8 + ["auditor"] * 3 + ["operator"]


def reset(client: Client) -> None:
    """Hang up without a goodbye, as a crashed host does."""
    assert client.socket.sock is not None
    client.socket.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.hang_up()


def test_a_client_that_vanishes_leaves_a_place_free(place: Place) -> None:
    with serving(place, LOKI_MAX_WS_CONNECTIONS="3") as server:
        for _ in range(3):
            clients = [Client(server.host) for _ in range(3)]
            for client in clients:
                assert client.hear()["type"] == "connected"
            reset(clients[0])
            clients[1].close()
            clients[2].hang_up()
            wait_until(lambda: fresh_connections(server) == 3, "three free places")


def test_the_places_of_a_killed_worker_are_free_again(place: Place) -> None:
    with (
        serving(place, workers=1, LOKI_MAX_WS_CONNECTIONS="2") as server,
        listening(server),
        listening(server),
    ):
        assert fresh_connections(server) == 0
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: connects(server) and fresh_connections(server) == 2, "free places")


def connects(server: Server) -> bool:
    with contextlib.suppress(OSError):
        return server.get("/health").status_code == 200
    return False


def test_a_stuck_client_makes_nobody_wait(place: Place, server: Server) -> None:
    """Neither one that never reads, nor one whose process is stopped."""
    url = f"ws://{server.host}/ws"
    stopped = subprocess.Popen([sys.executable, "-c", LISTEN, url], stdout=subprocess.PIPE)
    try:
        assert stopped.stdout is not None
        assert b"connected" in stopped.stdout.readline()
        stopped.send_signal(signal.SIGSTOP)
        with listening(server) as stuck, ExitStack() as stack:
            good = [stack.enter_context(listening(server)) for _ in range(5)]
            for number in range(60):
                title = f"{number} " + "x" * 100_000
                place.write("queue/pending.json", [{"id": f"t{number}", "title": title}])
                for client in good:
                    while (kind := told([client.hear()])[0]) == ("task_removed", kind[1]):
                        continue  # those before it are in no queue
                    assert kind == ("task_created", f"t{number}")
            wait_until(lambda: connection_count(server) <= 6, "the end of the one that is stuck")
            assert len(stuck.hear_to_end()[0]) < 60
    finally:
        stopped.kill()
        stopped.wait()
        stopped.stdout.close() if stopped.stdout else None


def connection_count(server: Server) -> int:
    """Established connections at the server's port, seen from the kernel."""
    port = int(server.host.rpartition(":")[2])
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return sum(row[3] == "01" and int(row[1].rpartition(":")[2], 16) == port for row in rows)


def test_a_message_too_large_ends_with_1009(server: Server) -> None:
    with listening(server) as client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        with contextlib.suppress(OSError):
            client.say("x" * 10_000_000)
        assert client.close_code() == 1009


def test_endless_fragments_end_with_1009(server: Server) -> None:
    with listening(server) as client:
        fragment = websocket.ABNF.create_frame("", 1, 0).format()
        more = websocket.ABNF.create_frame("", 0, 0).format()
        with contextlib.suppress(OSError):
            client.send_raw(fragment + more * 100_000)
        assert client.close_code() == 1009


def test_a_flood_of_questions_leaves_others_their_answers(server: Server) -> None:
    ping = websocket.ABNF.create_frame('{"type":"ping"}', 1).format()
    with listening(server) as loud, listening(server) as quiet:
        loud.socket.sock.setblocking(False)  # type: ignore[union-attr]
        for _ in range(200):
            with contextlib.suppress(OSError):
                loud.send_raw(ping * 1000)
            assert quiet.ask({"type": "ping"}) == {"type": "pong"}


def test_gunicorn_still_serves_after_a_thousand_sockets(place: Place) -> None:
    """More than ten times as many as it may have at once, so that none may be lost count of."""
    with serving(place, LOKI_THREADS="4", GUNICORN_CMD_ARGS="--worker-connections 100") as server:
        handshake = (
            f"GET /ws HTTP/1.1\r\nHost: {server.host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        ).encode()
        name, _, port = server.host.partition(":")
        for _ in range(20):
            batch = [
                socket.create_connection((name, int(port)), timeout=PATIENCE_SECONDS)
                for _ in range(50)
            ]
            for one in batch:
                one.sendall(handshake)
            for one in batch:
                assert one.recv(4096).startswith(b"HTTP/1.1 101")
                one.close()
        assert all(server.get("/health").status_code == 200 for _ in range(20))
        with listening(server) as client:
            assert client.ask({"type": "ping"}) == {"type": "pong"}
        assert not [line for line in server.errors if "ERROR" in line or "Traceback" in line]
