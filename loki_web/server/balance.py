"""Spread connections evenly over the workers.

A new connection wakes all workers, and the one that happens to be quickest accepts it. So one
worker can have all connections, and then their requests share one core while others are idle.
"""

import time
from collections.abc import Callable

from loki_web.services.cells import Gauge
from loki_web.store.shared.counts import Counts

GIVE_WAY_SECONDS = 0.005  # for a worker with fewer connections to accept one
_PAUSE_SECONDS = 0.0002
_IN_VAIN_SECONDS = 0.1  # without giving way, after no other worker has accepted


class Balance:
    """Lets a worker give way to those that have fewer connections.

    :param counts: those of this worker, in the memory that all workers share.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._gives_way_from = 0.0

    def publish(self, connections: int | None) -> None:
        """Tell the other workers how many connections this one has; None: it accepts no more."""
        self._counts.put(Gauge.CONNECTIONS, 0 if connections is None else connections + 1)

    def give_way(self, connections: int, is_waiting: Callable[[], bool]) -> None:
        """Wait for another worker to accept a connection, if one has fewer by a quarter or more.

        Equal numbers would cost more than they bring where each connection has a single request.

        :param connections: how many this worker has.
        :param is_waiting: returns whether no worker has accepted it yet.
        """
        now = time.monotonic()
        if now < self._gives_way_from:
            return
        while self._has_more(connections) and is_waiting():
            if time.monotonic() - now >= GIVE_WAY_SECONDS:
                self._gives_way_from = now + _IN_VAIN_SECONDS
                return
            time.sleep(_PAUSE_SECONDS)

    def _has_more(self, connections: int) -> bool:
        published = self._counts.values(Gauge.CONNECTIONS)
        return any(0 < number <= connections - connections // 4 for number in published)
