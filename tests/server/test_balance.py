"""Which worker accepts a connection."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from loki_web.server import balance
from loki_web.server.balance import Balance
from loki_web.store.shared.counts import SharedCounts
from tests.support import places, servers
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tests.support.wire import connect, head


@pytest.fixture
def balances() -> list[Balance]:
    """Make the balances of three workers, in memory that has rows for more."""
    memory = SharedCounts(5)
    rows = [memory.take_row() for _ in range(3)]
    return [Balance(memory.open(row)) for row in rows if row is not None]


def has_waited(balance: Balance, active: int) -> bool:
    """Return whether a worker waits for another one, which accepts at once."""
    return balance.gives_way(active, lambda: False)


@pytest.mark.parametrize(
    ("own", "others", "waits"),
    [
        (0, [], False),
        (7, [], False),
        (7, [None], False),
        (0, [0, 0], False),
        (1, [0, 3], True),
        (3, [5, 2], True),
        (3, [3, 3], False),
        (4, [3], False),
        (4, [2], True),
        (12, [9], False),
        (12, [8], True),
        (3, [4, None], False),
        (1, [None, 0], True),
    ],
)
def test_a_worker_gives_way_to_those_that_accept_and_have_fewer(
    balances: list[Balance], own: int, others: list[int | None], waits: bool
) -> None:
    first, *rest = balances
    first.publish(0)  # it has got more since
    for other, active in zip(rest, others, strict=False):
        other.publish(active)
    assert has_waited(first, own) == waits
    for other in rest:
        other.publish(None)
    assert not has_waited(first, own)


def test_it_waits_no_longer_once_the_other_has_as_many(
    balances: list[Balance], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = balances
    monkeypatch.setattr(first, "_may_wait", PATIENCE_SECONDS)
    monkeypatch.setattr(balance, "WAIT_SECONDS", PATIENCE_SECONDS)
    second.publish(0)
    looks = count(1)

    def is_waiting() -> bool:
        second.publish(next(looks) // 3)  # it accepts one at the third look, and others arrive
        return True

    assert not first.gives_way(1, is_waiting)
    assert next(looks) == 4


def test_it_has_waited_enough_for_a_worker_that_hangs(
    balances: list[Balance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "WAIT_SHARE", 0.0)
    first, second, _ = balances
    second.publish(0)
    assert has_waited(first, 1)
    assert not first.gives_way(1, lambda: True)
    assert not has_waited(first, 1)


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Server]:
    """A server whose workers wait each time, as long as it takes another one to accept."""
    text = (
        "from loki_web.server.conf import *\n"
        "from loki_web.server import balance\n"
        f"balance.WAIT_SECONDS, balance.WAIT_SHARE = {1000 * PATIENCE_SECONDS}, 1\n"
    )
    conf, place = places.write(tmp_path / "conf.py", text), places.empty(tmp_path / "place")
    # Of the threads, one client may keep a quarter waiting.
    threads = str(4 * BUSY)
    with servers.serving(place, conf=conf, LOKI_ACCESS_LOG="true", LOKI_THREADS=threads) as server:
        yield server


UNFINISHED = head(
    "POST /api/notifications/acknowledge HTTP/1.1",
    "Content-Type: application/json",
    "Content-Length: 2",
)
BUSY = 8  # more connections than a worker still has to finish when the next request arrives
RUNNING = f'loki_http_requests_in_flight{{method="POST"}} {BUSY}.0'


@pytest.mark.server
def test_a_busy_worker_leaves_new_connections_to_a_new_one(patient: Server) -> None:
    def answered(path: str) -> list[int]:
        """Return how many requests for a path each worker has answered, the first worker first."""
        words = f" INFO gunicorn.access: GET {path} "
        others = [pid for pid in patient.workers() if pid != first]
        return [patient.count(f"[{pid}]{words}") for pid in (first, *others)]

    def has_asked_both() -> bool:
        assert patient.get("/openapi.json").ok
        numbers = answered("/openapi.json")
        return len(numbers) == 2 and all(numbers)

    [first] = patient.workers()
    with ExitStack() as clients:
        for _ in range(BUSY):
            clients.enter_context(connect(patient)).sendall(UNFINISHED)
        wait_until(lambda: RUNNING in patient.get("/metrics").text, "busy connections")
        patient.process.send_signal(signal.SIGTTIN)
        wait_until(has_asked_both, "a worker that accepts connections")
        for _ in range(6):
            assert patient.get("/api/status").ok
        wait_until(lambda: sum(answered("/api/status")) == 6, "all lines of the log")
        assert answered("/api/status") == [0, 6]
