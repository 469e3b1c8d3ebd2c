"""How much work something is, in units that do not depend on the machine."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from cProfile import Profile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.counts import undisturbed


def bytes_read() -> int:
    """Bytes that this process has read until now, from wherever."""
    fields = dict(row.split(": ") for row in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


def count_calls(act: Callable[[], object]) -> int:
    """Count the calls in Python and C, without pending events and the garbage collector.

    cProfile counts in C: a function for `sys.setprofile` takes three times as long as the calls.
    """
    profile = Profile()
    with undisturbed():
        profile.runcall(act)
    return sum(entry.callcount for entry in profile.getstats())


@dataclass
class Memory:
    """Bytes that were allocated inside a block: those that are still in use, and the most."""

    kept: int = 0
    peak: int = 0


@contextmanager
def tracing_memory() -> Iterator[Memory]:
    """Measure what Python allocates inside the block, garbage that is not collected included."""
    memory = Memory()
    tracemalloc.start()
    try:
        yield memory
        memory.kept, memory.peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
