"""One server on an empty project, for the tests of a module that do not disturb each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import places
from tests.support.places import Place
from tests.support.servers import Server, serving


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return places.empty(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def shared(shared_place: Place) -> Iterator[Server]:
    with serving(shared_place) as server:
        yield server


@pytest.fixture
def folder(place: Place) -> Path:
    return place.loki
