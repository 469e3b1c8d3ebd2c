"""Control and the truth about it on the day that everything else fails."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.children import Children, still_lives, was_terminated
from tests.support.elsewhere import ask_elsewhere
from tests.support.places import Place
from tests.support.rights import need_namespaces, need_root
from tests.support.servers import serving, without_privileges

NOBODY = 65534
ALL = (
    "tell(post('/api/control/pause'), post('/api/agents/a/pause'), post('/api/agents/a/kill'),"
    " post('/api/control/stop'), sorted(os.listdir(os.environ['LOKI_DIR'])))"
)
# A file system of its own for the state; what it held before is copied into it.
MOUNT = """
cp -a "$LOKI_DIR" "$LOKI_DIR.before"
mount -t tmpfs -o size=64k none "$LOKI_DIR"
cp -a "$LOKI_DIR.before/." "$LOKI_DIR"
"""
FULL = 'dd if=/dev/zero of="$LOKI_DIR/filler" bs=1k 2>/dev/null;'
READ_ONLY = 'mount -o remount,ro "$LOKI_DIR"'


def on_mount(place: Place, condition: str, code: str) -> Any:
    need_namespaces()
    within = ("unshare", "--mount", "sh", "-c", f'{MOUNT}\n{condition}\nexec "$@"', "mounted")
    return ask_elsewhere(place, code, *within)


@pytest.fixture
def work(place: Place, children: Children) -> Any:
    """A runner and an agent that work in the project."""
    runner, agent = children.worker(place), children.worker(place)
    place.write("loki.pid", f"{runner.pid}\n")
    place.write("state/agents.json", [{"id": "a", "status": "running", "pid": agent.pid}])
    (place.loki / "signals").mkdir()
    return runner, agent


@pytest.mark.slow
def test_a_full_disk_keeps_nobody_from_stopping(place: Place, work: Any) -> None:
    paused, agent_paused, killed, stopped, names = on_mount(place, FULL, ALL)
    assert {"PAUSE", "STOP"} <= set(names)
    assert paused == {"success": True, "message": "Session paused"}
    assert agent_paused["success"] is True
    assert (killed["success"], killed["recorded"]) == (True, False)
    assert (stopped["process_signalled"], stopped["marker_written"]) == (True, True)
    assert all(was_terminated(child) for child in work)


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_keeps_nobody_from_stopping(
    place: Place, work: Any
) -> None:
    paused, agent_paused, killed, stopped, names = on_mount(place, READ_ONLY, ALL)
    assert not {"PAUSE", "STOP"} & set(names)
    assert list(paused) == list(agent_paused) == ["detail"]
    assert (killed["success"], killed["recorded"]) == (True, False)
    assert (stopped["success"], stopped["process_signalled"]) == (True, True)
    assert stopped["marker_written"] is False
    assert "STOP file was not written" in stopped["message"]
    assert all(was_terminated(child) for child in work)


@pytest.mark.slow
def test_a_stop_of_which_both_halves_fail_is_an_error(place: Place, children: Children) -> None:
    child = children.sleeper()
    place.write("loki.pid", f"{child.pid}\n")
    (stopped,) = on_mount(place, READ_ONLY, "tell(post('/api/control/stop'))")
    assert "cannot be written, and no signal was sent" in stopped["detail"]
    assert still_lives(child)


def test_other_changes_do_not_use_up_the_limit_of_control_calls(
    place: Place, children: Children
) -> None:
    client = place.client(LOKI_CONTROL_RATE_LIMIT="4")
    codes = [client.post(f"/api/notifications/n{number}/acknowledge") for number in range(6)]
    assert [code.status_code for code in codes] == [404] * 4 + [429] * 2
    actions = ("control/pause", "control/resume", "agents/x/kill", "control/stop")
    assert [client.post(f"/api/{each}").status_code for each in actions] == [200, 200, 404, 200]
    assert client.post("/api/control/stop").status_code == 429


def block_audit(place: Place) -> Path:
    """Put a file where the folder of the audit log has to be."""
    return place.write_home("dashboard", "in its place")


@pytest.mark.parametrize("required", [False, True])
def test_a_change_without_an_audit_entry(place: Place, required: bool) -> None:
    client = place.client(LOKI_AUDIT_REQUIRED=str(required).lower())
    assert client.get("/health/ready").get_json() == {
        "status": "ready", "reasons": [], "warnings": []
    }  # fmt: skip
    blocked = block_audit(place)
    response = client.post("/api/control/pause")
    assert response.status_code == (503 if required else 200)
    assert (place.loki / "PAUSE").exists() is not required
    assert client.get("/api/status").status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.get_json()["reasons"]) == (
        503, ["The audit log cannot be written"]
    )  # fmt: skip
    assert client.get("/health/live").status_code == 200
    metrics = client.get("/metrics").get_data(as_text=True)
    assert "\nloki_audit_writable 0.0\n" in metrics
    assert "\nloki_audit_failures_total 0.0\n" not in metrics
    blocked.unlink()
    assert client.post("/api/control/stop").status_code == 200
    assert client.get("/health/ready").status_code == 200


def test_an_entry_that_fails_after_the_change_is_told(place: Place) -> None:
    place.write_home("dashboard/audit/audit.lock/in/its/place", "")
    client = place.client(LOKI_AUDIT_REQUIRED="true")
    response = client.post("/api/control/pause")
    assert (response.status_code, set(response.get_json())) == (503, {"detail"})
    assert "was made" in response.get_json()["detail"]
    assert (place.loki / "PAUSE").exists()


@pytest.mark.slow
def test_a_disk_that_is_full_stops_changes_that_need_an_entry(place: Place) -> None:
    code = """
home = os.path.join(os.environ["HOME"], ".loki")
os.makedirs(home)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", home], check=True)
with open(os.path.join(home, "filler"), "wb", buffering=0) as stream:
    try:
        while stream.write(b"x" * 4096): pass
    except OSError: pass
tell(post("/api/control/pause"), get("/health/ready")["reasons"])
"""
    need_namespaces()
    refused, reasons = ask_elsewhere(place, code, "unshare", "--mount", LOKI_AUDIT_REQUIRED="true")
    assert "nothing was changed" in refused["detail"]
    assert reasons == ["The audit log cannot be written"]
    assert not (place.loki / "PAUSE").exists()


def test_files_that_root_creates_belong_to_the_owner_of_the_folder(
    place: Place, children: Children
) -> None:
    need_root()
    agent = children.worker(place)
    place.write("state/agents.json", [{"id": "a", "status": "running", "pid": agent.pid}])
    place.write("session.json", {"status": "running", "started": "2026-02-20T09:00:00Z"})
    place.write("notifications/active.json", {"notifications": [{"id": "n", "trigger_id": "t"}]})
    for path in (place.loki, *place.loki.rglob("*")):
        os.chown(path, NOBODY, NOBODY - 1)
    before = set(place.loki.rglob("*"))
    client = place.client()
    for route, body in (
        *(("control/pause", {}), ("control/stop", {}), ("agents/a/pause", {})),
        *(("agents/a/kill", {}), ("checkpoints", {"message": "x"})),
        *(("council/force-review", {}), ("notifications/acknowledge", {"all": True})),
    ):
        assert client.post(f"/api/{route}", json=body).status_code < 300, route
    made = set(place.loki.rglob("*")) - before
    assert {"PAUSE", "STOP", "metadata.json", "agents.json.lock"} <= {path.name for path in made}
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in place.loki.rglob("*")}
    assert owners == {(NOBODY, NOBODY - 1)}


def seen(client: FlaskClient) -> tuple[bool, str, bool, bool, int]:
    """Return what status, metrics and readiness tell about the state folder."""
    status = client.get("/api/status").get_json()
    metrics = client.get("/metrics").get_data(as_text=True)
    return (
        status["database_connected"],
        status["status"],
        "\nloki_up 1.0\n" in metrics,
        "\nloki_session_status " in metrics,
        client.get("/health/ready").status_code,
    )


def test_a_folder_that_was_there_and_is_gone(
    place: Place, children: Children, caplog: pytest.LogCaptureFixture
) -> None:
    client = place.client()
    place.write("loki.pid", f"{children.sleeper().pid}\n")
    place.write("dashboard-state.json", {"mode": "autonomous"})
    assert seen(client) == (True, "autonomous", True, True, 200)
    shutil.move(place.loki, place.home / "aside")
    for _ in range(3):
        assert seen(client) == (False, "stopped", False, False, 503)
    assert sum("is gone" in message for message in caplog.messages) == 1
    shutil.move(place.home / "aside", place.loki)
    assert seen(client) == (True, "autonomous", True, True, 200)


@pytest.mark.slow
def test_a_folder_that_cannot_be_read(place: Place) -> None:
    code = """
folder = os.environ["LOKI_DIR"]
answers = []
for mode in (0o700, 0o000, 0o300, 0o600, 0o700):
    os.chmod(folder, mode)
    answers.append((client.get("/health/ready").status_code, get("/health/ready")["reasons"]))
os.rename(folder, folder + ".aside")
open(folder, "w").close()
tell(*answers, (client.get("/health/ready").status_code, get("/health/ready")["reasons"]))
"""
    ready, refused = [200, []], [503, ["The state folder cannot be read"]]
    expected = [ready, refused, refused, refused, ready, refused]
    assert ask_elsewhere(place, code, *without_privileges([])) == expected


@pytest.mark.parametrize(
    ("method", "route", "body"),
    [
        ("POST", "control/pause", {}),
        ("POST", "control/stop", {}),
        ("POST", "checkpoints", {"message": "x"}),
        ("POST", "council/force-review", {}),
        ("PUT", "notifications/triggers", {"triggers": [{"id": "t", "type": "stagnation"}]}),
    ],
)
def test_no_change_creates_a_folder_again_that_is_gone(
    place: Place, method: str, route: str, body: dict[str, Any]
) -> None:
    client = place.client()
    assert client.get("/api/status").get_json()["database_connected"] is True
    shutil.rmtree(place.loki)
    response = client.open(f"/api/{route}", method=method, json=body)
    assert response.status_code == 409
    assert response.get_json() == {"detail": "The state folder is gone, so nothing was changed"}
    assert not place.loki.exists()


def test_a_worker_that_starts_after_the_loss_knows_of_it(place: Place) -> None:
    assert seen(place.client()) == (True, "stopped", True, True, 200)
    shutil.rmtree(place.loki)
    later = place.client()
    assert seen(later) == (False, "stopped", False, False, 503)
    assert later.post("/api/control/pause").status_code == 409
    place.loki.mkdir()
    assert seen(later) == (True, "stopped", True, True, 200)


def test_a_new_server_forgets_what_an_earlier_one_has_seen(place: Place) -> None:
    place.client().get("/api/status")
    shutil.rmtree(place.loki)
    with serving(place) as server:
        assert server.get("/api/status").json()["database_connected"] is True
        assert server.post("/api/control/pause").status_code == 200
    assert (place.loki / "PAUSE").exists()


def test_a_folder_that_never_was_there_is_no_session_yet(place: Place) -> None:
    place.loki.rmdir()
    client = place.client()
    assert seen(client) == (True, "stopped", True, True, 200)
    place.write("dashboard-state.json", {})
    place.write("loki.pid", f"{os.getpid()}\n")
    assert seen(client) == (True, "stopped", True, True, 200)


@pytest.mark.slow
def test_a_folder_that_was_unmounted_is_gone(place: Place, work: Any) -> None:
    code = """
before = get("/api/status")
subprocess.run(["umount", os.environ["LOKI_DIR"]], check=True)
for name in ("loki.pid", "state", "signals"):
    subprocess.run(["rm", "-r", os.path.join(os.environ["LOKI_DIR"], name)], check=True)
tell(before["database_connected"], get("/api/status")["database_connected"])
"""
    assert on_mount(place, "", code) == [True, False]
