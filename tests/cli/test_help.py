"""Help, errors before a start, and `--open`."""

import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from loki_web.cli import loki_web
from loki_web.config.settings import Settings
from tests.cli.commands import COMMAND, is_one_complaint, run
from tests.support.places import Place
from tests.support.servers import environment, free_port, running
from tests.support.waiting import wait_until

ALL = [
    *(
        [name]
        for name in (
            "serve",
            "sidecar",
            "demo",
            "doctor",
            "health",
            "tail",
            "deploy",
            "audit",
            "token",
        )
    ),
    *(["audit", name] for name in ("query", "verify")),
    *(["token", name] for name in ("create", "list", "revoke", "rotate", "delete")),
]


@pytest.mark.parametrize("command", [[], *ALL], ids=" ".join)
def test_short_and_long_option_print_the_same_help(command: list[str]) -> None:
    short, long = (CliRunner().invoke(loki_web, [*command, each]) for each in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.output == long.output
    assert short.output.startswith("Usage: loki-web")


@pytest.mark.slow
@pytest.mark.parametrize("group", [[], ["token"], ["audit"]], ids=" ".join)
def test_a_group_alone_prints_its_help(place: Place, group: list[str]) -> None:
    script = "import sys; from loki_web.cli import main; main(sys.argv[1:])"  # as `loki-web`
    command = [sys.executable, "-c", script, *group]
    alone = subprocess.run(command, env=environment(place), capture_output=True, text=True)
    assert alone.returncode == 2
    assert (alone.stdout, alone.stderr) == ("", run(place, *group, "--help").stdout)


def test_options_of_settings_are_in_groups_with_their_defaults(place: Place) -> None:
    text = "".join(run(place, "serve", "--help").stdout.split())  # it is wrapped anywhere
    for heading in (
        "Address:",
        "Processes:",
        "Logsandmetrics:",
        "Accounts:",
        "Webhooks:",
        "Session:",
    ):
        assert heading in text
    for setting in (item.metadata for item in fields(Settings) if item.metadata):
        default = f";default:{setting['default']}" if setting["default"] else ""
        is_shown = f"[{setting['name']}{default}]" in text
        assert is_shown is not setting["is_secret"], setting["name"]  # others see the options
    assert "[default: 24h]" in run(place, "token", "rotate", "--help").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(place: Place, shell: str) -> None:
    done = run(place, settings={"_LOKI_WEB_COMPLETE": f"{shell}_source"})
    assert done.returncode == 0
    assert "loki-web" in done.stdout


@pytest.mark.parametrize("command", [["serve"], ["demo"], ["sidecar"]])
def test_a_port_in_use_is_one_line(place: Place, command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        option = ["--bind", str(port)] if command == ["sidecar"] else ["--port", str(port)]
        done = run(place, *command, *option)
    assert is_one_complaint(done)
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr


def test_a_deleted_current_folder_is_one_line(place: Place, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *COMMAND, "serve"],
        cwd=gone,
        env=environment(place, LOKI_LOG_FORMAT="json", LOKI_DASHBOARD_PORT=str(free_port())),
        capture_output=True,
        text=True,
    )
    assert is_one_complaint(done)
    assert "the current folder has been deleted" in done.stderr


def test_the_page_opens_in_a_browser_and_a_missing_folder_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path / "home", tmp_path / "nowhere" / ".loki")
    place.home.mkdir()
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}.new && mv {seen}.new {seen}\n')
    browser.chmod(0o755)
    port = free_port()
    env = {**environment(place), "BROWSER": str(browser)}
    command = [*COMMAND, "serve", "--open", "--port", str(port), "--workers", "1"]
    with running(command, env, f"127.0.0.1:{port}") as server:
        wait_until(seen.exists, "a browser")
        first, *rest = server.errors
    assert seen.read_text() == f"http://127.0.0.1:{port}\n"
    assert first.endswith(f"{place.loki} on http://127.0.0.1:{port}")
    assert sum(f"there is no {place.loki} yet" in line for line in rest) == 1
