"""What the system must allow to tests that use namespaces, mounts and other users."""

import functools
import os
import subprocess

import pytest

from tests.support.programs import needed


def need_root() -> None:
    """Skip the test without root, or fail it when `CI=true`."""
    if os.geteuid():
        _leave_out("root is missing: run the tests with sudo, or in a container as root")


def need_namespaces() -> None:
    """Skip the test if namespaces with mounts of their own cannot be had, or fail it in CI."""
    need_root()
    if not _can_unshare(needed("unshare", "util-linux")):
        _leave_out("namespaces are missing: docker run --privileged, or a virtual machine")


@functools.cache
def _can_unshare(unshare: str) -> bool:
    command = [unshare, "--pid", "--fork", "--mount-proc", "--mount", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _leave_out(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
