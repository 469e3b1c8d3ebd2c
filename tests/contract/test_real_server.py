"""Every documented route through a real gunicorn, on every state that a session can be in.

One worker is asked directly, three through nginx, with each of its configurations.
"""

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import answers, places
from tests.support.nginx import Proxy, proxied
from tests.support.places import Place
from tests.support.servers import Server, serving

SAMPLE_OF_STATE = {
    "running": "plain.conf",
    "finished": "tls.conf",
    "empty": "prefix.conf",
    "missing": "plain.conf",
}
FAMILIES = [
    "loki_session_status",
    "loki_iteration_current",
    "loki_iteration_max",
    "loki_tasks_total",
    "loki_agents_active",
    "loki_agents_total",
    "loki_cost_usd",
    "loki_events_total",
    "loki_uptime_seconds",
]


@dataclass(frozen=True)
class Case:
    state: str
    place: Place
    server: Server | Proxy
    document: Any


def made(state: str, folder: Path, live_pid: int) -> Place:
    if state == "running":
        return places.recorded(folder, live_pid=live_pid, today=True)
    if state == "finished":
        return places.recorded(folder, finished=True, today=True)
    place = places.empty(folder)
    if state == "missing":
        shutil.rmtree(place.loki)
    return place


@pytest.fixture(
    scope="module",
    params=[(state, sample) for state, own in SAMPLE_OF_STATE.items() for sample in ("", own)],
    ids=lambda param: f"{param[0]}-{param[1] or 'direct'}",
)  # fmt: skip
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sleeper: int
) -> Iterator[Case]:
    state, sample = request.param
    place = made(state, tmp_path_factory.mktemp("place") / "p", sleeper)
    settings = {"LOKI_ENTERPRISE_AUDIT": "true", "LOKI_TRUSTED_PROXIES": "1" if sample else "0"}
    with ExitStack() as stack:
        server: Server | Proxy
        server = app = stack.enter_context(serving(place, workers=3 if sample else 1, **settings))
        if sample:
            folder = tmp_path_factory.mktemp("proxy")
            server = stack.enter_context(proxied(app.host, folder, sample, live=app.host))
        yield Case(state, place, server, server.get("/openapi.json").json())


@pytest.mark.parametrize("template", answers.gets())
def test_every_get_answers_as_described(case: Case, template: str) -> None:
    for path in answers.addresses(case.server.get, template):
        answers.check(case.document, template, path, case.server.get(path))


def test_reading_changes_nothing(case: Case) -> None:
    before = places.snapshot(case.place.home)
    for template in answers.gets():
        for path in answers.addresses(case.server.get, template):
            case.server.get(path)
    case.server.get("/metrics")
    after = places.snapshot(case.place.home)
    ours = (".cache", ".loki/dashboard/audit")  # what is not the session's
    assert {k: v for k, v in after.items() if not k.startswith(ours)} == {
        k: v for k, v in before.items() if not k.startswith(ours)
    }


def test_every_worker_gives_the_same_answer(case: Case) -> None:
    with ThreadPoolExecutor(16) as pool:
        scrapes = list(pool.map(case.server.get, ["/metrics"] * 60))
    texts = {
        re.sub(r"(?m)^loki_(?:uptime|http|index)_.*\n", "", scrape.text)  # what goes on meanwhile
        for scrape in scrapes
    }
    assert len(texts) == 1
    names = [family.name for family in text_string_to_metric_families(scrapes[0].text)]
    assert [name.removesuffix("_total") for name in names[: len(FAMILIES)]] == [
        name.removesuffix("_total") for name in FAMILIES
    ]


def test_status_metrics_and_lists_tell_one_truth(case: Case) -> None:
    get = case.server.get
    status = get("/api/status").json()
    samples = {
        (sample.name, sample.labels.get("status")): sample.value
        for family in text_string_to_metric_families(get("/metrics").text)
        for sample in family.samples
    }
    number = {"stopped": 0, "running": 1, "autonomous": 1, "paused": 2}[status["status"]]
    assert samples["loki_session_status", None] == number
    assert samples["loki_iteration_current", None] == status["iteration"]
    assert samples["loki_agents_active", None] == status["running_agents"]
    pending = get("/api/tasks?status=pending").json()
    assert status["pending_tasks"] == len(pending) == samples["loki_tasks_total", "pending"]
    cost, budget = get("/api/cost").json(), get("/api/budget").json()
    assert samples["loki_cost_usd", None] == cost["estimated_cost_usd"]
    assert cost["budget_limit"] == budget["budget_limit"]
    if cost["budget_limit"] is not None:
        assert cost["budget_used"] == budget["budget_used"] >= cost["estimated_cost_usd"]
        assert cost["budget_remaining"] == budget["budget_remaining"]


def test_a_running_session_is_shown_as_one(case: Case) -> None:
    shown = case.server.get("/api/status").json()["status"]
    assert (shown == "stopped") == (case.state != "running")


def test_unknown_addresses_are_json(case: Case) -> None:
    answer = case.server.get("/api/no/such/thing")
    assert (answer.status_code, set(answers.strict_json(answer))) == (404, {"detail"})


def test_head_is_answered_wherever_get_is(case: Case) -> None:
    for template in answers.gets():
        for path in answers.addresses(case.server.get, template):
            answer = case.server.head(path)
            assert (answer.status_code in (200, 403), answer.content) == (True, b""), path
