"""The only place in which tests let time pass."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from loki_web.store import files

# For a condition that always comes. A busy machine makes it late, so this is generous; how long
# something takes is measured in benchmarks/.
PATIENCE_SECONDS = 60.0
_STEP_SECONDS = 0.02
T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, *, often: bool = False) -> T:
    """Return the first true value of `condition`; fail when it never becomes true.

    :param what: the condition in words, for the message.
    :param often: look all the time, for what is true for a moment only.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0 if often else _STEP_SECONDS)
    return value


def wait_until_settled(folder: Path) -> None:
    """Wait until each further change of a file or folder below changes its version."""
    latest = max(path.lstat().st_ctime_ns for path in folder.rglob("*"))
    wait_until(lambda: files.is_settled_at(latest, time.time_ns()), "settled files")
