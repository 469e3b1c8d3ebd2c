"""`loki-web install` and `uninstall`, on the layout of an installation of Loki Mode."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.commands import is_one_complaint, run
from tests.support import places, runner
from tests.support.places import Place
from tests.support.servers import environment, free_port, running
from tests.support.waiting import PATIENCE_SECONDS

PROGRAM = "dashboard/.venv/bin/python3"


def installation(folder: Path, version: str = "5.49.4") -> Path:
    places.write(folder / "VERSION", f"{version}\n")
    places.write(folder / "autonomy/run.sh", "#!/bin/bash\n")
    places.write(folder / "dashboard/server.py", "raise SystemExit('the other server')\n")
    return folder


def everything_in(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (
            os.readlink(path) if path.is_symlink() else path.read_text() * path.is_file(),
            path.lstat().st_mode,
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def add_nothing(folder: Path) -> None:
    pass


def add_an_environment(folder: Path) -> None:
    places.write(folder / "dashboard/.venv/pyvenv.cfg", "home = /usr/bin\n")
    (folder / PROGRAM).parent.mkdir()
    (folder / PROGRAM).symlink_to(sys.executable)


def add_a_program(folder: Path) -> None:
    places.write(folder / PROGRAM, "#!/bin/sh\necho mine\n").chmod(0o750)


@pytest.mark.parametrize("add", [add_nothing, add_an_environment, add_a_program])
def test_uninstall_restores_what_install_changed(
    place: Place, tmp_path: Path, add: Callable[[Path], None]
) -> None:
    folder = installation(tmp_path / "an installation")
    add(folder)
    before = everything_in(folder)
    for _ in range(2):
        assert run(place, "install", str(folder), "--yes").returncode == 0
    assert everything_in(folder) != before
    assert run(place, "uninstall", str(folder), "--yes").returncode == 0
    assert everything_in(folder) == before
    assert run(place, "uninstall", str(folder), "--yes").returncode == 0
    assert everything_in(folder) == before
    assert (folder / "dashboard/.venv").exists() == (add is not add_nothing)


@pytest.mark.parametrize(
    ("command", "answer"), [("install", "n\n"), ("install", ""), ("uninstall", "\n")]
)
def test_an_installation_is_not_changed_without_consent(
    place: Place, tmp_path: Path, command: str, answer: str
) -> None:
    folder = installation(tmp_path / "installed")
    if command == "uninstall":
        run(place, "install", str(folder), "--yes")
    before = everything_in(folder)
    done = run(place, command, settings={"LOKI_SKILL_DIR": str(folder)}, answers=answer)
    assert str(folder / PROGRAM) in done.stdout
    assert "Nothing was changed" in done.stdout
    assert done.returncode == 1
    assert everything_in(folder) == before


def test_version_9_needs_no_change(place: Place, tmp_path: Path) -> None:
    folder = installation(tmp_path / "installed", "9.22.12")
    before = everything_in(folder)
    done = run(place, "install", str(folder), "--yes")
    assert "start `loki-web serve` first" in done.stdout
    assert done.returncode == 0
    assert everything_in(folder) == before


def test_a_folder_without_loki_mode_is_one_line(place: Place, tmp_path: Path) -> None:
    assert is_one_complaint(run(place, "install", str(tmp_path), "--yes"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation that starts this server, with an interpreter of its own kept beside it."""
    folder = installation(tmp_path_factory.mktemp("installed"))
    add_an_environment(folder)
    assert run(places.empty(folder / "place"), "install", str(folder), "--yes").returncode == 0
    return folder


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["-c", "import fastapi"], ""),
        (["-c", "import fastapi, uvicorn; print('found')"], ""),
        (["-c", "print(6 * 7)"], "42\n"),
        (["-m", "json.tool", "--help"], None),
    ],
)
def test_other_uses_of_the_interpreter_work(
    installed: Path, arguments: list[str], output: str | None
) -> None:
    done = subprocess.run(
        [installed / PROGRAM, *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0
    assert output is None or done.stdout == output


def test_the_runner_starts_this_server(place: Place, installed: Path) -> None:
    port = free_port()
    more = {"PYTHONPATH": str(installed), "LOKI_SKILL_DIR": str(installed)}
    more |= {"LOKI_TLS_CERT": "", "LOKI_TLS_KEY": "", "LOKI_DASHBOARD_HOST": "127.0.0.1"}
    command = [str(installed / PROGRAM), "-m", "dashboard.server"]
    with runner.session(place, command, port, **more) as session:
        assert session.server.name().startswith("python")
        assert "serve" not in session.server.cmdline()  # gunicorn has the pid that was recorded
        session.close_terminal()
        assert runner.is_free(session.lock)


def test_the_command_of_loki_api_start_starts_this_server(place: Place, installed: Path) -> None:
    port = free_port()
    command = [str(installed / PROGRAM), "-m", "uvicorn", "dashboard.server:app"]
    command += ["--host", "127.0.0.1", f"--port={port}", "--log-level", "info"]
    env = environment(place, PYTHONPATH=str(installed), LOKI_WORKERS="1")
    with running(command, env, f"127.0.0.1:{port}", folder=place.loki.parent) as server:
        assert server.get("/api/status").json()["version"]


@pytest.mark.parametrize(
    ("version", "settings", "words"),
    [
        ("5.49.4", {}, "starts its own dashboard"),
        ("5.49.4", {"LOKI_DASHBOARD": "false"}, "starts no server"),
        ("9.22.12", {}, "run `loki-web serve` first"),
    ],
)
def test_doctor_says_which_way_is_in_force(
    place: Place, tmp_path: Path, version: str, settings: dict[str, str], words: str
) -> None:
    folder = installation(tmp_path / "installed", version)
    settings = {**settings, "LOKI_SKILL_DIR": str(folder)}
    done = run(place, "doctor", settings=settings)
    assert words in done.stdout
    assert done.returncode == 0


def test_doctor_finds_an_installed_program_that_cannot_start(place: Place, tmp_path: Path) -> None:
    folder = installation(tmp_path / "installed")
    settings = {"LOKI_SKILL_DIR": str(folder)}
    run(place, "install", "--yes", settings=settings)
    done = run(place, "doctor", settings=settings)
    assert "starts this server" in done.stdout
    assert done.returncode == 0
    program = folder / PROGRAM
    program.write_text(program.read_text().replace(sys.executable, "/gone/python"))
    done = run(place, "doctor", settings=settings)
    assert "/gone/python, which is gone" in done.stdout
    assert done.returncode == 1
