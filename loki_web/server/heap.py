"""The heap of a worker: what is free goes back to the system.

glibc gives each thread an arena of its own and keeps what was freed in it. A worker that has read a
year of history at its start would hold twice the memory that it needs from then on.
"""

from loki_web.server import libc

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of mallopt(3)
_LARGE_BYTES = 64 * 1024
_ARENAS = 2


def configure() -> None:
    """Share a few arenas between all threads, and free large blocks at once; needs glibc.

    By default glibc allocates blocks of up to 32 MB in the arenas, as soon as a block of that size
    was freed. A small block that is allocated behind such a block then prevents that its memory is
    returned to the system.
    """
    libc.call("mallopt", _M_ARENA_MAX, _ARENAS)
    libc.call("mallopt", _M_MMAP_THRESHOLD, _LARGE_BYTES)


def trim() -> None:
    """Return free memory to the system; nothing where there is no glibc."""
    libc.call("malloc_trim", 0)
