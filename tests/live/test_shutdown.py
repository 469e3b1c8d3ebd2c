"""When the server ends or reloads, sockets are told at once and requests are finished."""

import signal
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tests.live.clients import Client, listening, streaming
from tests.support import places
from tests.support.patience import serves
from tests.support.places import Place
from tests.support.servers import Server, serving
from tests.support.waiting import wait_until
from tests.support.wire import answers_in, connect, head, received


def serving_for_ever(place: Place, workers: int = 1) -> AbstractContextManager[Server]:
    """A server whose workers are not killed when they hesitate to end."""
    return serving(place, workers=workers, GUNICORN_CMD_ARGS="--graceful-timeout 3600")


def test_sigterm_closes_sockets_with_1001_and_ends(place: Place) -> None:
    with serving_for_ever(place, workers=2) as server, ExitStack() as stack:
        clients = [stack.enter_context(listening(server)) for _ in range(6)]
        stream = stack.enter_context(streaming(server))
        assert server.end() == 0
        assert [client.close_code() for client in clients] == [1001] * 6
        assert stream.hear_to_end() == []


def test_clients_that_do_not_answer_do_not_hold_the_server_up(place: Place) -> None:
    with serving_for_ever(place) as server, listening(server), listening(server):
        assert server.end() == 0


def test_a_request_at_work_is_finished_while_sockets_are_told_at_once(place: Place) -> None:
    expecting = ("Expect: 100-continue", "Content-Type: application/json", "Content-Length: 2")
    with serving_for_ever(place) as server, listening(server) as client, connect(server) as sock:
        sock.sendall(head("POST /api/control/pause HTTP/1.1", *expecting))
        assert sock.recv(4096).startswith(b"HTTP/1.1 100")  # it is at work and waits for the body
        server.process.send_signal(signal.SIGTERM)
        assert client.close_code() == 1001
        sock.sendall(b"{}")
        (answer,) = answers_in(received(sock))
        assert answer.status_code == 200
        assert server.process.wait() == 0


def test_reload_closes_sockets_and_new_workers_serve(place: Place) -> None:
    with serving(place, workers=2) as server, listening(server) as client:
        before = server.workers()
        server.process.send_signal(signal.SIGHUP)
        assert client.close_code() == 1001
        assert server.get("/health").status_code == 200
        wait_until(lambda: server.has_replaced(before), "the new workers alone")
        with listening(server) as again:
            place.write("queue/pending.json", [{"id": "a"}])
            assert again.hear()["type"] == "task_created"


SLOW_START = """
import os, time
from loki_web.server.conf import *
def post_fork(server, worker):
    while os.path.exists({flag!r}):
        time.sleep(0.01)
"""


def test_old_workers_serve_until_the_new_ones_do(place: Place, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    conf = places.write(tmp_path / "conf.py", SLOW_START.format(flag=str(flag)))
    with serving(place, conf=conf) as server:
        before = server.workers()
        flag.touch()
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(server.workers()) == 2, "a new worker")
        serves(server.url)
        assert set(before) < set(server.workers())
        flag.unlink()
        wait_until(lambda: server.has_replaced(before), "the new worker alone")


def test_an_ordinary_end_leaves_no_trace_in_the_log(place: Place) -> None:
    with serving(place) as server:
        with listening(server), streaming(server):
            place.write("queue/pending.json", [{"id": "a"}])
        for _ in range(5):
            Client(server.host).close()
        assert server.end() == 0
        assert not [line for line in server.errors if "Traceback" in line or "ERROR" in line]
