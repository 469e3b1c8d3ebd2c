"""Values that are computed while a worker starts."""

import threading
from functools import partial

import pytest

from benchmarks.counts import counted
from loki_web.services import warming
from loki_web.services.context import Sources
from loki_web.services.fleet import selection
from loki_web.services.memory import index_rows
from tests.support.places import Place
from tests.support.registered import add_project
from tests.support.waiting import wait_until_settled


@pytest.mark.slow
def test_making_an_application_starts_no_thread(session: Place) -> None:
    before = threading.active_count()
    session.app()
    assert threading.active_count() == before


def test_the_memory_can_be_searched_after_warming(session: Place) -> None:
    src = session.sources()
    warming.start_warming(src).join()
    (index,) = session.home.glob(".cache/loki-web/*/index-*.sqlite3")
    assert index.stat().st_size > 0
    assert not src.memory_index.refresh(index_rows.get_contents(src))


def test_the_folders_of_projects_are_not_listed_again_after_warming(place: Place) -> None:
    for name in ("one", "two", "three"):
        add_project(place, name)
    wait_until_settled(place.home)
    sources = place.sources()
    find = partial(selection.find_shown, sources)
    assert counted(partial(warming.warm, sources)).lists > 3
    assert counted(find).lists == 0


def test_a_fault_of_one_value_leaves_the_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[Sources] = []

    def fail(_: Sources) -> None:
        raise ValueError("damaged")

    monkeypatch.setattr(warming, "VALUES", {"first": fail, "second": computed.append})
    src = place.sources()
    warming.warm(src)
    assert computed == [src]
