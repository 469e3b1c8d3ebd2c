"""When the feed reads a channel again: when something has changed, and not before."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from loki_web.live.feed import feed
from loki_web.live.feed.feed import Feed, Followed, Standing, Subscription
from loki_web.live.feed.state import ValueSlice
from loki_web.live.messages import Message
from loki_web.services.context import open_sources
from loki_web.store.notifier import get_notifier
from tests.live.hubs import Bench, list_feed_threads
from tests.support.places import Place
from tests.support.waiting import wait_until


@dataclass
class Reader:
    """A channel that shows a file and looks at the clock."""

    place: Place
    mode: str
    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __post_init__(self) -> None:
        get_notifier().drain()  # what other tests have left: after too many events all are lost
        self.src = open_sources(self.place.settings(LOKI_WATCH=self.mode), 0.0, lambda: self.time)
        self.followed = Followed(ValueSlice("cost", self.show), 0.0)
        assert not self.is_current()
        assert self.read() == []

    def show(self) -> object:
        return self.src.project.document("a.json"), self.src.now() > datetime(
            2027, 1, 1, tzinfo=UTC
        )

    def read(self) -> list[Message]:
        return self.followed.read(self.src.clock)

    def is_current(self, *, is_touched: bool = False, thoroughly: bool = False) -> bool:
        return self.followed.is_current(is_touched=is_touched, thoroughly=thoroughly)


@pytest.fixture(autouse=True)
def no_look_for_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass between two looks, however busy the machine is."""
    monkeypatch.setattr(feed, "_ALL_SECONDS", float("inf"))


@pytest.mark.parametrize("mode", ["events", "poll"])
def test_unchanged_inputs_are_not_read_again(place: Place, mode: str) -> None:
    place.write("a.json", [1])
    reader = Reader(place, mode)
    for is_touched in (False, True):
        assert reader.is_current(is_touched=is_touched)
    place.write("b.json", [2])
    assert reader.is_current(is_touched=True)
    place.write("a.json", [1, 2])
    assert not reader.is_current(is_touched=True)
    assert [message.data[0] for message in reader.read()] == [[1, 2]]
    assert reader.is_current(is_touched=True)


def test_a_change_without_an_event_is_noticed(place: Place) -> None:
    place.write("a.json", [1])
    reader = Reader(place, "poll")
    assert reader.is_current()
    place.write("a.json", [1, 2])
    assert not reader.is_current()


def test_a_file_that_is_told_is_not_looked_at_without_an_event(place: Place) -> None:
    place.write("a.json", [1])
    reader = Reader(place, "events")
    place.write("a.json", [1, 2])
    assert reader.is_current()
    assert not reader.is_current(is_touched=True)


def test_the_clock_counts_only_in_a_thorough_look(place: Place) -> None:
    reader = Reader(place, "events")
    reader.time += timedelta(days=500)
    assert reader.is_current(is_touched=True)
    assert not reader.is_current(thoroughly=True)
    assert [message.data[1] for message in reader.read()] == [True]
    assert reader.is_current(thoroughly=True)


def test_a_feed_that_could_not_start_starts_with_the_next_client(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, before = Bench(), list_feed_threads()
    bench.hub.source = Feed(place.sources(), bench.hub)
    usual = threading.stack_size(1 << 46)  # more than there is: no thread can be started
    try:
        bench.client()
    finally:
        threading.stack_size(usual)
    assert (bench.hub.count, bench.given_back) == (0, 1)
    peer = bench.client()
    heard = wait_until(lambda: bench.hear(peer), "a message")
    assert [message["type"] for message in heard] == ["connected"]
    monkeypatch.setattr(feed, "LINGER_SECONDS", 0.0)
    bench.close()
    wait_until(lambda: list_feed_threads() <= before, "the end of the feed's threads")


def test_each_subscription_gets_a_response_also_after_one_that_fails(place: Place) -> None:
    bench = Bench()
    feed, standings = Feed(place.sources(), bench.hub), list[Standing]()
    for channels in ({"unheard-of"}, {"tasks"}):
        feed.subscribe(Subscription(frozenset(channels)), standings.append)

    def have_responses() -> bool:
        bench.turn()
        return len(standings) == 2

    wait_until(have_responses, "the responses")
    assert [bool(standing.refusal) for standing in standings] == [True, False]
    bench.close()
