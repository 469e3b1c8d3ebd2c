"""Read a long history in a process of its own, at the first start with a project.

It reads beside the first requests, on another core, and stores what it has computed in the derived
index. The workers load that, and so do not hold the memory that the reading takes.
"""

import ctypes
import logging
import os
import signal
from contextlib import suppress
from typing import Any

from gunicorn.util import set_owner_process

from loki_web.live.shutdown import STOP_SIGNALS
from loki_web.services import events, warming
from loki_web.services.context import Sources

LONG_BYTES = 8 * 1024 * 1024  # of events; what is shorter is read in less time than a fork saves
_PR_SET_PDEATHSIG = 1  # of prctl(2)
_NICENESS = 5  # requests have priority where all cores are in use

log = logging.getLogger(__name__)


def start_reader(sources: Sources, server: Any) -> None:
    """Start the process in the master, before it forks workers; gunicorn reaps it.

    If it cannot be started, the workers read the history.
    """
    if "sidecar" in server.app.app_uri or not is_due(sources):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        process = os.fork()
        if process == 0:
            _read(sources, server)
        log.info("a long history: it is read ahead by process %d", process)
    except OSError as error:
        log.warning("a long history: no process could be started to read it ahead: %s", error)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def is_due(sources: Sources) -> bool:
    """Return whether the history is long, and there is no derived index of it yet."""
    index = sources.index.path
    if index is None or index.exists():
        return False
    with suppress(OSError):
        return os.stat(sources.project.path / events.FILE).st_size >= LONG_BYTES
    return False


def _read(sources: Sources, server: Any) -> None:
    """Compute the values in the new process, and end it."""
    try:
        for number in (*server.SIGNALS, signal.SIGCHLD):  # their handlers are for the master
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        for listener in server.LISTENERS:
            listener.sock.close()
        set_owner_process(server.cfg.uid, server.cfg.gid, initgroups=server.cfg.initgroups)
        _end_with(server.pid)  # a change of the user would undo it
        os.nice(_NICENESS)
        warming.warm(sources)
    finally:
        os._exit(0)


def _end_with(parent: int) -> None:
    """End this process when the master ends; needs Linux."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
