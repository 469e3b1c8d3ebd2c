"""The server in odd surroundings: without a network, a working directory, a parent or a session."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import answers, places, registered
from tests.support.places import Place
from tests.support.programs import in_namespaces
from tests.support.routes import routes
from tests.support.servers import (
    ROOT,
    Server,
    accepts,
    environment,
    free_port,
    running,
    serving,
    start,
)
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tests.support.wire import Answer, answers_in, head, received

# Reports whatever would leave this machine, or would look for somewhere to go.
WATCHED = """
import sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        if not isinstance(arguments[1], (str, bytes)) or event != "socket.connect":
            print("GOES OUT", event, arguments[1:], file=sys.stderr, flush=True)

sys.addaudithook(watch)
from loki_web.server.conf import *
"""


@contextmanager
def without_a_network(place: Place, settings: Path, **more: str) -> Iterator[tuple[Any, list[str]]]:
    """A server on a unix socket in a network namespace of its own.

    :return: a function that asks it, and what it has written to standard error.
    """
    options = ["--net"] if os.geteuid() == 0 else ["--user", "--net"]
    command = [*in_namespaces(*options), sys.executable, "-m", "gunicorn", "-c", str(settings)]
    folder = Path(tempfile.mkdtemp(prefix="lw"))  # addresses of unix sockets have to be short
    address = folder / "s"
    process = start(
        [*command, "-b", f"unix:{address}", "wsgi:app"], cwd=ROOT, text=True,
        env=environment(place, LOKI_WORKERS="2", **more), stderr=subprocess.PIPE,
    )  # fmt: skip
    errors: list[str] = []
    assert process.stderr
    reader = threading.Thread(target=errors.extend, args=(process.stderr,))
    reader.start()

    def ask(method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += ["Connection: close", "Content-Type: application/json"]
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE_SECONDS)
            sock.connect(str(address))
            request = head(f"{method} {path} HTTP/1.1", f"Content-Length: {len(body)}", *lines)
            sock.sendall(request + body)
            (answer,) = answers_in(received(sock))
            return answer

    try:
        wait_until(lambda: accepts(address), "a server")
        yield ask, errors
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        reader.join(timeout=PATIENCE_SECONDS)
        process.stderr.close()
        shutil.rmtree(folder)


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    settings = tmp_path / "watched.py"
    settings.write_text(WATCHED)
    return settings


def test_a_server_needs_no_network_and_sends_nothing(tmp_path: Path, watched: Path) -> None:
    place = places.recorded(tmp_path / "p", today=True)
    with without_a_network(place, watched, LOKI_ENTERPRISE_AUDIT="true") as (ask, errors):
        document = ask("GET", "/openapi.json").json()
        for template in answers.gets():
            for path in answers.addresses(lambda path: ask("GET", path), template):
                answers.check(document, template, path, ask("GET", path))
        for path in ("/", "/docs", "/asyncapi.json", "/metrics"):
            assert ask("GET", path).status_code == 200
        for route in routes(place.app()):
            if route.changes:
                assert ask(route.method, route.path).status_code < 500, route
    assert not [line for line in errors if "GOES OUT" in line]


def test_the_watch_would_see_it(tmp_path: Path, place: Place) -> None:
    """The test before this one can fail: here the server has a syslog server to tell."""
    settings = tmp_path / "watched.py"
    settings.write_text(WATCHED)
    told = {"LOKI_AUDIT_SYSLOG_HOST": "127.0.0.1", "LOKI_AUDIT_SYSLOG_PORT": "9"}
    with without_a_network(place, settings, **told) as (ask, errors):
        assert ask("POST", "/api/control/pause").status_code == 200
        wait_until(lambda: any("GOES OUT" in line for line in errors), "what goes out")


def test_a_client_without_an_address_is_counted_and_recorded(place: Place, watched: Path) -> None:
    settings = {"LOKI_CONTROL_RATE_LIMIT": "2", "LOKI_ENTERPRISE_AUDIT": "true"}
    with without_a_network(place, watched, **settings) as (ask, _):
        forged = {"X_Forwarded_For": "203.0.113.9"}
        codes = [ask("POST", "/api/control/pause", **forged).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        (newest, *_) = ask("GET", "/api/enterprise/audit").json()
        assert newest["action"] == "pause"
        assert "203.0.113" not in json.dumps(newest)


def test_a_working_directory_that_vanishes(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    place = places.empty(tmp_path / "elsewhere")
    (folder / ".loki").mkdir(parents=True)
    port = free_port()
    env = environment(place, LOKI_DIR=".loki", LOKI_DASHBOARD_PORT=str(port), LOKI_WORKERS="1")
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app"]
    with running(command, env, f"127.0.0.1:{port}", folder=folder) as server:
        assert server.post("/api/control/pause").status_code == 200
        assert (folder / ".loki/PAUSE").exists()
        shutil.rmtree(folder)
        get_everything(server)
        for path in ("/api/control/pause", "/api/checkpoints", "/api/council/force-review"):
            answer = server.post(path)
            assert set(answer.json()) == {"detail"}, path
            assert str(tmp_path) not in answer.text
        assert not folder.exists()
        (folder / ".loki/queue").mkdir(parents=True)
        (folder / ".loki/queue/pending.json").write_text('[{"id": "back"}]')
        assert [task["id"] for task in server.get("/api/tasks").json()] == ["back"]
        assert server.post("/api/control/pause").status_code == 200
        assert server.post("/api/checkpoints").status_code == 201
        get_everything(server)


def test_a_session_that_begins_after_the_server(place: Place) -> None:
    shutil.rmtree(place.loki)
    with serving(place, workers=2) as server:
        get_everything(server)
        assert server.count("waiting for a session") == 1
        assert not place.loki.exists()
        place.write("queue/pending.json", [{"id": "first"}])
        place.write("dashboard-state.json", {"phase": "BUILD", "iteration": 3})
        for _ in range(4):
            assert [task["id"] for task in server.get("/api/tasks").json()] == ["first"]
            assert server.get("/api/status").json()["phase"] == "BUILD"
            assert "loki_iteration_current 3.0" in server.get("/metrics").text


def get_everything(server: Server) -> None:
    document = server.get("/openapi.json").json()
    for template in answers.gets():
        for path in answers.addresses(server.get, template):
            answers.check(document, template, path, server.get(path))
    assert server.get("/metrics").status_code == 200


PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], start_new_session=True, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
child.wait()
"""


def test_a_server_outlives_its_parent(place: Place) -> None:
    port = free_port()
    env = environment(place, LOKI_DASHBOARD_PORT=str(port), LOKI_WORKERS="2")
    command = [sys.executable, "-m", "loki_web", "serve"]
    with start(
        [sys.executable, "-c", PARENT, *command], cwd=ROOT, env=env, text=True,
        stdout=subprocess.PIPE,
    ) as parent:  # fmt: skip
        assert parent.stdout
        pid = int(parent.stdout.readline())
        server = Server(parent, f"127.0.0.1:{port}")
        try:
            wait_until(lambda: is_healthy(port), "a server")
            wait_until(lambda: len(turns_of_workers(pid)) == 2, "two workers")
            parent.kill()
            parent.wait()
            turns = turns_of_workers(pid)
            wait_until(
                lambda: all(
                    now > before + 2
                    for now, before in zip(turns_of_workers(pid), turns, strict=True)
                ),
                "the workers to look after their parent",
            )
            assert [server.get("/health").status_code for _ in range(5)] == [200] * 5
        finally:
            os.killpg(pid, signal.SIGKILL)


def turns_of_workers(pid: int) -> list[int]:
    """How often each worker has waited for something to do; it looks after its parent each time."""
    workers = psutil.Process(pid).children()
    return [worker.num_ctx_switches().voluntary for worker in workers]


def is_healthy(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# Without git a checkpoint has no commit; with this one it waits until there is a file.
WAITING_GIT = "#!/bin/sh\necho >> {begun}\nuntil [ -e {over} ]; do sleep 0.05; done\n"
PATIENT_WITH_GIT = """
from loki_web.server.conf import *
from loki_web.services.checkpoints import create
create._GIT_TIMEOUT_SECONDS *= 3600
"""


def test_long_work_does_not_hold_up_the_others(place: Place, tmp_path: Path) -> None:
    for number in range(40):
        for below in range(50):
            (place.home / f"projects/tree/d{number}/e{below}").mkdir(parents=True)
    for number in range(20):
        registered.directory(place, f"projects/p{number}")
    place.write("queue/pending.json", [{"id": f"t{n}", "title": "x" * 2000} for n in range(2000)])
    begun, over = places.write(tmp_path / "begun", ""), tmp_path / "over"
    git = places.write(tmp_path / "bin/git", WAITING_GIT.format(begun=begun, over=over))
    git.chmod(0o755)
    conf = places.write(tmp_path / "conf.py", PATIENT_WITH_GIT)
    path = f"{git.parent}:{os.environ['PATH']}"
    with serving(place, conf=conf, LOKI_THREADS="8", PATH=path) as server:
        long: list[Callable[[], Any]] = [
            lambda: server.get("/api/registry/discover?maxDepth=5"),
            lambda: server.post("/api/registry/sync"),
            lambda: server.post("/api/checkpoints"),
        ]
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda call: found.append(call().status_code), args=(call,))
            for call in long * 2
        ]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: begun.read_text() == "\n\n", "two checkpoints at work")
            assert [server.get("/health").status_code for _ in range(20)] == [200] * 20
        finally:
            over.touch()
            for thread in threads:
                thread.join()
        assert sorted(found) == [200] * 4 + [201] * 2


def test_control_characters_reach_neither_the_log_nor_the_files(place: Place) -> None:
    dirty = "a\x1b[31mb\r\nc\x00\x9b2Kd"
    with serving(place, LOKI_ENTERPRISE_AUDIT="true") as server:
        for key in ("message", "m\x1b[31m"):
            assert server.post("/api/checkpoints", json={key: dirty}).status_code in (201, 400)
        server.post(registered.PROJECTS, json={"path": str(place.home), "name": dirty})
        server.get("/api/checkpoints/a%1b%5b31m%0d%0ab")
        server.get("/api/tasks?status=%1b%5b31m")
        server.post("/api/control/%1b%5b31m")
        server.post("/api/agents/%1b%5b31m/kill")
        server.post("/api/control/pause", headers={"User-Agent": "a\x9bb"})
        for call in ("/api/checkpoints", registered.PROJECTS):
            assert has_no_controls(server.get(call).json()), call
        assert b"\x1b" not in server.get("/api/enterprise/audit").content
    assert not [line for line in server.errors if "\x1b" in line or "\x9b" in line]
    journals = [*place.home.rglob("*.jsonl")]
    assert {path.name for path in journals} >= {"index.jsonl"}
    for path in [*journals, *(place.home / ".loki").rglob("*.json")]:
        text = path.read_text()
        assert "\x1b" not in text
        assert "\x9b" not in text
        for line in text.splitlines() if path.suffix == ".jsonl" else [text]:
            assert isinstance(json.loads(line), dict)


def has_no_controls(value: Any) -> bool:
    if isinstance(value, dict):
        return all(has_no_controls(item) for item in [*value, *value.values()])
    if isinstance(value, list):
        return all(map(has_no_controls, value))
    return not isinstance(value, str) or not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value)
