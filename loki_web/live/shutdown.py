"""Close live connections when a gunicorn worker stops, before its requests have ended."""

import signal
from typing import Any

from loki_web.live import service

GOODBYE_SECONDS = 1.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def close_on_signals(worker: Any) -> None:
    """Close live connections on a stop signal; for gunicorn's `post_worker_init`."""
    feed = service.get_live(getattr(worker, "wsgi", None))
    if feed is None:
        return
    for number in STOP_SIGNALS:
        _close_first(number, feed)


def wait_for_goodbyes(worker: Any) -> None:
    """Wait up to GOODBYE_SECONDS for closing handshakes; for gunicorn's `worker_exit`."""
    feed = service.get_live(getattr(worker, "wsgi", None))
    if feed is not None:
        feed.close()
        feed.wait_until_empty(GOODBYE_SECONDS)


def _close_first(number: signal.Signals, feed: service.Live) -> None:
    before = signal.getsignal(number)

    def handler(signum: int, frame: Any) -> None:
        feed.close()
        if callable(before):
            before(signum, frame)

    signal.signal(number, handler)
    signal.siginterrupt(number, False)
