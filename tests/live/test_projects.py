"""The live feed of a project that a client names, and that of another one at the same moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest
import websocket

from loki_web.errors import Unavailable
from loki_web.live.feed import feed
from loki_web.live.messages import Message, Topic
from tests.live.clients import Client, Stream, listening, streaming, told
from tests.live.hubs import Bench, list_feed_threads
from tests.support import places
from tests.support.places import Place
from tests.support.registered import add_project
from tests.support.servers import Server, serving
from tests.support.waiting import wait_until

TASKS = "queue/pending.json"
_numbers = count()
UNKNOWN = ["unknown", "/", "/etc", "..", "\0", "x" * 5000]


@dataclass
class Fleet:
    """A server with two projects; `own` is the one that it was started for."""

    own: Place
    other: Place
    server: Server

    def add(self, place: Place) -> tuple[str, str]:
        """Add a task, whose id was not used before, and return what clients are told."""
        task = f"task-{next(_numbers)}"
        place.write(TASKS, [*place.read(TASKS), {"id": task}])
        return "task_created", task


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    place = places.empty(tmp_path_factory.mktemp("fleet"))
    place.write(TASKS, [])
    other = add_project(place, "über")
    with serving(place, workers=2) as server:
        yield Fleet(place, other, server)


def follow(project: str | None, *channels: str) -> object:
    return {"type": "subscribe", "data": {"channels": [*channels], "project": project}}


def move(client: Client, project: str, *channels: str) -> set[tuple[str, str]]:
    """Make a client follow a project; return type and phase of the two values that it is told."""
    client.say(follow(project, *channels))
    while client.hear()["type"] != "subscribed":
        pass
    values = [client.hear(), client.hear()]
    return {(value["type"], value["data"].get("phase", "")) for value in values}


@pytest.mark.parametrize(
    "name",
    [
        lambda other: "id-über",
        lambda other: "alias of über",
        lambda other: str(other.loki.parent),
        lambda other: f"{other.loki.parent}/../über",
    ],
    ids=["id", "alias", "path", "another spelling of the path"],
)
def test_a_socket_follows_the_project_that_it_names(fleet: Fleet, name: object) -> None:
    with listening(fleet.server) as client:
        command = follow(name(fleet.other), "status", "tasks")  # type: ignore[operator]
        assert client.ask(command) == {**command, "type": "subscribed"}  # type: ignore[dict-item]
        assert client.hear()["data"]["phase"] == "ÜBER"
        fleet.add(fleet.own)
        added = fleet.add(fleet.other)
        changes = [each for each in client.hear_rest("tasks") if each["type"] != "status"]
        assert told(changes) == [added]


def test_a_socket_moves_with_all_its_channels_and_back(fleet: Fleet) -> None:
    with listening(fleet.server, "tasks", "status") as client:
        for name, phase in (("id-über", "ÜBER"), ("", "")):
            assert move(client, name, "cost") == {("cost", ""), ("status", phase)}
            places = [fleet.own, fleet.other]
            added = [fleet.add(place) for place in places][bool(name)]
            rest = client.hear_rest("tasks")
            assert told([each for each in rest if each["type"].startswith("task_")]) == [added]


def test_two_clients_follow_two_projects(fleet: Fleet) -> None:
    with (
        listening(fleet.server) as first,
        streaming(fleet.server, "/api/events?project=id-%C3%BCber") as second,
    ):
        added = [fleet.add(fleet.own), fleet.add(fleet.other)]
        assert told([first.hear(), second.hear()]) == added


@pytest.mark.parametrize("name", [*UNKNOWN, 5, ["id-über"], {}])
def test_an_unknown_project_is_an_error_that_changes_nothing(fleet: Fleet, name: str) -> None:
    with listening(fleet.server, "tasks") as client:
        answer = client.ask(follow(name, "cost"))
        assert (answer["type"], list(answer["data"])) == ("error", ["detail"])
        added = fleet.add(fleet.own)
        assert told([client.hear()]) == [added]


def test_a_socket_follows_the_project_in_its_address_from_the_start(fleet: Fleet) -> None:
    root = quote(str(fleet.other.loki.parent))
    with (
        listening(fleet.server, path="/ws?project=id-%C3%BCber") as client,
        listening(fleet.server, "status", path=f"/ws?project={root}") as other,
    ):
        assert other.hear()["data"]["phase"] == "ÜBER"
        fleet.add(fleet.own)
        added = fleet.add(fleet.other)
        assert told([client.hear()]) == [added]
        assert move(client, "", "status", "cost") == {("cost", ""), ("status", "")}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_connection_to_an_unknown_project_is_not_found(fleet: Fleet, name: str) -> None:
    query = f"?project={quote(name)}"
    answer = fleet.server.get(f"/api/events{query}")
    assert (answer.status_code, list(answer.json())) == (404, ["detail"])
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        Client(fleet.server.host, f"/ws{query}")
    assert refused.value.status_code == 404


def test_a_preflight_does_not_tell_which_projects_exist(fleet: Fleet) -> None:
    for name in ("id-%C3%BCber", "unknown"):
        answer = fleet.server.request("OPTIONS", f"/api/events?project={name}")
        assert answer.status_code == 200


def test_a_stream_says_whose_it_is(fleet: Fleet) -> None:
    stream = Stream(fleet.server.host, "/api/events?project=id-%C3%BCber")
    assert f"X-Loki-Project: {quote(str(fleet.other.loki.parent))}\r\n" in stream.head
    stream.close()


@pytest.mark.parametrize("query", ["project=id-%C3%BCber&channels=tasks,logs", "channels=logs"])
def test_an_id_resumes_the_same_project(fleet: Fleet, query: str) -> None:
    path, place = f"/api/events?{query}", fleet.other if "project" in query else fleet.own
    place.write("logs/agent.log", "old\n")
    with streaming(fleet.server, path) as stream, streaming(fleet.server, path) as other:
        with (place.loki / "logs/agent.log").open("a") as log:
            log.write("one\n")
        assert {stream.hear()["data"]["message"], other.hear()["data"]["message"]} == {"one"}
        last_id = stream.last_id
        with (place.loki / "logs/agent.log").open("a") as log:
            log.write("two\n")
        assert other.hear()["data"]["message"] == "two"
        for _ in range(4):  # at either worker
            with streaming(fleet.server, path, Last_Event_ID=last_id) as back:
                assert back.hear()["data"]["message"] == "two"


@pytest.mark.parametrize(
    ("before", "after"), [("", "&project=id-%C3%BCber"), ("&project=id-%C3%BCber", "")]
)
def test_an_id_of_another_project_is_unknown(fleet: Fleet, before: str, after: str) -> None:
    """The projects have the same checkpoints by their ids, and so the same state."""
    for place in (fleet.own, fleet.other):
        place.write("state/checkpoints/cp-1-1771578999/metadata.json", {"id": "cp-1-1771578999"})
    path = "/api/events?channels=checkpoints"
    with streaming(fleet.server, path + before) as stream:
        last_id = stream.last_id
    with streaming(fleet.server, path + after, Last_Event_ID=last_id) as stream:
        assert [stream.hear()["type"] for _ in range(2)] == ["reset", "checkpoints"]


@pytest.mark.slow
def test_the_number_of_followed_projects_is_limited(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_PROJECTS", 2)
    before = list_feed_threads()
    roots = [add_project(place, name).loki.parent for name in ("a", "b", "c")]
    bench = Bench()
    followed = feed.Feed(place.sources(), bench.hub)
    bench.hub.source = followed
    peers = [bench.client() for _ in roots]

    def ask(number: int) -> str:
        peers[number].say(follow(f"id-{'abc'[number]}", "tasks"))
        while not (heard := peers[number].heard()) or heard[-1]["type"] == "connected":
            bench.turn()
        return str(heard[-1]["type"])

    assert [ask(number) for number in range(3)] == ["subscribed", "subscribed", "error"]
    with pytest.raises(Unavailable):
        followed.check_room(roots[2])
    followed.check_room(roots[0])
    assert ask(0) == "subscribed"
    monkeypatch.setattr(feed, "LINGER_SECONDS", 0.0)
    bench.close()
    wait_until(lambda: list_feed_threads() <= before, "the end of the feed's threads")


def test_a_message_of_a_project_reaches_those_who_follow_it(folder: Path) -> None:
    bench = Bench()
    peers = [bench.client() for _ in range(2)]
    peers[0].say(follow(str(folder), "tasks", "projects"))
    bench.turn()
    assert [message["type"] for message in peers[0].heard()] == ["connected", "subscribed"]
    assert Topic("tasks", folder) in bench.hub.topics_in_use
    bench.publish("projects", Message("project_created", {}))  # one list for all projects
    bench.publish("tasks", Message("task_created", {"id": "a"}))
    assert [message["type"] for message in peers[0].heard()] == ["project_created"]
    assert [message["type"] for message in peers[1].heard()][1:] == [
        "project_created",
        "task_created",
    ]
    peers[0].socket.close()
    bench.turn()
    assert {topic.project for topic in bench.hub.topics_in_use} == {None}
    bench.close()
