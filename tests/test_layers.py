"""The layers of docs/architecture.md: the direction of imports, and what each layer may do."""

import ast
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loki_web.store.folder import Folder
from loki_web.store.writable import WritableFolder
from tests.support.programs import output_of

PACKAGE = Path(__file__).parent.parent / "loki_web"
MODULES = sorted(PACKAGE.rglob("*.py"))
# A package imports only packages of a lower rank, see docs/architecture.md.
RANKS = {
    **dict.fromkeys(("server", "cli"), 10),
    "demo": 9,
    "app": 8,
    **dict.fromkeys(("api", "dashboard", "live"), 7),
    "web": 6,
    "schemas": 5,
    **dict.fromkeys(("auth", "audit", "webhooks", "logging_setup"), 4),
    **dict.fromkeys(("services", "outgoing"), 3),
    **dict.fromkeys(("store", "config"), 2),
    **dict.fromkeys(("errors", "text", "server_clock", "__init__"), 1),
}
LIBRARIES = {
    "flask": {"server", "app", "api", "dashboard", "live", "web"},
    "gunicorn": {"server"},
}
MAY_TOUCH_THE_ENVIRONMENT = {"config/settings.py"}
OPENS_A_FILE = {"open", ".read_text", ".read_bytes", ".write_text"}
# Is read as `@derived`.
NAMED_AS_ITS_MODULE = {"store/derived.py"}
# What sources consist of, see services/context.py. Nobody hands on a part of them.
SOURCES = {"Sources", "WritableSources"}
PARTS = {"Folder", "WritableFolder", "Settings", "Clock", "IndexFile"}


def name_of(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_layers(module: Path) -> set[str]:
    """Return the packages and top modules of loki_web that a module imports."""
    parts = [name.split(".") for name in imported(module)]
    layers = {part[1] for part in parts if part[0] == "loki_web" and part[1:]}
    return {layer if layer in RANKS else "__init__" for layer in layers}


def called(module: Path) -> Iterator[str]:
    """Yield the names of called functions, and of called methods with a dot before them."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield f".{node.func.attr}"


def public_functions(module: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the public functions of a module and the constructors of its public classes."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for child in node.body:
                if isinstance(child, ast.FunctionDef) and child.name == "__init__":
                    yield node.name, child


def parameters(function: ast.FunctionDef) -> list[tuple[str, str]]:
    """Return the name and the annotation of each parameter but `self`."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    annotated = [(each.arg, each.annotation) for each in every if each.arg not in ("self", "cls")]
    return [(name, ast.unparse(annotation) if annotation else "") for name, annotation in annotated]


def faults_of_parameters(function: ast.FunctionDef) -> Iterator[str]:
    taken = parameters(function)
    names = [name for name, _ in taken]
    yield from (f"takes {kind} instead of sources" for _, kind in taken if kind in PARTS)
    if any(kind in SOURCES or name == "sources" for name, kind in taken):
        if taken[0][0] != "sources" or taken[0][1] not in SOURCES:
            yield "does not take sources first"
        if "now" in names:
            yield "takes now beside sources"


def test_each_package_has_a_rank() -> None:
    layers = {layer_of(module) for module in MODULES} - {"__main__"}
    assert layers == set(RANKS)


def test_imports_point_down() -> None:
    assert not [
        f"{name_of(module)} imports {layer}"
        for module in MODULES
        if layer_of(module) != "__main__"
        for layer in sorted(imported_layers(module) - {layer_of(module)})
        if RANKS[layer] >= RANKS[layer_of(module)]
    ]


def test_libraries_are_imported_where_they_belong() -> None:
    assert not [
        f"{name_of(module)} imports {name}"
        for module in MODULES
        for name in imported(module)
        for library, layers in LIBRARIES.items()
        if f"{name}.".startswith(f"{library}.") and layer_of(module) not in layers
    ]


def test_only_settings_read_the_environment() -> None:
    assert not [
        name_of(module)
        for module in MODULES
        if name_of(module) not in MAY_TOUCH_THE_ENVIRONMENT
        and re.search(r"os\.environ|getenv", module.read_text(encoding="utf-8"))
    ]


def test_views_and_services_open_no_file() -> None:
    assert not [
        f"{name_of(module)} calls {name}"
        for module in MODULES
        if layer_of(module) in ("api", "services", "schemas")
        for name in called(module)
        if name in OPENS_A_FILE
    ]


def test_functions_do_not_have_the_name_of_their_module() -> None:
    """Commands of click are no functions: they have the name under which they are called."""
    assert not [
        name_of(module)
        for module in MODULES
        if layer_of(module) != "cli" and name_of(module) not in NAMED_AS_ITS_MODULE
        for name, function in public_functions(module)
        if name == function.name == module.stem
    ]


def test_services_take_sources_first_and_no_part_of_them() -> None:
    assert not [
        f"{name_of(module)}: {name} {fault}"
        for module in MODULES
        if layer_of(module) in ("services", "auth", "audit", "webhooks")
        and name_of(module) != "services/context.py"
        for name, function in public_functions(module)
        for fault in faults_of_parameters(function)
    ]


def test_views_that_read_hold_nothing_that_can_write() -> None:
    assert not [
        f"{name_of(module)}: {node.name}"
        for module in MODULES
        if layer_of(module) == "api"
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and any("blueprint.get(" in ast.unparse(each) for each in node.decorator_list)
        and "writable" in ast.unparse(node)
    ]


def test_a_folder_cannot_write() -> None:
    changes = {name for name in vars(WritableFolder) if not name.startswith("_")}
    assert changes
    assert not changes & set(dir(Folder))


@pytest.mark.slow
def test_importing_anything_has_no_effect(tmp_path: Path) -> None:
    names = [
        name_of(module).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for module in MODULES
        if module.name != "__main__.py" and name_of(module) != "server/conf.py"
    ]
    imports = "\n".join(f"import loki_web.{name}" for name in names if name != "__init__")
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    script = f"import threading\n{imports}\nassert threading.active_count() == 1"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE.parent)}
    output_of([sys.executable, "-c", script], cwd=home, env=environment)
    assert not list(home.iterdir())
