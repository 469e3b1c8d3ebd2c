"""Signals that stop a worker do so at any moment, from its fork on."""

import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support import places
from tests.support.places import Place
from tests.support.servers import Server, serving
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tests.support.wire import connect

# What is added to CONF, whose `interrupt` sends the signal to the first worker.
WHILE_A_THREAD_IS_STARTED = """
start = threading.Thread.start
def start_interrupted(thread):
    if thread.name.startswith("ThreadPoolExecutor"):
        interrupt()
    start(thread)
threading.Thread.start = start_interrupted
"""
AFTER_THE_FORK = """
def post_fork(server, worker):
    conf.post_fork(server, worker)
    interrupt()
"""
WHILE_IT_LOADS = """
from loki_web import app
create_app = app.create_app
def create_app_interrupted():
    interrupt()
    return create_app()
app.create_app = create_app_interrupted
"""
CONF = """
import os, signal, threading
from loki_web.server import conf
from loki_web.server.conf import *
def interrupt():
    if os.path.exists({flag!r}):
        os.unlink({flag!r})
        os.kill(os.getpid(), signal.{name})
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
@pytest.mark.parametrize("moment", [WHILE_A_THREAD_IS_STARTED, AFTER_THE_FORK, WHILE_IT_LOADS])
def test_a_signal_ends_the_worker(place: Place, tmp_path: Path, name: str, moment: str) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    text = CONF.format(flag=str(flag), name=name) + moment
    with serving(place, conf=places.write(tmp_path / "conf.py", text)) as server:
        wait_until(lambda: server.count("Booting worker") == 2, "another worker")
        assert not flag.exists()
        assert not server.count("SIGKILL")
        assert not server.count("Traceback")


# The main loop waits for ever, and another thread gets the signal.
IN_ANOTHER_THREAD = """
timeout = 3600
from time import sleep
from loki_web.server.worker import Worker
wait = Worker.wait_for_and_dispatch_events
Worker.wait_for_and_dispatch_events = lambda worker, timeout: wait(worker, 3600)
def post_worker_init(worker):
    conf.post_worker_init(worker)
    threading.Thread(target=receive, daemon=True).start()
def receive():
    while not os.path.exists({go!r}):
        sleep(0.01)
    os.unlink({go!r})
    signal.pthread_kill(threading.get_ident(), signal.{name})
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_a_signal_wakes_a_worker_that_waits(place: Place, tmp_path: Path, name: str) -> None:
    go = tmp_path / "go"
    text = CONF.format(flag="", name=name) + IN_ANOTHER_THREAD.format(go=str(go), name=name)
    with serving(place, conf=places.write(tmp_path / "conf.py", text)) as server:
        wait_until(lambda: has_no_connections(server), "a worker without connections")
        go.touch()
        wait_until(lambda: server.count("Booting worker") == 2, "another worker")


def has_no_connections(server: Server) -> bool:
    (worker,) = server.workers()
    connections = psutil.Process(worker).net_connections()
    return all(connection.status == psutil.CONN_LISTEN for connection in connections)


AT_ITS_END = """
def worker_exit(server, worker):
    os.kill(os.getpid(), signal.{name})
    conf.worker_exit(server, worker)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_a_second_signal_at_the_end_of_a_worker_changes_nothing(
    place: Place, tmp_path: Path, name: str
) -> None:
    text = CONF.format(flag="", name=name) + AT_ITS_END.format(name=name)
    with serving(place, conf=places.write(tmp_path / "conf.py", text)) as server:
        assert server.end(signal.Signals[name]) == 0
    assert not server.count("ignored")
    assert not server.count("Traceback")


# The main threads say how long they sleep.
SAYING = """
import os, sys, threading, time
from loki_web.server import hooks
from loki_web.server.conf import *
hooks._END_SECONDS = 3600
sleep = time.sleep
def sleep_and_say(seconds):
    if threading.current_thread() is threading.main_thread():
        print("slept", os.getpid(), seconds, file=sys.stderr)
    sleep(seconds)
time.sleep = sleep_and_say
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_a_server_without_requests_ends_without_a_pause(
    place: Place, tmp_path: Path, name: str
) -> None:
    with serving(place, conf=places.write(tmp_path / "conf.py", SAYING)) as server:
        wait_until(lambda: has_no_connections(server), "a worker without connections")
        before, master = len(server.errors), str(server.process.pid)
        assert server.end(signal.Signals[name]) == 0
    slept = [line.split()[1:] for line in server.errors[before:] if line.startswith("slept")]
    assert {seconds for pid, seconds in slept if pid == master} <= {"0.002"}
    assert [seconds for pid, seconds in slept if pid != master] == []


PATIENT = """
from loki_web.server.conf import *
graceful_timeout = 3600
"""


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nHos"])
@pytest.mark.parametrize("is_early", [True, False])
def test_a_client_without_a_request_does_not_delay_the_end(
    place: Place, tmp_path: Path, data: bytes, is_early: bool
) -> None:
    conf = places.write(tmp_path / "conf.py", PATIENT)
    with serving(place, conf=conf) as server, connect(server) as client:
        if is_early:
            client.sendall(data)
            assert server.get("/health").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        with suppress(ConnectionError):  # the server may have ended already
            client.sendall(data)
        assert server.process.wait(PATIENCE_SECONDS) == 0
