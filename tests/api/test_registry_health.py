"""GET /api/registry/projects/{identifier}/health: the state of a project's directory."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import registered
from tests.support.places import Place, write

NOTHING = {
    "path_exists": False,
    "loki_dir_exists": False,
    "state_exists": False,
    "prd_exists": False,
}


@pytest.fixture
def project(place: Place) -> Path:
    """Register a project with an empty `.loki/`; return its directory."""
    path = registered.directory(place, "p")
    registered.register(place, registered.entry(path, alias="p"))
    return path


def _health(client: FlaskClient) -> Any:
    return client.get("/api/registry/projects/p/health").get_json()


def test_a_directory_that_is_gone_is_missing(client: FlaskClient, project: Path) -> None:
    (project / ".loki").rmdir()
    project.rmdir()
    assert _health(client) == {"status": "missing", "checks": NOTHING}


def test_without_loki_a_project_is_uninitialized(client: FlaskClient, project: Path) -> None:
    (project / ".loki").rmdir()
    assert _health(client) == {"status": "uninitialized", "checks": NOTHING | {"path_exists": True}}


def test_without_a_live_session_a_project_is_idle(client: FlaskClient, project: Path) -> None:
    write(project / ".loki/loki.pid", "4999999")
    assert _health(client)["status"] == "idle"


def test_with_a_live_session_a_project_is_active(client: FlaskClient, project: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as runner:
        write(project / ".loki/loki.pid", f"{runner.pid}\n")
        assert _health(client)["status"] == "active"
        runner.terminate()
    assert _health(client)["status"] == "idle"


@pytest.mark.parametrize(
    ("relative", "check"),
    [
        ("PRD.md", "prd_exists"),
        ("prd.md", "prd_exists"),
        ("docs/PRD.md", "prd_exists"),
        (".loki/state/session.json", "state_exists"),
        (".loki/state/orchestrator.json", "state_exists"),
        (".loki/dashboard-state.json", "state_exists"),
        (".loki/session.json", "state_exists"),
    ],
)
def test_each_file_that_is_looked_for(
    client: FlaskClient, project: Path, relative: str, check: str
) -> None:
    there = {"path_exists": True, "loki_dir_exists": True}
    assert _health(client)["checks"] == NOTHING | there
    write(project / relative, "x")
    assert _health(client)["checks"] == NOTHING | there | {check: True}


def test_files_outside_of_the_project_do_not_count(
    place: Place, client: FlaskClient, project: Path
) -> None:
    other = registered.directory(place, "p-other")
    write(other / "prd.md", "x")
    (project / "prd.md").symlink_to(other / "prd.md")
    (project / ".loki").rmdir()
    (project / ".loki").symlink_to(other / ".loki")
    assert _health(client) == {"status": "uninitialized", "checks": NOTHING | {"path_exists": True}}


def test_things_that_are_no_files_do_not_count(client: FlaskClient, project: Path) -> None:
    (project / "PRD.md").mkdir()
    os.mkfifo(project / "prd.md")
    assert _health(client)["checks"]["prd_exists"] is False


def test_a_file_named_loki_is_not_a_loki_folder(client: FlaskClient, project: Path) -> None:
    (project / ".loki").rmdir()
    write(project / ".loki", "x")
    assert _health(client)["status"] == "uninitialized"
