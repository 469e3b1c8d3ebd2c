"""gunicorn's stock `gthread` worker serves the same; other classes are refused."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.commands import is_one_complaint, run
from tests.live.clients import listening
from tests.support import answers, places
from tests.support.places import Place
from tests.support.servers import Server, serving
from tests.support.waiting import wait_until
from tests.support.wire import exchange, head

CHUNKED = ("Content-Type: application/json", "Transfer-Encoding: chunked")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, sleeper: int) -> Place:
    folder = tmp_path_factory.mktemp("stock") / "place"
    return places.recorded(folder, live_pid=sleeper, today=True)


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[Server]:
    with serving(place, LOKI_WORKER_CLASS="gthread", LOKI_ENTERPRISE_AUDIT="true") as server:
        yield server


def test_the_stock_worker_runs(server: Server) -> None:
    assert any("Using worker: gthread" in line for line in server.errors)


def test_every_get_answers_as_described(server: Server) -> None:
    document = server.get("/openapi.json").json()
    for template in answers.gets():
        for path in answers.addresses(server.get, template):
            answers.check(document, template, path, server.get(path))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (head("GET /" + "a" * 9000 + " HTTP/1.1"), 414),
        (head("POST /api/control/pause HTTP/1.1", *CHUNKED) + b"no number\r\n", 400),
        (head("GET /nowhere HTTP/1.1", "Connection: close"), 404),
        (head("POST /api/status HTTP/1.1", "Connection: close"), 405),
        (head("GET /api/status HTTP/1.1", "Connection: close", host="evil.example"), 403),
    ],
)
def test_errors_are_json(server: Server, data: bytes, status: int) -> None:
    (answer,) = exchange(server, data, hang_up=True)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_the_live_feed_takes_no_thread(server: Server, place: Place) -> None:
    with ExitStack() as ends:
        clients = [ends.enter_context(listening(server)) for _ in range(12)]  # more than threads
        assert server.get("/health").status_code == 200
        place.write("queue/pending.json", [{"id": "new"}])
        assert {client.hear()["type"] for client in clients} <= {"task_created", "task_moved"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gevent", "eventlet", "tornado", "sync", "asgi"])
def test_other_worker_classes_are_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    place = places.empty(tmp_path)
    by_setting = {"LOKI_WORKER_CLASS": name}
    by_option = {"LOKI_THREADS": "1", "GUNICORN_CMD_ARGS": f"--worker-class {name}"}
    for settings in (by_setting, by_option):
        done = run(
            place, "-c", "gunicorn.conf.py", "wsgi:app", module="gunicorn", settings=settings
        )
        assert is_one_complaint(done)
        assert "live feed" in done.stderr


def test_gunicorns_own_option_selects_the_stock_worker(tmp_path: Path) -> None:
    with serving(places.empty(tmp_path), options=["--worker-class", "gthread"]) as server:
        assert any("Using worker: gthread" in line for line in server.errors)


TRIMMED = """
import sys
from loki_web.server import heap, worker
from loki_web.server.conf import *
worker._TRIM_SECONDS = {seconds}
trim = heap.trim
def trim_and_tell():
    trim()
    print("trimmed", file=sys.stderr, flush=True)
heap.trim = trim_and_tell
"""


@pytest.mark.parametrize("seconds", [0.01, 3600.0])
def test_free_memory_goes_back_to_the_system_after_requests(
    place: Place, tmp_path: Path, seconds: float
) -> None:
    conf = places.write(tmp_path / "conf.py", TRIMMED.format(seconds=seconds))
    with serving(place, conf=conf, LOKI_CACHE_DIR=str(tmp_path / "cache")) as server:
        for number in range(1, 6):
            for _ in range(10):
                assert server.get("/health").status_code == 200
            if seconds < 1:
                wait_until(lambda: server.count("trimmed") >= number, "memory is given back")  # noqa: B023
        # After warming, and after the first request.
        assert seconds < 1 or server.count("trimmed") <= 2
