"""The commit that a project stands at."""

import os
import re
import shutil
import subprocess
from pathlib import Path

_TIMEOUT_SECONDS = 2.0
_SHA = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# Only the name of a commit is asked for, and no object, hook, filter, pager, monitor or remote of
# the repository is needed to tell it. So a repository of another user may be asked as well, and
# what the server's own surroundings say about repositories (GIT_DIR and alike) is left out.
_COMMAND = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false", "rev-parse", "--verify", "HEAD")
_SURROUNDINGS = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "LC_ALL": "C",
}


def read_head_sha(project: Path) -> str:
    """The full SHA of the commit that is checked out; `""` without git, repository or commit."""
    git = shutil.which("git")
    if git is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments, no shell
            [os.path.abspath(git), *_COMMAND],
            cwd=project,
            env=_SURROUNDINGS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    sha = done.stdout.strip()
    return sha.decode() if done.returncode == 0 and _SHA.fullmatch(sha) else ""
