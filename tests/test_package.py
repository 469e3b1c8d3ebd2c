"""The packages: what they carry, and that they install and serve far from any checkout."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest

from tests.support.programs import output_of
from tests.support.servers import ROOT, free_port, running

# Files that other programs and people look for by these names, in the repository and in the sdist.
TOP_LEVEL = (
    *("README.md", "gunicorn.conf.py", "loki_web", "requirements.txt", "setup.py", "tests"),
    "wsgi.py",
)
MINORS = range(11, 16)  # releases of Python 3; those that the machine lacks are left out


def interpreters() -> Iterator[Path]:
    """Yield one interpreter of each release: this one, then those on the PATH and of pyenv."""
    yield Path(sys.executable)
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += [
        each for shims in folders if shims.name == "shims"
        for each in sorted(shims.parent.glob("versions/*/bin"))
    ]  # fmt: skip
    for minor in MINORS:
        for path in (folder / f"python3.{minor}" for folder in folders):
            if minor != sys.version_info.minor and is_release(path, minor):
                yield path
                break


def is_release(path: Path, minor: int) -> bool:
    """Return whether a path runs this release; a shim of pyenv may exist and run nothing."""
    check = f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return (
        path.is_file() and not subprocess.run([path, "-c", check], capture_output=True).returncode
    )


def install(python: Path, package: Path, folder: Path) -> Path:
    """Install a package into a new environment; return the folder of its commands."""
    uv = (sys.executable, "-m", "uv", "--no-config", "--no-python-downloads")
    output_of([*uv, "venv", "--python", python, folder])
    there, constraints = folder / "bin/python", ROOT / "constraints.txt"
    output_of([*uv, "pip", "install", "--python", there, "--constraints", constraints, package])
    return folder / "bin"


def check_demo(commands: Path, folder: Path) -> None:
    """Run the demo in an empty folder with an empty home."""
    home, empty = folder / "home", folder / "empty"
    home.mkdir(parents=True)
    empty.mkdir()
    port = free_port()
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    command = [str(commands / "loki-web"), "demo", "--port", str(port), "--workers", "1"]
    with running(command, env, f"127.0.0.1:{port}", folder=empty) as server:
        assert server.get("/").text.startswith("<!doctype html>")
        assert server.get("/docs").status_code == 200
        assert "status" in server.get("/api/status").json()
    assert not list(empty.iterdir())


def test_what_others_rely_on_is_at_the_top_level() -> None:
    assert set(TOP_LEVEL) <= {path.name for path in ROOT.iterdir()}


@pytest.mark.slow
def test_both_packages_install_and_serve_on_each_python(tmp_path: Path) -> None:
    output_of([sys.executable, "-m", "build", "--installer", "uv", "--outdir", tmp_path, ROOT])
    (sdist,), (wheel,) = tmp_path.glob("*.tar.gz"), tmp_path.glob("*.whl")
    check_contents(sdist, wheel)
    first, *others = interpreters()
    for number, (python, package) in enumerate(
        [(first, sdist), (first, wheel), *((python, wheel) for python in others)]
    ):
        commands = install(python, package, tmp_path / f"venv{number}")
        check_demo(commands, tmp_path / f"place{number}")
    output_of([commands / "loki-web", "deploy", tmp_path / "deploy"])
    assert files_in(tmp_path / "deploy") == files_in(ROOT / "deploy")


def check_contents(sdist: Path, wheel: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*TOP_LEVEL, "LICENSE"} <= names
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = Parser().parsestr(archive.read(path).decode())
    assert (metadata["Name"], metadata["License-Expression"]) == ("loki-web", "MIT")
    assert metadata["Requires-Python"] == ">=3.11"
    assert any("Framework :: Flask" in each for each in metadata.get_all("Classifier", []))
    runtime = {each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each}
    assert len(runtime) == len(requirements())


def requirements() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip
