"""Events of the file system (inotify), drained by whoever wants to know what has changed.

The kernel queues the event of a write before the write returns, so that a drain sees every change
that was complete when it began. One descriptor serves the whole process: there are few of them for
each user of a machine.
"""

import atexit
import fcntl
import logging
import os
import termios
import threading
from collections.abc import Hashable
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

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

log = logging.getLogger(__name__)


class Subscriber(Protocol):
    """What is told of events; called by any thread, with the notifier's lock held."""

    def touched(self, key: Any, name: str, is_folder: bool) -> None:
        """Take note that something in the folder that was watched as `key` has changed."""

    def lost(self) -> None:
        """Take note that any folder may have changed or gone."""


class Follower(Protocol):
    """What is told that there were events; called as a subscriber is."""

    def stirred(self) -> None:
        """Take note that something in any of the folders that this process watches has changed."""


class Notifier:
    """The watches of this process.

    A failure ends all watches: whoever subscribed is told that they are lost, and gets no others.

    :ivar epoch: grows with each event that was drained.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._watches: dict[int, WeakKeyDictionary[Subscriber, Hashable]] = {}
        self._followers: WeakSet[Follower] = WeakSet()
        self._inotify: INotify | None = None
        self._has_failed = False
        self.epoch = 0

    def watch(
        self, folder: str, subscriber: Subscriber, key: Hashable, *, only_itself: bool = False
    ) -> bool:
        """Tell the subscriber of each change of a name or a file directly in a real folder.

        :param only_itself: tell only when the folder itself goes or gets another name.
        :return: False where that cannot be had: then the folder has to be looked at.
        """
        with self._lock:
            try:
                if self._inotify is None:
                    if self._has_failed:
                        return False
                    self._inotify = INotify(nonblocking=True)
                mask = (_SELF_MASK if only_itself else _MASK) | _ADD
                number = self._inotify.add_watch(folder, mask)
            except (FileNotFoundError, NotADirectoryError):
                return False
            except OSError as error:
                self._fail(error)
                return False
            self._watches.setdefault(number, WeakKeyDictionary())[subscriber] = key
            return True

    def follow(self, follower: Follower) -> None:
        """Tell the follower, after the subscribers, whenever there were any events."""
        with self._lock:
            self._followers.add(follower)

    def drain(self) -> None:
        """Tell the subscribers of everything that has happened until now."""
        if self._inotify is None:
            return
        with self._lock:  # first, for another thread may have read events that it still tells of
            events = self._events()
            self.epoch += bool(events)
            for number, mask, _, name in events:
                if mask & _OVERFLOW:
                    self._lose_all()
                    continue
                subscribers = self._watches.get(number, WeakKeyDictionary())
                if mask & _GONE:
                    _tell_lost(subscribers)
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
        """The descriptor that becomes readable with an event, None while nothing is watched."""
        return self._inotify.fileno() if self._inotify else None

    def _events(self) -> list[Event]:
        if self._inotify is None or not _has_events(self._inotify.fileno()):
            return []
        try:
            return list(self._inotify.read(timeout=0))
        except OSError as error:
            self._fail(error)
            self._inotify.close()
            self._inotify = None
            self._lose_all()
            return []

    def _lose_all(self) -> None:
        for subscribers in list(self._watches.values()):
            _tell_lost(subscribers)

    def close(self) -> None:
        """Give the descriptor back, for good."""
        with self._lock:
            self._has_failed = True
            if self._inotify is not None:
                self._inotify.close()
                self._inotify = None

    def _forget(self, number: int) -> None:
        if self._inotify is not None and self._watches.pop(number, None) is not None:
            try:
                self._inotify.rm_watch(number)
            except OSError:
                return  # the folder has gone, and its watch with it

    def _fail(self, error: OSError) -> None:
        if not self._has_failed:
            log.warning("no file system events (%s): folders are looked at instead", error)
        self._has_failed = True


def _has_events(descriptor: int) -> bool:
    try:
        return fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0") != b"\0\0\0\0"
    except OSError:
        return True  # whoever reads is told why


def _tell_lost(subscribers: "WeakKeyDictionary[Subscriber, Hashable]") -> None:
    for subscriber in list(subscribers):
        subscriber.lost()


_notifiers: dict[int, Notifier] = {}


def notifier() -> Notifier:
    """The notifier of this process; a forked child has another one than its parent."""
    found = _notifiers.get(os.getpid())
    if found is None:
        found = _notifiers.setdefault(os.getpid(), Notifier())
        atexit.register(found.close)
    return found
