"""Parts of the test command. All but `oldest` use the environment that nox is installed in."""

import os
import shutil
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["fast", "lint", "types", "js"]
COVERED = 77  # percent of the branches; may grow, and not fall
_PARALLEL = ("-n", "auto", "--dist", "worksteal")
_FAST = ("-m", "not server and not browser and not slow", "--ignore", "tests/browser")
_MEASURED = ("services", "store", "auth", "audit")  # what decides without HTTP
_FAST_TOOLS = (  # of the extra "test", what the tests import
    "axe-playwright-python",
    "hypothesis",
    "jsonschema",
    "nox",
    "openapi-spec-validator",
    "playwright",
    "pytest",
    "pytest-randomly",
    "pytest-timeout",
    "pytest-xdist",
    "requests",
    "websocket-client",
    "websockets",
)


@nox.session
def fast(session: nox.Session) -> None:
    """Run the tests that need no browser and no server process, without the slow ones."""
    _test(session, *_FAST)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the fast tests of _MEASURED alone, and fail if they cover fewer branches than COVERED."""
    folders = [f"tests/{package}" for package in _MEASURED]
    packages = [f"--cov=loki_web/{package}" for package in _MEASURED]
    options = ("--cov-branch", "--cov-report=", f"--cov-fail-under={COVERED}")
    _test(session, *folders, *_FAST, *packages, *options)


@nox.session
def full(session: nox.Session) -> None:
    """Run all tests."""
    _test(session)


@nox.session
def browser(session: nox.Session) -> None:
    """Run the tests of the page in a real Chromium."""
    _test(session, "-m", "browser")


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style."""
    _run(session, "ruff", "format", "--check", "-q", ".")
    _run(session, "ruff", "check", "-q", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types."""
    _run(session, "mypy")


@nox.session
def js(session: nox.Session) -> None:
    """Check format, style and types of the JavaScript."""
    if shutil.which("npm") is None:
        reason = "npm is missing: apt-get update && apt-get install -y nodejs npm"
        session.error(reason) if os.environ.get("CI") == "true" else session.skip(reason)
    session.run("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", external=True)
    session.run("npm", "run", "check", external=True)


@nox.session(venv_backend="uv", reuse_venv=True)
def oldest(session: nox.Session) -> None:
    """Run the fast tests with the oldest versions that requirements.txt allows."""
    oldest_versions = Path(session.create_tmp()) / "oldest.txt"
    _run(
        session, "uv", "pip", "compile", "-q", "--resolution", "lowest-direct",
        "requirements.txt", "-o", str(oldest_versions),
    )  # fmt: skip
    session.install("-r", str(oldest_versions), *_FAST_TOOLS)
    environment = {"PYTHONPATH": str(Path.cwd())}
    session.run("pytest", *_PARALLEL, *_FAST, *session.posargs, env=environment)


def _test(session: nox.Session, *selection: str) -> None:
    _run(session, "pytest", *_PARALLEL, *selection, *session.posargs)


def _run(session: nox.Session, module: str, *arguments: str) -> None:
    session.run(sys.executable, "-m", module, *arguments, external=True)
