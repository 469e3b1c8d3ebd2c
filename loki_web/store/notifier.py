"""Watch folders with inotify. Events are read when a caller drains them.

The kernel queues the event of a write before the write returns, so a drain reports every change
that was complete when it began. A process uses one inotify descriptor, because a user may have
only a few (128 by default).
"""

import atexit
import fcntl
import logging
import os
import termios
import threading
from collections.abc import Hashable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from inotify_simple import Event, INotify, flags

_MASK = int(
    flags.MODIFY | flags.ATTRIB | flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
    | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR | flags.DONT_FOLLOW
)  # fmt: skip
_SELF_MASK = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR | flags.DONT_FOLLOW)
_ADD = int(flags.MASK_ADD)
_GONE = int(flags.IGNORED | flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT)
_MOVED = int(flags.MOVE_SELF)
_OVERFLOW, _IGNORED, _IS_FOLDER = int(flags.Q_OVERFLOW), int(flags.IGNORED), int(flags.ISDIR)

_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")
_MIN_LIMIT = 8192  # of any kernel

log = logging.getLogger(__name__)


class Subscriber(Protocol):
    """Receives events. Its methods are called by any thread, with the lock of the notifier."""

    def touched(self, key: Any, name: str, is_folder: bool) -> None:
        """Handle a change of `name` in the folder that is watched with `key`."""

    def lost(self) -> None:
        """Handle lost events: any folder may have changed or gone."""


class Follower(Protocol):
    """Is called when there were events, as subscribers are."""

    def stirred(self) -> None:
        """Handle a change in any of the watched folders."""


class Ancestry:
    """A folder and those above it, watched once for all that need to know of their removal.

    :ivar _is_watched: whether an event is sent when one of them is removed or renamed.
    """

    def __init__(self, notifier: "Notifier", folder: str) -> None:
        above = os.path.dirname(folder)
        self._notifier = notifier
        self._folder = folder
        self._above = notifier.get_ancestry(above) if above != folder else None
        self._subscribers: WeakSet[Subscriber] = WeakSet()
        self._is_watched = False

    def watch(self, subscriber: Subscriber) -> bool:
        """Call `lost` of the subscriber when one of the folders is removed or renamed.

        :return: False if one of them cannot be watched.
        """
        with self._notifier.lock:
            self._subscribers.add(subscriber)
            if not self._is_watched:  # those above first: they report a renaming meanwhile
                self._is_watched = (
                    self._above is None or self._above.watch(self)
                ) and self._notifier.watch(self._folder, self, "", only_itself=True)
            return self._is_watched

    def touched(self, key: Any, name: str, is_folder: bool) -> None:
        """Ignore a change of a name in the folder, which others watch."""

    def lost(self) -> None:
        """Report that one of the folders may be another one."""
        self._is_watched = False
        _report_lost(self._subscribers)


@cache
def read_max_watches(limit: Path = _LIMIT) -> int:
    """Return how many folders all processes of a user together may watch.

    :param limit: the file in which the kernel says it.
    """
    try:
        return max(int(limit.read_text()), _MIN_LIMIT)
    except (OSError, ValueError):
        return _MIN_LIMIT


class Notifier:
    """The inotify watches of a process.

    After an error there are no more watches: `lost` of all subscribers is called, and `watch`
    returns False.

    :ivar lock: held while subscribers are called.
    :ivar epoch: grows with each drain that has read events.
    :ivar has_failed: whether folders are polled because of an error.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._watches: dict[int, WeakKeyDictionary[Subscriber, Hashable]] = {}
        self._ancestries: WeakValueDictionary[str, Ancestry] = WeakValueDictionary()
        self._followers: WeakSet[Follower] = WeakSet()
        self._inotify: INotify | None = None
        self._is_closed = False
        self.has_failed = False
        self.epoch = 0

    def watch(
        self, folder: str, subscriber: Subscriber, key: Hashable, *, only_itself: bool = False
    ) -> bool:
        """Watch a folder: call the subscriber for each change of a name or a file directly in it.

        :param folder: its real path.
        :param key: passed to the subscriber with each event.
        :param only_itself: watch only for the removal or renaming of the folder itself.
        :return: False if the folder cannot be watched and has to be polled.
        """
        with self.lock:
            try:
                if self._inotify is None:
                    if self.has_failed or self._is_closed:
                        return False
                    self._inotify = INotify(nonblocking=True)
                mask = (_SELF_MASK if only_itself else _MASK) | _ADD
                number = self._inotify.add_watch(folder, mask)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                return False  # this folder only
            except OSError as error:
                self._fail(error)
                return False
            if number not in self._watches:
                self._watches[number] = WeakKeyDictionary()
            self._watches[number][subscriber] = key
            return True

    def get_ancestry(self, folder: str) -> Ancestry:
        """Return a folder with those above it. It ends its watches when nobody refers to it.

        :param folder: its real path.
        """
        with self.lock:
            ancestry = self._ancestries.get(folder)
            if ancestry is None:
                ancestry = self._ancestries[folder] = Ancestry(self, folder)
            return ancestry

    def follow(self, follower: Follower) -> None:
        """Call the follower, after the subscribers, whenever there were events."""
        with self.lock:
            self._followers.add(follower)

    def drain(self) -> None:
        """Read all events that have happened until now, and call the subscribers."""
        if self._inotify is None:
            return
        with self.lock:  # wait for another thread that is still calling subscribers
            events = self._events()
            self.epoch += bool(events)
            for number, mask, _, name in events:
                if mask & _OVERFLOW:
                    self._lose_all()
                    continue
                subscribers = self._watches.get(number, WeakKeyDictionary())
                if mask & _GONE:
                    _report_lost(subscribers)
                else:
                    for subscriber, key in list(subscribers.items()):
                        subscriber.touched(key, name, bool(mask & _IS_FOLDER))
                if mask & _IGNORED:
                    self._watches.pop(number, None)
                elif mask & _MOVED or not subscribers:
                    self._forget(number)
            if events:
                for follower in list(self._followers):
                    follower.stirred()

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when there are events; None without watches."""
        return self._inotify.fileno() if self._inotify else None

    def _events(self) -> list[Event]:
        if self._inotify is None or not _has_events(self._inotify.fileno()):
            return []
        try:
            return list(self._inotify.read(timeout=0))
        except OSError as error:
            self.give_up(error)
            return []

    def give_up(self, error: Exception) -> None:
        """End all watches after an error: subscribers are called, and folders are polled."""
        with self.lock:
            self._fail(error)
            if self._inotify is not None:
                self._inotify.close()
                self._inotify = None
            self._lose_all()

    def _lose_all(self) -> None:
        for subscribers in list(self._watches.values()):
            _report_lost(subscribers)

    def close(self) -> None:
        """Close the descriptor. There are no more watches after that."""
        with self.lock:
            self._is_closed = True
            if self._inotify is not None:
                self._inotify.close()
                self._inotify = None

    def _forget(self, number: int) -> None:
        if self._inotify is not None and self._watches.pop(number, None) is not None:
            try:
                self._inotify.rm_watch(number)
            except OSError:
                return  # the folder has gone, and its watch with it

    def _fail(self, error: Exception) -> None:
        if not self.has_failed:
            log.warning("no file system events (%s): folders are polled instead", error)
        self.has_failed = True


def _has_events(descriptor: int) -> bool:
    try:
        return fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0") != b"\0\0\0\0"
    except OSError:
        return True  # the read that follows raises the error


def _report_lost(subscribers: Iterable[Subscriber]) -> None:
    for subscriber in list(subscribers):
        subscriber.lost()


def load_library() -> None:
    """Load the C library for the processes that this one forks. A program is started to find it."""
    with suppress(OSError, AttributeError):  # the latter without inotify
        INotify().close()


_notifiers: dict[int, Notifier] = {}


def get_notifier() -> Notifier:
    """Return the notifier of this process. A forked child does not share that of its parent."""
    own = _notifiers.get(os.getpid())
    if own is None:
        own = _notifiers.setdefault(os.getpid(), Notifier())
        atexit.register(own.close)
    return own
