"""Links that cannot be resolved: nothing that reads or writes beside them may fail."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from loki_web.server import hooks
from loki_web.services.doctor import diagnose
from tests.support import places
from tests.support.places import Place, snapshot
from tests.support.registered import PROJECTS, entry, register
from tests.support.routes import routes

pytestmark = pytest.mark.slow

_REFUSED = "/proc/1/root"
_LINKS = 100  # more than the kernel follows


def _refused(_: Path) -> str:
    """A link that the kernel does not let us read, as `/proc` has of processes of others."""
    try:
        os.readlink(_REFUSED)
    except PermissionError:
        return f"{_REFUSED}/x"
    pytest.skip(f"{_REFUSED} can be read: run the tests as another user than root")


def _endless(folder: Path) -> str:
    for number in range(_LINKS):
        (folder / f"l{number}").symlink_to(folder / f"l{number + 1}")
    return str(folder / "l0")


def _looped(folder: Path) -> str:
    (folder / "loop").symlink_to(folder / "loop")
    return str(folder / "loop")


def _too_long(folder: Path) -> str:
    return "/".join([str(folder), *["x" * 200] * 19])


TARGETS = [_refused, _endless, _looped, _too_long]
NAMES = {
    "files": ("queue/pending.json", "session.json", "PAUSE", "events.jsonl", "logs/session.log"),
    "folders": ("queue", "metrics", "memory", "learning", "council", "notifications"),
    "written": ("signals", "state", "logs"),
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return places.recorded(tmp_path / "p", today=True)


def _put(link: Path, target: str) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.exists():
        link.rename(link.with_name(f"old-{link.name}"))
    link.symlink_to(target)


def _failures(place: Place) -> list[str]:
    """Return the routes that fail, of those that only read, and of the control calls."""
    hooks.sweep(place.sources(LOKI_ENTERPRISE_AUDIT="true"))
    app = place.app(LOKI_ENTERPRISE_AUDIT="true")
    client = app.test_client()
    failures = [
        str(route)
        for route in routes(app)
        if not route.changes and client.get(route.path).status_code >= 500
    ]
    commands = [f"/api/control/{command}" for command in ("pause", "stop", "resume")]
    return failures + [path for path in commands if client.post(path).status_code != 200]


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the links lead."""
    folder = tmp_path / "links"
    folder.mkdir()
    make: Callable[[Path], str] = request.param
    return make(folder)


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_a_link_that_cannot_be_resolved_breaks_no_answer(
    place: Place, target: str, names: tuple[str, ...]
) -> None:
    for name in names:
        _put(place.loki / name, target)
    assert _failures(place) == []


def test_a_project_that_cannot_be_resolved_hides_no_other(place: Place, target: str) -> None:
    ours = str(place.loki.parent)
    register(place, entry(target), entry(ours))
    assert _failures(place) == []
    listed = place.client().get(PROJECTS).get_json()
    assert ours in [project["path"] for project in listed]


LINKED = {
    "out of the project": ("../../elsewhere/.loki", 403),
    "absolute": ("/{home}/elsewhere/.loki", 403),
    "a sibling with the same beginning": ("../demo-2/.loki", 403),
    "through a link in the project": ("way/.loki", 403),
    "within the project": ("state/.loki", 200),
}


@pytest.mark.parametrize("allowed", ["false", "true"])
@pytest.mark.parametrize("name", LINKED)
def test_a_linked_state_folder_is_read_and_not_written(
    place: Place, name: str, allowed: str
) -> None:
    target, code = LINKED[name]
    project = place.loki.parent
    (place.home / "elsewhere").mkdir()
    (project / "way").symlink_to("../../elsewhere")
    place.write("queue/pending.json", [{"id": "t1", "title": "x"}])
    moved = project / target.format(home=str(place.home).lstrip("/"))
    moved.parent.mkdir(parents=True, exist_ok=True)
    place.loki.rename(moved)
    place.loki.symlink_to(target.format(home=str(place.home).lstrip("/")))
    client = place.client(LOKI_ALLOW_LINKED_DIR=allowed)
    assert "t1" in [task["id"] for task in client.get("/api/tasks").get_json()]
    before = snapshot(moved)
    expected = 200 if allowed == "true" else code
    for path in ("/api/control/pause", "/api/control/stop"):
        response = client.post(path)
        assert response.status_code == expected
        assert expected == 200 or "LOKI_ALLOW_LINKED_DIR" in response.get_json()["detail"]
    assert (snapshot(moved) == before) == (expected == 403)
    faults = diagnose(place.sources(LOKI_ALLOW_LINKED_DIR=allowed)).faults
    assert any("LOKI_ALLOW_LINKED_DIR" in fault for fault in faults) == (expected == 403)
