"""A change wakes the feed at once, whoever drains the events; without events each second does."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loki_web.live.feed.watcher import Watcher
from loki_web.store.folder import Folder
from loki_web.store.notifier import Notifier, get_notifier
from tests.live.clients import listening, told
from tests.support.places import Place
from tests.support.programs import in_namespaces
from tests.support.servers import Server, environment, free_port, running
from tests.support.waiting import PATIENCE_SECONDS, wait_until


@pytest.fixture
def woken(place: Place) -> Iterator[threading.Event]:
    """Set by each change in the folder of the queues, which somebody has read."""
    place.write("queue/pending.json", [])
    folder = Folder(place.loki)
    folder.document("queue/pending.json")
    event = threading.Event()
    watcher = Watcher(event.set)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    yield event
    watcher.stop()
    thread.join()
    del folder


def test_each_change_wakes(place: Place, woken: threading.Event) -> None:
    for number in range(3):
        place.write("queue/pending.json", [{"id": str(number)}])
        assert woken.wait(PATIENCE_SECONDS)
        woken.clear()


def test_a_change_that_others_have_drained_wakes_too(place: Place) -> None:
    place.write("queue/pending.json", [])
    folder = Folder(place.loki)
    folder.document("queue/pending.json")
    get_notifier().drain()
    event = threading.Event()
    watcher = Watcher(event.set)
    place.write("queue/pending.json", [1])
    get_notifier().drain()
    assert event.is_set()
    watcher.stop()
    event.clear()
    place.write("queue/pending.json", [2])
    get_notifier().drain()
    assert not event.is_set()
    assert folder.document("queue/pending.json") == [2]


class Told:
    """What a subscriber was told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.losses = 0

    def touched(self, key: str, name: str, is_folder: bool) -> None:
        self.names.append(name)

    def lost(self) -> None:
        self.losses += 1


def test_a_folder_that_was_moved_away_is_not_watched_any_more(tmp_path: Path) -> None:
    (tmp_path / "queue").mkdir()
    own, subscriber = get_notifier(), Told()
    assert own.watch(str(tmp_path / "queue"), subscriber, "")
    (tmp_path / "queue").rename(tmp_path / "old")
    own.drain()
    (tmp_path / "old" / "x").touch()
    own.drain()
    assert (subscriber.names, subscriber.losses) == ([], 1)
    assert own.watch(str(tmp_path / "old"), subscriber, "")
    (tmp_path / "old" / "y").touch()
    own.drain()
    assert set(subscriber.names) == {"y"}


def test_a_descriptor_that_fails_loses_all_watches_and_fails_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own, subscriber = Notifier(), Told()
    assert own.watch(str(tmp_path), subscriber, "")
    descriptor = own.fileno()
    assert descriptor is not None
    (tmp_path / "x").touch()
    another = os.open(tmp_path, os.O_RDONLY)
    os.dup2(another, descriptor)
    os.close(another)
    for _ in range(2):
        own.drain()
        assert not own.watch(str(tmp_path), subscriber, "")
    assert subscriber.losses == 1
    assert own.fileno() is None
    assert len(caplog.messages) == 1


# In a user namespace of its own, where it limits nobody else.
LIMITED = ["sh", "-ec", 'echo 0 > "/proc/sys/user/$0"; exec "$@"']


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_files_are_examined_each_second_without_events(place: Place, limit: str) -> None:
    place.write("queue/pending.json", [])
    port = free_port()
    limited = [*LIMITED, limit]
    command = in_namespaces("--user", "--map-root-user", trial=[*limited, "true"])
    command += [*limited, sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    env = environment(place, LOKI_DASHBOARD_PORT=str(port), LOKI_WORKERS="1")
    with running(command, env, f"127.0.0.1:{port}") as server, listening(server) as client:
        for number in range(3):
            place.write("queue/pending.json", [{"id": f"t{number}"}])
            assert told([client.hear()]) == [("task_created", f"t{number}")]
        assert [task["id"] for task in server.get("/api/tasks").json()] == ["t2"]
        wait_until(lambda: warnings(server), "a warning")
        assert warnings(server) == 1
        (warning,) = server.get("/health/ready").json()["warnings"]
        assert "polled" in warning
        assert "\nloki_watch_failed 1.0\n" in server.get("/metrics").text


def warnings(server: Server) -> int:
    return server.count("no file system events")
