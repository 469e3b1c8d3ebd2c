"""Compile the rules of werkzeug once: tests create thousands of applications with the same ones.

Two thirds of the time that an application takes is spent on the functions that build its addresses.
They depend on nothing but the text of a rule and its defaults.
"""

from typing import Any

from werkzeug.routing import Rule

_compile = Rule._compile_builder
_compiled: dict[tuple[object, ...], Any] = {}


def _compile_once(rule: Rule, append_unknown: bool = True) -> Any:
    key = (rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown)
    if key not in _compiled:
        _compiled[key] = _compile(rule, append_unknown)
    return _compiled[key]


def keep_compiled_rules() -> None:
    Rule._compile_builder = _compile_once  # type: ignore[method-assign, assignment]
