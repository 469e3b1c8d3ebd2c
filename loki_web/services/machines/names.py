"""The names of sessions, unique among all machines, such as `alpha:3bc4ad811b0e`."""

import hashlib
import os
import re
from pathlib import Path

from loki_web.services.context import Sources

SESSION = re.compile(r"[A-Za-z0-9_-]{1,63}:[0-9a-f]{12}", re.ASCII)


def name_session(sources: Sources, root: Path) -> str:
    """Return the name of the session of a project of this machine."""
    digest = hashlib.blake2b(os.fsencode(root), digest_size=6).hexdigest()
    return f"{sources.settings.machine}:{digest}"


def is_elsewhere(sources: Sources, identifier: str) -> bool:
    """Return whether an identifier names a session of another machine."""
    is_session = SESSION.fullmatch(identifier) is not None
    return is_session and identifier.partition(":")[0] != sources.settings.machine
