"""Clients that take their time do not cost the others theirs.

Most of them meet a server that waits for an hour, so that who is held up by them never gets an
answer; what an end is put to is tried with one that waits for a second or two.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.support import places
from tests.support.patience import serves, with_patience
from tests.support.places import Place
from tests.support.servers import Server, serving
from tests.support.wire import Answer, answers_in, connect, exchange, head, received

THREADS = 2
SLOW = 8  # clients, far more than threads


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = places.empty(tmp_path_factory.mktemp("slow"))
    place.write("queue/pending.json", [{"id": f"t{n}", "title": "x" * 900} for n in range(2000)])
    return place


@pytest.fixture(scope="module")
def server(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    conf = with_patience(tmp_path_factory.mktemp("patient"), head=3600, request=3600)
    with serving(place, conf=conf, LOKI_THREADS=str(THREADS)) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    conf = with_patience(tmp_path_factory.mktemp("hasty"), head=1, request=2)
    with serving(place, conf=conf, LOKI_THREADS=str(THREADS)) as server:
        yield server


def dribble(sock: socket.socket, data: bytes, over: Event) -> int:
    """Send byte after byte.

    :return: how many went before the server had enough, or it was over.
    """
    for position in range(len(data)):
        if over.wait(0.03):
            return position
        try:
            sock.sendall(data[position : position + 1])
        except OSError:
            return position
    return len(data)


@contextmanager
def dribbling(server: Server, data: bytes, *, at_once: int = 0) -> Iterator[None]:
    """Clients that send a beginning and then byte after byte."""
    over = Event()

    with ExitStack() as stack:
        socks = [stack.enter_context(connect(server)) for _ in range(SLOW)]
        threads = [Thread(target=dribble, args=(sock, data[at_once:], over)) for sock in socks]
        for sock, thread in zip(socks, threads, strict=True):
            sock.sendall(data[:at_once])
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()


LONG_HEAD = head("GET /health HTTP/1.1", f"X-Long: {'a' * 5000}")


@pytest.mark.parametrize("at_once", [0, 1, 20, 4000])
def test_a_request_that_comes_byte_by_byte_holds_nobody_up(server: Server, at_once: int) -> None:
    with dribbling(server, LONG_HEAD, at_once=at_once):
        serves(server.url)


def test_connections_on_which_nothing_comes_hold_nobody_up(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(SLOW):
            stack.enter_context(connect(server))
        serves(server.url)


def test_a_request_in_pieces_is_answered_once_it_is_there(server: Server) -> None:
    request = head("GET /health HTTP/1.1", "Connection: close")
    with connect(server) as sock:
        for byte in request:
            sock.sendall(bytes([byte]))
            serves(server.url, times=1)  # the piece that came before has been seen
        (answer,) = answers_in(received(sock))
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")


def test_requests_in_one_breath_are_answered_in_order(server: Server) -> None:
    ways = ["/health", "/api/nothing", "/api/pricing", "/health"]
    requests = [head(f"GET {way} HTTP/1.1") for way in ways]
    last = head("GET /api/budget HTTP/1.1", "Connection: close")
    found = exchange(server, b"".join([*requests, last]))
    assert [answer.status_code for answer in found] == [200, 404, 200, 200, 200]
    assert "models" in found[2].json()


NO_TIME_AFTER_A_RESPONSE = """
from loki_web.server import worker
from loki_web.server.conf import *
worker._REST_SECONDS = -1.0
"""


def test_a_thread_that_is_interrupted_after_a_response_keeps_the_connection_alive(
    place: Place, tmp_path: Path
) -> None:
    conf = places.write(tmp_path / "conf.py", NO_TIME_AFTER_A_RESPONSE)
    with serving(place, conf=conf) as server:
        data = head("GET /health HTTP/1.1") + head("GET /health HTTP/1.1", "Connection: close")
        first, last = exchange(server, data)
        assert (first.status_code, last.status_code) == (200, 200)


def test_many_requests_on_one_connection_each_in_pieces(server: Server) -> None:
    request = head("GET /health HTTP/1.1")
    with connect(server) as sock:
        for _ in range(3):
            sock.sendall(request[:10])
            serves(server.url, times=1)
            sock.sendall(request[10:])
            answer = b""
            while not answer.endswith(b"}\n"):
                answer += sock.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")


def answer_to(server: Server, data: bytes) -> Answer:
    with connect(server) as sock:
        sock.sendall(data)
        (answer,) = answers_in(received(sock))
    return answer


def test_a_head_without_an_end_is_turned_away(hasty: Server) -> None:
    answer = answer_to(hasty, LONG_HEAD[:-2])
    assert (answer.status_code, set(answer.json())) == (408, {"detail"})


def test_a_head_that_comes_too_slowly_is_turned_away(hasty: Server) -> None:
    with connect(hasty) as sock:
        assert dribble(sock, LONG_HEAD, Event()) < len(LONG_HEAD)


def test_a_head_beyond_all_bounds_is_turned_away(server: Server) -> None:
    answer = answer_to(
        server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 20_000
    )
    assert (answer.status_code, set(answer.json())) == (431, {"detail"})


SLOW_BODY = head(
    "POST /api/control/pause HTTP/1.1", "Content-Type: application/json", "Content-Length: 900000"
)


def test_a_body_that_does_not_come_holds_a_thread_for_a_bounded_time(
    hasty: Server, place: Place
) -> None:
    with dribbling(hasty, SLOW_BODY + b" " * 900_000, at_once=len(SLOW_BODY)):
        serves(hasty.url, times=1)
    assert not (place.loki / "PAUSE").exists()


def test_an_answer_that_nobody_takes_holds_a_thread_for_a_bounded_time(hasty: Server) -> None:
    request = head("GET /api/tasks HTTP/1.1")
    with ExitStack() as stack:
        for _ in range(THREADS):
            sock = stack.enter_context(connect(hasty))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            sock.sendall(request * 10)
            assert sock.recv(1)  # a thread is at work
        serves(hasty.url, times=1)


def test_those_who_hang_up_leave_nothing_behind(server: Server) -> None:
    for end in (0, 1, 30, len(LONG_HEAD) - 1):
        for _ in range(5):
            with connect(server) as sock:
                sock.sendall(LONG_HEAD[:end])
    process = server.workers()
    serves(server.url)
    assert server.workers() == process
    assert not [line for line in server.errors if "Traceback" in line]
