"""The files of tests in memory, where root runs them: half of what they do is small files."""

import atexit
import ctypes
import os
import tempfile

import psutil
import pytest

_NEW_MOUNTS, _PRIVATE = 0x20000, 0x4000 | 0x40000  # CLONE_NEWNS; MS_REC | MS_PRIVATE
_DETACH = 2
_LEAST_BYTES = 8 << 30


def keep_files_in_memory(config: pytest.Config) -> None:
    """Mount a file system in memory that only this process and its children see.

    It goes with the last of them. Files stay on the disk with `--basetemp`, which is how to look at
    what a failed test has left, and where the mount is not allowed or the memory is small.
    """
    if hasattr(config, "workerinput") or config.option.basetemp or os.geteuid() != 0:
        return
    if psutil.virtual_memory().available < _LEAST_BYTES:
        return
    system = ctypes.CDLL(None)
    if system.unshare(_NEW_MOUNTS) or system.mount(None, b"/", None, _PRIVATE, None):
        return
    folder = tempfile.mkdtemp(prefix="lw")
    atexit.register(os.rmdir, folder)
    if not system.mount(b"tests", folder.encode(), b"tmpfs", 0, b"mode=1777"):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
        atexit.register(system.umount2, folder.encode(), _DETACH)  # before the folder is removed
