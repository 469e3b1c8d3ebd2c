"""When a worker of gunicorn ends, its sockets end first; requests at work have their own time."""

import signal
from typing import Any

from loki_web.live import service

GOODBYE_SECONDS = 1.0
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def close_on_signals(worker: Any) -> None:
    """Close the sockets as soon as the worker is told to end, for gunicorn's `post_worker_init`."""
    feed = service.of(getattr(worker, "wsgi", None))
    if feed is None:
        return
    for number in _ENDING:
        _close_first(number, feed)


def wait_for_goodbyes(worker: Any) -> None:
    """Let the clients answer to the goodbye, for gunicorn's `worker_exit`."""
    feed = service.of(getattr(worker, "wsgi", None))
    if feed is not None:
        feed.close()
        feed.hub.wait_until_empty(GOODBYE_SECONDS)


def _close_first(number: signal.Signals, feed: service.Live) -> None:
    before = signal.getsignal(number)

    def handler(signum: int, frame: Any) -> None:
        feed.close()
        if callable(before):
            before(signum, frame)

    signal.signal(number, handler)
    signal.siginterrupt(number, False)
