"""A separate process reads a long history at the first start with a project."""

import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from loki_web.server import read_ahead
from loki_web.services import events
from loki_web.store.process import read_process
from loki_web.store.value_store import ValueStore
from tests.support import servers
from tests.support.places import Place
from tests.support.waiting import PATIENCE_SECONDS, wait_until

LINE = json.dumps({"timestamp": "2026-11-28T00:00:00Z", "type": "note", "data": {"a": "b" * 900}})
LONG = f"{LINE}\n" * (read_ahead.LONG_BYTES // len(LINE) + 1)
LOG_LINE = "reading the long history in a separate process"


@pytest.mark.parametrize(
    ("content", "is_long"),
    [(LONG, True), (LONG[: read_ahead.LONG_BYTES - 1], False), ("", False), (None, False)],
    ids=["long", "short", "empty", "missing"],
)
def test_a_history_is_long_by_the_size_of_its_events(
    place: Place, content: str | None, is_long: bool
) -> None:
    if content is not None:
        place.write(events.FILE, content)
    assert read_ahead.is_long(place.sources()) is is_long


def make_master(uri: str = "wsgi:app", uid: int = os.geteuid()) -> SimpleNamespace:
    return SimpleNamespace(app=SimpleNamespace(app_uri=uri), cfg=SimpleNamespace(uid=uid))


@pytest.mark.parametrize(
    ("content", "master"),
    [
        (LONG, make_master(uri="loki_web.app:create_sidecar()")),
        (LONG, make_master(uid=os.geteuid() + 1)),
        ("", make_master()),
    ],
    ids=["sidecar", "another user", "short history"],
)
def test_no_process_is_forked(
    place: Place, monkeypatch: pytest.MonkeyPatch, content: str, master: SimpleNamespace
) -> None:
    place.write(events.FILE, content)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    read_ahead.start_reader(place.sources(), master)


def test_a_master_that_cannot_fork_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> int:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    place.write(events.FILE, LONG)
    monkeypatch.setattr(os, "fork", fail)
    read_ahead.start_reader(place.sources(), make_master())
    assert "cannot fork" in caplog.text
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


# Only the separate process computes values.
CONF = """
from loki_web.server import conf
from loki_web.server.conf import *
from loki_web.services import warming
def post_fork(server, worker):
    conf.post_fork(server, worker)
    warming.warm = lambda *parameters: None
"""
FOR_EVER = """
import time
warming.warm = lambda sources: time.sleep(3600)
"""


@pytest.mark.server
def test_a_long_history_is_read_once(place: Place, tmp_path: Path) -> None:
    place.write(events.FILE, LONG)
    conf, sources = tmp_path / "conf.py", place.sources()
    conf.write_text(CONF)
    with servers.serving(place, conf=conf) as server:
        wait_until(lambda: read_ahead.has_read(sources), "the end of the reading")
    assert server.count(LOG_LINE) == 1
    stored = ValueStore(sources.index).load(
        f"{events.FILE} {events.IndexReader.__name__}", events.IndexReader.STAMP
    )
    assert stored is not None
    with servers.serving(place, conf=conf) as server:
        answer = server.get("/api/learning/metrics?timeRange=9999d").json()
        assert answer["totalSignals"] == LONG.count("\n")
    assert server.count(LOG_LINE) == 0


@pytest.mark.server
@pytest.mark.parametrize(
    "end",
    [
        lambda master: os.kill(master, signal.SIGTERM),
        lambda master: os.kill(master, signal.SIGKILL),
        lambda master: os.killpg(master, signal.SIGINT),
    ],
    ids=["SIGTERM", "SIGKILL", "SIGINT to the group"],
)
def test_the_separate_process_does_not_listen_and_ends_with_the_server(
    place: Place, tmp_path: Path, end: Callable[[int], None]
) -> None:
    place.write(events.FILE, LONG)
    conf, port = tmp_path / "conf.py", servers.free_port()
    conf.write_text(CONF + FOR_EVER)
    env = servers.environment(place, LOKI_WORKERS="1", LOKI_DASHBOARD_PORT=str(port))
    command = [sys.executable, "-m", "gunicorn", "-c", str(conf), "wsgi:app"]
    with servers.running(command, env, f"127.0.0.1:{port}") as server:
        wait_until(lambda: server.count(LOG_LINE), "a process that reads")
        (line,) = (line for line in server.errors if LOG_LINE in line)
        (pid,) = re.findall(r"\[(\d+)\]", line)
        assert not psutil.Process(int(pid)).net_connections()
        end(server.process.pid)
        server.process.wait(timeout=PATIENCE_SECONDS)
        wait_until(lambda: read_process(int(pid)) is None, "the end of the process")
