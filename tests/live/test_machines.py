"""Two servers with files and an edge without, which share a Redis server."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import websocket
from requests import Response

from loki_web.auth import tokens
from loki_web.live.machines import answers, remote_feed, service
from loki_web.schemas.logs import LEVELS
from loki_web.services.cells import Counter
from loki_web.services.machines import keys
from loki_web.services.machines.roster import get_roster
from loki_web.store.shared.redis import Link
from loki_web.web.context import EXTENSION
from tests.live.clients import Client, Message, Stream, listening, streaming, told
from tests.live.hubs import Bench, Peer
from tests.support import accounts, places
from tests.support.places import Place
from tests.support.programs import output_of
from tests.support.redis import Redis, serving_redis
from tests.support.registered import add_project, entry, held, register
from tests.support.servers import ROOT, Server, free_port, serving
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server]
READS = (
    *("/api/tasks", "/api/agents", "/api/cost", "/api/notifications", "/api/checkpoints"),
    *("/api/council/state", "/api/registry/projects", "/api/status"),
)
WAITING_NONE = "\nloki_redis_waiting_entries 0.0\n"
AGES = ("uptime_seconds", "session_uptime_seconds", "timestamp")


@dataclass
class Machines:
    """`alpha` has a live session, `beta` an empty one, and `edge` none."""

    redis: Redis
    place: Place
    other: Place
    alpha: Server
    beta: Server
    edge: Server

    def session_of(self, name: str) -> str:
        """Wait until beta and the edge know a machine; return its first project as others name it.

        They have one worker each. Another worker of alpha may not have heard of it yet.
        """

        def find(server: Server) -> str:
            projects = server.get("/api/fleet").json()["projects"]
            return next((str(each["id"]) for each in projects if each["machine"] == name), "")

        wait_until(lambda: find(self.beta), f"the sessions of {name} on beta")
        return wait_until(lambda: find(self.edge), f"the sessions of {name} on the edge")

    def write_log(self, text: str) -> None:
        with (self.place.loki / "logs" / "session.log").open("a") as log:
            log.write(f"{text}\n")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    place = places.recorded(folder / "alpha", today=True, live_pid=os.getpid())
    other, nothing = places.empty(folder / "beta"), places.empty(folder / "edge")
    with ExitStack() as stack:
        redis = stack.enter_context(serving_redis(folder))

        def serve(place: Place, name: str, workers: int, **settings: str) -> Server:
            settings |= {"LOKI_REDIS_URL": redis.url, "LOKI_MACHINE": name}
            return stack.enter_context(serving(place, workers=workers, **settings))

        yield Machines(
            redis,
            place,
            other,
            serve(place, "alpha", 2),
            serve(other, "beta", 1),
            serve(nothing, "edge", 1, LOKI_EDGE="true"),
        )


def until(stream: Stream | Client, text: str) -> list[Message]:
    """Messages up to the one that has a text, with it."""
    found = [stream.hear()]
    while text not in json.dumps(found[-1]):
        found.append(stream.hear())
    return found


def listen_when_known(stack: ExitStack, server: Server, session: str) -> Client:
    """Follow a session of another machine as soon as the worker that answers knows it."""

    def listen() -> Client | None:
        try:
            return stack.enter_context(listening(server, path=f"/ws?project={session}"))
        except websocket.WebSocketBadStatusException as refusal:
            if refusal.status_code != 404:
                raise
            return None

    client = wait_until(listen, "a worker that knows the session")
    assert client is not None
    return client


def hears(bench: Bench, peer: Peer, text: str) -> bool:
    return text in str(bench.hear(peer))


def is_in_state(server: Server, status: str) -> bool:
    answer = server.get("/health/ready")
    return answer.status_code == 200 and answer.json()["status"] == status


def lines_of(messages: list[Message], mark: str) -> list[str]:
    texts = [str(each["data"]["message"]) for each in messages if each["type"] == "log"]
    return [text for text in texts if mark in text]


def without_ages(answer: object) -> object:
    if not isinstance(answer, dict):
        return answer
    return {key: value for key, value in answer.items() if key not in AGES}


def test_an_edge_reads_what_the_machine_answers(machines: Machines) -> None:
    session = machines.session_of("alpha")
    for path in answers.ROUTES:
        machines.edge.get(path)  # so that one turn of the machine answers all
    for path in (*READS, *answers.ROUTES):
        for server, query in ((machines.edge, ""), (machines.beta, f"?project={session}")):

            def is_same(server: Server = server, path: str = path, query: str = query) -> bool:
                answer = server.get(path + query)
                truth = machines.alpha.get(path).json()
                return answer.ok and without_ages(answer.json()) == without_ages(truth)

            wait_until(is_same, path)
    answer = machines.edge.get("/api/tasks")
    assert answer.headers["X-Loki-Project"] == session.replace(":", "%3A")
    headers = {"If-None-Match": answer.headers["ETag"]}
    assert machines.edge.get("/api/tasks", headers=headers).status_code == 304


def test_an_edge_reads_with_the_parameters_that_select_from_what_it_has(
    machines: Machines,
) -> None:
    session = machines.session_of("alpha")
    gone = entry(machines.place.home / "gone", id="id-gone")
    add_project(machines.place, "kept")
    register(machines.place, *held(machines.place).values(), gone)
    reads = (
        *("/api/tasks?status=done", "/api/tasks?limit=2&offset=1", "/api/tasks?limit=x"),
        *("/api/notifications?limit=1000", "/api/notifications?severity=warning&offset=1"),
        *("/api/notifications?acknowledged=false&limit=1", "/api/notifications?limit=0"),
        *("/api/checkpoints?limit=200", "/api/checkpoints?limit=1", "/api/checkpoints?limit=201"),
        *("/api/registry/projects?include_inactive=true", "/api/registry/projects"),
        *("/api/agents?unknown=1", "/api/logs?lines=5", "/api/logs?lines=0"),
        *("/api/memory/episodes?limit=1", "/api/memory/episodes?limit=1000"),
        *("/api/learning/signals?limit=2&timeRange=7d", "/api/learning/errors?limit=1"),
        *("/api/council/verdicts?limit=1", "/api/council/verdicts?limit=0", "/api/records?limit=1"),
    )
    for path in reads:

        def is_same(path: str = path) -> bool:
            joint = "&" if "?" in path else "?"
            answer, truth = machines.edge.get(path), machines.alpha.get(path)
            named = machines.beta.get(f"{path}{joint}project={session}")
            expected = (truth.status_code, truth.json())
            return all((each.status_code, each.json()) == expected for each in (answer, named))

        wait_until(is_same, path)
    truth, every = machines.alpha.get("/api/logs").json(), ",".join(LEVELS)
    path = f"/api/logs?lines=2000&level={every}"
    wait_until(lambda: machines.edge.get(path).json() == truth, "the lines that there are")
    assert "id-gone" in machines.edge.get("/api/registry/projects?include_inactive=true").text


def test_every_list_and_value_of_a_project_is_answered_for_others(place: Place) -> None:
    app = place.app()
    of_project = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        and "GET" in (rule.methods or ())
        and not rule.arguments
        and getattr(app.blueprints.get(rule.endpoint.split(".")[0]), "is_of_project", False)
    }
    published = {*READS, *answers.ROUTES}
    assert of_project - published == {
        "/api/auth/info",
        "/api/secrets/status",
        "/api/health/processes",
    }


def test_an_answer_that_is_too_large_is_not_sent_to_others(machines: Machines) -> None:
    session = machines.session_of("beta")
    path, file = f"/api/memory/patterns?project={session}", "memory/semantic/patterns.json"

    def say(size: int) -> None:
        pattern = {"id": "sem-1", "pattern": "p" * size}
        machines.other.write(file, {"version": "1.0", "patterns": [pattern]})

    def ask(status: int) -> object:
        answer = machines.edge.get(path)
        return answer.status_code == status and answer.json()

    say(answers.MOST_BYTES)
    refusal = wait_until(partial(ask, 404), "a refusal")
    assert "too large" in str(refusal)
    say(5)
    answer = wait_until(partial(ask, 200), "an answer")
    assert answer == machines.beta.get("/api/memory/patterns").json()
    assert "ppppp" in str(answer)


def test_an_edge_says_what_it_does_not_have(machines: Machines) -> None:
    session = machines.session_of("alpha")
    for path in (
        *("/api/checkpoints/x", "/api/logs?level=error", "/api/logs?query=x"),
        *("/api/memory/episodes?offset=1", "/api/learning/metrics?timeRange=1h"),
    ):
        answer = machines.edge.get(path)
        assert answer.status_code == 404
        assert "on another machine" in answer.json()["detail"], path
    for path in ("/api/control/stop", f"/api/control/stop?project={session}"):
        assert machines.edge.post(path).status_code == 404
    assert machines.beta.post(f"/api/control/stop?project={session}").status_code == 404
    assert not (machines.place.loki / "STOP").exists()
    for path in ("/api/tasks", "/api/events"):
        answer = machines.edge.get(f"{path}?project=alpha:000000000000")
        assert answer.status_code == 404
    for path in ("/api/auth/info", "/api/secrets/status", "/health", "/metrics", "/"):
        assert machines.edge.get(path).status_code == 200, path


def test_public_routes_do_not_tell_which_sessions_there_are(machines: Machines) -> None:
    names = [machines.session_of("alpha"), "alpha:000000000000", ""]
    requests = [("GET", "/api/auth/info"), ("GET", "/api/enterprise/status")]
    requests += [("OPTIONS", path) for path in ("/api/tasks", "/api/logs", "/api/control/stop")]
    for server in (machines.beta, machines.edge):
        for method, path in requests:
            answers = [server.request(method, f"{path}?project={name}") for name in names]
            assert [answer.status_code for answer in answers] == [200] * 3, (method, path)
            assert len({answer.text for answer in answers}) == 1


def test_the_fleet_is_that_of_all_machines(machines: Machines) -> None:
    for server, own in (
        (machines.alpha, {"alpha"}),
        (machines.beta, {"beta"}),
        (machines.edge, set()),
    ):

        def names(server: Server = server) -> set[str]:
            return {str(each["machine"]) for each in server.get("/api/fleet").json()["projects"]}

        wait_until(lambda: names() >= {"alpha", "beta"}, "all machines")
        assert own <= names()


@pytest.mark.slow
def test_a_machine_knows_its_projects_by_the_names_that_others_have(
    machines: Machines, place: Place
) -> None:
    real = add_project(place, "real", is_registered=False).loki.parent
    linked = place.home / "linked"
    linked.symlink_to(real)
    register(place, entry(linked))

    def list_named() -> dict[str, str]:
        fleet = machines.edge.get("/api/fleet").json()["projects"]
        return {each["path"]: each["id"] for each in fleet if each["machine"] == "gamma"}

    settings = {"LOKI_REDIS_URL": machines.redis.url, "LOKI_MACHINE": "gamma"}
    with serving(place, workers=1, **settings) as gamma:
        wait_until(lambda: len(list_named()) == 2, "the projects")
        for path, root in ((linked, real), (place.loki.parent, place.loki.parent)):
            query = f"?project={list_named()[str(path)]}"
            answer = gamma.get(f"/api/tasks{query}")
            assert answer.headers["X-Loki-Project"] == quote(str(root))
            with listening(gamma, path=f"/ws{query}"):
                pass


def test_each_machine_can_be_heard_on_the_edge(machines: Machines) -> None:
    alpha, beta = machines.session_of("alpha"), machines.session_of("beta")
    with ExitStack() as stack:
        first = stack.enter_context(listening(machines.edge, path=f"/ws?project={alpha}"))
        second = stack.enter_context(listening(machines.edge, path=f"/ws?project={beta}"))
        third = listen_when_known(stack, machines.alpha, beta)
        machines.place.write("queue/pending.json", [{"id": "of-alpha"}])
        machines.other.write("queue/pending.json", [{"id": "of-beta"}])
        for client, name in ((first, "of-alpha"), (second, "of-beta"), (third, "of-beta")):
            heard = until(client, name)
            assert told(heard[-1:]) == [("task_created", name)]
            (other,) = {"of-alpha", "of-beta"} - {name}
            assert other not in json.dumps(heard)


def test_a_feed_that_begins_without_entries_goes_on_with_the_next_one(machines: Machines) -> None:
    """Redis has lost them, and the machine has published the states again."""
    session, bench = machines.session_of("beta"), Bench()
    link = Link(machines.redis.url, lambda: None)
    bench.hub.source = remote_feed.RemoteFeed(session, link, bench.hub)
    machines.other.write("queue/pending.json", [{"id": "lost"}])
    wait_until(lambda: "lost" in machines.edge.get(f"/api/tasks?project={session}").text, "a state")
    link.call(lambda client: client.delete(keys.events(session)))
    peer = bench.client()
    wait_until(partial(hears, bench, peer, "connected"), "a welcome")
    machines.other.write("queue/pending.json", [{"id": "next"}])
    wait_until(partial(hears, bench, peer, "next"), "the task")
    bench.close()


@pytest.mark.slow
def test_a_feed_that_nobody_hears_ends_and_starts_with_the_next_client(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, link = Bench(), Link(machines.redis.url, lambda: None)
    bench.hub.source = remote_feed.RemoteFeed(machines.session_of("alpha"), link, bench.hub)

    def has_ended() -> bool:
        bench.turn()
        return not {"remote-feed", "remote-reader"} & {each.name for each in threading.enumerate()}

    for name in ("heard-first", "heard-again"):
        peer = bench.client()
        assert wait_until(partial(bench.hear, peer), "a welcome")[0]["type"] == "connected"
        machines.place.write("queue/pending.json", [{"id": name}])
        wait_until(partial(hears, bench, peer, name), "the task")
        with monkeypatch.context() as patch:
            patch.setattr(remote_feed, "LINGER_SECONDS", 0.0)
            peer.socket.close()
            wait_until(has_ended, "the end of the feed's threads")
    bench.close()


def test_sessions_that_nobody_follows_make_room_for_others(machines: Machines) -> None:
    sessions = [f"many:{n:012x}" for n in range(65)]
    text = json.dumps({"projects": [{"id": each} for each in sessions]})
    client, edge = machines.redis.client, machines.edge
    client.set(keys.machine("many"), text)
    client.zadd(keys.MACHINES, {"many": time.time()})
    try:
        wait_until(lambda: sessions[0] in edge.get("/api/fleet").text, "the sessions")
        for each in sessions[1:]:
            assert edge.head(f"/api/events?project={each}").status_code == 200
        with streaming(edge, f"/api/events?project={sessions[0]}"):
            pass
    finally:
        client.delete(keys.machine("many"))


def test_a_hub_is_the_one_of_its_session_until_a_request_has_opened_its_connection(
    machines: Machines, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [machines.session_of("alpha"), machines.session_of("beta")]
    sources = place.sources(LOKI_REDIS_URL=machines.redis.url, LOKI_EDGE="true")
    link, roster = sources.link, get_roster(sources)
    assert link
    assert roster
    roster.start()
    wait_until(lambda: set(sessions) <= roster.list_projects().keys(), "the sessions")
    monkeypatch.setattr(service, "_MOST_HUBS", 1)
    followed = service.Machines(sources, link, roster, lambda: None)
    first = followed.find_hub(sessions[0], None)
    second = followed.find_hub(sessions[1], None)  # makes room
    assert second is not first
    assert first in followed.hubs  # it is closed at the end of the process
    assert followed.find_hub(sessions[0], None) is first


@pytest.mark.slow
def test_a_limited_token_sees_its_project_alone_on_an_edge(
    machines: Machines, tmp_path: Path
) -> None:
    alpha, beta = machines.session_of("alpha"), machines.session_of("beta")
    place = places.empty(tmp_path)
    token = tokens.create(place.sources(LOKI_REDIS_URL=machines.redis.url), "new", projects=[alpha])
    assert token["projects"] == [alpha]
    accounts.store(
        place,
        accounts.entry("limited", "*", projects=[alpha]),
        accounts.entry("folder", "*", projects=[str(machines.place.loki.parent)]),
        accounts.entry("admin", "*"),
    )
    settings = {"LOKI_REDIS_URL": machines.redis.url, "LOKI_MACHINE": "limiting"}
    settings |= {"LOKI_EDGE": "true", "LOKI_ENTERPRISE_AUTH": "true"}
    with ExitStack() as stack:
        edge = stack.enter_context(serving(place, workers=1, **settings))

        def ask(path: str, who: str = "limited") -> Response:
            return edge.get(path, headers=accounts.bearer(who))

        def sessions_of(who: str) -> list[str]:
            return [each["id"] for each in ask("/api/fleet", who).json()["projects"]]

        def is_same(path: str) -> bool:
            answer, truth = ask(path), ask(f"{path}?project={alpha}", "admin")
            return answer.ok and without_ages(answer.json()) == without_ages(truth.json())

        wait_until(lambda: {alpha, beta} <= {*sessions_of("admin")}, "all machines")
        assert sessions_of("limited") == [alpha]
        assert sessions_of("folder") == []
        for path in READS:
            if path != "/api/registry/projects":
                wait_until(partial(is_same, path), path)
            for query, who in ((f"?project={beta}", "limited"), ("", "folder")):
                assert ask(path + query, who).json() == {"detail": "Project not found"}
        for name, who in ((beta, "limited"), (alpha, "folder"), ("", "folder")):
            path = f"?token={accounts.raw(who)}&project={name}"
            assert edge.get(f"/api/events{path}").status_code == 404
            with pytest.raises(websocket.WebSocketBadStatusException) as refused:
                Client(edge.host, f"/ws{path}")
            assert refused.value.status_code == 404

        path = f"?token={accounts.raw('limited')}&channels=tasks,projects"
        client = stack.enter_context(listening(edge, "tasks", "projects", path=f"/ws{path}"))
        stream = stack.enter_context(streaming(edge, f"/api/events{path}&project={alpha}"))
        path = f"/api/events?channels=projects&project={alpha}&token={accounts.raw('admin')}"
        admin = stack.enter_context(streaming(edge, path))
        add_project(machines.place, "hidden")
        assert until(admin, "id-hidden")[-1]["type"] == "project_created"
        wait_until(lambda: "id-hidden" in ask("/api/registry/projects", "admin").text, "a list")
        listed = ask("/api/registry/projects").json()
        assert {each["path"] for each in listed} == {str(machines.place.loki.parent)}
        machines.other.write("queue/pending.json", [{"id": "hidden"}])
        machines.place.write("queue/pending.json", [{"id": "limited"}])
        for each in (client, stream):
            heard = until(each, "limited")
            assert told(heard[-1:]) == [("task_created", "limited")]
            assert "hidden" not in json.dumps(heard)


def test_a_client_goes_on_where_it_was_at_any_server(machines: Machines) -> None:
    session = machines.session_of("alpha")
    path = f"/api/events?channels=logs&project={session}"
    with (
        streaming(machines.edge, path) as stream,
        streaming(machines.alpha, "/api/events?channels=logs") as own,
    ):
        machines.write_log("resume 0")
        until(stream, "resume 0")
        until(own, "resume 0")
        ids = stream.last_id, own.last_id
    for n in range(1, 4):
        machines.write_log(f"resume {n}")
    wanted = [f"resume {n}" for n in range(1, 4)]
    for last_id in ids:  # an id of a stream, and that of a server with the files
        for server in (machines.edge, machines.beta):
            with streaming(server, path, Last_Event_ID=last_id) as stream:
                assert lines_of(until(stream, "resume 3"), "resume") == wanted
    with streaming(machines.edge, path, Last_Event_ID="logs:1-0") as stream:
        assert stream.hear()["type"] == "reset"


@pytest.mark.slow
def test_a_killed_redis_loses_and_repeats_no_message(machines: Machines) -> None:
    session = machines.session_of("alpha")
    edge, redis = machines.edge, machines.redis
    path = f"/api/events?channels=logs,tasks&project={session}"
    with streaming(edge, path) as stream:
        machines.write_log("outage 0")
        heard = until(stream, "outage 0")
        wait_until(lambda: edge.get("/api/tasks").ok, "the tasks")
        redis.kill()
        try:
            wait_until(lambda: is_in_state(edge, "degraded"), "a degraded edge")
            assert "\nloki_redis_up 0.0\n" in edge.get("/metrics").text
            for n in range(1, 5):
                machines.write_log(f"outage {n}")
            assert machines.alpha.get("/api/status").status_code == 200  # alone, with its files
            assert edge.get("/api/tasks").status_code == 200  # with what it has
            assert edge.get("/api/fleet").json()["total"] >= 2
            change = machines.alpha.post("/api/focus", json={"project_dir": "relative"})
            assert change.status_code == 400  # counted on this machine, and not refused
        finally:
            redis.start()
        machines.write_log("outage 5")
        heard += until(stream, "outage 5")
        assert lines_of(heard, "outage") == [f"outage {n}" for n in range(6)]
    for server in (machines.alpha, edge):
        wait_until(partial(is_in_state, server, "ready"), "a server that is ready again")
    wait_until(lambda: WAITING_NONE in machines.alpha.get("/metrics").text, "an empty outbox")
    wait_until(lambda: edge.get("/api/tasks").ok, "the states, which Redis had lost")
    reports = (keys.machine("alpha"), keys.machine("beta"))  # each is written after the streams
    wait_until(lambda: redis.client.exists(*reports) == 2, "both machines, published again")


@pytest.mark.slow
def test_the_next_worker_publishes_what_changed_meanwhile(machines: Machines) -> None:
    session = machines.session_of("alpha")
    with streaming(machines.edge, f"/api/events?channels=logs,tasks&project={session}") as stream:
        machines.write_log("worker 0")
        heard = until(stream, "worker 0")
        machines.place.write("queue/pending.json", [{"id": "worker-a"}])
        heard += until(stream, "worker-a")
        before = machines.alpha.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        machines.write_log("worker 1")
        machines.place.write("queue/pending.json", [{"id": "worker-a"}, {"id": "worker-b"}])
        rest = until(stream, "worker-b")
        machines.write_log("worker 2")
        heard += rest + until(stream, "worker 2")
    assert lines_of(heard, "worker") == ["worker 0", "worker 1", "worker 2"]
    created = [each["data"]["id"] for each in heard if each["type"] == "task_created"]
    assert created == ["worker-a", "worker-b"]


@pytest.mark.slow
def test_a_second_server_with_the_name_of_a_machine_does_not_publish(
    machines: Machines, place: Place
) -> None:
    machines.session_of("alpha")
    settings = {"LOKI_REDIS_URL": machines.redis.url, "LOKI_MACHINE": "alpha"}
    with serving(place, workers=1, **settings) as impostor:
        warning = "Another server publishes under the name of this machine"
        wait_until(lambda: warning in impostor.get("/health/ready").json()["warnings"], warning)
        wait_until(partial(is_in_state, impostor, "degraded"), "a server that is limited")
        assert impostor.get("/api/tasks").json() == []
    wait_until(partial(is_in_state, machines.alpha, "ready"), "a server that is not limited")


@pytest.mark.slow
def test_a_token_is_refused_on_all_machines_after_its_revocation(
    machines: Machines, tmp_path: Path
) -> None:
    shared = {"LOKI_REDIS_URL": machines.redis.url, "LOKI_ENTERPRISE_AUTH": "true"}
    one, two = places.empty(tmp_path / "one"), places.empty(tmp_path / "two")

    for place in (one, two):
        accounts.everybody(place)
    with (
        serving(one, workers=1, LOKI_MACHINE="one", **shared) as first,
        serving(two, workers=1, LOKI_MACHINE="two", **shared) as second,
    ):

        def may(name: str) -> bool:
            return second.get("/api/status", headers=accounts.bearer(name)).ok

        assert all(map(may, ("admin", "viewer", "operator")))
        for path in ("viewer", "operator?permanent=true"):
            path = f"/api/enterprise/tokens/{path}"
            assert first.request("DELETE", path, headers=accounts.bearer("admin")).ok
        wait_until(lambda: not (may("viewer") or may("operator")), "a refusal")
        assert may("admin")

        def list_revoked() -> set[str]:
            entries = json.loads((two.home / ".loki/dashboard/tokens.json").read_text())["tokens"]
            return {each["name"] for each in entries.values() if each["revoked"]}

        outlasting = {"viewer", "operator", "revoked"}
        wait_until(lambda: list_revoked() == outlasting, "a revocation that outlasts Redis")
        log = max((one.home / ".loki/dashboard/audit").glob("*.jsonl"))  # two after midnight
        last = json.loads(log.read_text().splitlines()[-1])

        def list_announced() -> list[Any]:
            announced: Any = machines.redis.client.xrange(keys.AUDIT)
            return [fields for _, fields in announced]

        expected = {"machine": "one", **{name: last[name] for name in ("timestamp", "action")}}
        tail = {key.encode(): value.encode() for key, value in expected.items()}
        tail[b"hash"] = last["_integrity_hash"].encode()
        wait_until(lambda: tail in list_announced(), "the end of the audit log")


def test_reads_of_own_files_do_not_ask_redis(place: Place) -> None:
    app = place.app(LOKI_REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    client, counts = app.test_client(), app.extensions[EXTENSION].counts
    for path in (*READS, "/api/fleet", "/health/ready", "/metrics", *READS):
        assert client.get(path).status_code == 200, path
    assert counts.total(Counter.REDIS_FAILURES) == 0
    client.post("/api/focus", json={"project_dir": "relative"})
    assert counts.total(Counter.REDIS_FAILURES) == 1


@pytest.mark.slow
def test_the_library_is_loaded_only_where_redis_is_used(place: Place) -> None:
    code = (
        "import sys; from loki_web.app import create_app;"
        "create_app().test_client().get('/api/fleet');"
        "print(sorted({'redis', 'limits', 'loki_web.live.machines'} & set(sys.modules)))"
    )
    env = {**os.environ, **place.environment()}
    assert output_of([sys.executable, "-c", code], cwd=ROOT, env=env) == "[]\n"
