"""The command line as people and scripts use it: a process of its own."""

import subprocess
import sys
from typing import Any

from tests.support.places import Place
from tests.support.servers import environment
from tests.support.waiting import PATIENCE_SECONDS

COMMAND = [sys.executable, "-m", "loki_web"]
Done = subprocess.CompletedProcess[str]


def run(place: Place, *arguments: str, settings: dict[str, str] | None = None, **more: Any) -> Done:
    """A command that ends by itself, with no terminal to ask at."""
    options = {
        "input": "",
        "capture_output": True,
        "text": True,
        "timeout": PATIENCE_SECONDS,
        **more,
    }
    return subprocess.run(
        [*COMMAND, *arguments], env=environment(place, **(settings or {})), check=False, **options
    )


def is_one_complaint(done: Done) -> bool:
    """True for one line on standard error, nothing on standard output, and failure."""
    lines = done.stderr.splitlines()
    said = len(lines) == 1 and lines[0].startswith("loki-web: ")
    return said and done.stdout == "" and done.returncode != 0
