"""When the server ends or reloads, sockets are told at once and requests are finished."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import requests

from tests.live.clients import Client, listening, streaming, until
from tests.places import Place
from tests.servers import Server, serving


class Codes:
    """Reads from clients until each is closed."""

    def __init__(self, clients: list[Client]) -> None:
        self.found: dict[int, tuple[int, float]] = {}
        self._threads = [
            threading.Thread(target=self._read, args=item) for item in enumerate(clients)
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, number: int, client: Client) -> None:
        code = client.close_code()
        self.found[number] = code, time.monotonic()

    def wait(self) -> list[tuple[int, float]]:
        for thread in self._threads:
            thread.join()
        return list(self.found.values())


def test_sigterm_closes_sockets_with_1001_and_ends_quickly(place: Place) -> None:
    with serving(place, workers=2) as server, ExitStack() as stack:
        clients = [stack.enter_context(listening(server)) for _ in range(6)]
        stream = stack.enter_context(streaming(server))
        codes = Codes(clients)
        started = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - started < 3
        assert all(code == 1001 and at - started < 1 for code, at in codes.wait())
        assert stream.ended()


def test_clients_that_do_not_answer_do_not_hold_the_server_up(place: Place) -> None:
    with serving(place) as server, listening(server), listening(server):
        started = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - started < 3


def test_a_request_at_work_is_finished_while_sockets_are_told_at_once(place: Place) -> None:
    with serving(place) as server, listening(server) as client:
        codes = Codes([client])
        answers: list[requests.Response] = []
        slow = SlowBody(server)
        request = threading.Thread(target=lambda: answers.append(slow.send()))
        request.start()
        slow.has_begun.wait(5)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        ((code, at),) = codes.wait()
        assert code == 1001
        assert at - started < 1
        slow.may_end.set()
        request.join()
        assert answers[0].status_code == 200
        assert server.process.wait(timeout=10) == 0


class SlowBody:
    """A request whose body comes in two parts."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.has_begun = threading.Event()
        self.may_end = threading.Event()

    def send(self) -> requests.Response:
        def parts() -> Iterator[bytes]:
            yield b"{"
            time.sleep(0.2)
            self.has_begun.set()
            self.may_end.wait(10)
            yield b"}"

        headers = {"Content-Type": "application/json"}
        return self._server.post("/api/control/pause", data=parts(), headers=headers)


def test_reload_closes_sockets_and_new_workers_serve(place: Place) -> None:
    with serving(place, workers=2) as server, listening(server) as client:
        codes = Codes([client])
        started = time.monotonic()
        server.process.send_signal(signal.SIGHUP)
        ((code, at),) = codes.wait()
        assert code == 1001
        assert at - started < 6  # the new workers start first
        assert until(lambda: server.get("/health").status_code == 200)
        with listening(server) as again:
            place.write("queue/pending.json", [{"id": "a"}])
            assert again.hear()["type"] == "task_created"


def test_an_ordinary_end_leaves_no_trace_in_the_log(place: Place) -> None:
    with serving(place) as server:
        with listening(server), streaming(server):
            place.write("queue/pending.json", [{"id": "a"}])
        for _ in range(5):
            Client(server.host).close()
        assert server.end() == 0
        assert not [line for line in server.errors if "Traceback" in line or "ERROR" in line]
