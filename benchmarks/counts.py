"""Count what an unchanged GET does: files opened, examined and read, regular expressions run.

    HOME=... LOKI_DIR=... python -m benchmarks.counts /api/status /api/tasks

Prints JSON: for each route the counts of one request after three others. They do not depend on the
machine or its load, so a test can hold them to a limit.
"""

import gc
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from werkzeug.test import create_environ, run_wsgi_app

from loki_web.app import create_app
from loki_web.store.notifier import get_notifier
from tests.support import answers

_WARM_UP = 3
_HEADERS = {"Accept-Encoding": "gzip"}
_IO = Path("/proc/self/io")
_STATS = {"stat", "lstat", "fstat", "readlink", "access"}
_LISTS = {"listdir", "scandir"}


@dataclass(frozen=True)
class Counts:
    """:param opens: files that were opened.
    :param stats: `stat`, `lstat`, `fstat`, `readlink` and `access`.
    :param lists: folders that were listed.
    :param read: bytes of files, from the page cache or not.
    :param regexes: calls of a method of a compiled pattern.
    :param calls: calls of functions in Python.
    """

    opens: int
    stats: int
    lists: int
    read: int
    regexes: int
    calls: int


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep pending file system events and the garbage collector out of the block.

    The events may be many, of folders that are no longer used. Removing the watch of such a folder
    causes another event, so they are read until there are none.
    """
    notifier, epoch = get_notifier(), -1
    while notifier.epoch != epoch:
        epoch = notifier.epoch
        notifier.drain()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def counted(call: Callable[[], Any]) -> Counts:
    """Count what a call does in this thread, without pending events and the garbage collector.

    Functions in C that are called by other functions in C are not seen, except for what they read.
    """
    seen: Counter[str] = Counter()

    def note(_: FrameType, event: str, function: Any) -> None:
        if event == "call":
            seen["calls"] += 1
        elif event == "c_call" and (kind := _kind(function)):
            seen[kind] += 1

    with undisturbed():
        before = _IO.read_text()
        sys.setprofile(note)
        try:
            call()
        finally:
            sys.setprofile(None)
    read = _bytes_in(_IO.read_text()) - _bytes_in(before) - len(before)
    return Counts(seen["opens"], seen["stats"], seen["lists"], read, seen["regexes"], seen["calls"])


def _kind(function: Any) -> str:
    owner, name = getattr(function, "__self__", None), function.__name__
    if isinstance(owner, re.Pattern):
        return "regexes"
    module = getattr(function, "__module__", None) or type(owner).__module__
    if module not in ("posix", "_io", "io"):
        return ""
    if name == "open":
        return "opens"
    return "stats" if name in _STATS else "lists" if name in _LISTS else ""


def _bytes_in(text: str) -> int:
    """Return the bytes that the process had read before it read this text."""
    return int(text.split()[1])


def main(routes: list[str]) -> None:
    app = create_app()
    client = app.test_client()
    figures = {}
    for route in routes:
        path = next(answers.addresses(client.get, route), route)
        for _ in range(_WARM_UP):
            client.get(path, headers=_HEADERS)
        environ = create_environ(path, headers=_HEADERS)
        figures[route] = asdict(counted(partial(run_wsgi_app, app, environ)))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
