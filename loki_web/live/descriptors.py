"""How many sockets a process may have."""

import logging
import resource

WANTED = 65_536

log = logging.getLogger(__name__)


def allow_many() -> None:
    """Raise the limit of open files as far as the administrator lets us, up to WANTED."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of %s open files could not be raised: %s", soft, error)
