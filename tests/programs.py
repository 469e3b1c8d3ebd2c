"""Programs of the system that tests use for real; a test without one says how to get it."""

import os
import shutil

import pytest

_PLACES = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])


def needed(program: str, package: str) -> str:
    """The path of a program; without it the test is skipped, or fails under CI=true."""
    path = shutil.which(program, path=_PLACES)
    if path is None:
        words = f"{program} is needed: apt-get update && apt-get install -y {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    return path
