"""SIGQUIT and SIGINT stop a worker at once, whatever it is doing."""

from pathlib import Path

import pytest

from tests.support import places
from tests.support.places import Place
from tests.support.servers import Server, serving
from tests.support.waiting import wait_until

SIGNAL_IN_A_START = """
import os, signal, threading
from loki_web.server.conf import *
start = threading.Thread.start
def start_interrupted(thread):
    if thread.name.startswith("ThreadPoolExecutor") and os.path.exists({flag!r}):
        os.unlink({flag!r})
        os.kill(os.getpid(), signal.{name})
    start(thread)
threading.Thread.start = start_interrupted
"""


@pytest.mark.parametrize("name", ["SIGQUIT", "SIGINT"])
def test_a_signal_while_a_thread_is_started_ends_the_worker(
    place: Place, tmp_path: Path, name: str
) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    text = SIGNAL_IN_A_START.format(flag=str(flag), name=name)
    with serving(place, conf=places.write(tmp_path / "conf.py", text)) as server:
        wait_until(lambda: count(server, "Booting worker") == 2, "another worker")
        assert not flag.exists()
        assert not count(server, "SIGKILL")
        assert not count(server, "Traceback")


def count(server: Server, words: str) -> int:
    return len([line for line in server.errors if words in line])
