"""Record the inputs of computed values, and examine each input once for each request.

An input is something outside of this process that a value depends on: a file, the names in a
folder, a process, the clock. `examine` returns its state; equal states mean that it has not
changed. While a value is computed, the inputs that it observes are recorded with their states. The
value is valid while all of these states are the same. A look is the memory of one request: each
input is examined once in it, so all values that are computed in it are from one moment.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Protocol

from loki_web.store.notifier import get_notifier

LOOK_SECONDS = 1.0


class Input(Protocol):
    """Something that a value depends on. It may have an attribute `is_notified`, see there."""

    def examine(self) -> Any:
        """Return the current state. States are equal while the input has not changed."""


Inputs = tuple[tuple[Input, Any], ...]
Look = dict[Input, Any]  # the states of the inputs that were examined
_UNSEEN = object()


class _ThreadState(threading.local):
    """The current look and recording of a thread.

    :ivar look: the states that were examined in the current look; None outside of a look.
    :ivar recording: the inputs that the current computation has observed; None outside of one.
    """

    look: Look | None = None
    recording: dict[Input, Any] | None = None


_thread = _ThreadState()


class Content:
    """A state that contains the data that was read.

    Only its number is recorded, so that a cached value does not keep the data in memory.
    """

    __slots__ = ("_value", "token")

    def __init__(self, value: Any) -> None:
        self._value = value
        self.token = next(_numbers)

    @property
    def value(self) -> Any:
        """The data."""
        return self._value

    @property
    def is_none(self) -> bool:
        """Return whether the data are None, without parsing those of a large document."""
        return self._value is None


_numbers = count(1)


def observe(source: Input) -> Any:
    """Return the state of an input in the current look, and record it as a dependency."""
    state = state_of(source)
    if _thread.recording is not None:
        _thread.recording[source] = _token(state)
    return state


def _token(state: Any) -> Any:
    return state.token if isinstance(state, Content) else state


def state_of(source: Input) -> Any:
    """Return the state of an input in the current look without recording it."""
    look = _thread.look
    if look is None:
        return source.examine()
    state = look.get(source, _UNSEEN)
    if state is _UNSEEN:
        state = look[source] = source.examine()
    return state


def depend_on(inputs: Inputs) -> None:
    """Record inputs of another value as dependencies of the current computation."""
    if _thread.recording is not None:
        _thread.recording.update(inputs)


def are_current(inputs: Inputs) -> bool:
    """Return whether each input has the same state as when it was recorded."""
    look = _thread.look if _thread.look is not None else {}
    for source, before in inputs:
        state = look.get(source, _UNSEEN)
        if state is _UNSEEN:
            state = look[source] = source.examine()
        if isinstance(state, Content):
            state = state.token
        if state is not before and state != before:
            return False
    return True


class Dependencies:
    """The inputs of a value that is requested often.

    Inputs with file system events are not examined while there are no events. Changes that cause
    no events (through a hard link in another folder, by `mmap`) are detected within some seconds.

    :param count_events: a number that grows with each event that may concern the inputs; by default
        that of all events.
    :param seconds: within which changes without events are detected.
    """

    __slots__ = ("_count_events", "_last_look", "_seconds", "inputs")

    def __init__(
        self,
        inputs: Inputs,
        count_events: Callable[[], int] | None = None,
        seconds: float = LOOK_SECONDS,
    ) -> None:
        self.inputs = inputs
        self._count_events = count_events
        self._seconds = seconds
        # Inputs without events, epoch and time of the last look: one tuple, replaced atomically.
        self._last_look = inputs, -1, 0.0

    @property
    def is_notified(self) -> bool:
        """Return whether events reported each change of the inputs at the last look."""
        return not self._last_look[0]

    def are_current(self) -> bool:
        """Return whether each input has the same state as when it was recorded."""
        return self.look_for_change() is None

    def look_for_change(self) -> Look | None:
        """Return None if each input has the same state as when it was recorded.

        :return: otherwise the look in which a change was found, for the next computation.
        """
        events, now = get_notifier(), time.monotonic()
        events.drain()
        epoch = self._count_events() if self._count_events else events.epoch
        volatile, last_epoch, looked_at = self._last_look
        with looking_again() as look:
            if epoch == last_epoch and now - looked_at < self._seconds:
                return None if are_current(volatile) else look
            if not are_current(self.inputs):
                return look
        volatile = tuple(entry for entry in self.inputs if not is_notified(entry[0]))
        self._last_look = volatile, epoch, now
        return None


class Summary:
    """An input whose state is computed from other inputs; these are not recorded with it.

    A value that depends on many inputs of other projects depends on a few summaries instead.

    :param compute: returns the state; states are compared with `==`.
    :param count_events: see `Dependencies`, as `seconds`.
    """

    def __init__(
        self,
        compute: Callable[[], Any],
        count_events: Callable[[], int] | None = None,
        seconds: float = LOOK_SECONDS,
    ) -> None:
        self._compute = compute
        self._options = count_events, seconds
        self._dependencies: Dependencies | None = None
        self._lock = threading.Lock()
        self._state: Any = None
        self.examined_at = -math.inf

    def examine(self) -> Any:
        """Return the state, computed again if one of its inputs has changed."""
        with self._lock:
            self.examined_at = time.monotonic()
            look = self._dependencies.look_for_change() if self._dependencies else {}
            if look is not None:
                outer, _thread.recording = _thread.recording, None
                try:
                    with looking_again(look), recording() as recorded:
                        self._state = self._compute()
                finally:
                    _thread.recording = outer
                self._dependencies = Dependencies(recorded.inputs, *self._options)
            return self._state

    @property
    def is_notified(self) -> bool:
        """Return whether file system events report each change of the state."""
        return self._dependencies is not None and self._dependencies.is_notified

    def get_last(self) -> Any:
        """Return the state of the last examination, without another one; None before the first."""
        return self._state


def is_notified(source: Input) -> bool:
    """Return whether file system events report each change of an input."""
    return bool(getattr(source, "is_notified", False))


@contextmanager
def looking() -> Iterator[None]:
    """Examine each input at most once inside the block. Nested blocks share the outer look."""
    if _thread.look is not None:
        yield
        return
    _thread.look = {}
    try:
        yield
    finally:
        _thread.look = None


@contextmanager
def looking_again(look: Look | None = None) -> Iterator[Look]:
    """Begin a new look inside the current one, to detect changes since that one began.

    :param look: a look to continue instead.
    """
    before, now = _thread.look, {} if look is None else look
    _thread.look = now
    try:
        yield now
    finally:
        _thread.look = before


class Recording:
    """The inputs that were observed inside a `recording` block."""

    def __init__(self) -> None:
        self._observed: dict[Input, Any] = {}

    @property
    def inputs(self) -> Inputs:
        """Return the inputs with their states, in the order in which they were observed."""
        return tuple(self._observed.items())


@contextmanager
def recording() -> Iterator[Recording]:
    """Record the inputs that are observed inside the block, in one look."""
    observations = Recording()
    outer, _thread.recording = _thread.recording, observations._observed
    try:
        with looking():
            yield observations
    finally:
        _thread.recording = outer
        depend_on(observations.inputs)


class Unsettled:
    """A state that equals no other, so a value that depends on it is never reused."""


class _Unrepeatable:
    """An input whose state is never the same again."""

    def examine(self) -> Unsettled:
        return Unsettled()


UNREPEATABLE: Input = _Unrepeatable()
