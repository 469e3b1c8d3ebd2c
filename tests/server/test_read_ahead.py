"""A long history is read by a process of its own at the first start with a project."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from loki_web.server import read_ahead
from loki_web.services import events
from tests.support import servers
from tests.support.places import Place
from tests.support.waiting import PATIENCE_SECONDS, wait_until

LINE = json.dumps({"timestamp": "2026-11-28T00:00:00Z", "type": "note", "data": {"a": "b" * 900}})
LONG = f"{LINE}\n" * (read_ahead.LONG_BYTES // len(LINE) + 1)
SAID = "a long history: it is read ahead by process"


def index_of(place: Place) -> Path:
    path = place.sources().index.path
    assert path is not None
    return path


@pytest.mark.parametrize(
    ("content", "prepare", "is_due"),
    [
        (LONG, lambda place: None, True),
        (LONG[: read_ahead.LONG_BYTES - 1], lambda place: None, False),
        ("", lambda place: None, False),
        (LONG, lambda place: index_of(place).touch(), False),
        (LONG, lambda place: (place.loki / events.FILE).unlink(), False),
    ],
    ids=["long", "short", "empty", "read before", "no events"],
)
def test_only_a_long_history_that_was_never_read_is_read_ahead(
    place: Place, content: str, prepare: Callable[[Place], object], is_due: bool
) -> None:
    place.write(events.FILE, content)
    prepare(place)
    assert read_ahead.is_due(place.sources()) is is_due


@pytest.mark.server
def test_a_long_history_is_read_ahead_once(place: Place) -> None:
    place.write(events.FILE, LONG)
    index = index_of(place)
    with servers.serving(place, workers=2) as server:
        wait_until(lambda: server.get("/health/ready").status_code == 200, "a ready server")
        assert server.count(SAID) == 1
        answer = server.get("/api/learning/metrics?timeRange=9999d").json()
        assert answer["totalSignals"] == LONG.count("\n")
    assert index.exists()
    with servers.serving(place) as server:
        assert server.count(SAID) == 0


# The process never ends by itself.
CONF = """
from loki_web.server.conf import *
from loki_web.services import warming
def wait_for_ever(sources):
    import time
    time.sleep(3600)
warm, warming.warm = warming.warm, wait_for_ever
def post_fork(server, worker):
    warming.warm = warm
    conf.post_fork(server, worker)
from loki_web.server import conf
"""


@pytest.mark.server
@pytest.mark.parametrize(
    "end",
    [
        lambda master: os.kill(master, signal.SIGTERM),
        lambda master: os.kill(master, signal.SIGKILL),
        lambda master: os.killpg(master, signal.SIGINT),
    ],
    ids=["asked", "killed", "interrupted at the terminal"],
)
def test_the_process_that_reads_ahead_ends_with_the_server(
    place: Place, tmp_path: Path, end: Callable[[int], None]
) -> None:
    place.write(events.FILE, LONG)
    conf, port = tmp_path / "conf.py", servers.free_port()
    conf.write_text(CONF)
    env = servers.environment(place, LOKI_WORKERS="1", LOKI_DASHBOARD_PORT=str(port))
    command = [sys.executable, "-m", "gunicorn", "-c", str(conf), "wsgi:app"]
    with servers.running(command, env, f"127.0.0.1:{port}") as server:
        wait_until(lambda: server.count(SAID), "a process that reads ahead")
        (line,) = (line for line in server.errors if SAID in line)
        reader = psutil.Process(int(line.rpartition(" ")[2]))
        wait_until(lambda: not reader.net_connections(), "a process that does not listen")
        end(server.process.pid)
        server.process.wait(timeout=PATIENCE_SECONDS)
        wait_until(lambda: not reader.is_running(), "the end of the process")


@pytest.mark.server
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a server for another group")
def test_the_process_that_reads_ahead_has_the_group_of_the_workers(
    place: Place, tmp_path: Path
) -> None:
    place.write(events.FILE, LONG)
    conf, port = tmp_path / "conf.py", servers.free_port()
    conf.write_text(f"{CONF}group = 65534\n")
    env = servers.environment(place, LOKI_WORKERS="1", LOKI_DASHBOARD_PORT=str(port))
    command = [sys.executable, "-m", "gunicorn", "-c", str(conf), "wsgi:app"]
    with servers.running(command, env, f"127.0.0.1:{port}") as server:
        wait_until(lambda: groups_of(server) == [65534, 65534], "a worker and a process that reads")


def groups_of(server: servers.Server) -> list[int]:
    return [psutil.Process(pid).gids().real for pid in server.workers()]
