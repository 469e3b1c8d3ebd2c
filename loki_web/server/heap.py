"""The heap of a worker: what is free goes back to the system.

glibc gives each thread an arena of its own and keeps what was freed in it. A worker that has read a
year of history at its start would hold twice the memory that it needs from then on.
"""

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # of mallopt(3)
_ARENAS = 2


def limit_arenas() -> None:
    """Have the threads of this process share a few arenas; nothing where there is no glibc."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Return free memory to the system; nothing where there is no glibc."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
