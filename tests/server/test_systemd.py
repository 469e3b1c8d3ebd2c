"""The units of deploy/systemd, as systemd itself judges them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.programs import needed
from tests.support.servers import ROOT

UNITS = ROOT / "deploy" / "systemd"
SERVICES = ["loki-web.service", "loki-web-live.service", "loki-web@srv-shop.service"]
MAX_EXPOSURE = 20  # of 100; without hardening 92


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units with an instance of the templates, and a program that exists."""
    folder = tmp_path_factory.mktemp("units")
    for unit in UNITS.iterdir():
        text = unit.read_text(encoding="utf-8")
        text = text.replace("/opt/loki-web/current/bin/loki-web", str(shutil.which("true")))
        (folder / unit.name.replace("@", "@srv-shop")).write_text(text, encoding="utf-8")
        (folder / unit.name).write_text(text, encoding="utf-8")
    return folder


def analyze(units: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [needed("systemd-analyze", "systemd"), *arguments]
    return subprocess.run(command, cwd=units, capture_output=True, text=True)


def test_the_units_are_valid(units: Path) -> None:
    done = analyze(units, "verify", "--man=no", *(f"./{unit.name}" for unit in units.iterdir()))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_the_services_are_hardened(units: Path, service: str) -> None:
    limit = f"--threshold={MAX_EXPOSURE}"
    done = analyze(units, "security", "--offline=yes", "--no-pager", limit, f"./{service}")
    assert done.returncode == 0, done.stdout


def test_the_services_differ_only_in_what_they_serve() -> None:
    server, live, template = (
        set((UNITS / name).read_text(encoding="utf-8").splitlines())
        for name in ("loki-web.service", "loki-web-live.service", "loki-web@.service")
    )
    own = (
        *("#", "Description=", "Requires=", "After=", "Also=", "ExecStart="),
        *('Environment="LOKI_DIR', "EnvironmentFile=", "ReadWritePaths="),
    )
    for other in (live, template):
        assert [line for line in server ^ other if line and not line.startswith(own)] == []


def test_liveness_can_see_the_processes_of_the_session() -> None:
    """See docs/decisions/015."""
    for unit in UNITS.glob("*.service"):
        options = dict(
            line.split("=", 1)
            for line in unit.read_text(encoding="utf-8").splitlines()
            if "=" in line and not line.startswith("#")
        )
        assert (options["ProtectProc"], options["ProcSubset"]) == ("default", "all")
        assert not {"PrivateUsers", "PrivatePIDs", "RootDirectory", "RootImage"} & set(options)
