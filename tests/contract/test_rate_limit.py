"""How often one client may change something: the same for all workers, and nobody else's loss."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.accounts import bearer, everybody
from tests.support.places import Place
from tests.support.servers import Server, serving

LIMIT = 10


def pause(server: Server, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.post("/api/control/pause", headers=named).status_code


def at_once(call: object, count: int) -> Counter[int]:
    assert callable(call)
    with ThreadPoolExecutor(12) as pool:
        return Counter(pool.map(call, range(count)))


@pytest.fixture
def server(place: Place) -> Iterator[Server]:
    with serving(place, workers=3, LOKI_CONTROL_RATE_LIMIT=str(LIMIT)) as server:
        yield server


@pytest.fixture
def proxied(place: Place) -> Iterator[Server]:
    """As it stands behind one proxy, which tells whom it speaks for."""
    settings = {"LOKI_CONTROL_RATE_LIMIT": str(LIMIT), "LOKI_TRUSTED_PROXIES": "1"}
    with serving(place, workers=3, **settings) as server:
        yield server


def test_three_workers_count_together(server: Server) -> None:
    assert at_once(lambda _: pause(server), 40) == {200: LIMIT, 429: 30}
    answer = server.post("/api/control/resume")
    assert (answer.status_code, set(answer.json())) == (429, {"detail"})
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert server.get("/api/status").status_code == 200


def test_an_invented_address_is_no_fresh_start(server: Server) -> None:
    names = ("X_Forwarded_For", "X_Real_IP", "Forwarded", "Client_IP", "True_Client_IP")

    def call(number: int) -> int:
        return pause(server, **dict.fromkeys(names, f"for=10.0.{number // 250}.{number % 250}"))

    assert at_once(call, 300) == {200: LIMIT, 429: 290}


def test_behind_a_proxy_each_client_has_its_own_count(proxied: Server) -> None:
    def first(number: int) -> int:
        return pause(proxied, X_Forwarded_For=f"10.9.8.{number}, 203.0.113.9")

    assert at_once(first, 30) == {200: LIMIT, 429: 20}
    assert pause(proxied, X_Forwarded_For="127.0.0.1, 203.0.113.9") == 429
    assert pause(proxied, X_Forwarded_For="203.0.113.9, 203.0.113.10") == 200
    assert pause(proxied) == 200


def test_the_address_in_the_audit_log_is_the_one_that_is_believed(place: Place) -> None:
    forged = {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}
    for hops, expected in (("0", "127.0.0.1"), ("1", "203.0.113.9")):
        settings = {"LOKI_TRUSTED_PROXIES": hops, "LOKI_ENTERPRISE_AUDIT": "true"}
        with serving(place, workers=2, **settings) as server:
            assert server.post("/api/control/pause", headers=forged).status_code == 200
            (newest, *_) = server.get("/api/enterprise/audit").json()
            assert newest["ip_address"] == expected


def test_holders_of_tokens_are_counted_by_token(place: Place) -> None:
    everybody(place)
    settings = {"LOKI_CONTROL_RATE_LIMIT": str(LIMIT), "LOKI_ENTERPRISE_AUTH": "true"}
    with serving(place, workers=3, **settings) as server:
        assert at_once(lambda _: pause(server, **bearer("operator")), 30) == {200: LIMIT, 429: 20}
        assert pause(server, **bearer("admin")) == 200
        assert at_once(lambda _: pause(server), 15) == {401: 15}
        assert pause(server, **bearer("operator")) == 429


def test_a_restart_is_no_fresh_start(place: Place) -> None:
    settings = {"LOKI_CONTROL_RATE_LIMIT": "1"}
    with serving(place, workers=2, **settings) as server:
        assert pause(server) == 200
    with serving(place, workers=2, **settings) as server:
        assert pause(server) == 429


def test_damaged_counts_are_forgotten_and_counting_goes_on(place: Place, server: Server) -> None:
    assert pause(server) == 200
    (counts,) = (place.home / ".cache").rglob("control-calls.sqlite3")
    for path in counts.parent.glob(f"{counts.name}*"):
        Path(path).write_bytes(b"no database" * 1000)
    assert set(at_once(lambda _: pause(server), 4 * LIMIT)) == {200, 429}
    assert pause(server) == 429
