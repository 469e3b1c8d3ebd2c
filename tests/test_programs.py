"""The tests of a program that is not installed are left out, and the test command says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INSTALL = "apt-get update && apt-get install -y no-such-package"
TESTS = """
from tests.programs import needed

def test_program():
    needed("no-such-program", "no-such-package")
"""


@pytest.mark.parametrize(
    ("ci", "code", "message"),
    [
        ("", 0, f"no-such-program (1 skipped): {INSTALL}"),
        ("true", 1, f"Failed: no-such-program is missing: {INSTALL}"),
    ],
    ids=["skipped here", "failed in CI"],
)
def test_a_program_is_missing(tmp_path: Path, ci: str, code: int, message: str) -> None:
    (tmp_path / "test_needs_it.py").write_text(TESTS)
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST_")}
    own = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "true", "CI": ci}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-n", "1", "-p", "tests.conftest"],
        cwd=tmp_path, env={**inherited, **own}, capture_output=True, text=True,
    )  # fmt: skip
    assert message in done.stdout
    assert done.returncode == code
