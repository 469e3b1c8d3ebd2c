"""`loki-web doctor` says what the files are worth, and its exit code whether something is wrong."""

from pathlib import Path

import pytest

from tests.cli.commands import run
from tests.support import places
from tests.support.places import Place


def doctor(place: Place, **settings: str) -> tuple[int, str]:
    done = run(place, "doctor", settings=settings)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_finished_session_is_healthy(finished: Place) -> None:
    code, said = doctor(finished)
    assert "0 damaged, 0 unknown" in said
    assert "session: stopped" in said
    assert code == 0


def test_versions_and_settings_are_told(finished: Place) -> None:
    _, said = doctor(finished)
    assert "Loki Mode 5.49.4" in said
    assert "LOKI_CONTROL_RATE_LIMIT=100000" in said


def test_no_version_of_loki_mode_is_made_up(tmp_path: Path) -> None:
    code, said = doctor(Place(tmp_path, tmp_path / ".loki"))
    assert "Loki Mode unknown\n" in said
    assert code == 0


def test_a_live_session_is_told(tmp_path: Path, sleeper: int) -> None:
    code, said = doctor(places.recorded(tmp_path / "s", live_pid=sleeper))
    assert f"process {sleeper} is alive" in said
    assert code == 0


def test_a_killed_session_is_wrong(session: Place) -> None:
    code, said = doctor(session)
    assert "loki.pid names a process that is gone" in said
    assert code == 1


def test_damage_is_named_and_wrong(finished: Place) -> None:
    finished.write("queue/pending.json", '[{"id": ')
    finished.write("metrics/budget.json", [1, 2])
    finished.write("events.jsonl", '{"type": "a"}\n5\n{"torn')
    with finished.write("queue/review.json", "[").open("r+") as stream:
        stream.truncate(33 << 20)
    (finished.loki / "queue/failed.json").unlink()
    (finished.loki / "queue/failed.json").symlink_to("/etc/hostname")
    code, said = doctor(finished)
    assert "damaged: queue/pending.json: not a JSON document" in said
    assert "damaged: metrics/budget.json: not a JSON object" in said
    assert "damaged: events.jsonl: 2 lines are not JSON objects" in said
    assert "too large: queue/review.json: more than 32 MB are not read" in said
    assert "damaged: queue/review.json" not in said
    assert "damaged: queue/failed.json: not a regular file of this folder" in said
    assert code == 1


def test_unknown_files_are_named_but_not_wrong(finished: Place) -> None:
    finished.write("something/else.bin", "x")
    code, said = doctor(finished)
    assert "unknown: something/else.bin" in said
    assert code == 0


def test_settings_that_are_ignored_are_told(finished: Place) -> None:
    code, said = doctor(finished, LOKI_DASHBOARD_PORT="tcp://10.0.0.1:57374")
    assert "warning: LOKI_DASHBOARD_PORT=tcp://10.0.0.1:57374 is ignored" in said
    assert code == 0


def test_misspelled_settings_are_told_and_variables_of_others_are_not(finished: Place) -> None:
    misspelled = {
        "LOKI_ALOWED_HOSTS": "LOKI_ALLOWED_HOSTS",
        "LOKI_DASHBOARD_PROT": "LOKI_DASHBOARD_PORT",
        "LOKI_WORKER": "LOKI_WORKERS",
    }
    others = ["LOKI_DASHBOARD", "LOKI_DASHBOARD_SERVICE_PORT", "LOKI_PROVIDER", "LOKI_TOKEN"]
    code, said = doctor(finished, **dict.fromkeys([*misspelled, *others], "x"))
    assert [line for line in said.splitlines() if line.startswith("warning: ")] == [
        f"warning: {name} is not a setting of this server; did you mean {meant}?"
        for name, meant in misspelled.items()
    ]
    assert code == 0


@pytest.mark.parametrize(
    ("folder", "settings", "words"),
    [
        ("project/.loki", {}, []),
        ("nowhere/.loki", {}, ["there is no {}/nowhere either: correct LOKI_DIR"]),
        ("nowhere/.loki", {"LOKI_EDGE": "true", "LOKI_REDIS_URL": "redis://127.0.0.1:1/0"}, []),
    ],
)
def test_a_project_may_have_no_session_but_must_be_there(
    tmp_path: Path, folder: str, settings: dict[str, str], words: list[str]
) -> None:
    (tmp_path / "project").mkdir()
    code, said = doctor(Place(tmp_path, tmp_path / folder), **settings)
    assert "there is no such folder" in said
    assert [word for word in words if word.format(tmp_path) not in said] == []
    assert code == (1 if words else 0)


def test_the_folder_of_a_project_is_not_its_state(finished: Place) -> None:
    project = finished.loki.parent
    code, said = doctor(Place(finished.home, project))
    assert f"has a .loki/ of its own: set LOKI_DIR to {finished.loki}" in said
    assert code == 1
