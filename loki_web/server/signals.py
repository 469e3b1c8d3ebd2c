"""No signal that stops a process is lost while the master forks a worker."""

import signal
from typing import Any

from loki_web.live.shutdown import STOP_SIGNALS


def hold_back(server: Any) -> None:
    """Let such signals wait until a new worker handles them, see `receive`.

    A forked worker has the master's handlers at first. They note a signal for a loop that only the
    master runs: a worker that got one so early served on until it was killed.
    """
    spawn = server.spawn_worker

    def spawn_worker() -> Any:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            return spawn()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    server.spawn_worker = spawn_worker


def receive() -> None:
    """Receive the signals that waited and those to come, in a worker with handlers of its own."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
