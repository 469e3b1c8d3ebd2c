"""Mark the tests that start a real server, by what they and their fixtures call."""

from collections.abc import Callable, Iterator
from functools import cache
from inspect import unwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from tests.support import servers


def starts_a_server(item: pytest.Function) -> bool:
    """Return whether a test, its fixtures or their helpers can come to `servers.require_mark`."""
    definitions = item._fixtureinfo.name2fixturedefs.values()
    return _leads_there(item.function, *(each.func for several in definitions for each in several))


@cache
def _leads_there(*functions: Callable[..., Any]) -> bool:
    waiting: list[Any] = list(functions)
    seen = set()
    while waiting:
        found = unwrap(waiting.pop())
        if found is servers.require_mark:
            return True
        if found not in seen and found.__module__.startswith("tests."):
            seen.add(found)
            waiting += _named_by(found)
    return False


@cache
def _named_by(found: FunctionType | type) -> list[Callable[..., Any]]:
    """Return the functions and classes that a function names, or that a class has as methods."""
    if isinstance(found, type):
        values = list(vars(found).values())
    else:
        names = set(_names(found.__code__))
        values = [found.__globals__[name] for name in names if name in found.__globals__]
        modules = [value for value in values if isinstance(value, ModuleType)]
        values += [vars(module)[name] for module in modules for name in names & vars(module).keys()]
    return [value for value in values if isinstance(value, FunctionType | type)]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
