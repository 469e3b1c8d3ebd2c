"""A large state file is not parsed again when the queues have changed, not the file."""

import zlib

import pytest

from loki_web.services import tasks
from tests.support.places import Place
from tests.support.waiting import wait_until_settled


def test_a_large_state_file_is_not_parsed_again_when_a_queue_changes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"id": f"task-{n}", "title": "x" * 100} for n in range(1000)]
    place.write("dashboard-state.json", {"tasks": {"pending": entries}})
    wait_until_settled(place.home)
    sources = place.sources()
    assert tasks.count_tasks(sources)["pending"] == 1000
    sizes: list[int] = []
    original = zlib.decompress

    def decompress(data: bytes) -> bytes:
        sizes.append(len(data))
        return original(data)

    monkeypatch.setattr(zlib, "decompress", decompress)
    place.write("queue/in-progress.json", [{"id": "other", "title": "Other"}])
    assert tasks.count_tasks(sources)["in_progress"] == 1
    assert tasks.get_current_task(sources) == "Other"
    assert not sizes
