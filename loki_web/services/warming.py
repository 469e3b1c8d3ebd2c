"""Computes what costs most while a worker starts, before anybody asks for it.

Of all workers that share a cache folder one goes first with each value: what it puts into the
derived index is what the others load.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress

from loki_web.errors import StorageError
from loki_web.services.context import Sources
from loki_web.services.cost import usage
from loki_web.services.learning import queries
from loki_web.services.memory import episodes, overview, search
from loki_web.store import atomic

EXTENSION = "loki_web.warming"
_FIRST_SECONDS = 60.0
VALUES: dict[str, Callable[[Sources], object]] = {
    "episodes": lambda src: episodes.get_catalog(src.project),
    "learning": lambda src: queries.get_metrics(src, "7d", None, None),
    "spend": lambda src: usage.spend(src.project),
    "memory": lambda src: overview.get_summary(src.project),
    "search": search.refresh_index,
}

log = logging.getLogger(__name__)


def start(src: Sources) -> threading.Thread:
    """Warm the caches of this process in a thread that does not keep it alive."""
    thread = threading.Thread(target=warm, args=(src,), name="warming", daemon=True)
    thread.start()
    return thread


def warm(src: Sources) -> None:
    """Compute all VALUES. A fault of one is logged, and met again by who asks for it."""
    for name, value in VALUES.items():
        with ExitStack() as held:
            if src.cache_folder is not None:
                with suppress(OSError, StorageError):  # then without waiting for others
                    path = str(src.cache_folder / f"warming-{name}")
                    held.enter_context(atomic.locked(path, _FIRST_SECONDS))
            try:
                value(src)
            except Exception:
                log.exception("cannot compute %s at start", name)
