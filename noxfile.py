"""Parts of the test command. All use the environment that nox is installed in."""

import sys

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["fast", "lint", "types"]
_PARALLEL = ("-n", "auto", "--dist", "worksteal")


@nox.session
def fast(session: nox.Session) -> None:
    """Run the tests that need no browser and no server process, without the slow ones."""
    _test(session, "-m", "not server and not browser and not slow")


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


def _test(session: nox.Session, *selection: str) -> None:
    _run(session, "pytest", *_PARALLEL, *selection, *session.posargs)


def _run(session: nox.Session, module: str, *arguments: str) -> None:
    session.run(sys.executable, "-m", module, *arguments)
