"""The thread that waits: for sockets, for what other threads want done, and for the time."""

import heapq
import itertools
import logging
import os
import resource
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

Action = Callable[[], None]
# Called with what is ready of a socket: selectors.EVENT_READ, EVENT_WRITE or both.
Attend = Callable[[int], None]

WANTED_OPEN_FILES = 65_536

log = logging.getLogger(__name__)


class Loop:
    """Begun when there is first something to do, so that nothing is shared by a fork.

    `post` may be called from any thread and from a signal handler; `watch` and `remind` only from
    the loop's own thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._inbox: deque[Action] = deque()
        self._agenda: list[tuple[float, int, Action]] = []
        self._tie = itertools.count()
        self._lock = threading.Lock()
        self._selector: selectors.BaseSelector | None = None
        self._waker: int | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        with self._lock:
            if self._selector is None:
                raise_open_file_limit()
                self.prepare()
                threading.Thread(target=self._run, name="live-hub", daemon=True).start()

    def prepare(self) -> None:
        """Make what `turn` works with."""
        selector = selectors.DefaultSelector()
        woken, self._waker = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(self._waker, False)
        selector.register(woken, selectors.EVENT_READ, lambda _: _empty(woken))
        self._selector = selector

    def post(self, action: Action) -> None:
        """Let the loop do something soon."""
        self._inbox.append(action)
        if self._waker is not None:
            with suppress(BlockingIOError):  # it is about to wake up anyway
                os.write(self._waker, b"\0")

    def remind(self, seconds: float, action: Action) -> None:
        """Do something later."""
        heapq.heappush(self._agenda, (self.clock() + seconds, next(self._tie), action))

    def watch(self, sock: socket.socket, before: int, mask: int, attend: Attend) -> None:
        """Wait for other things of a socket than before; 0 stands for nothing at all."""
        selector = self._selector
        if selector is None or before == mask:
            return
        if not before:
            selector.register(sock, mask, attend)
        elif not mask:
            selector.unregister(sock)
        else:
            selector.modify(sock, mask, attend)

    def turn(self, most_seconds: float | None = None) -> None:
        """Wait for something to do, and do it."""
        if self._selector is None:
            return
        for key, mask in self._selector.select(self._wait(most_seconds)):
            key.data(mask)
        for _ in range(len(self._inbox)):
            self._inbox.popleft()()
        now = self.clock()
        while self._agenda and self._agenda[0][0] <= now:
            heapq.heappop(self._agenda)[2]()

    def _run(self) -> None:
        while True:
            try:
                self.turn()
            except Exception:  # one fault must not end the feed for everybody
                log.exception("the live feed met a fault")

    def _wait(self, most: float | None) -> float | None:
        if self._inbox:
            return 0.0
        if not self._agenda:
            return most
        due = max(0.0, self._agenda[0][0] - self.clock())
        return due if most is None else min(due, most)


def raise_open_file_limit() -> None:
    """Raise the soft limit of open files up to the hard limit, at most WANTED_OPEN_FILES."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED_OPEN_FILES if hard == resource.RLIM_INFINITY else min(WANTED_OPEN_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of %s open files could not be raised: %s", soft, error)


def _empty(woken: int) -> None:
    with suppress(BlockingIOError):
        os.read(woken, 4096)
