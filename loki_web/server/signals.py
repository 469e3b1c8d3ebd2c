"""No signal that stops a process is lost while the master forks a process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loki_web.live.shutdown import STOP_SIGNALS


@contextmanager
def held_back() -> Iterator[None]:
    """Let such signals wait; a process that is forked in the block calls `receive`.

    A forked process has the master's handlers at first. They note a signal for a loop that only
    the master runs: a worker that got one so early served on until it was killed.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        receive()


def hold_back(server: Any) -> None:
    """Let such signals wait until a new worker handles them, see `held_back`."""
    spawn = server.spawn_worker

    def spawn_worker() -> Any:
        with held_back():
            return spawn()

    server.spawn_worker = spawn_worker


def receive() -> None:
    """Receive the signals that waited and those to come, in a process with handlers of its own."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
