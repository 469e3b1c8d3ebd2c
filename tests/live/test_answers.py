"""Reads that other machines request."""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from loki_web.live.machines.answers import Answers
from loki_web.services.context import Sources, open_sources
from loki_web.services.machines import keys
from loki_web.store.shared.redis import Link
from tests.support.places import Place
from tests.support.redis import Redis, serving_redis
from tests.support.waiting import wait_until

SESSION = "one:0123456789ab"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with serving_redis(tmp_path) as running:
        yield running


def get_time() -> NoReturn:
    raise RuntimeError("no clock")


def test_a_read_that_fails_does_not_hold_up_the_others(place: Place, redis: Redis) -> None:
    sessions: dict[str, Sources] = {SESSION: open_sources(place.settings(), 0.0, get_time)}
    rules, client = ["/api/learning/metrics", "/api/memory/skills"], redis.client
    client.sadd(keys.reads("one"), *(f"{SESSION} {rule}" for rule in rules))

    def get_answers() -> list[object]:
        return [*client.mget([keys.answer(SESSION, rule) for rule in rules])]

    Answers(Link(redis.url, lambda: None), "one", lambda: sessions).start()
    try:
        wait_until(lambda: None not in get_answers(), "the answers")
        assert get_answers() == [b"", b"[]"]
    finally:
        sessions.clear()  # nothing is left to do for the thread
