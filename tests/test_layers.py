"""The one way down: api → services → store; what lies below knows no Flask and no environment."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "loki_web"
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN = {
    "store": ("flask", "loki_web.services", "loki_web.api", "loki_web.security", "loki_web.live"),
    "services": ("flask", "loki_web.api", "loki_web.security", "loki_web.live", "loki_web.schemas"),
    "schemas": ("flask", "loki_web.api", "loki_web.security", "loki_web.live"),
}
MAY_TOUCH_THE_ENVIRONMENT = {"settings.py"}
MOST_LINES = 260


def name_of(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_point_down(module: Path) -> None:
    storey = module.relative_to(PACKAGE).parts[0]
    for forbidden in FORBIDDEN.get(storey, ()):
        assert not [name for name in imported(module) if f"{name}.".startswith(f"{forbidden}.")]


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_settings_read_the_environment(module: Path) -> None:
    if name_of(module) not in MAY_TOUCH_THE_ENVIRONMENT:
        text = module.read_text(encoding="utf-8")
        assert "os.environ" not in text
        assert "getenv" not in text


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_views_and_services_open_no_file(module: Path) -> None:
    if module.relative_to(PACKAGE).parts[0] not in ("api", "services", "schemas"):
        return
    calls = [
        node.func
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    methods = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    assert "open" not in names
    assert not methods & {"read_text", "read_bytes", "write_text"}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_modules_stay_small(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_importing_anything_has_no_effect(tmp_path: Path) -> None:
    names = [
        name_of(module).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for module in MODULES
        if module.name not in ("__main__.py", "gunicorn_conf.py")
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
