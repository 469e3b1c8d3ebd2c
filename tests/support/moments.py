"""Changes in the middle of a request, at each moment at which it looks at files."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import get_ident
from typing import Any

import pytest


@contextmanager
def changing_at(moment: int, change: Callable[[], object]) -> Iterator[None]:
    """Make a change just before a call that looks at a file, the first of the block being 0.

    Calls of other threads are not counted: the block would go on in the middle of the change.
    """
    calls, own = count(), get_ident()

    def preceded(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            if get_ident() == own and next(calls) == moment:
                change()
            return call(*args, **kwargs)

        return called

    with pytest.MonkeyPatch.context() as patch:
        for name in ("lstat", "open", "scandir", "stat"):
            patch.setattr(os, name, preceded(getattr(os, name)))
        yield
