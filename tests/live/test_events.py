"""From a file to every client: exactly what happened, whoever did it, whichever worker serves."""

import json
import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.live.clients import Client, listening, streaming, told
from tests.support.places import Place
from tests.support.servers import Server, serving
from tests.support.waiting import wait_until


def entries(*identities: str) -> list[dict[str, Any]]:
    return [{"id": identity, "title": identity} for identity in identities]


# What the watcher does not notice would be found by looking each second.
POLLING = "from loki_web.server.conf import *"
WATCHING_ONLY = f"""
{POLLING}
from loki_web.live.feed import feed
feed._LOOK_SECONDS *= 3600  # which has to be there
"""


@pytest.fixture(params=["events", "poll"])
def server(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that learns of changes in one way or the other."""
    conf = tmp_path / "conf.py"
    conf.write_text(WATCHING_ONLY if request.param == "events" else POLLING)
    with serving(place, conf=conf, LOKI_WATCH=request.param) as made:
        yield made


def heard(client: Client, count: int) -> list[tuple[str, str]]:
    """So many events, and no more."""
    found = [client.hear() for _ in range(count)]
    return told(found + client.hear_rest())


def test_a_task_is_made_moved_and_changed(place: Place, server: Server) -> None:
    with listening(server) as client:
        place.write("queue/pending.json", entries("a", "b"))
        assert heard(client, 2) == [("task_created", "a"), ("task_created", "b")]
        place.write("queue/in-progress.json", entries("b"))
        place.write("queue/pending.json", entries("a"))
        assert heard(client, 1) == [("task_moved", "b")]
        place.write("queue/pending.json", [{"id": "a", "title": "changed"}])
        assert heard(client, 1) == [("task_updated", "a")]


def test_the_data_of_an_event_are_what_the_rest_api_shows(place: Place, server: Server) -> None:
    with listening(server) as client:
        place.write("queue/pending.json", entries("a"))
        assert [client.hear()["data"]] == server.get("/api/tasks").json()


def test_the_same_content_written_again_is_no_event(place: Place, server: Server) -> None:
    place.write("queue/pending.json", entries("a"))
    with listening(server) as client:
        for _ in range(5):
            place.write("queue/pending.json", entries("a"))
            assert client.hear_rest() == []
        temporary = place.write("queue/new.tmp", entries("a"))
        os.replace(temporary, place.loki / "queue/pending.json")
        assert client.hear_rest() == []


def test_a_file_that_is_being_written_makes_no_task_vanish_or_come_back(
    place: Place, server: Server
) -> None:
    place.write("queue/pending.json", entries("a", "b"))
    with listening(server) as client:
        whole = json.dumps(entries("a", "b", "c"))
        with (place.loki / "queue/pending.json").open("w") as stream:
            stream.flush()
            assert client.hear_rest() == []
            stream.write(whole[:20])
            stream.flush()
            assert client.hear_rest() == []
            stream.write(whole[20:])
        assert heard(client, 1) == [("task_created", "c")]


def test_folders_may_come_go_and_be_replaced(tmp_path: Path) -> None:
    loki = tmp_path / "home" / "project" / ".loki"
    (tmp_path / "home").mkdir()
    place = Place(tmp_path / "home", loki)
    with serving(place) as server, listening(server) as client:
        place.write("queue/pending.json", entries("a"))
        assert heard(client, 1) == [("task_created", "a")]
        shutil.rmtree(loki)
        assert client.hear_rest() == []
        other = Place(tmp_path / "home", tmp_path / "home" / "other")
        other.write("queue/pending.json", entries("a", "b"))
        other.loki.rename(loki)
        assert heard(client, 1) == [("task_created", "b")]
        place.write("queue/failed.json", entries("c"))
        assert heard(client, 1) == [("task_created", "c")]


def test_log_lines_come_as_they_are_written(place: Place, server: Server) -> None:
    place.write("logs/agent.log", "old\n")
    with listening(server, "logs") as client:
        with (place.loki / "logs/agent.log").open("a") as stream:
            for number in range(50):
                stream.write(f"[INFO] line {number} password=hunter2hunter2\n")
                stream.flush()
        lines = [client.hear()["data"]["message"] for _ in range(50)]
        assert [line.split()[1] for line in lines] == [str(number) for number in range(50)]
        assert "hunter2" not in "".join(lines)


def test_the_status_follows_the_files_and_the_process(place: Place, sleeper: int) -> None:
    with serving(place) as server, listening(server, "status") as client:
        assert client.hear()["data"]["status"] == "stopped"
        place.write("loki.pid", f"{sleeper}\n")
        assert client.hear()["data"]["status"] == "running"
        place.write("PAUSE", "")
        assert client.hear()["data"]["status"] == "paused"


def test_a_process_that_dies_is_told_without_any_file(place: Place) -> None:
    process = subprocess.Popen(["sleep", "600"])
    place.write("loki.pid", f"{process.pid}\n")
    with serving(place) as server, listening(server, "status") as client:
        assert client.hear()["data"]["status"] == "running"
        process.kill()
        process.wait()
        assert client.hear()["data"]["status"] == "stopped"


def test_every_worker_tells_the_same_each_event_once(place: Place) -> None:
    """Twelve clients on three workers, while two writers change the files."""
    with serving(place, workers=3) as server, ExitStack() as stack:
        clients = [stack.enter_context(listening(server)) for _ in range(12)]
        names = [f"t{number}" for number in range(400)]
        writers = [
            threading.Thread(target=add_one_by_one, args=(place, queue, half))
            for queue, half in (("pending", names[:200]), ("completed", names[200:]))
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        for client in clients:
            found = Counter(told(client.hear_rest()))
            assert found == Counter(("task_created", name) for name in names)


def add_one_by_one(place: Place, queue: str, names: list[str]) -> None:
    for count in range(1, len(names) + 1):
        place.write(f"queue/{queue}.tmp", entries(*names[:count]))
        os.replace(place.loki / f"queue/{queue}.tmp", place.loki / f"queue/{queue}.json")


def test_a_project_registered_at_any_worker_is_told_at_all(place: Place) -> None:
    with serving(place, workers=3) as server, ExitStack() as stack:
        clients = [stack.enter_context(listening(server)) for _ in range(9)]
        path = str(place.loki.parent)
        made = server.post("/api/registry/projects", json={"path": path, "name": "demo"})
        assert made.status_code == 201
        server.post(f"/api/registry/projects/{made.json()['id']}/access")
        for client in clients:
            (message,) = client.hear_rest()
            assert message["type"] == "project_created"
            assert message["data"]["path"] == path


def test_a_damaged_file_leaves_the_feed_alive(place: Place, server: Server) -> None:
    with listening(server) as client:
        for damage in (b"\xff\xfe", b"[" * 5000, b'[{"id": NaN}]', b"5"):
            place.write("queue/pending.json", damage)
            client.hear_rest()
        place.write("queue/failed.json", entries("sound"))
        assert ("task_created", "sound") in heard(client, 1)


def test_a_feed_without_clients_has_no_thread_and_no_watch(place: Place) -> None:
    with serving(place, LOKI_THREADS="1") as server:
        (pid,) = server.workers()
        wait_until(lambda: threads_of(pid) == 2, "no thread but two: one accepts, one answers")
        with streaming(server):
            wait_until(lambda: threads_of(pid) == 5, "the hub, the feed and its watcher")


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
