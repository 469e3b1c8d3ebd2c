"""Compile the rules of werkzeug once: tests create thousands of applications with the same ones.

Most of the time that an application takes is spent on what a rule means. That depends on nothing
but its text, its defaults and the classes of converters, which are the same in all applications.
"""

from types import MethodType
from typing import Any

from werkzeug.routing import Rule

_compile = Rule.compile
_compiled: dict[tuple[object, ...], Any] = {}


def _compile_once(rule: Rule) -> None:
    key = (rule.rule, rule.subdomain, rule.host, repr(rule.defaults), rule.merge_slashes)
    if key not in _compiled:
        _compile(rule)
        builders = rule._build.__func__, rule._build_unknown.__func__  # type: ignore[attr-defined]
        _compiled[key] = rule._parts, rule._trace, rule._converters, rule.arguments, builders
    rule._parts, rule._trace, rule._converters, arguments, (build, build_unknown) = _compiled[key]
    rule.arguments = {*rule.arguments, *arguments}
    rule._build, rule._build_unknown = MethodType(build, rule), MethodType(build_unknown, rule)


def keep_compiled_rules() -> None:
    Rule.compile = _compile_once  # type: ignore[method-assign, assignment]
