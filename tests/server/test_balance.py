"""Which worker accepts a connection."""

from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from itertools import count

import pytest

from loki_web.server import balance
from loki_web.server.balance import Balance
from loki_web.store.shared.counts import SharedCounts
from tests.support import places, servers
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_SECONDS, wait_until

CLIENTS = 24


@pytest.fixture
def balances() -> list[Balance]:
    """Those of three workers; the memory has rows for more."""
    memory = SharedCounts(5)
    rows = [memory.take_row() for _ in range(3)]
    return [Balance(memory.open(row)) for row in rows if row is not None]


def is_asked(one: Balance, connections: int) -> bool:
    """Return whether a worker looks for another one to accept; none does."""
    looks = count()
    one.give_way(connections, lambda: next(looks) < 0)
    return next(looks) > 0


@pytest.mark.parametrize(
    ("own", "others", "gives_way"),
    [
        (0, [], False),
        (7, [], False),
        (7, [None], False),
        (0, [0, 0], False),
        (1, [0, 3], True),
        (3, [5, 2], True),
        (3, [3, 3], False),
        (3, [4, 9], False),
        (3, [4, None], False),
        (1, [None, 0], True),
    ],
)
def test_a_worker_gives_way_to_those_with_fewer_connections(
    balances: list[Balance], own: int, others: list[int | None], gives_way: bool
) -> None:
    first, *rest = balances
    first.publish(own)
    for other, connections in zip(rest, others, strict=False):
        other.publish(connections)
    assert is_asked(first, own) == gives_way


def test_it_waits_no_longer_once_the_other_has_as_many(
    balances: list[Balance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "GIVE_WAY_SECONDS", PATIENCE_SECONDS)
    first, second, _ = balances
    second.publish(0)
    looks = count(1)

    def is_waiting() -> bool:
        second.publish(next(looks) // 3)  # it accepts one at the third look, and others arrive
        return True

    first.give_way(1, is_waiting)
    assert next(looks) == 4


def test_it_does_not_wait_at_each_connection_for_a_worker_that_hangs(
    balances: list[Balance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "GIVE_WAY_SECONDS", 0.0)
    monkeypatch.setattr(balance, "_IN_VAIN_SECONDS", PATIENCE_SECONDS)
    first, second, _ = balances
    second.publish(0)
    first.give_way(1, lambda: True)
    assert not is_asked(first, 2)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two workers of which one waits as long as it takes the other to accept."""
    folder = tmp_path_factory.mktemp("patient")
    conf = folder / "patient.conf.py"
    conf.write_text(
        "from loki_web.server.conf import *\n"
        "from loki_web.server import balance\n"
        f"balance.GIVE_WAY_SECONDS = {PATIENCE_SECONDS}\n"
    )
    with servers.serving(
        places.empty(folder / "place"), conf=conf, workers=2, LOKI_ACCESS_LOG="true"
    ) as server:
        yield server


@pytest.mark.server
def test_all_workers_get_as_many_connections(patient: Server) -> None:
    def count_answers(path: str) -> list[int]:
        lines = [f"[{pid}] INFO gunicorn.access: GET {path} " for pid in patient.workers()]
        return list(map(patient.count, lines))

    def has_asked_all() -> bool:
        return patient.get("/openapi.json").ok and all(count_answers("/openapi.json"))

    wait_until(has_asked_all, "all workers that accept connections")
    with ExitStack() as clients:
        for _ in range(CLIENTS):
            client = HTTPConnection(patient.host, timeout=PATIENCE_SECONDS)
            clients.callback(client.close)
            client.request("GET", "/api/status")
            assert client.getresponse().read()
        wait_until(lambda: sum(count_answers("/api/status")) == CLIENTS, "all lines of the log")
    first, second = count_answers("/api/status")
    assert abs(first - second) <= CLIENTS // 4
