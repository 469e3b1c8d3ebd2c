"""Read a long history in a separate process, at the first start with a project.

It reads beside the first requests, on another core, and stores what it has computed in the derived
index. The workers load that, and so do not hold the memory that the reading takes.
"""

import logging
import os
import signal
from contextlib import suppress
from typing import Any

from loki_web.server import hooks, libc, signals
from loki_web.services import events, warming
from loki_web.services.context import Sources
from loki_web.store.value_store import ValueStore

LONG_BYTES = 8 * 1024 * 1024  # of events; workers read shorter histories faster
_DONE, _STAMP = "read ahead", "1"  # stored after all values
_PR_SET_PDEATHSIG = 1  # of prctl(2)
_NICENESS = 5  # requests have priority where all cores are in use

log = logging.getLogger(__name__)


def start_reader(sources: Sources, server: Any) -> None:
    """Fork the process from the master, before the first worker; gunicorn reaps it.

    If it cannot be forked, or the workers have another user, who has another cache folder, the
    workers read the history.
    """
    is_for_workers = not hooks.is_sidecar(server) and server.cfg.uid == os.geteuid()
    if not is_for_workers or not is_long(sources) or sources.cache_folder is None:
        return
    try:
        with signals.held_back():
            if os.fork() == 0:
                _run(sources, server)
    except OSError as error:
        log.warning("cannot fork a process that reads the long history: %s", error.strerror)


def is_long(sources: Sources) -> bool:
    """Return whether the history is so long that a separate process should read it."""
    with suppress(OSError):
        return os.stat(sources.project.path / events.FILE).st_size >= LONG_BYTES
    return False


def has_read(sources: Sources) -> bool:
    """Return whether all values were stored before, by this version."""
    return ValueStore(sources.index).load(_DONE, _STAMP) is not None


def _run(sources: Sources, server: Any) -> None:
    """Compute the values in the new process, unless that was done before, and end it."""
    try:
        for number in (*server.SIGNALS, signal.SIGCHLD):  # their handlers are for the master
            signal.signal(number, signal.SIG_DFL)
        signals.receive()
        _end_with(server.pid)
        for listener in server.LISTENERS:
            listener.sock.close()
        os.nice(_NICENESS)
        if not has_read(sources):
            log.info("reading the long history in a separate process")
            warming.warm(sources)
            ValueStore(sources.index).store(_DONE, _STAMP, b"")
    except Exception:
        log.exception("cannot read the history in a separate process")
    finally:
        os._exit(0)


def _end_with(parent: int) -> None:
    """End this process when the master ends; needs Linux."""
    libc.call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
