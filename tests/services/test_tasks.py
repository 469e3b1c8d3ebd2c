"""A large state file is parsed no more often than it changes."""

import pytest

from loki_web.services import tasks
from loki_web.store import inputs, packing
from tests.support.places import Place
from tests.support.waiting import wait_until_settled

ENTRIES = [{"id": f"task-{n}", "title": "x" * 100} for n in range(1000)]


@pytest.fixture
def unpacked(place: Place, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the large documents that are unpacked to be parsed again.

    The state file of the place is such a document.
    """
    place.write("dashboard-state.json", {"tasks": {"pending": ENTRIES}})
    wait_until_settled(place.home)
    sizes: list[int] = []

    def unpack(packed: bytes) -> bytes:
        sizes.append(len(packed))
        return packing.unpack(packed)

    monkeypatch.setattr(inputs, "unpack", unpack)
    return sizes


def test_it_is_not_parsed_again_when_a_queue_changes(place: Place, unpacked: list[int]) -> None:
    sources = place.sources()
    assert tasks.count_tasks(sources)["pending"] == 1000
    place.write("queue/in-progress.json", [{"id": "other", "title": "Other"}])
    assert tasks.count_tasks(sources)["in_progress"] == 1
    assert tasks.get_current_task(sources) == "Other"
    assert not unpacked


def test_a_request_parses_a_new_version_once(place: Place, unpacked: list[int]) -> None:
    client = place.client()
    for path in ("/api/tasks", "/api/status"):
        assert client.get(path).status_code == 200
    unpacked.clear()
    place.write("dashboard-state.json", {"tasks": {"pending": ENTRIES[1:]}})
    assert len(client.get("/api/tasks").get_json()) == 999
    assert not unpacked


def test_tasks_are_not_read_again_when_another_part_changes(
    place: Place, unpacked: list[int]
) -> None:
    sources = place.sources()
    before = tasks.get_task_list(sources)
    place.write("dashboard-state.json", {"phase": "TEST", "tasks": {"pending": ENTRIES}})
    assert tasks.get_task_list(sources) is before
    assert not unpacked
