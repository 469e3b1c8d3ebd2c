"""Calls of the C library that Python does not offer."""

import ctypes
from contextlib import suppress
from functools import cache


def call(function: str, *numbers: int) -> None:
    """Call a function of the C library with integers; do nothing where it is missing."""
    with suppress(OSError, AttributeError):
        getattr(_open(), function)(*numbers)


@cache
def _open() -> ctypes.CDLL:
    """Return the functions of the process; opened once, as each opening makes a class."""
    return ctypes.CDLL(None)
