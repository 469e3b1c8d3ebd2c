"""`loki-web demo`: a session that lives, obeys and leaves nothing behind."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loki_web.demo.places import places_in
from tests.support.places import Place
from tests.support.servers import Server, environment, free_port, running
from tests.support.waiting import PATIENCE_SECONDS, wait_until

SPEED = "40"


@pytest.fixture
def demo(place: Place, tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "loki_web", "demo", "--port", str(port), "--speed", SPEED]
    env = {**environment(place), "TMPDIR": str(tmp_path)}
    with running(command, env, f"127.0.0.1:{port}") as server:
        yield server


def status(server: Server) -> Any:
    return server.get("/api/status").json()


def test_a_session_is_hours_old_and_goes_on_when_all_tasks_are_done(
    demo: Server, tmp_path: Path
) -> None:
    wait_until(lambda: status(demo)["running_agents"] == 4, "all agents")
    first = status(demo)
    assert first["status"] == "autonomous"
    iterations = demo.get("/api/cost").json()["by_iteration"]
    begun = datetime.fromisoformat(iterations[0]["timestamp"])
    assert datetime.now(UTC) - begun > timedelta(hours=2)
    assert first["iteration"] > 10
    assert demo.get("/api/memory/summary").json()["episodic"]["count"] > 20
    assert len(demo.get("/api/checkpoints").json()) > 2
    assert {alert["severity"] for alert in demo.get("/api/notifications").json()} == {"critical"}
    assert demo.get("/api/council/verdicts").json()["verdicts"]
    assert demo.get("/api/cost").json()["estimated_cost_usd"] > 1
    assert len(demo.get("/api/registry/projects").json()) == 2

    planned = len(demo.get("/api/tasks").json())
    wait_until(lambda: len(demo.get("/api/tasks").json()) > planned, "a further plan")
    assert status(demo)["status"] == "autonomous"
    assert demo.end() == 0
    assert not list(tmp_path.glob("loki-web-demo-*"))


def test_pause_resume_and_stop_are_obeyed(demo: Server) -> None:
    wait_until(lambda: status(demo)["status"] == "autonomous", "a session")
    demo.post("/api/control/pause")
    paused = wait_until(
        lambda: (now := status(demo))["status"] == "paused" and now, "a paused session"
    )
    demo.post("/api/control/resume")
    wait_until(lambda: status(demo)["iteration"] > paused["iteration"], "another iteration")
    stopped = demo.post("/api/control/stop").json()
    assert stopped["success"]
    wait_until(lambda: status(demo)["status"] == "stopped", "its end")
    (last,) = demo.get("/api/logs?lines=1").json()
    assert last["message"] == "The session was stopped. Start the demo again for another one."


def test_a_killed_agent_is_missed_and_replaced(demo: Server) -> None:
    agents = wait_until(lambda: demo.get("/api/agents").json(), "agents")
    first = agents[0]
    assert demo.post(f"/api/agents/{first['id']}/kill").json()["success"]
    wait_until(
        lambda: [
            agent
            for agent in demo.get("/api/agents").json()
            if agent["id"] == first["id"] and agent["pid"] != first["pid"] and agent["alive"]
        ],
        "another agent in its place",
    )


def test_the_writer_alone_ends_on_sigterm(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-m", "loki_web.demo", str(tmp_path), SPEED])
    loki = places_in(tmp_path).loki
    wait_until((loki / "loki.pid").exists, "a session")
    writer.send_signal(signal.SIGTERM)
    assert writer.wait(PATIENCE_SECONDS) == 0
    assert not (loki / "loki.pid").exists()


# A signal comes while the playing thread is in Python code of a lock, after it has begun to play.
AT_A_LOCK = """
import signal, sys, threading
from loki_web.demo import session
begin = session.Session._iterate
def iterate(playing, number):
    sys.settrace(trace)
    begin(playing, number)
def trace(frame, event, arg):
    if frame.f_code.co_filename == threading.__file__:
        signal.raise_signal(signal.SIGTERM)
    return trace
session.Session._iterate = iterate
sys.argv = ["demo", *sys.argv[1:]]
import loki_web.demo.__main__
"""


def test_a_signal_at_a_lock_ends_the_writer(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", AT_A_LOCK, str(tmp_path), "1000"])
    wait_until((places_in(tmp_path).loki / "loki.pid").exists, "a session")
    writer.send_signal(signal.SIGTERM)
    try:
        assert writer.wait(PATIENCE_SECONDS) == 0
    finally:
        writer.kill()
        writer.wait()
