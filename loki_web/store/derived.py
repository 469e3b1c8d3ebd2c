"""Cache values that are computed from files until one of the files changes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from cachetools import LRUCache

from loki_web.store.look import Inputs, are_current, depend_on, looking, recording

MAX_VALUES = 512  # for each owner

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Value:
    """A computed value and the inputs that it depends on."""

    value: Any
    inputs: Inputs


class Values:
    """The derived values of one owner. The least recently used are evicted.

    One thread computes a value while the others wait for it.
    """

    def __init__(self) -> None:
        self._values: LRUCache[Any, Value] = LRUCache(MAX_VALUES)
        self._computing: dict[Any, threading.RLock] = {}
        self._lock = threading.Lock()

    def get(self, key: Any, compute: Callable[[Any], T]) -> T:
        """Return the value of `key`. Compute it if it is missing or an input has changed.

        :param compute: called with the previous value, or None.
        """
        with looking():
            entry = self._current(key)
            if entry is None:
                with self._computing_lock(key):
                    entry = self._current(key) or self._compute(key, compute)
            depend_on(entry.inputs)
            value: T = entry.value
            return value

    def _current(self, key: Any) -> Value | None:
        with self._lock:
            entry = self._values.get(key)
        return entry if entry is not None and are_current(entry.inputs) else None

    def _compute(self, key: Any, compute: Callable[[Any], Any]) -> Value:
        with self._lock:
            before = self._values.get(key)
        with recording() as recorded:
            value = compute(before.value if before else None)
        entry = Value(value, recorded.inputs)
        with self._lock:
            self._values[key] = entry
        return entry

    def _computing_lock(self, key: Any) -> threading.RLock:
        with self._lock:
            if len(self._computing) > MAX_VALUES:
                self._computing.clear()
            return self._computing.setdefault(key, threading.RLock())


class Owner(Protocol):
    """The first argument of a derived function: it has the cache of its values."""

    @property
    def values(self) -> Values:
        """Return the cache of this owner."""


O = TypeVar("O", bound=Owner)  # noqa: E741


def derived(function: Callable[Concatenate[O, P], T]) -> Callable[Concatenate[O, P], T]:
    """Cache the result of a function until a file, folder or derived value that it used changes.

    The function takes the owner and hashable arguments. Results are shared: do not change them.
    """

    @wraps(function)
    def cached(owner: O, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (function, args, tuple(sorted(kwargs.items())) if kwargs else ())
        return owner.values.get(key, lambda _: function(owner, *args, **kwargs))

    return cached


def refreshed(function: Callable[[O, T | None], T]) -> Callable[[O], T]:
    """Cache a result as `derived` does, and pass it to the function when it is computed again.

    With the previous result the function can compute only what has changed. It must not change
    that result itself.
    """

    @wraps(function)
    def cached(owner: O, /) -> T:
        return owner.values.get(function, lambda before: function(owner, before))

    return cached
