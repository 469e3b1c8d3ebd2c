"""Pause, resume and stop: the files that are written and the process that is signalled."""

import os
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.children import Children, backdate, still_lives, was_terminated
from tests.support.places import Place, snapshot

ACTIONS = ("pause", "resume", "stop")


def post(client: FlaskClient, action: str, **options: Any) -> Any:
    response = client.post(f"/api/control/{action}", **options)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def test_pause_leaves_a_marker_and_resume_removes_both(place: Place, client: FlaskClient) -> None:
    assert post(client, "pause") == {"success": True, "message": "Session paused"}
    assert (place.loki / "PAUSE").is_file()
    place.write("STOP", "")
    assert post(client, "resume") == {"success": True, "message": "Session resumed"}
    assert not {"PAUSE", "STOP"} & set(os.listdir(place.loki))


@pytest.mark.parametrize("action", ACTIONS)
def test_twice_is_as_good_as_once(client: FlaskClient, action: str) -> None:
    assert post(client, action)["success"] is True
    assert post(client, action)["success"] is True


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"json": {}},
        {"data": b"", "content_type": "application/json"},
        {"data": b" ", "content_type": "text/plain"},
    ],
)
def test_a_body_is_not_needed(client: FlaskClient, action: str, options: dict[str, Any]) -> None:
    assert post(client, action, **options)["success"] is True


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("body", [b"[]", b"5", b"{", b"null", b'"x"'])
def test_a_body_that_is_no_object_is_refused(
    place: Place, client: FlaskClient, action: str, body: bytes
) -> None:
    before = snapshot(place.loki)
    response = client.post(f"/api/control/{action}", data=body, content_type="application/json")
    assert response.status_code == 400
    assert isinstance(response.get_json()["detail"], str)
    assert snapshot(place.loki) == before


@pytest.mark.parametrize("file", ["loki.pid", "run.pid"])
def test_stop_writes_the_marker_and_signals_the_runner(
    place: Place, client: FlaskClient, children: Children, file: str
) -> None:
    child = children.worker(place)
    place.write(file, f"{child.pid}\n")
    answer = post(client, "stop")
    assert (answer["success"], answer["message"]) == (True, "Stop signal sent")
    assert (place.loki / "STOP").is_file()
    assert was_terminated(child)


def test_stop_signals_the_process_of_a_session_file(
    place: Place, client: FlaskClient, children: Children
) -> None:
    child = children.worker(place)
    place.write("session.json", {"status": "running", "pid": child.pid, "started": time.time()})
    assert post(client, "stop")["process_signalled"] is True
    assert was_terminated(child)


@pytest.mark.parametrize("started", ["2026-02-20T09:00:00Z", 1771578175])
def test_stop_spares_a_process_that_is_younger_than_its_session(
    place: Place, client: FlaskClient, children: Children, started: Any
) -> None:
    child = children.worker(place)
    place.write("session.json", {"status": "running", "pid": child.pid, "startedAt": started})
    assert post(client, "stop")["process_signalled"] is False
    assert still_lives(child)


def test_stop_spares_a_process_that_got_the_number_later(
    place: Place, client: FlaskClient, children: Children
) -> None:
    child = children.worker(place)
    backdate(place.write("loki.pid", f"{child.pid}\n"), 86400)
    answer = post(client, "stop")
    assert "not found" in answer["message"]
    assert (place.loki / "STOP").is_file()
    assert still_lives(child)


@pytest.mark.parametrize("content", ["-1", "0", "1", "1.5", "true", "12abc", "", "own", "parent"])
def test_stop_signals_nothing_by_a_dangerous_pid(
    place: Place, client: FlaskClient, children: Children, content: str
) -> None:
    canary = children.worker(place)
    known = {"own": os.getpid(), "parent": os.getppid()}
    place.write("loki.pid", f"{known.get(content, content)}\n")
    answer = post(client, "stop")
    assert (answer["process_signalled"], "not found" in answer["message"]) == (False, True)
    assert still_lives(canary)


def test_stop_does_not_wait_for_a_process_that_ignores_it(
    place: Place, client: FlaskClient, children: Children
) -> None:
    child = children.stubborn(place)
    place.write("loki.pid", f"{child.pid}\n")
    assert post(client, "stop")["process_signalled"] is True
    assert still_lives(child)
    assert client.get("/api/status").get_json()["status"] != "stopped"


def test_a_zombie_is_a_stopped_session(
    place: Place, client: FlaskClient, children: Children
) -> None:
    place.write("loki.pid", f"{children.zombie()}\n")
    assert client.get("/api/status").get_json()["status"] == "stopped"
    assert post(client, "stop")["process_signalled"] is False


def test_stop_ends_a_session_that_has_only_its_file(place: Place, client: FlaskClient) -> None:
    place.write("session.json", {"status": "running", "started": time.time(), "mine": {"a": 1}})
    post(client, "stop")
    assert place.read("session.json")["status"] == "stopped"
    assert place.read("session.json")["mine"] == {"a": 1}
    assert client.get("/api/status").get_json()["status"] == "stopped"


@pytest.mark.parametrize("content", [b"{", b"[1]", b"", b'{"status": 5}', b'{"status": "done"}'])
def test_stop_leaves_a_session_file_alone_that_does_not_run(
    place: Place, client: FlaskClient, content: bytes
) -> None:
    place.write("session.json", content)
    post(client, "stop")
    assert (place.loki / "session.json").read_bytes() == content


def test_a_directory_as_marker_pauses_and_is_gone_after_resume(
    place: Place, client: FlaskClient
) -> None:
    (place.loki / "PAUSE").mkdir()
    assert post(client, "pause")["success"] is True
    assert post(client, "resume")["success"] is True
    assert not (place.loki / "PAUSE").exists()


def test_resume_never_succeeds_with_the_marker_left(place: Place, client: FlaskClient) -> None:
    place.write("PAUSE/kept", "x")
    response = client.post("/api/control/resume")
    assert response.status_code >= 400
    assert str(place.loki) not in response.get_json()["detail"]
    assert (place.loki / "PAUSE" / "kept").exists()


def test_a_link_as_marker_is_replaced_not_followed(place: Place, client: FlaskClient) -> None:
    precious = place.home / "precious"
    precious.write_text("kept")
    (place.loki / "PAUSE").symlink_to(precious)
    post(client, "pause")
    assert precious.read_text() == "kept"
    post(client, "resume")
    assert precious.read_text() == "kept"
    assert not (place.loki / "PAUSE").is_symlink()


@pytest.mark.parametrize("action", ACTIONS)
def test_another_page_may_not_steer(place: Place, client: FlaskClient, action: str) -> None:
    before = snapshot(place.loki)
    headers = {"Origin": "https://evil.example"}
    assert client.post(f"/api/control/{action}", headers=headers).status_code == 403
    assert snapshot(place.loki) == before
