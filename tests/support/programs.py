"""Programs of the system that tests use for real; without one, its tests say how to get it."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

_PLACES = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
_MISSING = re.compile(r"(?P<program>\S+) is missing: (?P<command>.+)")


def needed(program: str, package: str) -> str:
    """Return the path of a program; without it skip the test, or fail it when `CI=true`."""
    path = shutil.which(program, path=_PLACES)
    if path is None:
        reason = f"{program} is missing: apt-get update && apt-get install -y {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def left_out(skipped: Iterable[pytest.TestReport]) -> Iterator[str]:
    """Yield a line for each program that tests were skipped for, with how to install it."""
    reasons = [report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple)]
    matches = Counter(match.groups() for reason in reasons if (match := _MISSING.search(reason)))
    for (program, command), count in sorted(matches.items()):
        yield f"{program} ({count} skipped): {command}"
