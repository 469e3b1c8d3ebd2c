"""What a value was made of, and one look at each thing a request.

An input is something outside of this process on which a value depends: a file, the names in a
folder, a process, the clock. Its state is what `examine` returns; equal states mean that nothing
has changed. While a value is computed the inputs that it observes are recorded with their states,
so that it can be used again for as long as all of them are the same. Within one look an input is
examined once: everything that is computed in it comes from one moment.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Protocol

from loki_web.store.notifier import notifier

LOOK_SECONDS = 1.0


class Input(Protocol):
    """Something on which a value depends. It may have an attribute `is_told`, see `is_told`."""

    def examine(self) -> Any:
        """Return the present state; the states of an input that has not changed are equal."""


Inputs = tuple[tuple[Input, Any], ...]
_UNSEEN = object()


class _Here(threading.local):
    """:ivar look: the states that were examined in the current look, None outside of one.
    :ivar recording: the inputs that the value being computed has observed, None outside of one.
    """

    look: dict[Input, Any] | None = None
    recording: dict[Input, Any] | None = None


_here = _Here()


class Content:
    """A state that holds what was read. Recorded is only its number, so that a value that is not
    used any more does not keep alive what it was made of."""

    __slots__ = ("token", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.token = next(_numbers)


_numbers = count(1)


def observe(source: Input) -> Any:
    """Return the state of an input in the current look, and record that the value depends on it."""
    state = state_of(source)
    if _here.recording is not None:
        _here.recording[source] = _token(state)
    return state


def _token(state: Any) -> Any:
    return state.token if isinstance(state, Content) else state


def state_of(source: Input) -> Any:
    """Return the state of an input in the current look without recording it."""
    look = _here.look
    if look is None:
        return source.examine()
    state = look.get(source, _UNSEEN)
    if state is _UNSEEN:
        state = look[source] = source.examine()
    return state


def depend_on(inputs: Inputs) -> None:
    """Record all inputs of a value that is used by the one being computed."""
    if _here.recording is not None:
        _here.recording.update(inputs)


def are_current(inputs: Inputs) -> bool:
    """Return whether each input has the same state as when it was recorded."""
    look = _here.look if _here.look is not None else {}
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
    """The inputs of a value that is asked for again and again.

    Where the file system tells of each change of an input it is not looked at while there is
    nothing to be told; what is changed past that (through a hard link from elsewhere, by `mmap`) is
    seen within LOOK_SECONDS.
    """

    __slots__ = ("_seen", "inputs")

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        # The inputs that are not told of, the epoch and the time: of one look, so in one piece.
        self._seen = inputs, -1, 0.0

    def are_current(self) -> bool:
        """Return whether each input has the same state as when it was recorded."""
        events, now = notifier(), time.monotonic()
        events.drain()
        epoch = events.epoch
        volatile, seen_epoch, looked_at = self._seen
        with looking_again():
            if epoch == seen_epoch and now - looked_at < LOOK_SECONDS:
                return are_current(volatile)
            if not are_current(self.inputs):
                return False
        self._seen = tuple(one for one in self.inputs if not is_told(one[0])), epoch, now
        return True


def is_told(source: Input) -> bool:
    """Return whether the file system tells of each change of an input."""
    return bool(getattr(source, "is_told", False))


@contextmanager
def looking() -> Iterator[None]:
    """Examine each input at most once inside; a look inside of a look is the same one."""
    if _here.look is not None:
        yield
        return
    _here.look = {}
    try:
        yield
    finally:
        _here.look = None


@contextmanager
def looking_again() -> Iterator[None]:
    """Begin another look inside of the current one, for what may have changed since it began."""
    before, _here.look = _here.look, {}
    try:
        yield
    finally:
        _here.look = before


class Recording:
    """The inputs that were observed inside of `recording`."""

    def __init__(self) -> None:
        self._observed: dict[Input, Any] = {}

    @property
    def inputs(self) -> Inputs:
        return tuple(self._observed.items())


@contextmanager
def recording() -> Iterator[Recording]:
    """Record what is observed inside, in one look."""
    recorded = Recording()
    outer, _here.recording = _here.recording, recorded._observed
    try:
        with looking():
            yield recorded
    finally:
        _here.recording = outer
        depend_on(recorded.inputs)


@contextmanager
def unrecorded() -> Iterator[None]:
    """Record nothing inside: what is observed there does not decide the value being computed."""
    outer, _here.recording = _here.recording, None
    try:
        yield
    finally:
        _here.recording = outer


class Unsettled:
    """A state that is equal to no other: what is made of it is never used again."""


class _Unrepeatable:
    """An input that is never the same again."""

    def examine(self) -> Unsettled:
        return Unsettled()


UNREPEATABLE: Input = _Unrepeatable()
