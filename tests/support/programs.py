"""What tests use of the system for real; where something is missing, they say how to get it."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

_PLACES = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
_MISSING = re.compile(r"(?P<program>[^:\s][^:]*) is missing: (?P<command>.+)")


def needed(program: str, package: str) -> str:
    """Return the path of a program; without it skip the test, or fail it when `CI=true`."""
    path = shutil.which(program, path=_PLACES)
    if path is None:
        leave_out(f"{program} is missing: apt-get update && apt-get install -y {package}")
    return path


def installed(program: str) -> str:
    """Return the path of a program of the extra `test`; without it skip the test, or fail in CI."""
    path = shutil.which(program, path=str(Path(sys.executable).parent))
    if path is None:
        leave_out(f"{program} is missing: pip install -e '.[test]'")
    return path


def optional(program: str, install: str) -> str:
    """Return the path of a program that the gate need not have; without it skip the test."""
    path = shutil.which(program, path=_PLACES)
    if path is None:
        pytest.skip(f"{program} is missing: {install}")
    return path


def in_namespaces(*options: str, trial: Sequence[str] = ("true",)) -> list[str]:
    """Return the command that runs another one in namespaces of its own; without, as `needed`.

    :param trial: a command that has to succeed there.
    """
    command = [needed("unshare", "util-linux"), *options]
    if subprocess.run([*command, *trial], capture_output=True, check=False).returncode:
        leave_out(f"{' '.join(command[1:])} is missing: run as root, in Docker with --privileged")
    return command


def output_of(command: Sequence[str | Path], **options: Any) -> str:
    """Return what a command writes to standard output; it has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def leave_out(reason: str) -> NoReturn:
    """Skip the test, or fail it when `CI=true`."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def left_out(skipped: Iterable[pytest.TestReport]) -> Iterator[str]:
    """Yield a line for each program that tests were skipped for, with how to install it."""
    reasons = [report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple)]
    matches = Counter(match.groups() for reason in reasons if (match := _MISSING.search(reason)))
    for (program, command), count in sorted(matches.items()):
        yield f"{program} ({count} skipped): {command}"
