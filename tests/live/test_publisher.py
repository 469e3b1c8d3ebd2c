"""The thread that publishes the sessions of a machine."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from loki_web.live.machines.publisher import Publisher
from loki_web.services.machines.roster import Roster
from loki_web.store import atomic
from loki_web.store.shared.redis import Link
from tests.support.places import Place
from tests.support.waiting import wait_until


class HeldLink(Link):
    """Notes that there is a first call, which never returns."""

    is_called = False

    def call(self, action: Callable[[Any], Any], *, tries_anyway: bool = False) -> Any:
        self.is_called = True
        threading.Event().wait()


@pytest.mark.slow
def test_a_publisher_without_a_thread_for_answers_begins_when_there_is_one(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    sources, link = place.sources(LOKI_MACHINE="one"), HeldLink("redis://localhost", lambda: None)
    folder = sources.cache_folder
    assert folder is not None
    with atomic.locked(str(folder / "publisher")):  # as if another process published
        Publisher(sources, link, Roster(sources, link)).start()
        usual = threading.stack_size(1 << 46)  # more than there is: no thread can be started
    try:
        wait_until(lambda: "nothing is published yet" in caplog.text, "a vain attempt")
    finally:
        threading.stack_size(usual)
    wait_until(lambda: link.is_called, "the next attempt")
