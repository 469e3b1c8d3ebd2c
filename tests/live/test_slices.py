"""Two states of the files compared: exactly what changed is told, once."""

from collections.abc import Callable
from typing import Any

import pytest

from loki_web.live.feed import state
from loki_web.live.feed.channels import CHANNELS
from loki_web.live.feed.state import GONE_SECONDS, ListSlice, Slice
from loki_web.store.look import are_current, recording
from tests.live.clients import told
from tests.live.hubs import Time
from tests.support.places import Place

Entry = dict[str, Any]


def task(identity: str, **more: Any) -> Entry:
    return {"id": identity, "status": "pending", "position": 0, "title": "T", **more}


class Listed:
    """A slice of a list that the test sets."""

    def __init__(self, kind: state.ListKind = state.TASKS) -> None:
        self.entries: list[Entry] = []
        self.time = Time()
        self.slice = ListSlice("tasks", kind, lambda: self.entries, self.time)

    def told(self, *entries: Entry) -> list[tuple[str, str]]:
        self.entries = list(entries)
        return told([{"type": m.type, "data": m.data} for m in self.slice.refresh()])


@pytest.fixture
def listed() -> Listed:
    made = Listed()
    made.told(task("a"))
    return made


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([task("a")], []),
        ([task("a"), task("b", position=1)], [("task_created", "b")]),
        ([task("a", title="U")], [("task_updated", "a")]),
        ([task("a", status="done")], [("task_moved", "a")]),
        ([task("a", position=1)], []),
        ([task("a", position=1, title="U")], [("task_updated", "a")]),
        ([task("b"), task("a", position=1)], [("task_created", "b")]),
        ([task("a", status="done", title="U")], [("task_moved", "a")]),
        ([], []),
    ],
)
def test_each_change_is_one_event(
    listed: Listed, after: list[Entry], expected: list[tuple[str, str]]
) -> None:
    assert listed.told(*after) == expected
    assert listed.told(*after) == []


def test_entries_of_the_beginning_give_no_message() -> None:
    assert Listed().told(task("a"), task("b")) == []


def test_a_task_between_two_files_is_moved_not_made(listed: Listed) -> None:
    assert listed.told() == []
    assert listed.told(task("a", status="in_progress")) == [("task_moved", "a")]


def queue(letters: str, status: str = "pending") -> list[Entry]:
    return [
        task(letter, position=position, status=status) for position, letter in enumerate(letters)
    ]


def test_a_task_that_leaves_a_queue_is_the_only_one_moved(listed: Listed) -> None:
    listed.told(*queue("abcdefgh"))
    after = [*queue("bcdefgh"), *queue("a", "in_progress")]
    assert listed.told(*after) == [("task_moved", "a")]
    assert listed.told(*queue("bcdefgh")) == []
    assert listed.told(*queue("abcdefgh")) == [("task_moved", "a")]


@pytest.mark.parametrize(
    ("after", "moved"),
    [("bcda", 1), ("dabc", 1), ("acbd", 1), ("cdab", 2), ("dcba", 3), ("bda", 1)],
)
def test_the_fewest_tasks_that_explain_another_order_are_told(
    listed: Listed, after: str, moved: int
) -> None:
    listed.told(*queue("abcd"))
    assert [kind for kind, _ in listed.told(*queue(after))] == ["task_moved"] * moved
    assert listed.told(*queue(after)) == []


def test_a_task_that_moves_and_changes_is_told_once(listed: Listed) -> None:
    listed.told(*queue("abc"))
    first = task("c", title="U")
    assert listed.told(first, *queue("-ab")[1:]) == [("task_moved", "c")]


def test_a_position_that_shifts_is_no_other_state(listed: Listed) -> None:
    listed.told(task("b"))
    token = listed.slice.token
    assert listed.told(task("b", position=3)) == []
    assert listed.slice.token == token
    assert [message.data for message in listed.slice.whole()] == [[task("b", position=3)]]


def test_a_task_that_comes_back_as_it_was_is_nothing_new(listed: Listed) -> None:
    listed.told()
    assert listed.told(task("a")) == []


def test_a_task_that_stays_away_is_told_as_removed_once(listed: Listed) -> None:
    assert listed.told(task("b")) == [("task_created", "b")]
    listed.time.now += GONE_SECONDS / 2
    assert listed.told(task("b")) == []
    before = listed.slice.token
    listed.time.now += GONE_SECONDS
    assert listed.told(task("b")) == [("task_removed", "a")]
    assert listed.told(task("b")) == []
    missed = listed.slice.since(before) or []
    assert [message.type for message in missed] == ["task_removed"]
    assert listed.slice.since(listed.slice.token) == []
    assert listed.told(task("b"), task("a")) == [("task_created", "a")]


def test_a_channel_is_read_again_while_something_is_about_to_be_removed(listed: Listed) -> None:
    listed.told()
    with recording() as recorded:
        listed.told()
    assert not are_current(recorded.inputs)
    listed.time.now += GONE_SECONDS
    listed.told()
    with recording() as recorded:
        listed.told()
    assert are_current(recorded.inputs)


def test_a_task_that_comes_back_much_later_is_made_anew(listed: Listed) -> None:
    listed.told()
    listed.time.now += GONE_SECONDS + 1
    assert listed.told(task("a")) == [("task_removed", "a"), ("task_created", "a")]


def test_an_announced_entry_is_told_once() -> None:
    listed = Listed(state.send_new_entries("project_created", "project_removed"))
    listed.told()
    assert listed.told({"id": "p", "name": "n"}) == [("project_created", "p")]
    assert listed.told({"id": "p", "name": "m"}) == []


def test_a_reported_entry_is_told_at_each_change() -> None:
    listed = Listed(state.send_changed_entries("notification", "notification_removed"))
    listed.told()
    seen = {"id": "n", "acknowledged": False}
    assert listed.told(seen) == [("notification", "n")]
    assert listed.told({**seen, "acknowledged": True}) == [("notification", "n")]


def test_a_new_entry_with_the_id_of_another_is_told() -> None:
    listed = Listed(state.send_changed_entries("notification", "notification_removed"))
    old = {"id": "n", "message": "old"}
    listed.told(old)
    assert listed.told({"id": "n", "message": "new"}, old) == [("notification", "n")]


def test_the_messages_since_a_known_state_are_returned(listed: Listed) -> None:
    known = listed.slice.token
    listed.told(task("a"), task("b"))
    between = listed.slice.token
    listed.told(task("a"), task("b", title="U"))
    since = [listed.slice.since(token) for token in (known, between, listed.slice.token)]
    assert [[m.type for m in messages or []] for messages in since] == [
        ["task_created", "task_updated"],
        ["task_updated"],
        [],
    ]
    assert listed.slice.since("never heard of") is None


@pytest.mark.parametrize(
    ("channel", "path"),
    [
        ("tasks", "/api/tasks"),
        ("projects", "/api/registry/projects?include_inactive=true"),
        ("notifications", "/api/notifications?limit=1000"),
        ("checkpoints", "/api/checkpoints?limit=200"),
    ],
)
def test_a_list_is_known_by_the_etag_of_its_answer(session: Place, channel: str, path: str) -> None:
    client, sources = session.client(), session.sources()
    slice_ = CHANNELS[channel](sources, lambda: sources)
    slice_.refresh()
    answer = client.get(path)
    assert answer.json
    assert slice_.since(answer.get_etag()[0] or "") == []
    assert slice_.since(client.get("/api/agents").get_etag()[0] or "") is None


def test_two_processes_name_the_same_state_alike() -> None:
    one, other = Listed(), Listed()
    one.told(task("a"))
    one.told(task("a"), task("b"))
    other.told(task("a"), task("b"))
    assert one.slice.token == other.slice.token


@pytest.fixture
def made(place: Place) -> Callable[[str], Slice]:
    src = place.sources()

    def make(channel: str) -> Slice:
        made = CHANNELS[channel](src, lambda: src)
        assert made.refresh() == []
        return made

    return make


VALUES = {
    "status": ("PAUSE", "", "queue/pending.json", [{"id": "t"}]),
    "agents": ("state/agents.json", [{"id": "x"}], "state/agents.json", [{"id": "y"}]),
    "cost": (
        *("metrics/efficiency/iteration-1.json", {"cost_usd": 1.5}),
        *("metrics/efficiency/iteration-2.json", {"cost_usd": 2.5}),
    ),
    "council": (
        *("council/state.json", {"enabled": True, "total_votes": 3}),
        *("council/state.json", {"enabled": True, "total_votes": 6, "x": "longer"}),
    ),
}


@pytest.mark.parametrize("channel", VALUES)
def test_a_value_is_told_when_it_changes_and_only_then(
    place: Place, made: Callable[[str], Slice], channel: str
) -> None:
    first, content, second, other = VALUES[channel]
    place.write(first, content)
    slice_ = made(channel)
    assert slice_.refresh() == []
    place.write(second, other)
    (message,) = slice_.refresh()
    assert message.type == channel
    assert slice_.refresh() == []
    place.write(second, other)
    assert slice_.refresh() == []


@pytest.mark.parametrize(
    ("channel", "path", "content", "expected"),
    [
        ("tasks", "queue/pending.json", [{"id": "t1"}], ("task_created", "t1")),
        (
            *("notifications", "notifications/active.json"),
            *({"notifications": [{"id": "n1", "trigger_id": "x"}]}, ("notification", "n1")),
        ),
        (
            *("checkpoints", "state/checkpoints/cp-1-1771578784/metadata.json"),
            *({"id": "cp-1-1771578784"}, ("checkpoint", "cp-1-1771578784")),
        ),
    ],
)
def test_an_entry_is_told_when_its_file_appears(
    place: Place, made: Callable[[str], Slice], channel: str, path: str, content: Any, expected: Any
) -> None:
    slice_ = made(channel)
    place.write(path, content)
    assert told([{"type": m.type, "data": m.data} for m in slice_.refresh()]) == [expected]
    assert slice_.refresh() == []


CHECKPOINT, PROJECT = "cp-1-1771578784", {"id": "p1", "path": "/p", "name": "demo"}
TWO = [{"id": "t1"}, {"id": "t2"}]


@pytest.mark.parametrize(
    ("channel", "path", "content", "rest", "expected"),
    [
        ("tasks", "queue/pending.json", TWO, TWO[1:], ("task_removed", "t1")),
        (
            *("notifications", "notifications/active.json"),
            *(TWO, TWO[1:], ("notification_removed", "t1")),
        ),
        (
            *("checkpoints", f"state/checkpoints/{CHECKPOINT}/metadata.json"),
            *({"id": CHECKPOINT}, None, ("checkpoint_removed", CHECKPOINT)),
        ),
        (
            *("projects", "dashboard/projects.json"),
            *({"projects": {"p1": PROJECT}}, {"projects": {}}, ("project_removed", "p1")),
        ),
        (
            *("projects", "dashboard/projects.json"),
            *({"projects": {"p1": PROJECT}}, None, ("project_removed", "p1")),
        ),
    ],
)
def test_an_entry_that_has_left_its_file_is_told_as_removed(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    made: Callable[[str], Slice],
    *,
    channel: str,
    path: str,
    content: Any,
    rest: Any,
    expected: tuple[str, str],
) -> None:
    monkeypatch.setattr(state, "GONE_SECONDS", 0.0)
    write = place.write_home if channel == "projects" else place.write
    file = write(path, content)
    slice_ = made(channel)
    if rest is None:
        file.unlink()
    else:
        write(path, rest)
    messages = [*slice_.refresh(), *slice_.refresh()]
    assert told([{"type": m.type, "data": m.data} for m in messages]) == [expected]
    assert slice_.refresh() == []


def test_a_registered_project_is_told(place: Place, made: Callable[[str], Slice]) -> None:
    slice_ = made("projects")
    entry = {"id": "p1", "path": str(place.loki.parent), "name": "demo"}
    place.write_home("dashboard/projects.json", {"version": "1.0", "projects": {"p1": entry}})
    (message,) = slice_.refresh()
    assert message.type == "project_created"
    assert message.data["path"] == str(place.loki.parent)
