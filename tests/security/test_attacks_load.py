"""Clients who want the server down: each attack has more of them than there are threads, or places,
and none has a token; somebody else is served all the while.

What a thread has to wait for, and for how long, is in `contract/test_slow_clients.py`.
"""

import contextlib
import http.client
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import requests
import websocket

from tests.live.clients import listening
from tests.support import places
from tests.support.accounts import everybody, raw
from tests.support.patience import serves, with_patience
from tests.support.places import Place
from tests.support.servers import Server, environment, free_port, running, serving
from tests.support.tls import secured, serving_tls
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tests.support.wire import connect, head, received

THREADS = 2
MANY = 12  # far more than threads
PLACES = 60  # connections of a worker, fewer than attackers
BODY = head(
    "POST /api/control/pause HTTP/1.1", "Content-Type: application/json", "Content-Length: 900000"
)
CHUNKS = head(
    "POST /api/control/pause HTTP/1.1",
    *("Content-Type: application/json", "Transfer-Encoding: chunked"),
)
EXPECTING = BODY[:-2] + b"Expect: 100-continue\r\n\r\n"
HUGE = head("POST /api/control/pause HTTP/1.1", "Content-Length: 99999999999")
TOKEN = f"Authorization: Bearer {raw('operator')}"
SLOW = head(
    "POST /api/control/pause HTTP/1.1",
    *(TOKEN, "Content-Type: application/json", "Content-Length: 900000"),
)
PIPELINED = head("GET /api/tasks HTTP/1.1", TOKEN) * 50  # more than the system's buffers hold
HANDSHAKE = head(
    "GET /ws HTTP/1.1",
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)
LAST = head("GET /health HTTP/1.1", "Connection: close")
MOVED = head("GET /health HTTP/1.1", "SCRIPT_NAME: /health", "Connection: close")
WITHOUT_A_THREAD = {
    "nothing": b"",
    "half a head": b"GET /hea",
    "half a body, which is refused": BODY + b"{",
    "half a chunk, which is refused": CHUNKS + b"5\r\n{",
    "a body that waits for a word": EXPECTING,
    "a body beyond all bounds": HUGE + b"x" * 10_000,
    "half a head after an answer": head("GET /health HTTP/1.1") + b"GET /hea",
    "half a head after blank lines": b"\r\n\r\nGET /hea",
    "answers that are not taken": PIPELINED,
    "a body with a token": SLOW,
    "an end that is not taken": LAST,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = places.empty(tmp_path_factory.mktemp("load"))
    everybody(place)
    place.write("queue/pending.json", [{"id": f"t{n}", "title": "x" * 900} for n in range(2000)])
    return place


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With these settings a client that takes a thread keeps it."""
    return with_patience(tmp_path_factory.mktemp("patient"), head=3600, request=3600)


@pytest.fixture(scope="module")
def server(place: Place, patient: Path) -> Iterator[Server]:
    settings = {"LOKI_THREADS": str(THREADS), "LOKI_ENTERPRISE_AUTH": "true"}
    with serving(place, workers=1, conf=patient, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def secure(place: Place, patient: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that speaks TLS."""
    settings = {"LOKI_THREADS": str(THREADS), "LOKI_ENTERPRISE_AUTH": "true"}
    with serving_tls(place, tmp_path_factory.mktemp("tls"), conf=patient, **settings) as host:
        yield int(host.rpartition(":")[2])


@pytest.mark.parametrize("name", WITHOUT_A_THREAD)
def test_no_client_takes_a_thread_by_taking_its_time(server: Server, name: str) -> None:
    with ExitStack() as stack:
        for _ in range(MANY):
            sock = stack.enter_context(connect(server))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            sock.sendall(WITHOUT_A_THREAD[name])
        serves(server.url)


def plain(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


TLS: dict[str, tuple[Callable[[int], socket.socket], bytes]] = {
    "nothing": (plain, b""),
    "a byte of a handshake": (plain, b"\x16"),
    "half a handshake": (plain, b"\x16\x03\x01\x02\x00\x01\x00\x01"),
    "half a head": (secured, b"GET /hea"),
    "answers that are not taken": (secured, PIPELINED),
    "a body with a token": (secured, SLOW),
    "no TLS": (plain, LAST),
    "an end that is not taken": (secured, LAST),
    "a body that is refused": (secured, BODY + b"{"),
}


@pytest.mark.parametrize("name", TLS)
def test_no_client_takes_a_thread_over_tls(secure: int, name: str) -> None:
    made, said = TLS[name]
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(made(secure)).sendall(said)
        serves(f"https://127.0.0.1:{secure}")


@pytest.mark.parametrize(
    "name",
    [
        *("nothing", "half a head", "half a body, which is refused", "an end that is not taken"),
        *("answers that are not taken", "a body with a token"),
    ],
)
def test_no_client_takes_a_thread_at_a_unix_socket(
    place: Place, patient: Path, tmp_path: Path, name: str
) -> None:
    port, path = free_port(), str(tmp_path / "s")
    options = ["--bind", f"unix:{path}", "--bind", f"127.0.0.1:{port}"]
    served = serving(
        place, conf=patient, options=options, LOKI_DASHBOARD_PORT=str(port),
        LOKI_THREADS=str(THREADS), LOKI_ENTERPRISE_AUTH="true",
    )  # fmt: skip
    with served, ExitStack() as stack:
        for said in [WITHOUT_A_THREAD[name]] * MANY + [MOVED]:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.settimeout(PATIENCE_SECONDS)
            sock.connect(path)
            sock.sendall(said)
        assert received(sock).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("said", [b"", b"GET /hea", head("GET /health HTTP/1.1")])
def test_silent_connections_make_room(place: Place, patient: Path, said: bytes) -> None:
    few = f"--worker-connections {PLACES}"
    settings = {"LOKI_THREADS": str(THREADS), "GUNICORN_CMD_ARGS": few}
    with serving(place, workers=1, conf=patient, **settings) as server, ExitStack() as stack:
        for _ in range(3 * PLACES):
            stack.enter_context(connect(server)).sendall(said)
        serves(server.url)
        process = psutil.Process(server.workers()[0])
        wait_until(lambda: len(process.net_connections()) < 2 * PLACES, "room")


def test_silent_connections_make_room_at_the_cost_of_their_own_address(
    place: Place, patient: Path
) -> None:
    few = f"--worker-connections {PLACES}"
    settings = {"LOKI_THREADS": str(THREADS), "GUNICORN_CMD_ARGS": few}
    with serving(place, workers=1, conf=patient, **settings) as server, ExitStack() as stack:
        other = http.client.HTTPConnection(server.host, source_address=("127.0.0.2", 0))
        stack.callback(other.close)
        other.request("GET", "/health")
        assert other.getresponse().read()
        kept = other.sock
        for _ in range(3 * PLACES):
            stack.enter_context(connect(server)).sendall(b"GET /hea")
        serves(server.url)
        other.request("GET", "/health")
        assert other.getresponse().status == 200
        assert other.sock is kept


def test_a_server_starts_with_few_descriptors(place: Place) -> None:
    host = f"127.0.0.1:{free_port()}"
    command = ["prlimit", "--nofile=48:64", sys.executable, "-m", "gunicorn"]
    command += ["-c", "gunicorn.conf.py", "wsgi:app", "--bind", host]
    with running(command, environment(place, LOKI_WORKERS="1"), host) as server:
        (pid,) = server.workers()
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (64, 64)
        with ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(plain(int(host.rpartition(":")[2]))).sendall(HANDSHAKE)
            serves(server.url)
        serves(server.url)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_without_descriptors_goes_on_with_fewer_connections(
    place: Place, workers: int
) -> None:
    few = 100
    threads = str(THREADS)
    with serving(place, workers=workers, LOKI_THREADS=threads) as server, ExitStack() as stack:
        pid, *others = before = server.workers()
        for other in others:  # it has fewer connections, and accepts none
            os.kill(other, signal.SIGSTOP)
            stack.callback(os.kill, other, signal.SIGCONT)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))
        for _ in range(3 * few):
            stack.enter_context(connect(server))
        for _ in range(5):  # who comes while the last descriptor is in use waits
            wait_until(lambda: works(server), "an answer")
        stack.close()
        wait_until(lambda: works(server), "an answer")
        serves(server.url)
        assert server.workers() == before


@pytest.mark.parametrize("free", [2, 40])
def test_live_connections_leave_descriptors_for_requests(place: Place, free: int) -> None:
    with serving(place, workers=1, LOKI_THREADS=str(THREADS)) as server, ExitStack() as stack:
        [pid] = server.workers()
        few = free + psutil.Process(pid).num_fds()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))
        for _ in range(2 * few):
            stack.enter_context(connect(server)).sendall(HANDSHAKE)
        serves(server.url)


SLOW_APP = """
import os, time
def app(environ, start_response):
    if environ["PATH_INFO"] != "/health":
        with open({begun!r}, "a") as stream:
            stream.write("x")
        while not os.path.exists({over!r}):
            time.sleep(0.01)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
EXPENSIVE = [
    "/api/registry/tasks",
    "/api/%72egistry/tasks?a=1",
    "http://localhost/api/registry/tasks",
    "/prefix/api/registry/discover",
    "/api/fleet",  # 12 s after a start with 1,900 projects
    "/api/running-projects",
]


def test_long_computations_use_a_quarter_of_the_threads(place: Place, tmp_path: Path) -> None:
    begun, over = tmp_path / "begun", tmp_path / "over"
    (tmp_path / "slow_app.py").write_text(SLOW_APP.format(begun=str(begun), over=str(over)))
    served = serving(
        place, target="slow_app:app", options=["--pythonpath", str(tmp_path)], LOKI_THREADS="4"
    )
    with served as server, ExitStack() as stack:
        socks = []
        for target in EXPENSIVE * 3:
            sock = stack.enter_context(connect(server))
            sock.sendall(head(f"GET {target} HTTP/1.1", "Connection: close"))
            socks.append(sock)
        wait_until(begun.exists, "a request at work")
        serves(server.url)
        assert begun.read_text() == "x"
        over.touch()
        for sock in socks:
            assert received(sock).startswith(b"HTTP/1.1 200")
        assert begun.read_text() == "x" * len(socks)


def works(server: Server) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{server.url}/health", timeout=5).status_code == 200
    return False


MOST_BYTES = 100 << 20  # far more than what the buffers of two systems hold
PONG = b'\x81\x0f{"type":"pong"}'
FLOODS = {
    "pings": websocket.ABNF.create_frame(b"", 9).format(),
    "questions": websocket.ABNF.create_frame('{"type":"ping"}', 1).format(),
    "nonsense": websocket.ABNF.create_frame("x", 1).format(),
    "subscriptions": websocket.ABNF.create_frame('{"type":"subscribe"}', 1).format(),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_client_that_reads_no_answers_costs_no_memory(place: Place, name: str) -> None:
    frame = FLOODS[name]
    with serving(place) as server, listening(server) as client, listening(server) as other:
        sock = client.socket.sock
        assert sock is not None
        sock.setblocking(False)
        process = psutil.Process(server.workers()[0])
        before, sent, turns = process.memory_info().rss, 0, 0
        while turns < 50 and sent < MOST_BYTES:
            try:
                sent += sock.send((frame * 3000)[sent % len(frame) :])
                turns = 0
            except BlockingIOError:
                assert other.ask({"type": "ping"}) == {"type": "pong"}
                turns += 1  # in which the server took nothing
        assert 100_000 < sent < MOST_BYTES
        grown = process.memory_info().rss - before
        assert grown < 20 * 1024 * 1024, grown
        assert other.ask({"type": "ping"}) == {"type": "pong"}


def test_a_client_that_reads_late_gets_all_answers(place: Place) -> None:
    ping = websocket.ABNF.create_frame('{"type":"ping"}', 1).format()
    count = 60_000  # answers of a megabyte, four times what may wait
    with serving(place) as server, listening(server) as client, listening(server) as other:
        sock = client.socket.sock
        assert sock is not None
        asking = threading.Thread(target=sock.sendall, args=(ping * count,))
        asking.start()
        for _ in range(50):  # turns of the server in which nothing is taken
            assert other.ask({"type": "ping"}) == {"type": "pong"}
        came = 0
        while came < len(PONG) * count:
            came += len(sock.recv(65536))
        asking.join()
