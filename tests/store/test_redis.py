"""Limits that several machines share, and a Redis server that does not answer."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loki_web.errors import AwayError
from loki_web.store.shared.redis import Link
from tests.support.redis import Redis, serving_redis
from tests.support.tls import certificate


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with serving_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def silent() -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that accepts connections and says nothing, and its connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    accepted.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0", accepted
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in accepted:
            each.close()


def link_to(url: str) -> Link:
    return Link(url, lambda: None)


def test_machines_count_in_one_window(server: Redis, tmp_path: Path) -> None:
    windows = [link_to(server.url).open_window(tmp_path / name) for name in ("a", "b")]
    assert [windows[n % 2].hit("client", 3) for n in range(3)] == [None] * 3
    for window in windows:
        wait = window.hit("client", 3)
        assert wait is not None
        assert 1 <= wait <= 60
    assert windows[0].hit("another client", 3) is None


def test_keys_do_not_tell_who_the_client_is(server: Redis) -> None:
    link = link_to(server.url)
    link.open_window(None).hit("token:secret-name", 3)
    link.take_place("token:secret-name", "one", 3)
    assert server.client.keys("*")
    assert not server.client.keys("*secret-name*")


def test_machines_share_the_places_of_an_identity(server: Redis) -> None:
    one, other = link_to(server.url), link_to(server.url)
    assert [one.take_place("me", name, 2) for name in ("a", "b")] == [True, True]
    assert not other.take_place("me", "c", 2)
    assert other.take_place("you", "c", 2)
    one.renew_places("me", ["a", "b"])
    one.give_back_places("me", ["a"])
    assert other.take_place("me", "c", 2)


def test_after_a_vain_wait_nobody_waits(
    silent: tuple[str, list[socket.socket]], tmp_path: Path
) -> None:
    url, connections = silent
    failures: list[int] = []
    link = Link(url, lambda: failures.append(1))
    window = link.open_window(tmp_path / "window")
    assert link.examine()
    assert [window.hit("client", 2) for _ in range(2)] == [None, None]
    wait = window.hit("client", 2)  # of this machine
    assert wait is not None
    assert len(connections) == len(failures) == 1
    assert not link.examine()


def test_a_call_that_tries_all_the_same_ends_the_pause(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    link = link_to(redis.url)
    with pytest.raises(AwayError):
        link.call(lambda client: client.ping())
    redis.start()
    try:
        with pytest.raises(AwayError):
            link.call(lambda client: client.ping())
        assert link.call(lambda client: client.ping(), tries_anyway=True)
        assert link.call(lambda client: client.ping())
        assert link.examine()
    finally:
        redis.kill()


def test_tls_and_a_restricted_user_are_enough(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    options = ["--tls-port", "{port}", "--port", "0", "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", cert, "--tls-key-file", key]
    users = ["--user", "default", "off"]
    users += ["--user", "web", "on", ">s3cret", "~loki-web:1:*", "+@all", "-@dangerous"]
    with serving_redis(tmp_path, *options, *users) as redis:
        address = f"web:s3cret@localhost:{redis.port}/0"
        trusted = link_to(f"rediss://{address}?ssl_ca_certs={cert}")
        assert trusted.take_place("me", "a", 1)
        assert trusted.open_window(None).hit("client", 1) is None
        refused = (
            f"rediss://{address}",  # the certificate is not trusted
            f"redis://{address}",
            f"rediss://localhost:{redis.port}/0?ssl_ca_certs={cert}",
            f"rediss://web:wrong@localhost:{redis.port}/0?ssl_ca_certs={cert}",
        )
        for url in refused:
            with pytest.raises(AwayError):
                link_to(url).take_place("me", "b", 9)
        with pytest.raises(AwayError):
            trusted.call(lambda client: client.get("key of another program"))
