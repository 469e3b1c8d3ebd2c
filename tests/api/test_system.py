"""Processes, secret sources and authentication methods."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from loki_web.services import system
from loki_web.services.session import processes
from tests.support.children import Children
from tests.support.places import Place, snapshot, write

NAMES = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GOOGLE_API_KEY")


def supervised(client: FlaskClient) -> Any:
    response = client.get("/api/health/processes")
    assert response.status_code == 200
    return response.get_json()


def known(process: Any) -> tuple[int | None, bool]:
    assert process["liveness"] in ("process", "heartbeat", "unknown")
    return process["pid"], process["alive"]


def test_an_empty_folder_has_only_this_server(client: FlaskClient) -> None:
    answer = supervised(client)
    assert known(answer["main_process"]) == (None, False)
    assert known(answer["dashboard"]) == (processes.get_server_pid(), True)
    assert (answer["agents"], answer["registered_processes"]) == ([], [])
    assert (answer["session"]["status"], answer["watchdog_enabled"]) == ("stopped", False)


def test_the_recorded_processes_are_known_and_dead(session: Place) -> None:
    answer = supervised(session.client())
    pids = [int(path.stem) for path in sorted((session.loki / "pids").glob("*.json"))]
    assert [item["pid"] for item in answer["registered_processes"]] == pids
    for key, file in (("main_process", "loki.pid"), ("dashboard", "dashboard/dashboard.pid")):
        recorded = int((session.loki / file).read_text())
        assert known(answer[key]) == (recorded, False)


@pytest.mark.parametrize(("kind", "alive"), [("sleeper", True), ("dead", False), ("zombie", False)])
def test_pid_files_are_judged_by_their_process(
    place: Place, client: FlaskClient, children: Children, kind: str, alive: bool
) -> None:
    pid = children.sleeper().pid if kind == "sleeper" else getattr(children, kind)()
    place.write("loki.pid", f"{pid}\n")
    place.write("dashboard/dashboard.pid", f"{pid}\n")
    place.write(f"pids/{pid}.json", {"pid": pid, "label": "status-monitor"})
    answer = supervised(client)
    assert known(answer["main_process"]) == (pid, alive)
    assert known(answer["dashboard"]) == (pid, alive)
    assert [item["alive"] for item in answer["registered_processes"]] == [alive]
    assert answer["session"]["alive"] is alive


@pytest.mark.parametrize("content", ["-1", "0", "garbage", "", "1.5"])
def test_a_pid_file_without_a_pid_is_ignored(
    place: Place, client: FlaskClient, content: str
) -> None:
    place.write("loki.pid", content)
    place.write("dashboard/dashboard.pid", content)
    answer = supervised(client)
    assert known(answer["main_process"]) == (None, False)
    assert answer["dashboard"]["alive"] is True


def test_a_dead_runner_is_not_revived_by_a_session_without_a_process(
    place: Place, client: FlaskClient
) -> None:
    place.write("loki.pid", "4990001\n")  # no system gives this number
    place.write("session.json", {"status": "running"})
    place.write("events.jsonl", "{}\n")
    answer = supervised(client)
    assert answer["session"]["alive"] is True
    assert known(answer["main_process"]) == (4990001, False)


def test_the_process_of_a_session_file_is_the_main_process(
    place: Place, client: FlaskClient, children: Children
) -> None:
    pid = children.sleeper().pid
    place.write("loki.pid", f"{children.dead()}\n")
    place.write("session.json", {"status": "running", "pid": pid})
    assert known(supervised(client)["main_process"]) == (pid, True)


@pytest.mark.parametrize(
    ("heartbeat", "age"), [(49, 49), (-10, 0), ("nonsense", None), (None, None)]
)
def test_agents_with_a_process_have_the_age_of_their_heartbeat(
    place: Place, client: FlaskClient, children: Children, heartbeat: Any, age: int | None
) -> None:
    pid = children.sleeper().pid
    if isinstance(heartbeat, int):
        heartbeat = (datetime.now(UTC) - timedelta(seconds=heartbeat)).isoformat()
    records = [
        {"id": "a", "pid": pid, "status": "active", "heartbeat": heartbeat},
        {"id": "b", "pid": None, "status": "active"},
        {"id": "c", "pid": str(children.dead()), "status": "crashed"},
    ]
    place.write("state/agents.json", records)
    first, second = supervised(client)["agents"]
    assert (first["pid"], first["status"], first["id"]) == (pid, "running", "a")
    assert (first["state"], second["state"]) == ("alive", "dead")
    silent = first["heartbeat_age_seconds"]
    assert silent is None if age is None else age <= silent < age + 20


def test_only_files_named_by_a_pid_are_registered_processes(
    place: Place, client: FlaskClient
) -> None:
    place.write("pids/note.json", {"pid": 5000})
    place.write("pids/49999990.json", "{")
    place.write("pids/49999991.json", [1])
    place.write("pids/49999992.json", {"label": 5, "started": 5.5, "ppid": "x", "extra": None})
    (place.loki / "pids" / "49999993.json").mkdir()
    assert [item["pid"] for item in supervised(client)["registered_processes"]] == [49999992]


def test_the_watchdog_setting_is_reported(place: Place) -> None:
    assert supervised(place.client(LOKI_WATCHDOG="true"))["watchdog_enabled"] is True


@pytest.mark.parametrize("content", ["[1]", '"x"', "5", "null", "{", ""])
@pytest.mark.parametrize(
    "name", ["dashboard-state.json", "session.json", "state/agents.json", "loki.pid"]
)
def test_damaged_files_do_not_break_it(
    place: Place, client: FlaskClient, name: str, content: str
) -> None:
    place.write(name, content)
    assert set(supervised(client)) >= {"main_process", "dashboard", "agents"}


@pytest.mark.parametrize("present", [(), NAMES[:1], NAMES[1:], NAMES])
def test_keys_in_the_environment_are_named_and_never_shown(
    place: Place, present: tuple[str, ...]
) -> None:
    value = "sk-ant-ABCDEFGH-hidden-tail-9999"
    before = snapshot(place.loki)
    client = place.client(**dict.fromkeys(present, value))
    response = client.get("/api/secrets/status")
    assert response.get_json()["env_secrets"] == list(present)
    body = response.get_data(as_text=True)
    assert not any(value[start : start + 4] in body for start in range(len(value) - 3))
    assert snapshot(place.loki) == before
    assert not (place.home / ".loki").exists()


def test_an_empty_key_is_not_set(place: Place) -> None:
    client = place.client(ANTHROPIC_API_KEY="")
    assert client.get("/api/secrets/status").get_json()["env_secrets"] == []


@pytest.mark.parametrize(
    ("files", "docker", "kubernetes"),
    [
        ([], False, False),
        (["docker/anthropic_api_key"], True, False),
        (["docker/something_else"], False, False),
        (["docker/ANTHROPIC_API_KEY"], False, False),
        (["kubernetes/openai_api_key"], False, True),
        (["kubernetes/kubernetes.io/serviceaccount/token"], False, True),
        (["docker/google_api_key", "kubernetes/google_api_key"], True, True),
    ],
)
def test_mounted_keys_are_found_by_name(
    place: Place, tmp_path: Path, files: list[str], docker: bool, kubernetes: bool
) -> None:
    for name in files:
        write(tmp_path / name, "secret")
    answer = system.get_secret_sources(
        place.sources(), tmp_path / "docker", tmp_path / "kubernetes"
    )
    assert (answer["docker_secrets"], answer["k8s_secrets"]) == (docker, kubernetes)


@pytest.mark.parametrize(
    ("files", "docker", "kubernetes"),
    [
        (["anthropic_api_key"], True, False),
        (["kubernetes.io/serviceaccount/token"], False, True),
    ],
)
def test_a_directory_with_two_names_is_one_source_of_secrets(
    place: Place, tmp_path: Path, files: list[str], docker: bool, kubernetes: bool
) -> None:
    mount, alias = tmp_path / "run", tmp_path / "var-run"
    for name in files:
        write(mount / name, "secret")
    os.symlink(mount, alias)
    answer = system.get_secret_sources(place.sources(), mount, alias)
    assert (answer["docker_secrets"], answer["k8s_secrets"]) == (docker, kubernetes)


OIDC = {"LOKI_OIDC_ISSUER": "https://issuer.example", "LOKI_OIDC_CLIENT_ID": "loki"}
AUTH = {"LOKI_ENTERPRISE_AUTH": "true"}


@pytest.mark.parametrize(
    ("settings", "enterprise", "oidc", "methods"),
    [
        ({}, False, False, []),
        (AUTH, True, False, ["token"]),
        (OIDC, False, True, ["oidc"]),
        ({**AUTH, **OIDC}, True, True, ["token", "oidc"]),
    ],
)
def test_ways_to_sign_in(
    place: Place, settings: dict[str, str], enterprise: bool, oidc: bool, methods: list[str]
) -> None:
    response = place.client(**settings).get("/api/auth/info")
    assert response.status_code == 200
    assert response.get_json() == {
        "enterprise_auth": enterprise,
        "oidc_enabled": oidc,
        "oidc_issuer": "https://issuer.example" if oidc else None,
        "auth_methods": methods,
    }
