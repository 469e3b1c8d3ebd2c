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


def test_a_server_is_not_ready_until_a_worker_has_computed_the_first_answers(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, goes_on = place.app(), threading.Event()
    client = app.test_client()
    monkeypatch.setattr(warming, "VALUES", {"slow": lambda _: goes_on.wait()})
    assert client.get("/health/ready").status_code == 200  # nothing has begun
    thread = app.extensions[warming.EXTENSION]()
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.get_json()["reasons"]) == (
        503, ["The first answers are still being computed"]
    )  # fmt: skip
    assert client.get("/health/live").status_code == 200
    goes_on.set()
    thread.join()
    assert client.get("/health/ready").status_code == 200
    goes_on.clear()
    later = app.extensions[warming.EXTENSION]()  # of a worker that replaces another one
    assert client.get("/health/ready").status_code == 200
    goes_on.set()
    later.join()
