"""An event loop thread: sockets, actions of other threads and timers."""

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
# Called with the ready events of a socket: selectors.EVENT_READ, EVENT_WRITE or both.
Attend = Callable[[int], None]

WANTED_OPEN_FILES = 65_536

log = logging.getLogger(__name__)


class Loop:
    """Waits for sockets and times; the thread starts with the first connection.

    `post` may be called from any thread and from a signal handler; `watch` and `remind` only from
    the loop's own thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._inbox: deque[Action] = deque()
        self._agenda: list[tuple[float, int, Action]] = []
        self._tie = itertools.count()
        self._lock = threading.Lock()
        self._is_running = False
        self._selector: selectors.BaseSelector | None = None
        self._waker: int | None = None

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._lock:
            if not self._is_running:
                raise_open_file_limit()
                self.prepare()
                threading.Thread(target=self._run, name="live-hub", daemon=True).start()
                self._is_running = True

    def prepare(self) -> None:
        """Create the selector and the pipe that wakes it, unless they exist.

        Call it after the fork, because workers must not share descriptors, and before connections
        can take the last ones.

        :raises OSError: when the process has no free descriptor.
        """
        if self._selector is not None:
            return
        selector = selectors.DefaultSelector()
        wake_end, self._waker = os.pipe()
        os.set_blocking(wake_end, False)
        os.set_blocking(self._waker, False)
        selector.register(wake_end, selectors.EVENT_READ, lambda _: _empty(wake_end))
        self._selector = selector

    def post(self, action: Action) -> None:
        """Run an action in the next turn."""
        self._inbox.append(action)
        if self._waker is not None:
            with suppress(BlockingIOError):  # the pipe is full: the loop wakes up anyway
                os.write(self._waker, b"\0")

    def remind(self, seconds: float, action: Action) -> None:
        """Run an action after some seconds."""
        heapq.heappush(self._agenda, (self.clock() + seconds, next(self._tie), action))

    def watch(self, sock: socket.socket, before: int, mask: int, attend: Attend) -> None:
        """Change the events to wait for.

        :param before: the mask until now, 0 for a socket that is not registered.
        :param mask: the new mask, 0 to unregister the socket.
        """
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
        """Wait for events, actions or timers, and run their callbacks.

        :param most_seconds: how long to wait at most; None to wait for the next timer.
        """
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
            except Exception:  # an error must not stop the feed of all clients
                log.exception("an error in the event loop of the live feed")

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


def _empty(wake_end: int) -> None:
    with suppress(BlockingIOError):
        os.read(wake_end, 4096)
