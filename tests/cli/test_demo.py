"""`loki-web demo`: a session that lives, obeys and leaves nothing behind."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loki_web.demo.places import places_in
from tests.places import Place
from tests.servers import Server, environment, free_port, running

SPEED = "40"


@pytest.fixture
def demo(place: Place, tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "loki_web", "demo", "--port", str(port), "--speed", SPEED]
    env = {**environment(place), "TMPDIR": str(tmp_path)}
    with running(command, env, f"127.0.0.1:{port}") as server:
        yield server


def until(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true answer; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("did not happen in time")


def status(server: Server) -> Any:
    return server.get("/api/status").json()


def test_a_session_lives_until_the_council_approves(demo: Server, tmp_path: Path) -> None:
    until(lambda: status(demo)["status"] == "autonomous")
    until(lambda: status(demo)["iteration"] >= 2)
    assert status(demo)["running_agents"] == 4
    until(lambda: status(demo)["status"] == "stopped")
    tasks = demo.get("/api/tasks").json()
    assert {task["status"] for task in tasks} == {"done"}
    assert demo.get("/api/council/report").json()["report"]
    assert demo.get("/api/memory/summary").json()["episodic"]["count"] >= 16
    assert demo.get("/api/cost").json()["estimated_cost_usd"] > 0
    assert len(demo.get("/api/registry/projects").json()) == 2
    assert demo.end() == 0
    assert not list(tmp_path.glob("loki-web-demo-*"))


def test_pause_resume_and_stop_are_obeyed(demo: Server) -> None:
    until(lambda: status(demo)["status"] == "autonomous")
    demo.post("/api/control/pause")
    paused = until(lambda: status(demo)["status"] == "paused" and status(demo))
    demo.post("/api/control/resume")
    until(lambda: status(demo)["iteration"] > paused["iteration"])
    stopped = demo.post("/api/control/stop").json()
    assert stopped["success"]
    until(lambda: status(demo)["status"] == "stopped")


def test_a_killed_agent_is_missed_and_replaced(demo: Server) -> None:
    agents = until(lambda: demo.get("/api/agents").json())
    first = agents[0]
    assert demo.post(f"/api/agents/{first['id']}/kill").json()["success"]
    replaced = until(
        lambda: [
            agent
            for agent in demo.get("/api/agents").json()
            if agent["id"] == first["id"] and agent["pid"] != first["pid"] and agent["alive"]
        ]
    )
    assert replaced


def test_the_writer_alone_ends_on_sigterm(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-m", "loki_web.demo", str(tmp_path), SPEED])
    loki = places_in(tmp_path).loki
    until(lambda: (loki / "loki.pid").exists())
    writer.send_signal(signal.SIGTERM)
    assert writer.wait(10) == 0
    assert not (loki / "loki.pid").exists()
