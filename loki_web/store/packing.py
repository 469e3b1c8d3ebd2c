"""Compress what is held in memory, where that is faster than to compute it again."""

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LARGE_BYTES = 64 * 1024  # less is not worth it
_LEVEL = 1


def pack(data: bytes) -> bytes:
    """Return the data compressed."""
    return zstd.compress(data, _LEVEL)


def unpack(packed: bytes) -> bytes:
    """Return the data that `pack` was given."""
    return zstd.decompress(packed)
