"""The one way down: api → services → store; what lies below knows no Flask and no environment."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "loki_web"
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN = {
    "store": ("flask", "loki_web.services", "loki_web.api", "loki_web.live"),
    "services": ("flask", "loki_web.api", "loki_web.live", "loki_web.schemas"),
    "schemas": ("flask", "loki_web.api", "loki_web.live"),
}
MAY_TOUCH_THE_ENVIRONMENT = {"config/settings.py"}
OPENS_A_FILE = {"open", ".read_text", ".read_bytes", ".write_text"}


def name_of(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def storey_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0]


def called(module: Path) -> Iterator[str]:
    """The names of functions that a module calls, and of methods with a dot before them."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield f".{node.func.attr}"


def test_imports_point_down() -> None:
    assert not [
        f"{name_of(module)} imports {name}"
        for module in MODULES
        for name in imported(module)
        for forbidden in FORBIDDEN.get(storey_of(module), ())
        if f"{name}.".startswith(f"{forbidden}.")
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
        if storey_of(module) in ("api", "services", "schemas")
        for name in called(module)
        if name in OPENS_A_FILE
    ]


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
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=home, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not list(home.iterdir())
