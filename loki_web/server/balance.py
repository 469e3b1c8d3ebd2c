"""Spread connections evenly over the workers.

A new connection wakes all workers, and the one that happens to be quickest accepts it. So one
worker can have all connections, and then their requests share one core while others are idle.
"""

import time
from collections.abc import Callable

from loki_web.services.cells import Gauge
from loki_web.store.shared.counts import Counts

WAIT_SECONDS = 0.01  # in all, for other workers to accept connections
WAIT_SHARE = 0.05  # of the time: what a worker may wait again
_PAUSE_SECONDS = 0.0002


class Balance:
    """Lets a worker give way to those that have fewer active connections.

    :param counts: those of this worker, in the memory that all workers share.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._may_wait, self._since = WAIT_SECONDS, time.monotonic()

    def publish(self, active: int | None) -> None:
        """Tell the other workers how many active connections this one has.

        :param active: None if it accepts no more connections.
        """
        self._counts.put(Gauge.ACTIVE_CONNECTIONS, 0 if active is None else active + 1)

    def gives_way(self, active: int, is_waiting: Callable[[], bool]) -> bool:
        """Wait for another worker to accept a connection, if one has fewer than this one.

        :param active: how many active connections this worker has.
        :param is_waiting: returns whether no worker has accepted the connection yet.
        :return: whether another worker has accepted it.
        """
        self.publish(active)  # so that it does not give way to what it was itself
        began = now = time.monotonic()
        may_wait = min(WAIT_SECONDS, self._may_wait + WAIT_SHARE * (now - self._since))
        is_accepted = False
        while now - began < may_wait and self._has_more(active):
            is_accepted = not is_waiting()
            if is_accepted:
                break
            time.sleep(_PAUSE_SECONDS)
            now = time.monotonic()
        self._may_wait, self._since = may_wait - (now - began), now
        return is_accepted

    def _has_more(self, active: int) -> bool:
        """Return whether another worker has fewer active connections by more than a quarter.

        Smaller differences are left: connections of a single request come and go.
        """
        return any(
            0 < number <= active - active // 4
            for number in self._counts.values(Gauge.ACTIVE_CONNECTIONS)
        )
