"""The test command: what is left out is named, and no part starts servers that it should not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import servers

pytestmark = pytest.mark.slow

INSTALL = "apt-get update && apt-get install -y no-such-package"
AS_ROOT = "run as root, in Docker with --privileged"
NEEDS_A_PROGRAM = """
from tests.support.programs import needed

def test_program():
    needed("no-such-program", "no-such-package")
"""
NEEDS_NAMESPACES = """
from tests.support.programs import in_namespaces

def test_namespaces():
    in_namespaces("--user", "--map-root-user", trial=["false"])
"""
STARTS_A_SERVER = """
import pytest
from tests.support import servers

def test_without_a_marker():
    servers.start(["true"])

@pytest.mark.server
def test_with_a_marker():
    servers.start(["true"]).wait()
"""


def run_tests(folder: Path, text: str, ci: str) -> subprocess.CompletedProcess[str]:
    """Run a module of tests in a pytest of its own, with one worker, as our own are run."""
    (folder / "test_inner.py").write_text(text)
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST_")}
    own = {"PYTHONPATH": str(servers.ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "true", "CI": ci}
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-n", "1", "-p", "tests.conftest"]
    return subprocess.run(
        command, cwd=folder, env={**inherited, **own}, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("ci", "code", "messages"),
    [
        (
            "",
            0,
            (
                f"\nno-such-program (1 skipped): {INSTALL}\n",
                f"\n--user --map-root-user (1 skipped): {AS_ROOT}\n",
            ),
        ),
        ("true", 1, (f"Failed: no-such-program is missing: {INSTALL}",)),
    ],
    ids=["skipped here", "failed in CI"],
)
def test_something_is_missing(
    tmp_path: Path, ci: str, code: int, messages: tuple[str, ...]
) -> None:
    done = run_tests(tmp_path, NEEDS_A_PROGRAM if ci else NEEDS_A_PROGRAM + NEEDS_NAMESPACES, ci)
    for message in messages:
        assert message in done.stdout
    assert done.returncode == code


def test_a_test_without_the_marker_starts_no_server(tmp_path: Path) -> None:
    done = run_tests(tmp_path, STARTS_A_SERVER, ci="")
    assert "mark test_inner.py::test_without_a_marker with @pytest.mark.server" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def start_one() -> None:
    with servers.start(["true"]):
        pass


def test_a_test_that_can_come_to_a_server_is_marked(request: pytest.FixtureRequest) -> None:
    start_one()
    assert request.node.get_closest_marker("server")


def test_a_test_that_cannot_is_not_marked(request: pytest.FixtureRequest) -> None:
    assert not request.node.get_closest_marker("server")


@pytest.mark.parametrize(
    ("ci", "code"), [("", 0), ("true", 1)], ids=["skipped here", "failed in CI"]
)
def test_the_javascript_is_not_checked_without_npm(tmp_path: Path, ci: str, code: int) -> None:
    command = [sys.executable, "-m", "nox", "-s", "js"]
    own = {"PATH": str(tmp_path), "CI": ci}
    done = subprocess.run(
        command, cwd=servers.ROOT, env={**os.environ, **own}, capture_output=True, text=True
    )
    assert "npm is missing: apt-get update && apt-get install -y nodejs npm" in done.stderr
    assert done.returncode == code
