"""GET /api/events: the same feed for clients that only listen, and come back."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.live.clients import Stream, listening, streaming, told
from tests.support.places import Place
from tests.support.servers import Server, serving

TASKS = "queue/pending.json"


@pytest.fixture
def server(place: Place) -> Iterator[Server]:
    with serving(place, workers=2) as made:
        yield made


def test_the_head_says_how_to_treat_the_stream(shared: Server) -> None:
    with streaming(shared) as stream:
        assert stream.head.startswith("HTTP/1.1 200 OK\r\n")
        lines = dict(line.split(": ", 1) for line in stream.head.split("\r\n")[1:])
        assert lines["Content-Type"].startswith("text/event-stream")
        assert lines["X-Accel-Buffering"] == "no"
        assert lines["Cache-Control"] == "no-store"
        assert lines["X-Content-Type-Options"] == "nosniff"
        assert "Content-Encoding" not in lines
        assert "Transfer-Encoding" not in lines


def test_head_answers_without_a_stream(shared: Server) -> None:
    answer = shared.head("/api/events")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")


def test_the_client_is_told_when_to_come_back(shared: Server) -> None:
    stream = Stream(shared.host)
    assert stream.block() == "retry: 3000"
    stream.close()


def test_events_are_the_messages_of_the_socket(place: Place, server: Server) -> None:
    with streaming(server) as stream:
        place.write(TASKS, [{"id": "a"}])
        assert stream.hear() == {"type": "task_created", "data": server.get("/api/tasks").json()[0]}


def test_only_named_channels_are_sent(place: Place) -> None:
    path = "/api/events?channels=logs,status"
    with (
        serving(place) as server,
        listening(server) as other,
        streaming(server, path) as stream,
    ):
        assert stream.hear()["type"] == "status"
        place.write(TASKS, [{"id": "a"}])
        assert other.hear()["type"] == "task_created"
        place.write("logs/agent.log", "hello\n")
        assert other.subscribe("logs", "status")["type"] == "subscribed"
        assert server.end() == 0
        assert {message["type"] for message in stream.hear_to_end()} == {"status", "log"}


@pytest.mark.parametrize("query", ["channels=nonsense", "channels=tasks,nonsense", "channels=%00"])
def test_a_channel_that_there_is_not_is_refused(shared: Server, query: str) -> None:
    answer = shared.get(f"/api/events?{query}")
    assert answer.status_code == 400
    assert set(answer.json()) == {"detail"}


def came_back(server: Server, last_id: str, path: str = "/api/events") -> list[tuple[str, str]]:
    """What a returning client is told, whichever worker it meets; the same at each of them.

    Ends the server, and with it the streams, so that nothing comes later.
    """
    answers = []
    with ExitStack() as stack:
        back = {"Last_Event_ID": last_id}
        streams = [stack.enter_context(streaming(server, path, **back)) for _ in range(6)]
        assert server.end() == 0
        for stream in streams:
            messages = stream.hear_to_end()
            assert all(message["type"] != "reset" for message in messages)
            answers.append(told(messages))
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


def test_a_client_that_reconnects_gets_the_missed_messages(place: Place) -> None:
    with serving(place) as server, streaming(server) as other:
        with streaming(server) as stream:
            place.write(TASKS, [{"id": "a"}])
            stream.hear()
            last_id = stream.last_id
        for content in ({"id": "b"}, {"id": "b", "title": "B"}):
            place.write(TASKS, [{"id": "a"}, content])
            while told([other.hear()])[0][1] != "b":  # told, so two changes are not seen as one
                pass
        assert came_back(server, last_id) == [("task_created", "b"), ("task_updated", "b")]


def test_a_client_that_missed_nothing_gets_no_message_from_any_worker(
    place: Place, server: Server
) -> None:
    place.write(TASKS, [{"id": "a"}])
    with streaming(server) as stream:
        last_id = stream.last_id
    assert came_back(server, last_id) == []


def test_an_id_outlives_the_server(place: Place) -> None:
    place.write(TASKS, [{"id": "a"}])
    with serving(place) as server, streaming(server) as stream:
        last_id = stream.last_id
    with serving(place) as server:
        assert came_back(server, last_id) == []


@pytest.mark.parametrize("last_id", ["17", "tasks:beef,projects:beef", "x" * 5000, "tasks:", "%"])
def test_an_unknown_id_is_answered_with_whole_channels(
    shared_place: Place, shared: Server, last_id: str
) -> None:
    shared_place.write(TASKS, [{"id": "a"}])
    with streaming(shared, Last_Event_ID=last_id) as stream:
        reset = stream.hear()
        assert reset["type"] == "reset"
        replaced = [stream.hear() for _ in reset["data"]["channels"]]
        whole = {message["type"]: message["data"] for message in replaced}
        assert whole["tasks"] == shared.get("/api/tasks").json()


def test_a_value_that_changed_meanwhile_is_told(place: Place, server: Server) -> None:
    path = "/api/events?channels=cost"
    with streaming(server, path) as stream:
        stream.hear()
        last_id = stream.last_id
    place.write("metrics/efficiency/iteration-1.json", {"cost_usd": 2.0})
    with streaming(server, path, Last_Event_ID=last_id) as stream:
        assert stream.hear()["data"]["estimated_cost_usd"] == 2.0


def test_log_lines_that_were_missed_come_at_the_return(place: Place) -> None:
    place.write("logs/agent.log", "old\n")
    path = "/api/events?channels=logs"
    with serving(place) as server, streaming(server, path) as other:
        with streaming(server, path) as stream:
            last_id = stream.last_id
        with (place.loki / "logs/agent.log").open("a") as log:
            log.write("one\ntwo\n")
        assert [other.hear()["data"]["message"] for _ in range(2)] == ["one", "two"]
        with streaming(server, path, Last_Event_ID=last_id) as stream:
            assert [stream.hear()["data"]["message"] for _ in range(2)] == ["one", "two"]


def test_listeners_take_no_thread(place: Place) -> None:
    with serving(place, LOKI_THREADS="2") as server:
        streams = [Stream(server.host) for _ in range(50)]
        for stream in streams:
            assert stream.hear()["type"] == "connected"
        assert server.get("/health").status_code == 200
        place.write(TASKS, [{"id": "a"}])
        for stream in streams:
            assert stream.hear()["type"] == "task_created"
            stream.close()
