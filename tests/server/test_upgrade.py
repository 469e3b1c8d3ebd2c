"""Upgrades and reloads under load: no request is lost, and one version answers."""

import ast
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psutil
import pytest

from loki_web.services.fleet import selection
from tests.support.activation import activated
from tests.support.load import Load, load
from tests.support.places import Place
from tests.support.programs import output_of
from tests.support.servers import ROOT, Server, environment, free_port, running
from tests.support.waiting import PATIENCE_SECONDS, wait_until

SCRIPT = [str(Path(sys.executable).with_name("gunicorn")), "-c", "gunicorn.conf.py", "wsgi:app"]
MODULE = [sys.executable, "-m", "loki_web"]
COMMANDS = {
    "serve": [*MODULE, "serve"],
    "module": MODULE,
    "sidecar": [*MODULE, "sidecar", "--bind", "{port}"],
    "gunicorn": SCRIPT,
}
OLD, NEW = "0.2.0", "9.9.90"


def upgrade(server: Server) -> int:
    """Start a new master beside the old one and end the old one; return the new one's pid."""
    old = server.process
    old.send_signal(signal.SIGUSR2)
    new = wait_until(lambda: master_below(old.pid), "a new master with a worker")
    assert new is not None
    old.send_signal(signal.SIGTERM)
    assert old.wait(timeout=PATIENCE_SECONDS) == 0  # its standard error lives on in the new one
    return new


def master_below(pid: int) -> int | None:
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):
            if child.children():
                return child.pid
    return None


def end_group(server: Server) -> None:
    """End the new master, which is no child of this process."""
    with suppress(ProcessLookupError):
        os.killpg(server.process.pid, signal.SIGTERM)
    wait_until(lambda: not group_exists(server.process.pid), "the end of all processes")


def group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_an_upgrade_loses_no_request(place: Place, name: str) -> None:
    port = free_port()
    command = [word.format(port=port) for word in COMMANDS[name]]
    env = environment(place, LOKI_DASHBOARD_PORT=str(port), LOKI_WORKERS="1")
    with running(command, env, f"127.0.0.1:{port}") as server:
        place.write("dashboard/dashboard.pid", f"{server.process.pid}\n")
        focus = selection.set_focus(place.sources(), str(place.loki.parent))
        try:
            with load(server.host, "/health") as clients:
                new = upgrade(server)
            assert clients.lost == []
            assert {status for _, status, _ in clients.answers} == {200}
            assert (place.loki / "dashboard/dashboard.pid").read_text() == f"{new}\n"
            assert selection.get_focus(place.sources()) == focus
        finally:
            end_group(server)


def install(folder: Path, version: str) -> None:
    """Change modules, the page and the template of /docs, as an installation in place does."""
    for name, text in {
        "__init__.py": OLD,
        "dashboard/static/index.html": "</body>",
        "web/api_docs/templates/docs.html": "</body>",
    }.items():
        path = folder / "loki_web" / name
        content = path.read_text(encoding="utf-8")
        assert text in content
        path.write_text(content.replace(text, version if text == OLD else f"{version}{text}"))
    with (folder / "loki_web/services/tasks.py").open("a") as module:
        module.write("\n")


def replace_workers(server: Server, how: Callable[[], None]) -> None:
    before = set(server.workers())
    how()
    wait_until(
        lambda: len(server.workers()) == len(before) and not before & set(server.workers()),
        "other workers",
    )


def list_indexes(place: Place) -> set[Path]:
    return set(place.home.rglob("index-*.sqlite3"))


def versions(answers: Load) -> set[bool]:
    return {NEW.encode() in body for _, _, body in answers.answers}


@pytest.mark.slow
def test_after_an_installation_in_place_one_version_answers(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "installed"
    shutil.copytree(ROOT / "loki_web", folder / "loki_web", symlinks=True)
    for name in ("wsgi.py", "gunicorn.conf.py"):
        shutil.copy(ROOT / name, folder / name)
    port = free_port()
    env = {
        **environment(place, LOKI_DASHBOARD_PORT=str(port), LOKI_WORKERS="2"),
        "PYTHONPATH": str(folder),
    }
    with running(SCRIPT, env, f"127.0.0.1:{port}", folder=folder) as server:
        try:
            indexes = wait_until(lambda: list_indexes(place), "the derived index")
            install(folder, NEW)
            with load(server.host, "/", "/docs", "/openapi.json") as reloading:
                replace_workers(server, lambda: server.process.send_signal(signal.SIGHUP))
                replace_workers(server, lambda: kill(server.workers()))
            with load(server.host, "/api/tasks"):
                pass
            assert list_indexes(place) == indexes
            with load(server.host, "/health"):
                upgrade(server)
            with load(server.host, "/", "/docs", "/openapi.json") as upgraded:
                pass
        finally:
            end_group(server)
    assert versions(reloading) == {False}
    assert versions(upgraded) == {True}


IMPORTS = """
import sys
import loki_web.server.conf
from loki_web.app import create_app
before = set(sys.modules)
create_app()
print(*(name for name in set(sys.modules) - before if name.startswith("loki_web")))
print(*before)
"""


@pytest.mark.slow
def test_workers_import_nothing_that_the_master_has_not_read(place: Place) -> None:
    """Modules imported by a worker that starts after an installation would be of that version."""
    nobody = f"127.0.0.1:{free_port()}"
    env = environment(
        place, LOKI_REDIS_URL=f"redis://{nobody}", LOKI_WEBHOOK_URL=f"http://{nobody}",
        LOKI_OIDC_ISSUER="https://issuer.example", LOKI_OIDC_CLIENT_ID="loki",
        LOKI_ENTERPRISE_AUDIT="true", LOKI_AUDIT_SYSLOG_HOST="127.0.0.1",
    )  # fmt: skip
    further, before = output_of([sys.executable, "-c", IMPORTS], env=env).split("\n")[:2]
    assert further == ""
    assert late_imports() <= set(before.split())


FIRST_ANSWER = """
import sys
import loki_web.server.conf
from loki_web.app import create_app
started = []
sys.addaudithook(lambda name, args: started.append(args[1]) if name == "subprocess.Popen" else None)
assert create_app().test_client().get("/api/status").status_code == 200
print(*started)
"""


@pytest.mark.slow
def test_the_first_answer_of_a_worker_starts_no_program(place: Place) -> None:
    env = environment(place)
    done = subprocess.run(
        [sys.executable, "-c", FIRST_ANSWER], env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def late_imports() -> set[str]:
    """Return our modules that functions import."""
    functions = [
        node
        for path in (ROOT / "loki_web").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    nodes = [node for function in functions for node in ast.walk(function)]
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    found = {name for name in names if name.startswith("loki_web.")}
    assert found
    return found


@pytest.mark.slow
def test_a_restart_refuses_nothing_while_systemd_holds_the_socket(
    place: Place, tmp_path: Path
) -> None:
    """The upgrade of deploy/systemd: a link to the version is switched, the service restarted."""
    for name in ("old", "new"):
        shutil.copytree(ROOT / "loki_web", tmp_path / name / "loki_web", symlinks=True)
    install(tmp_path / "new", NEW)
    current, notice = tmp_path / "current", str(tmp_path / "notify")
    current.symlink_to("old")
    with (
        closing(socket.create_server(("127.0.0.1", free_port()), backlog=2048)) as listener,
        closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as notified,
        ExitStack() as servers,
    ):
        notified.bind(notice)
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        env = {**environment(place, NOTIFY_SOCKET=notice), "PYTHONPATH": str(current)}
        command = activated(listener, COMMANDS["serve"])

        def serve() -> Server:
            server = running(command, env, host, tmp_path, [listener.fileno()])
            return servers.enter_context(server)

        server = serve()
        assert notified.recv(4096).startswith(b"READY=1")  # Type=notify
        with load(host, "/") as clients:
            current.unlink()
            current.symlink_to("new")
            assert server.end() == 0
            serve()
    assert clients.lost == []
    assert {status for _, status, _ in clients.answers} == {200}
    assert versions(clients) == {False, True}


def kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
