"""Values computed from files, kept until one of the files has changed."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from cachetools import LRUCache

from loki_web.store.look import Inputs, are_current, depend_on, looking, recording

MAX_VALUES = 256  # of one owner

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Value:
    """A computed value and the inputs that it was made of."""

    value: Any
    inputs: Inputs


class Values:
    """The derived values of one owner, those least recently used are evicted.

    One thread computes a value while others wait for it.
    """

    def __init__(self) -> None:
        self._values: LRUCache[Any, Value] = LRUCache(MAX_VALUES)
        self._computing: dict[Any, threading.RLock] = {}
        self._lock = threading.Lock()

    def get(self, key: Any, compute: Callable[[Any], T]) -> T:
        """Return the value of `key`, computed where it is missing or an input has changed.

        :param compute: called with the value that was kept before, or None.
        """
        with looking():
            kept = self._current(key)
            if kept is None:
                with self._computing_lock(key):
                    kept = self._current(key) or self._compute(key, compute)
            depend_on(kept.inputs)
            value: T = kept.value
            return value

    def _current(self, key: Any) -> Value | None:
        with self._lock:
            kept = self._values.get(key)
        return kept if kept is not None and are_current(kept.inputs) else None

    def _compute(self, key: Any, compute: Callable[[Any], Any]) -> Value:
        with self._lock:
            before = self._values.get(key)
        with recording() as recorded:
            value = compute(before.value if before else None)
        kept = Value(value, recorded.inputs)
        with self._lock:
            self._values[key] = kept
        return kept

    def _computing_lock(self, key: Any) -> threading.RLock:
        with self._lock:
            if len(self._computing) > MAX_VALUES:
                self._computing.clear()
            return self._computing.setdefault(key, threading.RLock())


class Owner(Protocol):
    @property
    def values(self) -> Values: ...


O = TypeVar("O", bound=Owner)  # noqa: E741


def derived(function: Callable[Concatenate[O, P], T]) -> Callable[Concatenate[O, P], T]:
    """Keep what a function of a folder and plain arguments returns until one of the files, folders
    or derived values that it used has changed. The value is shared: it must not be changed.
    """

    @wraps(function)
    def kept(owner: O, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (function, args, tuple(sorted(kwargs.items())) if kwargs else ())
        return owner.values.get(key, lambda _: function(owner, *args, **kwargs))

    return kept


def refreshed(function: Callable[[O, T | None], T]) -> Callable[[O], T]:
    """Keep a value as `derived` does, and hand it to the function when it has to be computed again,
    so that the cost can follow what has changed. The value that was kept must not be changed.
    """

    @wraps(function)
    def kept(owner: O, /) -> T:
        return owner.values.get(function, lambda before: function(owner, before))

    return kept
