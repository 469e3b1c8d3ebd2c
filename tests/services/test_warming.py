"""Values that are computed while a worker starts."""

import threading

import pytest

from loki_web.services import warming
from loki_web.services.context import Sources
from loki_web.services.memory import index_rows
from tests.support.places import Place


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
