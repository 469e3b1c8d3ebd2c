"""Which number of `store.shared.counts` means what."""

from enum import IntEnum, auto

from loki_web.store.shared.counts import GAUGES, Counts

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
# Status of calls that were refused before a view was asked; 400 and more if they were unreadable.
REFUSALS = (400, 401, 403, 408, 413, 414, 429, 431, 503)


class Gauge(IntEnum):
    """Cells of the present, 0 once a process has ended. IN_FLIGHT has one for each method."""

    IN_FLIGHT = 0
    WEBSOCKETS = len(METHODS)
    EVENT_STREAMS = auto()
    FEED_LAG = auto()
    REDIS_WAITING = auto()
    REDIS_REFUSED = auto()
    ACTIVE_CONNECTIONS = auto()  # one more than there are; 0 if the process accepts none


class Counter(IntEnum):
    """Cells that only grow while the server runs. REFUSED has one for each status."""

    AUDIT_FAILURES = GAUGES
    MESSAGES_SENT = auto()
    MESSAGES_DROPPED = auto()
    REDIS_FAILURES = auto()
    WARMING_BEGUN = auto()
    WARMING_ENDED = auto()
    REFUSED = auto()


REQUESTS = Counter.REFUSED + len(REFUSALS)  # the first cell of the histograms of `web.meter`


def count_refusal(counts: Counts, status: int) -> None:
    """Count a call that was refused with this status."""
    if status in REFUSALS:
        counts.add(Counter.REFUSED + REFUSALS.index(status))
