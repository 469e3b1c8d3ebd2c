"""Revoked tokens, heard from other machines whatever Redis misses or loses."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from loki_web.services.machines import keys
from loki_web.services.machines.roster import Roster
from loki_web.store.shared.redis import Link
from tests.support.places import Place
from tests.support.redis import Redis, serving_redis
from tests.support.waiting import wait_until


def do_nothing() -> None:
    pass


class HeldLink(Link):
    """Does something before it waits for news. After the test it waits for ever, as a daemon."""

    is_over = False
    last = ""

    def __init__(self, url: str, before_waiting: Callable[[], None]) -> None:
        super().__init__(url, lambda: None)
        self._before_waiting = before_waiting

    def read_streams(self, after: dict[str, str]) -> list[tuple[str, list[Any]]]:
        if self.is_over:
            threading.Event().wait()
        self.last = after[keys.NEWS]
        self._before_waiting()
        self._before_waiting = do_nothing
        return super().read_streams(after)


class Machines:
    """Listening rosters, each of a machine."""

    def __init__(self, place: Place, redis: Redis, stack: ExitStack) -> None:
        self._place = place
        self._redis = redis
        self._stack = stack
        self.links: dict[str, HeldLink] = {}

    def add(self, name: str, before_waiting: Callable[[], None] = do_nothing) -> Roster:
        link = self.links[name] = HeldLink(self._redis.url, before_waiting)
        self._stack.callback(setattr, link, "is_over", True)
        roster = Roster(self._place.sources(LOKI_MACHINE=name), link)
        roster.start()
        return roster


def refuses(roster: Roster, token: str) -> Callable[[], bool]:
    return lambda: roster.is_revoked(token, time.time())


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with serving_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def machines(place: Place, redis: Redis) -> Iterator[Machines]:
    redis.client.flushall()
    with ExitStack() as stack:
        yield Machines(place, redis, stack)


def test_a_revocation_right_before_the_wait_for_news_is_heard(machines: Machines) -> None:
    one = machines.add("one")
    two = machines.add("two", lambda: one.revoke({"told between": 0.0}))
    wait_until(refuses(two, "told between"), "the revocation")


def test_a_revocation_that_redis_has_lost_is_told_again(machines: Machines, redis: Redis) -> None:
    one = machines.add("one")
    one.revoke({"lost": 0.0})
    redis.client.flushall()
    two = machines.add("two")
    two.revoke({"another": 0.0})  # as many as there were before
    wait_until(refuses(two, "lost"), "the revocation")


@pytest.mark.parametrize("is_seen_empty", [True, False])
def test_news_are_heard_though_redis_was_emptied_and_its_clock_is_behind(
    machines: Machines, redis: Redis, *, is_seen_empty: bool
) -> None:
    later = f"{10**14}-0"
    redis.client.xadd(keys.NEWS, {"revoked": 1}, id=later)
    one, two = machines.add("one"), machines.add("two")
    waiting = machines.links["two"]
    wait_until(lambda: waiting.last == later, "the news of the other clock")
    redis.client.flushall()
    if is_seen_empty:
        wait_until(lambda: waiting.last != later, "a look at the empty stream")
    one.revoke({"behind": 0.0})
    wait_until(refuses(two, "behind"), "the revocation")
