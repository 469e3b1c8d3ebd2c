"""No content of any file breaks an answer, and damage affects only the entries of that file."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from loki_web.services.metrics import DOCUMENTED
from tests.property.damage import NOT_REGULAR, damages
from tests.support import answers, places
from tests.support.places import VARIANTS, Place

_EXAMPLES = 15 * int(os.environ.get("LOKI_TEST_EXAMPLES", "10"))
# Files that the recording lacks, and the variants to create them from.
ADDED = {
    "session.json": "session.skill.json",
    "logs/session.log": "session.log",
    "signals/BUDGET_EXCEEDED": "signals.BUDGET_EXCEEDED",
    "council/report.md": "../finished/.loki/council/report.md",
    "state/task-queue.json": "queue.pending.wrapped.json",
    "memory/episodic/legacy.json": "episode.legacy-flat.json",
}
# The files whose damage may change the answer of a route. Other files must not change it.
SOURCES = {
    "/health": (),
    "/health/live": (),
    "/health/ready": ("~dashboard/audit",),  # whether it can be written
    "/openapi.json": (),
    "/api/auth/info": (),
    "/api/enterprise/status": (),
    "/api/secrets/status": (),
    "/api/pricing": ("pricing.json", "state/provider", "dashboard-state.json"),
    "/api/memory/skills": ("memory/skills",),
    "/api/memory/patterns": ("memory/semantic",),
    "/api/memory/episodes": ("memory/episodic",),
    "/api/council/convergence": ("council/convergence.log",),
    "/api/council/report": ("council/report.md",),
    "/api/council/state": ("council",),
    "/api/notifications/triggers": ("notifications/triggers.json",),
    "/api/learning/trends": ("events.jsonl", "learning/signals"),
    "/api/registry/learnings": ("~learnings",),
    "/api/checkpoints": ("state/checkpoints",),
}


def record_every_file(folder: Path, live_pid: int) -> Place:
    """Return the recorded session with the files of ADDED."""
    place = places.recorded(folder, live_pid=live_pid)
    for relative, variant in ADDED.items():
        place.write(relative, (VARIANTS / variant).read_bytes())
    return place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, sleeper: int) -> Place:
    return record_every_file(tmp_path_factory.mktemp("damage") / "p", sleeper)


@pytest.fixture(scope="module")
def client(place: Place) -> FlaskClient:
    return place.client(LOKI_ENTERPRISE_AUDIT="true")


@pytest.fixture(scope="module")
def document(client: FlaskClient) -> Any:
    return client.get("/openapi.json").get_json()


@pytest.fixture(scope="module")
def baseline(client: FlaskClient) -> dict[str, Any]:
    return {path: client.get(path).get_json() for path in SOURCES}


def read_files(place: Place) -> Iterator[Path]:
    yield from sorted(path for path in place.loki.rglob("*") if path.is_file())
    yield from sorted(path for path in (place.home / ".loki").rglob("*") if path.is_file())


@pytest.mark.slow
@settings(
    max_examples=_EXAMPLES, deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_every_get_survives_any_damage(
    place: Place, client: FlaskClient, document: Any, baseline: dict[str, Any], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(list(read_files(place))), "file")
    original, status = path.read_bytes(), path.stat()
    damage = data.draw(damages(original), "damage")
    path.unlink()
    try:
        damage.apply(path)
        check_everything(client, document)
        check_neighbours(client, baseline, named(place, path))
    finally:
        remove(path)
        path.write_bytes(original)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_every_get_survives_fifos_and_directories(tmp_path: Path, kind: str) -> None:
    place = places.recorded(tmp_path / "p")
    for path in list(read_files(place)):
        path.unlink()
        next(d for d in NOT_REGULAR if d.name == kind).apply(path)
    client = place.client()
    check_everything(client, client.get("/openapi.json").get_json())


def check_everything(client: FlaskClient, document: Any) -> None:
    for template in answers.gets():
        for path in answers.addresses(client.get, template):
            answers.check(document, template, path, client.get(path))
    scrape = client.get("/metrics")
    assert scrape.status_code == 200
    families = {family.name for family in text_string_to_metric_families(scrape.text)}
    counters = {family.name for family in DOCUMENTED if family.is_counter}
    expected = {family.name for family in DOCUMENTED} - counters
    assert expected | {name.removesuffix("_total") for name in counters} <= families


def check_neighbours(client: FlaskClient, baseline: dict[str, Any], damaged: str) -> None:
    for path, sources in SOURCES.items():
        if not damaged.startswith(sources):
            assert client.get(path).get_json() == baseline[path], (path, damaged)


def named(place: Place, path: Path) -> str:
    if path.is_relative_to(place.loki):
        return str(path.relative_to(place.loki))
    return "~" + str(path.relative_to(place.home / ".loki"))


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
