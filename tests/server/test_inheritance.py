"""A server that a session has started neither locks the project nor outlives the session."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

from loki_web.server import inheritance
from loki_web.store.process import read_process
from tests.support import runner
from tests.support.places import Place
from tests.support.servers import ROOT, free_port
from tests.support.waiting import wait_until

COMMANDS = {
    "serve": ["-m", "loki_web", "serve"],
    "module": ["-m", "loki_web"],
    "sidecar": ["-m", "loki_web", "sidecar", "--bind", "{port}"],
    "gunicorn": [
        "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "--chdir", str(ROOT), "wsgi:app",
    ],
}  # fmt: skip


def open_files(process: psutil.Process) -> set[str]:
    found = set()
    for each in (process, *process.children(recursive=True)):
        with suppress(FileNotFoundError):  # a worker looks for the C library with `ldconfig`
            for number in os.listdir(f"/proc/{each.pid}/fd"):
                found.add(os.path.realpath(f"/proc/{each.pid}/fd/{number}"))
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_of_a_session_ends_with_it_and_holds_no_lock(place: Place, name: str) -> None:
    port = free_port()
    command = [sys.executable, *(word.format(port=port) for word in COMMANDS[name])]
    extra = {"LOKI_DIR": str(place.loki)} if name == "gunicorn" else {}
    with runner.session(place, command, port, **extra) as session:
        assert not runner.is_free(session.lock)
        assert str(session.lock) not in open_files(session.server)
        session.close_terminal()
        assert runner.is_free(session.lock)
        wait_until(lambda: read_process(session.server.pid) is None, "the end of the server")


@pytest.mark.parametrize(
    ("write", "is_killed"),
    [
        (lambda place, living, dead: None, False),
        (lambda place, living, dead: place.write("loki.pid", ""), False),
        (lambda place, living, dead: place.write("loki.pid", "soon\n"), False),
        (lambda place, living, dead: place.write("loki.pid", f"{living}\n"), False),
        (lambda place, living, dead: place.write("loki.pid", f"{dead}\n"), True),
    ],
    ids=["has ended", "is being written", "damaged", "alive", "killed"],
)
def test_only_a_pid_file_of_a_dead_process_shows_a_killed_session(
    place: Place, sleeper: int, write: Callable[[Place, int, int], None], is_killed: bool
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    write(place, sleeper, ended.pid)
    assert inheritance.has_been_killed(place.sources()) is is_killed
