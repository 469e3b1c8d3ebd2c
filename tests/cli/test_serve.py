"""`loki-web serve`, `python -m loki_web` and gunicorn are the same server; bad settings end it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import run
from tests.support import places
from tests.support.places import Place
from tests.support.programs import in_namespaces
from tests.support.rights import need_open_checkout
from tests.support.servers import ROOT, environment, free_port, running
from tests.support.waiting import PATIENCE_SECONDS

COMMANDS = {
    "serve": ["-m", "loki_web", "serve"],
    "module": ["-m", "loki_web"],
    "gunicorn": ["-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_way_starts_the_complete_server(place: Place, name: str) -> None:
    port = free_port()
    settings = {"LOKI_DASHBOARD_PORT": str(port), "LOKI_WORKERS": "1"}
    command = [sys.executable, *COMMANDS[name]]
    with running(command, environment(place, **settings), f"127.0.0.1:{port}") as server:
        assert server.get("/api/status").json()["status"] == "stopped"
        assert "loki_session_status 0.0" in server.get("/metrics").text


def test_options_stand_over_the_environment(place: Place) -> None:
    port = free_port()
    command = [sys.executable, "-m", "loki_web", "serve", "--port", str(port), "--workers", "1"]
    env = environment(place, LOKI_DASHBOARD_PORT="1", LOKI_WORKERS="7")
    with running(command, env, f"127.0.0.1:{port}") as server:
        assert server.end() == 0
    assert server.count("Booting worker") == 1


def test_the_state_directory_is_that_of_the_folder_it_is_started_in(tmp_path: Path) -> None:
    place = places.empty(tmp_path)
    place.write("queue/pending.json", [{"id": "here"}])
    port = free_port()
    env = environment(place, LOKI_DASHBOARD_PORT=str(port))
    del env["LOKI_DIR"]
    command = [sys.executable, "-m", "loki_web"]
    with running(command, env, f"127.0.0.1:{port}", folder=place.loki.parent) as server:
        assert [task["id"] for task in server.get("/api/tasks").json()] == ["here"]


def test_a_pid_file_that_names_this_server_goes_with_it(place: Place) -> None:
    port = free_port()
    env = environment(place, LOKI_DASHBOARD_PORT=str(port))
    with running([sys.executable, "-m", "loki_web"], env, f"127.0.0.1:{port}") as server:
        pid_file = place.write("dashboard/dashboard.pid", f"{server.process.pid}\n")
    assert not pid_file.exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"LOKI_DASHBOARD_PORT": "0"}, "LOKI_DASHBOARD_PORT"),
        ({"LOKI_DASHBOARD_PORT": "57374x"}, "LOKI_DASHBOARD_PORT"),
        ({"LOKI_DASHBOARD_HOST": "0.0.0.0"}, "LOKI_ENTERPRISE_AUTH"),
        ({"LOKI_TLS_CERT": "/no/such.pem"}, "LOKI_TLS_KEY"),
        ({"LOKI_TLS_CERT": "/no/such.pem", "LOKI_TLS_KEY": "/no/key.pem"}, "LOKI_TLS_CERT"),
        ({"LOKI_TLS_CERT": __file__, "LOKI_TLS_KEY": __file__}, "PEM"),
        ({"LOKI_ENTERPRISE_AUTH": "perhaps"}, "LOKI_ENTERPRISE_AUTH"),
        ({"LOKI_CONTROL_RATE_LIMIT": "-1"}, "LOKI_CONTROL_RATE_LIMIT"),
        ({"LOKI_DASHBOARD_CORS": "localhost"}, "LOKI_DASHBOARD_CORS"),
        ({"LOKI_BUDGET_LIMIT": "nan"}, "LOKI_BUDGET_LIMIT"),
        ({"LOKI_DIR": __file__}, "LOKI_DIR"),
        ({"LOKI_ALLOWED_HOSTS": "loki.example/x"}, "LOKI_ALLOWED_HOSTS"),
    ],
)
@pytest.mark.server
@pytest.mark.parametrize("name", ["serve", "gunicorn"])
def test_a_wrong_setting_ends_the_start_with_one_line(
    place: Place, name: str, settings: dict[str, str], words: str
) -> None:
    _, module, *arguments = COMMANDS[name]
    done = run(place, *arguments, settings=settings, module=module)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("loki-web: ")
    assert words in done.stderr


@pytest.mark.server
@pytest.mark.parametrize("command", [[*COMMANDS["serve"]], ["-m", "loki_web", "sidecar", "--bind"]])
def test_a_port_in_use_is_one_line_and_nothing_else(place: Place, command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        more = [f"127.0.0.1:{port}"] if "--bind" in command else []
        done = subprocess.run(
            [sys.executable, *command, *more], env=environment(place, LOKI_DASHBOARD_PORT=port),
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert done.stderr.startswith(f"loki-web: port {port} of 127.0.0.1 is in use")
    assert done.stderr.rstrip().endswith("--bind" if more else "LOKI_DASHBOARD_PORT")


# The place is still there, below another name, when the folders for temporary files are not.
WITHOUT_TEMPORARY_FOLDERS = """
mount --bind "$0" /mnt
for folder in /tmp /var/tmp /usr/tmp /dev/shm; do
    [ ! -d "$folder" ] || mount -t tmpfs -o ro none "$folder"
done
cd /proc
exec "$@"
"""


def test_a_cache_folder_is_enough_without_a_temporary_folder(tmp_path: Path) -> None:
    need_open_checkout()
    place, port = places.empty(tmp_path), free_port()
    seen = {"HOME": "/mnt/home", "LOKI_DIR": "/mnt/home/projects/demo/.loki"}
    env = environment(place, **seen, LOKI_CACHE_DIR="/mnt/cache", LOKI_DASHBOARD_PORT=str(port))
    env = {**env, "PYTHONPATH": str(ROOT), "TMPDIR": "/tmp"}  # not writable there
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = in_namespaces(*user, "--mount")
    command += ["sh", "-c", WITHOUT_TEMPORARY_FOLDERS, str(tmp_path)]
    command += [sys.executable, *COMMANDS["serve"]]
    with running(command, env, f"127.0.0.1:{port}") as server:
        assert server.post("/api/control/pause").status_code == 200
        assert (place.loki / "PAUSE").exists()
        assert any((tmp_path / "cache").iterdir())


@pytest.mark.server
def test_gunicorns_own_bind_is_not_a_way_around(place: Place) -> None:
    command = [sys.executable, *COMMANDS["gunicorn"], "-b", f"0.0.0.0:{free_port()}"]
    done = subprocess.run(
        command,
        env=environment(place),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode != 0
    assert "reachable from outside" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["serve", "--bogus"], ["serve", "--port", "x"], ["doctor", "x"]]
)
def test_wrong_use_is_one_line_without_a_traceback(place: Place, arguments: list[str]) -> None:
    done = run(place, *arguments)
    assert done.returncode in (1, 2)
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("loki-web: ")


@pytest.mark.parametrize("name", ["serve", "module", "script"])
def test_no_module_of_the_project_is_imported(place: Place, name: str) -> None:
    project = place.loki.parent
    for module in ("flask", "gunicorn", "wsgi", "click", "queue", "orjson", "zstandard", "loki"):
        (project / f"{module}.py").write_text("open('imported', 'w').write(__name__)\n")
    port = free_port()
    script = [str(Path(sys.executable).with_name("loki-web")), "serve"]
    command = script if name == "script" else [sys.executable, *COMMANDS[name]]
    env = environment(place, LOKI_DASHBOARD_PORT=str(port), LOKI_WORKERS="1")
    with running(command, env, f"127.0.0.1:{port}", folder=project) as server:
        assert server.get("/api/status").ok
        assert server.get("/docs").ok
    assert not (project / "imported").exists()
