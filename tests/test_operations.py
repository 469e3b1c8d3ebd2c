"""The commands in docs/operations.md work, in the order in which they stand there.

Blocks marked `sh` are run. Those marked `shell` need what a test cannot have, or are the subject of
a test of their own.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import Place
from tests.support.programs import needed
from tests.support.servers import ROOT, environment, free_port, serving
from tests.support.waiting import wait_until

TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
NOT_RUN = {
    "systemctl": "needs a running systemd; the units: tests/server/test_systemd.py",
    "docker": "needs a daemon; the files: tests/test_containers.py",
    "python3 -m venv": "tests/test_package.py",
    "/opt/loki-web/0.2.0/bin/pip": "tests/test_package.py",
    "OTEL_": "tests/server/test_tracing.py",
    "kill": "tests/server/test_upgrade.py",
}
NGINX = """
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ }}
http {{ include conf.d/*.conf; }}
"""


def blocks(kind: str) -> list[str]:
    found = re.findall(rf"^( *)```{kind}\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def test_only_commands_that_a_test_cannot_run_are_not_run() -> None:
    for command in "".join(blocks("shell")).replace("\\\n", " ").splitlines():
        assert command.startswith(tuple(NOT_RUN)), command


@pytest.fixture
def machine(place: Place, tmp_path: Path) -> Path:
    """The folders of a machine with nginx, and the programs that the commands call."""
    root = tmp_path / "machine"
    for folder in ("etc/nginx/conf.d", "etc/systemd/system", "opt/loki-web", "srv", "bin",
                   "var/log/nginx", "var/cache"):  # fmt: skip
        (root / folder).mkdir(parents=True)
    (root / "srv/project").symlink_to(place.loki.parent)
    (root / "etc/nginx/nginx.conf").write_text(NGINX.format(root=root))
    write_program(root / "bin/loki-web", f'exec {sys.executable} -m loki_web "$@"')
    # Nothing of the test is at the addresses that the samples name.
    write_program(
        root / "bin/nginx",
        f"sed -i 's#listen 80;#listen 127.0.0.1:{free_port()};#; s# /var/# {root}/var/#' "
        f"{root}/etc/nginx/*.conf {root}/etc/nginx/loki-web/*.inc\n"
        f'exec {needed("nginx", "nginx")} -c {root}/etc/nginx/nginx.conf -p {root} "$@"',
    )
    return root


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.slow
def test_the_commands_work_in_this_order(place: Place, machine: Path, tmp_path: Path) -> None:
    for program, package in (("systemd-escape", "systemd"), ("openssl", "openssl")):
        needed(program, package)
    commands = "\n".join(blocks("sh"))
    commands = re.sub(r"(?<![\w.~}])/(etc|opt|srv)/", rf"{machine}/\1/", commands)
    with serving(place, LOKI_AUDIT_DISABLED="true") as server:
        wait_until(lambda: server.get("/health/ready").ok, "a server that is ready")
        port = server.host.rpartition(":")[2]
        env = environment(place, LOKI_DASHBOARD_PORT=port)
        env["PATH"] = f"{machine}/bin:{env['PATH']}"
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", commands],
            cwd=tmp_path, env=env, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ready\n" in done.stdout
    *_, verified, _heads, token = done.stdout.partition("ready\n")[2].splitlines()
    assert "intact, 1 file, 1 chained entry" in verified  # as before the restore
    assert "operator" in token
    assert sorted(path.name for path in (machine / "etc/systemd/system").iterdir()) == sorted(
        path.name for path in (ROOT / "deploy/systemd").iterdir()
    )
