"""What the system must allow to tests that use namespaces, mounts and other users."""

import os
import sys
from pathlib import Path

from tests.support.programs import in_namespaces, leave_out


def need_root() -> None:
    """Skip the test without root, or fail it when `CI=true`."""
    if os.geteuid():
        leave_out("root is missing: run the tests with sudo, or in a container as root")


def need_namespaces() -> None:
    """Skip the test if namespaces with mounts of their own cannot be had, or fail it in CI."""
    need_root()
    in_namespaces("--pid", "--fork", "--mount-proc", "--mount")


def need_open_checkout() -> None:
    """Skip the test if other users cannot enter the checkout and the environment, or fail it in CI.

    A checkout below /tmp counts as closed: tests hide that folder.
    """
    places = (Path(__file__), Path(sys.executable))
    is_open = all(parent.stat().st_mode & 1 for place in places for parent in place.parents)
    if not is_open or any(place.is_relative_to("/tmp") for place in places):
        leave_out("the checkout is closed to other users, or below /tmp: move it")
