"""What may not be read and what may not be written: no fault, and no word too many."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import answers, places
from tests.support.places import Place, snapshot
from tests.support.routes import Route, routes
from tests.support.servers import (
    ROOT,
    Server,
    environment,
    serving,
    serving_without_privileges,
    without_privileges,
)
from tests.support.waiting import PATIENCE_SECONDS

# What no body may hold: a path of this machine, or the words of an exception.
TELLTALE = re.compile(rb"(?<![\w:/.])/(?:tmp|home|root|usr|etc|work|proc)/|Traceback|Errno|Error\(")
# They tell the folders of projects.
SOUND = {
    *("/api/status", "/api/registry/discover", "/api/registry/projects", "/api/registry/tasks"),
    *("/api/focus", "/api/fleet", "/api/running-projects"),
}


@contextmanager
def modes(folder: Path, *, of_files: int, of_folders: int) -> Iterator[None]:
    """Everything below a folder with these permissions, for a while."""
    found = [folder, *folder.rglob("*")]
    before = [(path, path.lstat().st_mode) for path in found if not path.is_symlink()]
    for path, _ in reversed(before):
        path.chmod(of_folders if path.is_dir() else of_files)
    try:
        yield
    finally:
        for path, mode in before:
            path.chmod(mode)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return places.recorded(tmp_path / "p", today=True)


def get_everything(server: Server) -> Iterator[tuple[str, str, requests.Response]]:
    """Template, path and answer of every documented GET."""
    for template in answers.gets():
        for path in answers.addresses(server.get, template):
            yield template, path, server.get(path)


def changing(place: Place) -> list[Route]:
    return [route for route in routes(place.app()) if route.changes]


# What succeeds here, since there is nothing to be changed.
NOTHING_TO_WRITE = {
    *("/api/memory/retrieve", "/api/memory/consolidate"),
    *("/api/registry/sync", "/api/control/resume", "/api/auth/session"),
}
BODIES = {
    "/api/notifications/triggers": {"triggers": [{"id": "budget-80pct", "threshold": 5}]},
    "/api/memory/retrieve": {"query": "a"},
}


def test_a_folder_that_cannot_be_written_is_read_all_the_same(place: Place) -> None:
    expected = {}
    with serving(place, LOKI_ENTERPRISE_AUDIT="true") as server:
        for _, path, answer in get_everything(server):
            expected[path] = answer.status_code
    before = snapshot(place.home)
    settings = {"LOKI_ENTERPRISE_AUDIT": "true"}
    with (
        modes(place.home, of_files=0o444, of_folders=0o555),
        serving_without_privileges(place, **settings) as server,
    ):
        document = server.get("/openapi.json").json()
        for template, path, answer in get_everything(server):
            assert answer.status_code == expected.pop(path), path
            answers.check(document, template, path, answer)
        assert not expected
        assert server.get("/metrics").status_code == 200
        (acknowledged, *_) = server.get("/api/notifications").json()
        refused = [
            server.request(r.method, r.path, json=BODIES.get(r.rule))
            for r in changing(place)
            if r.rule not in SOUND
        ]
        refused.append(server.post(f"/api/notifications/{acknowledged['id']}/acknowledge"))
        for answer in refused:
            assert answer.status_code < 300 or set(answer.json()) == {"detail"}, answer.url
            assert not TELLTALE.search(answer.content), answer.text
        written = {answer.request.path_url for answer in refused if answer.status_code < 300}
        assert written <= NOTHING_TO_WRITE
        assert server.get("/api/status").status_code == 200
    assert of_the_session(snapshot(place.home)) == of_the_session(before)


def of_the_session(found: dict[str, Any]) -> dict[str, Any]:
    """Without our cache and our audit log, whose folder we open for ourselves."""
    ours = (".cache", ".loki/dashboard/audit")
    return {name: content for name, content in found.items() if not name.startswith(ours)}


def test_a_session_without_readable_files_is_served(place: Place) -> None:
    with (
        modes(place.loki, of_files=0o000, of_folders=0o755),
        modes(place.home / ".loki", of_files=0o000, of_folders=0o755),
        serving_without_privileges(place, LOKI_ENTERPRISE_AUDIT="true") as server,
    ):
        check_that_nothing_is_told(server)


def test_no_folder_can_be_entered(place: Place) -> None:
    with (
        serving_without_privileges(place, LOKI_ENTERPRISE_AUDIT="true") as server,
        modes(place.loki, of_files=0o644, of_folders=0o000),
        modes(place.home / ".loki", of_files=0o644, of_folders=0o000),
    ):
        check_that_nothing_is_told(server)
        for route in changing(place):
            answer = server.request(route.method, route.path)
            assert answer.status_code < 300 or set(answer.json()) == {"detail"}, route
            assert route.rule in SOUND or not TELLTALE.search(answer.content), (route, answer.text)
    with serving_without_privileges(place) as server:
        assert server.get("/api/tasks").json() != []


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"{", b"[" * 50_000, b"\0" * 1000])
def test_a_session_of_damaged_files_is_served(place: Place, content: bytes) -> None:
    for folder in (place.loki, place.home / ".loki"):
        for path in folder.rglob("*"):
            if path.is_file():
                path.write_bytes(content)
    with serving(place, LOKI_ENTERPRISE_AUDIT="true") as server:
        check_that_nothing_is_told(server)
        for route in changing(place):
            answer = server.request(route.method, route.path, json=BODIES.get(route.rule))
            assert answer.status_code < 300 or set(answer.json()) == {"detail"}, route
            assert route.rule in SOUND or not TELLTALE.search(answer.content), (route, answer.text)
        assert not [line for line in server.errors if "Traceback" in line]


def check_that_nothing_is_told(server: Server) -> None:
    document = server.get("/openapi.json").json()
    for template, path, answer in get_everything(server):
        answers.check(document, template, path, answer)
        assert template in SOUND or not TELLTALE.search(answer.content), (path, answer.text)
    assert server.get("/metrics").status_code == 200
    for path in ("/api/checkpoints/chk-1", "/api/memory/episodes/x", "/api/memory/skills/x"):
        answer = server.get(path)
        assert (answer.status_code, set(answer.json())) == (404, {"detail"})


@pytest.mark.server
def test_a_state_directory_that_may_not_be_read_ends_the_start(place: Place) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app"]
    mode = place.loki.stat().st_mode
    place.loki.chmod(0)
    try:
        done = subprocess.run(
            without_privileges(command), env=environment(place), cwd=ROOT,
            capture_output=True, text=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    finally:
        place.loki.chmod(mode)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "LOKI_DIR" in done.stderr
