"""Compute the most expensive values in the background while a worker starts.

Of the processes that share a cache folder one computes each value first; the others then load it
from the derived index.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from loki_web.errors import StorageError
from loki_web.services import events, tasks
from loki_web.services.cells import Counter
from loki_web.services.context import Sources
from loki_web.services.cost import usage
from loki_web.services.fleet import selection
from loki_web.services.learning import queries
from loki_web.services.memory import episodes, overview, search
from loki_web.services.registry import tasks as registry_tasks
from loki_web.services.session import status
from loki_web.store import atomic

EXTENSION = "loki_web.warming"
_LOCK_SECONDS = 60.0
_BUSY_SECONDS = 10.0  # a server that is always busy is warmed all the same
_PAUSE_SECONDS = 0.02
VALUES: dict[str, Callable[[Sources], object]] = {
    "shown-project": selection.find_shown,
    "signals": events.read_signals,
    "status": status.get_status,
    "learning": lambda sources: queries.get_metrics(sources, "7d", None, None),
    "episodes": lambda sources: episodes.get_catalog(sources),
    "spend": lambda sources: usage.get_spend(sources),
    "memory": lambda sources: overview.get_summary(sources),
    "tasks": tasks.store_tasks,
    "tasks-of-all-projects": lambda sources: registry_tasks.list_tasks(sources, None),
    "search": search.refresh_index,
}

log = logging.getLogger(__name__)


def start_warming(
    sources: Sources,
    then: Callable[[], None] = lambda: None,
    is_busy: Callable[[], bool] = lambda: False,
) -> threading.Thread:
    """Warm the caches of this process in a daemon thread, and return that thread.

    :param then: called in that thread after the last value.
    :param is_busy: returns whether a request is served, which has priority.
    """

    def run() -> None:
        warm(sources, is_busy)
        sources.counts.add(Counter.WARMING_ENDED)
        gc.collect()
        then()

    sources.counts.add(Counter.WARMING_BEGUN)
    thread = threading.Thread(target=run, name="warming", daemon=True)
    thread.start()
    return thread


def is_cold(sources: Sources) -> bool:
    """Return whether this server has begun to warm its caches, and no worker has finished yet.

    A worker that replaces another one finds warm values in the derived index.
    """
    begun = sources.counts.total(Counter.WARMING_BEGUN)
    return begun > 0 and sources.counts.total(Counter.WARMING_ENDED) == 0


def warm(sources: Sources, is_busy: Callable[[], bool] = lambda: False) -> None:
    """Compute all VALUES, one after the other, while no request is served.

    An error is logged; the request that needs the value reports it again.

    :param is_busy: returns whether a request is being served.
    """
    for name, compute in VALUES.items():
        deadline = time.monotonic() + _BUSY_SECONDS
        while is_busy() and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        with ExitStack() as stack:
            if sources.cache_folder is not None:
                with suppress(OSError, StorageError):  # without a lock, compute it anyway
                    path = str(sources.cache_folder / f"warming-{name}")
                    stack.enter_context(atomic.locked(path, _LOCK_SECONDS))
            try:
                compute(sources)
            except Exception:
                log.exception("cannot compute %s at start", name)
