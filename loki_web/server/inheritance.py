"""Close what a server inherits from the session that starts it, and end when that is killed.

The runner of Loki Mode holds `session.lock` by its descriptor 200 as long as it lives. A server
that kept the inherited descriptor would lock the project when the runner has gone.
"""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from gunicorn import systemd

from loki_web.services.context import Sources
from loki_web.services.session import liveness
from loki_web.store.process import ancestors

_FOLDERS = ("/proc/self/fd", "/dev/fd")
_LAST_STANDARD = 2

log = logging.getLogger(__name__)


def release(sources: Sources, server: Any) -> None:
    """Close inherited descriptors; end with the session if it is the one that started this server.

    Sockets that were handed over on purpose stay open.
    """
    inherited = _list_inherited() - set(_list_sockets(server))
    if _is_started_by_session(sources, inherited):
        _end_with_session(sources, server)
    for number in inherited:
        os.close(number)


def has_been_killed(sources: Sources) -> bool:
    """Return whether `loki.pid` names a process that is gone: the runner removes it when it ends.

    Without the file the session has ended as it should, and its server goes on.
    """
    record = _get_runner(sources)
    return record is not None and not liveness.is_live(liveness.judge(sources, record))


def _end_with_session(sources: Sources, server: Any) -> None:
    """Make the main loop of the master, which runs once a second, look for the session."""
    murder_workers = server.murder_workers

    def murder_workers_and_look() -> None:
        murder_workers()
        if has_been_killed(sources):
            log.info("the session that started this server has gone: ending")
            os.kill(os.getpid(), signal.SIGTERM)

    server.murder_workers = murder_workers_and_look


def _is_started_by_session(sources: Sources, inherited: set[int]) -> bool:
    """Return whether the lock of the session was inherited, or its runner is an ancestor."""
    with suppress(OSError):
        lock = os.stat(sources.project.path / "session.lock")
        if any(os.path.samestat(lock, os.fstat(number)) for number in inherited):
            return True
    record = _get_runner(sources)
    return (
        record is not None
        and record.pid in ancestors(os.getpid())
        and liveness.is_live(liveness.judge(sources, record))
    )


def _get_runner(sources: Sources) -> liveness.Record | None:
    name = liveness.PID_FILES[0]
    return liveness.make_record(sources, name, liveness.read_pid_file(sources, name))


def _list_inherited() -> set[int]:
    """Return the descriptors that came with this process: Python marks its own as close-on-exec."""
    folder = next(filter(os.path.isdir, _FOLDERS), None)
    numbers = (int(name) for name in os.listdir(folder)) if folder else ()
    return {number for number in numbers if number > _LAST_STANDARD and _is_inherited(number)}


def _is_inherited(number: int) -> bool:
    try:
        return os.get_inheritable(number)
    except OSError:  # of the listing itself
        return False


def _list_sockets(server: Any) -> Iterator[int]:
    """Yield what systemd, the old server of an upgrade, or `--bind fd://…` hands over."""
    first = systemd.SD_LISTEN_FDS_START
    yield from range(first, first + systemd.listen_fds(unset_environment=False))
    numbers = server.cfg.env_orig.get("GUNICORN_FD", "").split(",")
    yield from (int(number) for number in numbers if number.isdecimal())
    yield from (address for address in server.cfg.address if isinstance(address, int))
