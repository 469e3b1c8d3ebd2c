"""Agents that are as before are not described again; entries in `signals/` request a pause."""

from typing import Any

import pytest

from loki_web.services.agents import records
from loki_web.store.look import recording
from tests.support.places import Place
from tests.support.work import count_calls

MANY = 300


def list_entries(count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"agent-{n}", "type": "engineer", "status": "active", "task": f"Task {n}"}
        for n in range(count)
    ]


def count_inputs(place: Place, count: int) -> int:
    place.write("state/agents.json", list_entries(count))
    with recording() as recorded:
        assert len(records.describe_agents(place.sources())) == count
    return len(recorded.inputs)


def test_many_agents_depend_on_as_many_files_as_one(place: Place) -> None:
    assert count_inputs(place, MANY) == count_inputs(place, 1)


def test_agents_that_are_as_before_are_not_described_again(place: Place) -> None:
    entries, sources = list_entries(MANY), place.sources()
    place.write("state/agents.json", entries)
    first = count_calls(lambda: records.describe_agents(sources))
    entries[7] |= {"status": "completed", "task": "Another"}
    place.write("state/agents.json", entries)
    assert count_calls(lambda: records.describe_agents(sources)) < first / 2
    assert records.describe_agents(sources) == records.describe_agents(place.sources())
    assert records.describe_agents(sources)[7]["task"] == "Another"


@pytest.mark.parametrize("kind", ["file", "folder", "broken link"])
def test_any_entry_of_that_name_requests_the_pause_of_an_agent(place: Place, kind: str) -> None:
    sources = place.sources()
    place.write("state/agents.json", list_entries(3))

    def list_paused() -> list[str]:
        agents = records.describe_agents(sources)
        return [agent["id"] for agent in agents if agent["pause_requested"]]

    assert list_paused() == []
    marker = place.write("signals/PAUSE_AGENT_agent-1", "")
    if kind != "file":
        marker.unlink()
        marker.mkdir() if kind == "folder" else marker.symlink_to("nowhere")
    assert list_paused() == ["agent-1"]
    marker.rmdir() if kind == "folder" else marker.unlink()
    assert list_paused() == []
