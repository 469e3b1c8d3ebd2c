"""Recording of state changes and refusals in the audit log."""

import json
import os
import select
import socket
import stat
import threading
from typing import Any

import pytest

from loki_web.audit.actions import Action, classify_request
from loki_web.audit.syslog import SyslogForwarder
from loki_web.audit.verify import verify_log
from tests.support.accounts import bearer, everybody, raw
from tests.support.places import Place, snapshot
from tests.support.routes import routes
from tests.support.waiting import PATIENCE_SECONDS, wait_until

ON = {"LOKI_ENTERPRISE_AUTH": "true", "LOKI_ENTERPRISE_AUDIT": "true"}
KEYS = [
    *("timestamp", "action", "resource_type", "resource_id", "user_id", "token_id"),
    *("ip_address", "user_agent", "success", "error", "details", "_integrity_hash"),
]


def recorded(place: Place) -> list[dict[str, Any]]:
    folder = place.home / ".loki/dashboard/audit"
    lines = [path.read_text().splitlines() for path in sorted(folder.glob("audit-*.jsonl"))]
    return [json.loads(line) for part in lines for line in part]


def test_each_change_has_an_entry_with_its_actor(place: Place) -> None:
    everybody(place)
    app = place.app(**ON)
    changing = [r for r in routes(app) if r.changes and r.rule != "/api/memory/retrieve"]
    for route in changing:
        app.test_client().open(route.path, method=route.method, headers=bearer("operator"))
    entries = recorded(place)
    assert [(e["details"]["method"], e["details"]["path"]) for e in entries] == [
        (route.method, route.path) for route in changing
    ]
    for entry in entries:
        assert list(entry) == KEYS
        assert entry["user_id"] == "operator"
        assert len(entry["token_id"]) == 12
        assert entry["ip_address"] == "127.0.0.1"
        assert entry["success"] is (entry["details"]["status"] < 400)
        assert (entry["error"] is None) is entry["success"]
    assert verify_log(place.sources()).ok


def test_refusals_are_recorded_and_successful_reads_are_not(place: Place) -> None:
    everybody(place)
    client = place.client(**ON)
    client.get("/api/status", headers=bearer("viewer"))
    client.post("/api/control/stop", headers=bearer("viewer"))
    client.post("/api/control/stop")
    client.get("/api/enterprise/tokens", headers=bearer("viewer"))
    client.get("/nothing")
    assert [
        (e["action"], e["resource_type"], e["user_id"], e["success"], e["details"]["status"])
        for e in recorded(place)
    ] == [
        ("stop", "session", "viewer", False, 403),
        ("stop", "session", "anonymous", False, 401),
        ("read", "token", "viewer", False, 403),
    ]


def test_repeated_refusals_do_not_fill_the_log(place: Place) -> None:
    client = place.client(**ON)
    for _ in range(30):
        client.get("/api/status")
    assert 1 <= len(recorded(place)) <= 3


def test_reads_of_disabled_features_are_not_recorded(place: Place) -> None:
    client, before = place.client(), snapshot(place.home / ".loki")
    assert client.get("/api/enterprise/audit").status_code == 403
    assert client.get("/api/enterprise/tokens").status_code == 403
    assert snapshot(place.home / ".loki") == before


def test_no_token_reaches_the_log(place: Place) -> None:
    everybody(place)
    client = place.client(**ON)
    made = client.post("/api/enterprise/tokens", json={"name": "new"}, headers=bearer("admin"))
    secret = made.get_json()["token"]
    client.delete(f"/api/enterprise/tokens/{secret}", headers=bearer("admin"))
    client.post("/api/control/pause", headers={**bearer("admin"), "User-Agent": raw("admin")})
    client.post(f"/api/control/pause?token={secret}", headers={"Authorization": f"Bearer {secret}"})
    for path in place.home.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
            assert raw("admin").encode() not in path.read_bytes(), path


def test_a_created_token_is_named(place: Place) -> None:
    everybody(place)
    client = place.client(**ON)
    body = {"name": "new", "role": "auditor"}
    made = client.post("/api/enterprise/tokens", json=body, headers=bearer("admin")).get_json()
    client.delete("/api/enterprise/tokens/new", headers=bearer("admin"))
    client.delete("/api/enterprise/tokens/new?permanent=true", headers=bearer("admin"))
    created, revoked, deleted = recorded(place)
    assert (created["action"], created["resource_id"]) == ("create", made["id"])
    assert created["details"]["name"] == "new"
    assert created["details"]["scopes"] == ["read", "audit"]
    assert (revoked["action"], deleted["action"]) == ("revoke", "delete")
    assert revoked["resource_id"] == deleted["resource_id"] == "new"


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({}, 1),
        ({"LOKI_AUDIT_DISABLED": "true"}, 0),
        ({"LOKI_AUDIT_DISABLED": "true", "LOKI_ENTERPRISE_AUDIT": "true"}, 1),
    ],
)
def test_recording_follows_the_settings(place: Place, settings: dict[str, str], count: int) -> None:
    place.client(**settings).post("/api/control/pause")
    assert len(recorded(place)) == count


def test_without_integrity_entries_have_no_hash(place: Place) -> None:
    place.client(LOKI_AUDIT_NO_INTEGRITY="true").post("/api/control/pause")
    (entry,) = recorded(place)
    assert list(entry) == KEYS[:-1]


def test_an_unwritable_log_does_not_fail_requests(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.write_home("dashboard/audit", "in the way")
    response = place.client().post("/api/control/pause")
    assert response.status_code == 200
    assert (place.loki / "PAUSE").exists()
    assert "no audit entry" in caplog.text


def test_the_log_is_private(place: Place) -> None:
    place.client().post("/api/control/pause")
    folder = place.home / ".loki/dashboard/audit"
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_entries_go_to_syslog_as_well(place: Place, protocol: str) -> None:
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(type=kind) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE_SECONDS)
        settings = {
            "LOKI_AUDIT_SYSLOG_HOST": "127.0.0.1",
            "LOKI_AUDIT_SYSLOG_PORT": str(server.getsockname()[1]),
            "LOKI_AUDIT_SYSLOG_PROTO": protocol,
        }
        if protocol == "tcp":
            server.listen()
        place.client(**settings).post("/api/control/pause")
        if protocol == "udp":
            data = server.recv(65536)
        else:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(PATIENCE_SECONDS)
                data = connection.recv(65536)
            assert data.endswith(b"\n")
    priority, _, text = data.partition(b"loki-audit: ")
    assert priority == b"<134>"
    assert json.loads(text) == recorded(place)[0]


def test_a_restarted_syslog_server_gets_the_entries_after_it(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_SECONDS)
        settings = {
            "LOKI_AUDIT_SYSLOG_HOST": "127.0.0.1",
            "LOKI_AUDIT_SYSLOG_PORT": str(server.getsockname()[1]),
            "LOKI_AUDIT_SYSLOG_PROTO": "tcp",
        }
        forwarder = SyslogForwarder(place.sources(**settings))
        forwarder.send({"success": True})
        server.accept()[0].close()

        def is_connected_again() -> bool:
            forwarder.send({"success": False})
            return bool(select.select([server], [], [], 0.05)[0])

        wait_until(is_connected_again, "a second connection")
        connection = server.accept()[0]
        with connection:
            connection.settimeout(PATIENCE_SECONDS)
            assert connection.recv(65536).startswith(b'<132>loki-audit: {"success": false}\n')


def test_an_unreachable_syslog_server_does_not_fail_requests(place: Place) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = str(silent.getsockname()[1])
        settings = {"LOKI_AUDIT_SYSLOG_HOST": "127.0.0.1", "LOKI_AUDIT_SYSLOG_PORT": port}
        client = place.client(**settings, LOKI_AUDIT_SYSLOG_PROTO="tcp")
        for _ in range(5):
            assert client.post("/api/control/pause").status_code == 200


@pytest.mark.slow
def test_the_chain_holds_across_threads_and_applications(place: Place) -> None:
    apps = [place.app() for _ in range(3)]

    def work(number: int) -> None:
        for _ in range(10):
            apps[number % 3].test_client().post("/api/control/pause")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verify_log(place.sources())
    assert (found.entries, found.faults, found.forks, found.torn) == (80, [], [], [])


@pytest.mark.parametrize(
    ("method", "rule", "expected"),
    [
        ("POST", "/api/control/stop", Action("stop", "session")),
        ("POST", "/api/agents/<agent_id>/kill", Action("kill", "agent")),
        ("DELETE", "/api/registry/projects/<anything:x>", Action("delete", "registry_project")),
        ("POST", "/api/registry/projects", Action("create", "registry_project")),
        ("POST", "/api/registry/projects/<x>/access", Action("access", "registry_project")),
        ("POST", "/api/checkpoints", Action("create", "checkpoint")),
        ("POST", "/api/notifications/<x>/acknowledge", Action("acknowledge", "notification")),
        ("PUT", "/api/notifications/triggers", Action("update", "triggers")),
        ("POST", "/api/enterprise/tokens", Action("create", "token")),
        ("DELETE", "/api/enterprise/tokens/<x>", Action("revoke", "token")),
        ("POST", "/api/council/force-review", Action("force_review", "council")),
        ("PATCH", "/api/things/<x>", Action("update", "thing")),
        ("GET", "/api/status", Action("read", "status")),
        ("GET", "/api/health/processes", Action("read", "process")),
        ("GET", "/ws", Action("connect", "socket")),
        ("DELETE", "/", Action("delete", "api")),
    ],
)
def test_an_action_is_named_after_method_and_route(
    method: str, rule: str, expected: Action
) -> None:
    assert classify_request(method, rule) == expected
