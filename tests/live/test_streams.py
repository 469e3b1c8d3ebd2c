"""The stream of a session, written and copied while Redis dies and loses what it had."""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loki_web.errors import AwayError
from loki_web.live.machines.entries import (
    MOST_BYTES,
    Entry,
    State,
    fold,
    read_entry,
    read_state,
    write_state,
)
from loki_web.live.machines.outbox import Outbox
from loki_web.live.machines.remote_feed import Copy, RemoteFeed
from loki_web.live.messages import Batch, Message, Topic
from loki_web.services.machines import keys
from loki_web.store.shared.redis import Link
from tests.live.hubs import Bench
from tests.support.redis import Redis, serving_redis
from tests.support.waiting import wait_until

SESSION = "alpha:0123456789ab"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with serving_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def link(server: Redis) -> Link:
    server.client.flushall()
    return Link(server.url, lambda: None)


def add(outbox: Outbox, *names: str, channel: str = "tasks") -> None:
    for name in names:
        batch = Batch.encode(
            Topic(channel), [Message("task_created", {"id": name})], f"token of {name}"
        )
        outbox.add(batch)


def flush(outbox: Outbox, link: Link) -> None:
    while link.call(outbox.flush, tries_anyway=True):
        pass


def entries_of(link: Link) -> list[Entry]:
    stream = keys.events(SESSION)
    found: list[Any] = link.call(lambda client: client.xrange(stream), tries_anyway=True)
    return list(map(read_entry, found))


def told_by(entries: list[Entry]) -> list[str]:
    return [message.data["id"] for entry in entries for message in entry.messages]


def copy_of(entries: list[Entry], **states: State) -> Copy:
    return Copy(entries, states)


def are_chained(entries: list[Entry]) -> bool:
    return all(after.before == before.id for before, after in itertools.pairwise(entries))


def flush_and_lose_the_reply(outbox: Outbox, link: Link) -> None:
    """As when the connection breaks after Redis has written everything."""

    def write(client: Any) -> None:
        outbox.flush(client)
        raise ConnectionError

    with pytest.raises(AwayError):
        link.call(write, tries_anyway=True)
    outbox.doubt()


def lose_nothing(server: Redis) -> None:
    pass


def lose_everything(server: Redis) -> None:
    server.client.flushall()


def lose_the_end(server: Redis) -> None:
    """As when Redis writes its file once a second."""
    client, stream = server.client, keys.events(SESSION)
    entries: Any = client.xrange(stream)
    client.delete(stream)
    for name, fields in entries[:-1]:
        client.xadd(stream, fields, id=name)


@pytest.mark.parametrize("lose", [lose_nothing, lose_everything, lose_the_end])
def test_each_change_is_in_the_stream_once(
    link: Link, server: Redis, lose: Callable[[Redis], None]
) -> None:
    outbox = Outbox(SESSION)
    add(outbox, "a", "b")
    flush(outbox, link)
    before = entries_of(link)
    add(outbox, "c")
    flush_and_lose_the_reply(outbox, link)
    lose(server)
    add(outbox, "d")
    flush(outbox, link)
    after = entries_of(link)
    assert told_by(after) == ["a", "b", "c", "d"]
    assert after[: len(before)] == before  # with the same ids
    assert are_chained(after)
    assert outbox.waiting == 0


def test_a_stream_that_somebody_empties_goes_on(link: Link, server: Redis) -> None:
    outbox = Outbox(SESSION)
    add(outbox, "a")
    flush(outbox, link)
    last = entries_of(link)[-1].id
    server.client.xtrim(keys.events(SESSION), maxlen=0)
    outbox.doubt()
    add(outbox, "b")
    flush(outbox, link)
    assert told_by(entries_of(link)) == ["b"]
    assert entries_of(link)[0].before == last


def test_the_next_publisher_goes_on_in_the_same_stream(link: Link) -> None:
    first = Outbox(SESSION)
    add(first, "a")
    flush(first, link)
    second = Outbox(SESSION, entries_of(link), clock=lambda: 0.0)  # its clock is wrong
    add(second, "b")
    flush(second, link)
    assert told_by(entries_of(link)) == ["a", "b"]
    assert are_chained(entries_of(link))


def test_entries_that_no_longer_wait_are_missed_by_readers(link: Link) -> None:
    outbox = Outbox(SESSION)
    add(outbox, "a")
    flush(outbox, link)
    last = entries_of(link)[-1].id
    text = "x" * (MOST_BYTES // 4)
    before = -1
    while outbox.waiting > before:  # until all of it was dropped
        before = outbox.waiting
        outbox.add(Batch.encode(Topic("tasks"), [Message("task_created", {"id": text})], ""))
    outbox.has_lost = False
    add(outbox, "b")
    flush(outbox, link)
    later = [entry for entry in entries_of(link) if entry.id > last]
    assert told_by(later) == ["b"]
    assert later[0].before != last


def test_a_long_change_is_cut_and_a_stream_is_bounded(link: Link) -> None:
    outbox = Outbox(SESSION)
    messages = [Message("log", {"id": str(n), "text": "x" * 100_000}) for n in range(100)]
    outbox.add(Batch.encode(Topic("logs"), messages, "end"))
    flush(outbox, link)
    kept = entries_of(link)
    assert told_by(kept) == [str(n) for n in range(100)][-len(told_by(kept)) :]
    assert 0 < sum(entry.size for entry in kept) <= MOST_BYTES
    assert max(entry.size for entry in kept) < 512 * 1024
    assert [entry.token for entry in kept if entry.token] == ["end"]


def test_a_token_tells_what_was_missed(link: Link) -> None:
    outbox = Outbox(SESSION)
    add(outbox, "a")
    outbox.put_state("tasks", "token of a", (Message("tasks", [{"id": "a"}]),))
    add(outbox, "b", "c")
    add(outbox, "x", channel="projects")
    flush(outbox, link)
    raw: Any = link.call(lambda client: client.hget(keys.state(SESSION), "tasks"))
    state = read_state(raw)
    assert state is not None
    entries = entries_of(link)
    copy = copy_of(entries, tasks=state)
    ids = {entry.messages[0].data["id"]: entry.id for entry in entries if entry.messages}
    missed = {
        f"{ids['a'][0]}-{ids['a'][1]}": ["b", "c"],
        "token of a": ["b", "c"],  # of a server that has the files
        "token of c": [],
        copy.get_token("tasks"): [],
        "1-0": None,
        "9999999999999-0": None,
        "token of nothing": None,
        "": None,
    }
    for token, names in missed.items():
        found = copy.since("tasks", token)
        assert (found and [message.data["id"] for message in found]) == (names or found), token
        assert (found is None) == (names is None), token
    assert next(message.data for message in copy.whole("tasks")) == [{"id": "a"}]
    assert [message.data["id"] for message in copy.whole("tasks")[1:]] == ["b", "c"]
    later = [each for each in entries if each.channel == "tasks" and each.id > state.at]
    assert fold(state, later) == [{"id": "a"}, {"id": "b"}, {"id": "c"}]


def test_a_quiet_channel_can_be_resumed_when_others_have_filled_the_stream() -> None:
    state = State((5, 0), (3, 0), "t", (Message("tasks", []),))
    entries = [Entry((9, 0), (8, 0), "logs", "", (Message("log", {}),), 10)]
    copy = copy_of(entries, tasks=state)
    assert copy.since("tasks", "3-0") == []
    assert copy.since("tasks", "2-0") is None
    assert copy.since("logs", "8-0") == [Message("log", {})]
    assert copy.since("logs", "7-0") is None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"before": b"1-0", b"channel": b"tasks", b"token": b"", b"messages": b"{"},
        {b"before": b"1-0", b"channel": b"/etc", b"token": b"", b"messages": b"[]"},
        {b"before": b"\xff", b"channel": b"tasks", b"token": b"", b"messages": b"[]"},
    ],
)
def test_a_malformed_entry_is_a_gap(fields: dict[bytes, bytes]) -> None:
    assert read_entry((b"5-1", fields)) == Entry((5, 1), (0, 0))


def test_a_malformed_state_is_none() -> None:
    for raw in (b"", b"[]", b'{"at": "x", "last": "1-0"}', b'{"at": "1-0", "last": null}'):
        assert read_state(raw) is None
    state = State((1, 0), (1, 0), "t", (Message("status", {"a": 1}),))
    assert read_state(write_state(state)) == state


class CountingLink(Link):
    """Counts the reads that have found nothing."""

    idle = 0

    def read_streams(self, after: dict[str, str]) -> list[tuple[str, list[Any]]]:
        found = super().read_streams(after)
        self.idle += not found
        return found


def begin_anew_with_lower_ids(server: Redis, _: Outbox) -> Outbox:
    """As when the clock of the next publisher is behind."""
    lose_everything(server)
    return Outbox(SESSION, clock=lambda: 0.0)


def go_on_after_the_end_was_lost(server: Redis, outbox: Outbox) -> Outbox:
    lose_the_end(server)
    outbox.doubt()
    return outbox


@pytest.mark.slow
@pytest.mark.parametrize(
    ("go_on", "is_sent_away"),
    [(begin_anew_with_lower_ids, True), (go_on_after_the_end_was_lost, False)],
)
def test_a_stream_that_begins_anew_is_followed_whatever_its_ids(
    server: Redis, link: Link, go_on: Callable[[Redis, Outbox], Outbox], *, is_sent_away: bool
) -> None:
    bench, outbox = Bench(), Outbox(SESSION)
    add(outbox, "a", "b")
    flush(outbox, link)
    reader = CountingLink(server.url, lambda: None)
    bench.hub.source = RemoteFeed(SESSION, reader, bench.hub)
    peer = bench.client()

    def is_closed() -> bool:
        bench.turn()
        return peer.closing() is not None

    wait_until(lambda: bench.hear(peer), "a welcome")
    next_one = go_on(server, outbox)
    if is_sent_away:
        add(next_one, "new")
        flush(next_one, link)
        wait_until(is_closed, "the end of the connection")
        peer = bench.client()
        wait_until(lambda: bench.hear(peer), "a welcome")
    else:
        before = reader.idle
        wait_until(lambda: reader.idle > before + 1, "a look at the end of the stream")
    add(next_one, "last")
    flush(next_one, link)
    heard = wait_until(lambda: bench.hear(peer), "the task")
    assert [each["data"].get("id") for each in heard] == ["last"]
    bench.close()


class ExhaustedLink(Link):
    """No thread can be started after the first call, until `usual` is the size of stacks again."""

    usual: int | None = None

    def call(self, action: Callable[[Any], Any], *, tries_anyway: bool = False) -> Any:
        if self.usual is None:
            self.usual = threading.stack_size(1 << 46)  # more than there is
        return super().call(action, tries_anyway=tries_anyway)


def test_a_feed_whose_reader_could_not_start_reads_what_came_meanwhile(
    server: Redis, link: Link
) -> None:
    bench, outbox = Bench(), Outbox(SESSION)
    flush(outbox, link)
    exhausted = ExhaustedLink(server.url, lambda: None)
    bench.hub.source = RemoteFeed(SESSION, exhausted, bench.hub)
    peer, heard = bench.client(), list[Any]()

    def hear(count: int) -> bool:
        heard.extend(bench.hear(peer))
        return len(heard) >= count

    try:
        wait_until(lambda: hear(1), "a welcome")
        add(outbox, "meanwhile")
        flush(outbox, link)
    finally:
        threading.stack_size(exhausted.usual or 0)
    add(outbox, "later")
    flush(outbox, link)
    wait_until(lambda: hear(3), "the tasks")
    assert [each["data"].get("id") for each in heard] == [None, "meanwhile", "later"]
    bench.close()
