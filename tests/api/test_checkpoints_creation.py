"""POST /api/checkpoints: complete copies with unique ids, or none; 50 are kept."""

import itertools
import json
import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import places
from tests.support.places import Place
from tests.support.processes import PROCESSES
from tests.support.programs import needed, output_of
from tests.support.waiting import wait_until

CHECKPOINTS = "state/checkpoints"
INDEX = f"{CHECKPOINTS}/index.jsonl"
DOCUMENTED = {"id", "created_at", "git_sha", "message", "files"}


def create(client: FlaskClient, **options: Any) -> Any:
    response = client.post("/api/checkpoints", **options)
    assert response.status_code == 201, response.get_data(as_text=True)
    return response.get_json()


def listed(client: FlaskClient) -> list[Any]:
    entries: list[Any] = client.get("/api/checkpoints?limit=200").get_json()
    return entries


def index(place: Place) -> list[Any]:
    path = place.loki / INDEX
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def directories(place: Place) -> set[str]:
    """Return the directories of all checkpoints, including hidden ones."""
    path = place.loki / CHECKPOINTS
    return {entry.name for entry in path.iterdir() if entry.is_dir()} if path.exists() else set()


def create_older(place: Place, count: int, *, name: str = "cp-{0}-{1}") -> list[str]:
    """Create checkpoints from one hour ago on, not in the index; return their ids, oldest first."""
    start = datetime.now(UTC) - timedelta(hours=1)
    identities = []
    for number in range(count):
        moment = start + timedelta(seconds=number)
        identity = name.format(number, int(moment.timestamp()))
        content = {"id": identity, "timestamp": moment.isoformat()}
        place.write(f"{CHECKPOINTS}/{identity}/metadata.json", content)
        identities.append(identity)
    return identities


@pytest.mark.parametrize(
    "options",
    [{}, {"json": {}}, {"content_type": "application/json"}, {"json": {"message": ""}}],
)
def test_a_message_is_optional(place: Place, client: FlaskClient, options: dict[str, Any]) -> None:
    created = create(client, **options)
    assert set(created) >= DOCUMENTED
    assert created["message"] == ""
    assert created["files"] == ["metadata.json"]
    assert directories(place) == {created["id"]}


def test_state_and_queues_are_copied(session: Place) -> None:
    session.write("session.json", {"status": "running"})
    session.write("queue/.hidden.json", {})
    session.write("queue/pending.json.tmp", {})
    client = session.client()
    created = create(client, json={"message": "before deploy"})
    place = session.loki / CHECKPOINTS / created["id"]
    queues = [f"queue/{name}" for name in os.listdir(session.loki / "queue")]
    expected = [name for name in queues if not name.endswith((".tmp", ".hidden.json"))]
    expected += ["dashboard-state.json", "session.json"]
    copied = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    assert copied == {"metadata.json", *expected}
    assert created["files"][0] == "metadata.json"
    assert set(created["files"]) == copied
    for name in expected:
        assert (place / name).read_bytes() == (session.loki / name).read_bytes()
    (line,) = [line for line in index(session) if line["id"] == created["id"]]
    assert line == created
    assert client.get(f"/api/checkpoints/{created['id']}").get_json().items() >= created.items()
    assert listed(client)[0]["id"] == created["id"]
    stored = json.loads((place / "metadata.json").read_text())
    assert datetime.fromisoformat(stored["timestamp"]) <= datetime.fromisoformat(
        created["created_at"]
    )


def test_the_message_loses_control_characters(
    place: Place, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    created = create(client, json={"message": "a\u001b[31mb\r\nc\u0000\u0085d  e\u009b"})
    assert created["message"] == "a[31mb c d  e"
    text = (place.loki / INDEX).read_text()
    assert text.count("\n") == 1
    assert listed(client)[0]["message"] == created["message"]
    assert "\x1b" not in caplog.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps({"message": "é" * 500}), 201),
        (json.dumps({"message": "x" * 500 + "\x00" * 20}), 201),
        (json.dumps({"message": "x" * 501}), 400),
        (json.dumps({"message": None}), 400),
        (json.dumps({"message": 5}), 400),
        (json.dumps({"message": ["x"]}), 400),
        (json.dumps({"message": "x", "unknown": 1}), 400),
        ("null", 400),
        ("[]", 400),
        ("5", 400),
        ('"x"', 400),
        ("{", 400),
        ('{"message": "\\ud800"}', 400),
        ('{"message": "a", "message": "b"}', 400),
        (b'{"message": "\xff"}', 400),
        (json.dumps({"message": "x" * 2 * 1024 * 1024}), 413),
    ],
)
def test_only_a_well_formed_body_creates_a_checkpoint(
    place: Place, client: FlaskClient, body: Any, status: int
) -> None:
    response = client.post("/api/checkpoints", data=body, content_type="application/json")
    assert response.status_code == status
    assert len(directories(place)) == len(index(place)) == (1 if status == 201 else 0)
    assert status == 201 or isinstance(response.get_json()["detail"], str)


def test_a_frozen_second_gives_ids_with_suffixes(tmp_path: Path) -> None:
    base = places.empty(tmp_path)
    place = Place(base.home, base.loki, datetime(2026, 2, 12, 15, 1, 5, tzinfo=UTC))
    client = place.client()
    ids = [create(client)["id"] for _ in range(12)]
    assert ids == [f"chk-20260212-150105{suffix}" for suffix in suffixes(12)]
    assert [entry["id"] for entry in listed(client)] == ids[::-1]


def suffixes(count: int) -> list[str]:
    return ["", *(f"-{number}" for number in range(2, count + 1))]


@pytest.mark.slow
def test_parallel_calls_get_checkpoints_of_their_own(place: Place) -> None:
    app = place.app()
    with ThreadPoolExecutor(20) as pool:
        messages = [f"m{number}" for number in range(20)]
        created = list(pool.map(lambda m: create(app.test_client(), json={"message": m}), messages))
    client = app.test_client()
    assert len({entry["id"] for entry in created}) == 20
    assert sorted(entry["message"] for entry in listed(client)) == sorted(messages)
    for entry in created:
        shown = client.get(f"/api/checkpoints/{entry['id']}").get_json()
        assert shown["message"] == entry["message"]
    assert {line["id"] for line in index(place)} == directories(place)


def create_in_turns(place: Place, said: Connection, turns: int | None = None) -> None:
    """Create checkpoints as a worker does, a number of times or forever; send the status codes."""
    client = place.client()
    for turn in itertools.count() if turns is None else range(turns):
        body = {"message": f"m{turn}"}
        said.send(client.post("/api/checkpoints", json=body).status_code)


def another_server(
    target: Callable[..., None], place: Place, *arguments: object
) -> tuple[ForkServerProcess, Connection]:
    """Start a process that creates checkpoints; return what it sends as well."""
    said, says = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=target, args=(place, says, *arguments), daemon=True)
    process.start()
    says.close()
    return process, said


@pytest.mark.slow
def test_several_processes_make_checkpoints_at_once(place: Place, client: FlaskClient) -> None:
    servers = [another_server(create_in_turns, place, 10) for _ in range(3)]
    assert [[said.recv() for _ in range(10)] for _, said in servers] == [[201] * 10] * 3
    for process, said in servers:
        process.join()
        said.close()
    ids = {entry["id"] for entry in listed(client)}
    assert len(ids) == 30
    assert ids == directories(place) == {line["id"] for line in index(place)}


@pytest.mark.slow
def test_a_killed_server_leaves_whole_checkpoints_and_whole_lines(session: Place) -> None:
    recorded = directories(session)
    for _ in range(4):
        process, said = another_server(create_in_turns, session)
        with said:
            assert said.recv() == 201
            wait_until(partial(is_making, process.pid, session), "a checkpoint", often=True)
            process.kill()
            process.join()
    assert len(index(session)) >= 4
    client = session.client()
    files = create(client)["files"]  # this also removes what killed processes left incomplete
    created = {entry["id"]: entry for entry in listed(client) if entry["id"] not in recorded}
    assert set(created) == directories(session) - recorded
    assert len(created) > 4
    for identity, entry in created.items():
        assert entry["files"] == files
        for file in files:
            json.loads((session.loki / CHECKPOINTS / identity / file).read_text())


def is_making(pid: int | None, place: Place) -> bool:
    return any(f".{pid}." in name for name in os.listdir(place.loki / CHECKPOINTS))


@contextmanager
def rewriting_in_place(path: Path, contents: list[str]) -> Iterator[None]:
    """Truncate and rewrite a file again and again, as the runner does with its queues."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(contents[0])
    done = threading.Event()

    def rewrite() -> None:
        turn = 0
        while not done.wait(0.001):
            turn += 1
            with path.open("w") as stream:
                text = contents[turn % len(contents)]
                stream.write(text[: len(text) // 2])
                stream.flush()
                stream.write(text[len(text) // 2 :])

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


@pytest.mark.slow
def test_a_queue_that_is_being_rewritten_is_copied_whole(place: Place, client: FlaskClient) -> None:
    contents = [json.dumps([{"id": word}] * 2000) for word in ("a", "longer")]
    with rewriting_in_place(place.loki / "queue" / "pending.json", contents):
        created = [create(client) for _ in range(20)]
    for entry in created:
        assert "queue/pending.json" in entry["files"]
        copy = place.loki / CHECKPOINTS / entry["id"] / "queue" / "pending.json"
        assert copy.read_text() in contents


def test_damaged_and_outside_files_are_not_copied(place: Place, client: FlaskClient) -> None:
    outside = places.write(place.home / "outside" / "secret.json", {"secret": "foreign"})
    damaged = place.write("queue/failed.json", '[{"id": ')
    os.utime(damaged, (time.time() - 60,) * 2)
    place.write("queue/pending.json", [])
    (place.loki / "queue" / "linked.json").symlink_to(outside)
    (place.loki / "queue" / "folder").symlink_to(outside.parent)
    (place.loki / "session.json").symlink_to(outside)
    os.mkfifo(place.loki / "queue" / "pipe.json")
    created = create(client)
    assert created["files"] == ["metadata.json", "queue/pending.json"]
    copies = (place.loki / CHECKPOINTS / created["id"]).rglob("*")
    assert "foreign" not in "".join(path.read_text() for path in copies if path.is_file())


# --- Fifty are kept -------------------------------------------------------------------------


def test_the_oldest_by_time_goes_and_never_the_new_one(place: Place, client: FlaskClient) -> None:
    oldest, *others = create_older(place, 50, name="cp-{0}")
    created = create(client)
    assert client.get(f"/api/checkpoints/{created['id']}").status_code == 200
    assert client.get(f"/api/checkpoints/{oldest}").status_code == 404
    assert directories(place) == {*others, created["id"]}


def test_the_new_one_stays_though_all_others_claim_to_be_newer(
    place: Place, client: FlaskClient
) -> None:
    for number in range(50):
        content = {"created_at": f"2099-01-01T00:00:{number:02}Z"}
        place.write(f"{CHECKPOINTS}/chk-{number}/metadata.json", content)
    created = create(client)
    assert directories(place) == {created["id"], *(f"chk-{number}" for number in range(1, 50))}


def test_after_pruning_list_index_and_directories_agree(place: Place, client: FlaskClient) -> None:
    identities = create_older(place, 55)
    lines: list[Any] = [{"id": name, "ts": "2026-02-20T09:13:04Z"} for name in identities[:-1]]
    text = "".join(f"{json.dumps(line)}\n" for line in [*lines, {"id": "gone"}, [1]])
    place.write(INDEX, f"{text}cut")
    created = create(client)
    expected = [*identities[6:], created["id"]]
    assert len(expected) == 50
    assert [entry["id"] for entry in listed(client)] == expected[::-1]
    assert directories(place) == set(expected)
    assert [line["id"] for line in index(place)] == expected
    assert index(place)[0] == lines[6]
    assert index(place)[-2]["timestamp"]


def test_without_pruning_the_index_is_only_added_to(place: Place, client: FlaskClient) -> None:
    place.write(INDEX, '{"id": "gone"}\nnot JSON\n{"id": "cu')
    created = create(client)
    before, line = (place.loki / INDEX).read_text().rstrip("\n").rsplit("\n", 1)
    assert before == '{"id": "gone"}\nnot JSON\n{"id": "cu'
    assert json.loads(line)["id"] == created["id"]


def test_links_files_and_foreign_directories_are_neither_counted_nor_removed(
    place: Place, client: FlaskClient
) -> None:
    identities = create_older(place, 49)
    precious = places.write(place.home / "precious" / "metadata.json", {"timestamp": "2001-01-01"})
    checkpoints = place.loki / CHECKPOINTS
    (checkpoints / "aaa-link").symlink_to(precious.parent)
    (checkpoints / "cp-0-100000000").symlink_to(precious.parent)
    places.write(checkpoints / "my notes" / "metadata.json", {"timestamp": "2001-01-01"})
    places.write(checkpoints / "notes" / "todo.txt", "keep")
    places.write(checkpoints / "cp-1-100000000", "a file")
    created = create(client)
    assert {entry["id"] for entry in listed(client)} == {*identities, created["id"]}
    assert precious.exists()
    for name in ("aaa-link", "cp-0-100000000", "my notes", "notes", "cp-1-100000000"):
        assert os.path.lexists(checkpoints / name)


def test_folders_of_killed_creators_count_and_are_pruned(place: Place, client: FlaskClient) -> None:
    identities = create_older(place, 49)
    place.write(f"{CHECKPOINTS}/cp-1-1500000000/queue/pending.json", [])
    created = create(client)
    assert directories(place) == {*identities, created["id"]}


# --- Failures -------------------------------------------------------------------------------


def assert_nothing_was_created(place: Place, client: FlaskClient, before: int = 0) -> None:
    response = client.post("/api/checkpoints")
    assert response.status_code == 500
    assert str(place.home) not in response.get_data(as_text=True)
    assert isinstance(response.get_json()["detail"], str)
    assert len(directories(place)) == before


def test_an_index_that_cannot_be_written_means_no_checkpoint(
    place: Place, client: FlaskClient
) -> None:
    (place.loki / INDEX).mkdir(parents=True)
    assert_nothing_was_created(place, client, before=1)
    assert directories(place) == {"index.jsonl"}


@pytest.mark.parametrize("where", ["state", CHECKPOINTS])
def test_no_checkpoint_is_created_outside_of_the_folder(
    place: Place, client: FlaskClient, where: str
) -> None:
    outside = place.home / "outside"
    outside.mkdir()
    link = place.loki / where
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    assert client.post("/api/checkpoints").status_code == 500
    assert list(outside.iterdir()) == []
    assert listed(client) == []


def test_a_file_in_the_way_is_an_error(place: Place, client: FlaskClient) -> None:
    place.write("state", "a file")
    assert_nothing_was_created(place, client)


LIMIT = 200_000


def create_on_a_full_disk(place: Place, said: Connection) -> None:
    client = place.client()
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    response = client.post("/api/checkpoints", json={"message": "m" * 400})
    said.send((response.status_code, "detail" in response.get_json()))


@pytest.mark.slow
@pytest.mark.parametrize("full", ["dashboard-state.json", INDEX])
def test_a_full_disk_leaves_no_directory_and_no_line(place: Place, full: str) -> None:
    line = json.dumps({"id": "old", "note": "x" * 50})
    count = LIMIT // (len(line) + 1)
    text = json.dumps(["x" * LIMIT]) if full != INDEX else f"{line}\n" * count
    place.write(full, text)
    process, said = another_server(create_on_a_full_disk, place)
    with said:
        assert said.recv() == (500, True)
    process.join()
    assert directories(place) == set()
    assert full != INDEX or (place.loki / INDEX).read_text() == text
    assert full == INDEX or index(place) == []


# --- The commit -----------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    return output_of([needed("git", "git"), *identity, *arguments], cwd=folder, env=env).strip()


def repository(folder: Path, message: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def test_the_commit_is_that_of_the_project(
    place: Place, client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    theirs = repository(other, "other")
    ours = repository(place.loki.parent, "ours")
    monkeypatch.chdir(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    created = create(client)
    assert created["git_sha"] == ours != theirs
    assert listed(client)[0]["git_sha"] == ours


def test_a_project_in_a_folder_of_a_repository_or_in_a_worktree_has_its_commit(
    place: Place, client: FlaskClient
) -> None:
    above = repository(place.loki.parents[1], "above")
    assert create(client)["git_sha"] == above
    git(place.loki.parents[1], "worktree", "add", "-q", "--detach", "tree")
    tree = place.loki.parents[1] / "tree"
    (tree / ".loki").mkdir()
    assert create(Place(place.home, tree / ".loki").client())["git_sha"] == above


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_repository_of_another_user_has_its_commit(place: Place, client: FlaskClient) -> None:
    sha = repository(place.loki.parent, "theirs")
    subprocess.run(["chown", "-R", "4242:4242", place.loki.parent], check=True)
    assert create(client)["git_sha"] == sha


@pytest.mark.parametrize("kind", ["none", "without commit", "damaged", "no git"])
def test_without_a_commit_the_checkpoint_is_still_created(
    place: Place, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    if kind == "without commit":
        git(place.loki.parent, "init", "-q")
    if kind == "damaged":
        repository(place.loki.parent, "ours")
        (place.loki.parent / ".git" / "HEAD").write_bytes(b"\xff\n")
    if kind == "no git":
        repository(place.loki.parent, "ours")
        monkeypatch.setenv("PATH", str(tmp_path))
    assert create(client)["git_sha"] == ""


def program(path: Path, text: str) -> Path:
    places.write(path, f"#!/bin/sh\n{text}\n").chmod(0o755)
    return path


def test_a_repository_runs_nothing(place: Place, client: FlaskClient, tmp_path: Path) -> None:
    sha = repository(place.loki.parent, "hostile")
    trap = program(tmp_path / "trap", f"touch {tmp_path}/sprung")
    for name in (
        *("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "diff.external"),
        *("alias.rev-parse", "credential.helper", "core.gitProxy", "core.alternateRefsCommand"),
    ):
        git(place.loki.parent, "config", name, f"!{trap}" if "alias" in name else str(trap))
    git(place.loki.parent, "config", "core.hooksPath", str(tmp_path))
    assert create(client)["git_sha"] == sha
    assert not (tmp_path / "sprung").exists()


def test_a_git_that_hangs_is_not_waited_for(
    place: Place, client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loki_web.services.checkpoints.create._GIT_TIMEOUT_SECONDS", 0.1)
    program(tmp_path / "bin" / "git", "exec sleep 3600")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert create(client)["git_sha"] == ""
