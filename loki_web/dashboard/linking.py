"""Joins the modules that every view needs into one file, so that the page loads one, not forty.

Done when the server starts: the modules stay what they are, plain ES modules that a browser could
load one by one. Each becomes a function that returns its exports; an import from it becomes a
destructuring. Only the forms of import and export in which our modules are written are known, and
a module with another one is refused.
"""

import posixpath
import re
from collections.abc import Mapping

JOINED = "js/page.js"
_IMPORT = re.compile(r"import (?:(?P<what>\{[^}]*\}|\* as \w+) from )?'(?P<where>\.[^']+)';")
_EXPORT = re.compile(r"export (?P<rest>(?:async )?(?:const|function|class)\*? (?P<name>\w+).*)")
_LATER = re.compile(r"import\('(\.[^']+)'\)")
_COMMENT = re.compile(r"\s*//|\s*$")
_BLOCK = re.compile(r"\s*/\*\*")


class Unknown(ValueError):
    """A module has a form of import or export that is not supported."""


def linked(modules: Mapping[str, str], first: str, shared: tuple[str, ...]) -> dict[str, str]:
    """Return the modules as they are served, by path.

    :param modules: their texts by path.
    :param first: the path of the one with which the page starts.
    :param shared: how the paths of those begin that are joined with it.
    :raises Unknown: where one has a form of import or export that is not known, or imports in a
        circle.
    """
    bare = {path: _without_comments(text) for path, text in modules.items()}
    inside = {path for path in bare if path == first or path.startswith(shared)}
    order: list[str] = []
    for path in sorted(inside):
        _visit(path, bare, inside, order, ())
    names = ", ".join(_variable(path) for path in order)
    joined = [_as_function(path, bare[path], inside) for path in order]
    served = {
        path: _rewritten(path, text, path, inside)
        for path, text in bare.items()
        if path not in inside
    }
    return {**served, JOINED: "\n".join([*joined, f"export {{ {names} }};\n"])}


def _without_comments(text: str) -> str:
    """Remove lines that are comments from their start."""
    kept: list[str] = []
    is_inside = False
    for line in text.splitlines():
        is_inside = is_inside or bool(_BLOCK.match(line))
        if not is_inside and not _COMMENT.match(line):
            kept.append(line)
        if line.rstrip().endswith("*/"):
            is_inside = False
    return "\n".join(kept) + "\n"


def _visit(
    path: str,
    modules: Mapping[str, str],
    inside: set[str],
    order: list[str],
    above: tuple[str, ...],
) -> None:
    """Put a module into the order, after those that it imports."""
    if path in above:
        raise Unknown(f"{path} imports itself by way of {above[-1]}")
    if path in order or path not in inside:
        return
    for found in _IMPORT.finditer(modules[path]):
        _visit(_resolved(path, found["where"]), modules, inside, order, (*above, path))
    order.append(path)


def _as_function(path: str, text: str, inside: set[str]) -> str:
    exported: list[str] = []
    lines = []
    for line in _rewritten(path, text, JOINED, inside).splitlines():
        match = _EXPORT.fullmatch(line)
        if match:
            exported.append(match["name"])
        elif line.startswith("export"):
            raise Unknown(f"{path}: {line}")
        lines.append(match["rest"] if match else line)
    body = "\n".join(lines)
    return (
        f"const {_variable(path)} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"
    )


def _rewritten(path: str, text: str, place: str, inside: set[str]) -> str:
    """Return a module with its imports rewritten for a module at `place`."""
    lines = []
    uses = []
    for line in text.splitlines():
        if line.startswith("import ") and not _IMPORT.fullmatch(line):
            raise Unknown(f"{path}: {line}")
        found = _IMPORT.fullmatch(line)
        target = _resolved(path, found["where"]) if found else ""
        if found and target in inside:
            uses.append(_variable(target))
            lines.append(_taken(found["what"], _variable(target)))
        else:
            lines.append(
                _LATER.sub(lambda m: f"import('{_from(place, _resolved(path, m[1]))}')", line)
            )
    if uses and place != JOINED:
        lines.insert(0, f"import {{ {', '.join(uses)} }} from '{_from(place, JOINED)}';")
    return "\n".join(lines) + "\n"


def _taken(what: str | None, variable: str) -> str:
    if what is None:
        return ""
    if what.startswith("*"):
        return f"const {what.removeprefix('* as ')} = {variable};"
    return f"const {re.sub(r' as ', ': ', what)} = {variable};"


def _resolved(path: str, where: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), where))


def _from(place: str, target: str) -> str:
    """Return the specifier with which a module at `place` imports another one."""
    relative = posixpath.relpath(target, posixpath.dirname(place))
    return relative if relative.startswith(".") else f"./{relative}"


def _variable(path: str) -> str:
    return re.sub(r"\W", "_", path.removeprefix("js/").removesuffix(".js"))
