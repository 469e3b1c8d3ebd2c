"""The servers that ours is compared with do the same work."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import bare, plain, servers, sessions
from benchmarks.sessions import SIZES
from tests.support import servers as servers_of_tests
from tests.support.places import Place
from tests.support.programs import needed, output_of

S = SIZES["S"]


@pytest.mark.parametrize(
    "answer",
    [
        ("/api/tasks?status=done", 200, {"Content-Type": "application/json"}, b"[]"),
        ("/api/cost", 200, {"Content-Type": "text/x", "Content-Encoding": "gzip"}, b"\x1f\x8b"),
        ("/api/agents", 304, {}, b""),
    ],
)
def test_the_bare_view_gives_an_answer_back(answer: bare.Answer) -> None:
    path, status, headers, body = answer
    got = bare.create_app([answer]).test_client().get(f"/0{path}")
    assert (got.status_code, got.data) == (status, body)
    assert {name: got.headers[name] for name in headers} == headers
    assert got.content_length == (len(body) if status == 200 else None)


def test_the_plain_server_reads_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "LOKI", str(sessions.session("S", tmp_path).loki))
    client = plain.app.test_client()
    assert {client.get(route).status_code for route in plain.ROUTES} == {200}
    assert len(client.get("/api/tasks").get_json()) == S.tasks
    assert len(client.get("/api/logs?lines=100").get_json()) == 100
    assert client.get("/api/memory/summary").get_json()["episodic"]["count"] == S.episodes
    assert client.get("/api/learning/metrics").get_json()["totalSignals"] > S.events / 2
    assert f"loki_events_total {S.events}" in client.get("/metrics").text


@pytest.mark.server
@pytest.mark.slow
def test_a_run_gives_figures_and_a_table(tmp_path: Path) -> None:
    needed("wrk", "wrk")
    figures = tmp_path / "figures.json"
    options = ["--sizes", "S", "--parts", "steady", "--routes", "/api/agents"]
    brief = ["--seconds", "0.1", "--rounds", "1", "--where", str(tmp_path), "--json", str(figures)]
    command = [sys.executable, "-m", "benchmarks.rest", *options, *brief]
    assert "| **/api/agents** |" in output_of(command, cwd=servers.ROOT)
    found = json.loads(figures.read_text())["S"]["steady"]["/api/agents"]
    for name in ("ours", "bare", "plain"):
        assert found[name]["requests"] > 0
        assert found[name]["p50"] > 0
        assert found[name]["errors"] == 0


@pytest.mark.slow
def test_views_are_timed_beside_the_bare_view_of_the_same_bytes(session: Place) -> None:
    paths = ["/api/checkpoints/{checkpoint_id}", "/api/status", "/api/enterprise/audit"]
    table = output_of(
        [sys.executable, "-m", "benchmarks.views", *paths],
        env=servers_of_tests.environment(session),
        cwd=servers.ROOT,
    )
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]
    ratios = [float(ratio) for *_, ratio in rows]
    assert ratios == sorted(ratios, reverse=True)
    client = session.client()
    checkpoint = f"/api/checkpoints/{client.get('/api/checkpoints').get_json()[0]['id']}"
    seen = {path.strip("`"): (int(status), int(size)) for path, status, size, *_ in rows}
    for path in (checkpoint, "/api/enterprise/audit"):
        answer = client.get(path, headers={"Accept-Encoding": "gzip"})
        assert seen.pop(path) == (answer.status_code, len(answer.data))
    assert seen.keys() == {"/api/status"}  # its size depends on the clock
