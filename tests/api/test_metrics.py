"""GET /metrics: the nine documented families, in every state of the files."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.support.children import Children
from tests.support.places import Place
from tests.support.reference import REFERENCE
from tests.support.work import bytes_read

Ask = Callable[[str], Any]
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
DEAD_PID = 4_999_999
OWN = (  # not documented
    *("loki_last_change_timestamp_seconds", "loki_tokens", "loki_budget_limit_usd"),
    *("loki_budget_used_usd", "loki_budget_remaining_usd", "loki_context_usage_ratio"),
    *("loki_agents", "loki_damaged_files", "loki_up", "loki_audit_writable", "loki_watch_failed"),
    *("loki_webhooks_failing", "loki_webhooks_waiting", "loki_webhooks_sent_total"),
    "loki_webhooks_lost_total",
    *("loki_build_info", "loki_index_size_bytes", "loki_index_updated_timestamp_seconds"),
    *("loki_connections_open", "loki_feed_messages_sent_total", "loki_feed_messages_dropped_total"),
    *("loki_feed_lag_seconds", "loki_audit_failures_total", "loki_http_requests_in_flight"),
    *("loki_refused_calls_total", "loki_http_request_duration_seconds"),
)
OF_REQUESTS = ("loki_http_", "loki_refused_")


def scrape(client: FlaskClient) -> dict[str, float]:
    """Return the samples that come from files by name, followed by the values of the labels."""
    response = client.get("/metrics")
    assert response.status_code == 200
    text = response.get_data(as_text=True)
    families = text_string_to_metric_families(text)
    samples = [s for each in families for s in each.samples if not s.name.startswith(OF_REQUESTS)]
    numbers = {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}
    assert len(numbers) == len(samples)
    return numbers


def test_names_help_and_types_are_those_of_the_reference_in_its_order(
    client: FlaskClient,
) -> None:
    documented = re.findall(r"(?m)^# (?:HELP|TYPE) .*$", REFERENCE.read_text(encoding="utf-8"))
    text = client.get("/metrics").get_data(as_text=True)
    described = [line for line in text.splitlines() if line.startswith("#")]
    assert described[: len(documented)] == documented
    assert [line.split()[2] for line in described[len(documented) :: 2]] == list(OWN)
    assert len(documented) == 2 * 9
    labels = re.findall(r'(?m)^loki_tasks_total\{status="(\w+)"\}', text)
    assert labels == ["pending", "in_progress", "completed", "failed"]
    assert text.endswith("\n")
    assert "_created" not in text


def test_numbers_are_those_of_the_api(ask: Ask, session: Place) -> None:
    numbers = scrape(session.client(LOKI_MAX_ITERATIONS="77"))
    status = ask("/api/status")
    tasks = ask("/api/tasks")
    assert numbers["loki_session_status"] == 0
    assert numbers["loki_iteration_current"] == status["iteration"] > 0
    assert numbers["loki_iteration_max"] == 77
    assert numbers["loki_agents_active"] == status["running_agents"]
    assert numbers["loki_agents_total"] == len(ask("/api/agents"))
    assert numbers["loki_cost_usd"] == ask("/api/cost")["estimated_cost_usd"] > 0
    lines = (session.loki / "events.jsonl").read_bytes().count(b"\n")
    assert numbers["loki_events_total"] == lines
    for state, chosen in {
        "pending": [task for task in tasks if task["status"] == "pending"],
        "in_progress": [task for task in tasks if task["status"] == "in_progress"],
        "completed": [task for task in tasks if task["status"] == "done" and not task["failed"]],
        "failed": [task for task in tasks if task["failed"]],
    }.items():
        assert numbers[f"loki_tasks_total {state}"] == len(chosen)


def test_further_numbers_are_those_of_the_api_too(ask: Ask, session: Place) -> None:
    numbers = scrape(session.client(LOKI_BUDGET_LIMIT="100"))
    budget = session.client(LOKI_BUDGET_LIMIT="100").get("/api/budget").get_json()
    for name in ("limit", "used", "remaining"):
        assert numbers[f"loki_budget_{name}_usd"] == budget[f"budget_{name}"]
    window = ask("/api/context")
    assert numbers["loki_context_usage_ratio"] == pytest.approx(window["usage_percent"] / 100)
    states = Counter(agent["status"] for agent in ask("/api/agents"))
    assert {f"loki_agents {state}": number for state, number in states.items()}.items() <= (
        numbers.items()
    )
    for model, use in ask("/api/cost")["by_model"].items():
        assert numbers[f"loki_tokens input {model}"] == use["input_tokens"]
        assert numbers[f"loki_tokens output {model}"] == use["output_tokens"]
    assert numbers["loki_last_change_timestamp_seconds"] > 0
    assert numbers["loki_damaged_files"] == 0


def test_values_of_labels_from_files_are_few_and_clean(place: Place, client: FlaskClient) -> None:
    for number in range(20):
        model = f'm{number}"}} 1\n# \u202e' + "x" * 500
        record = {"model": model, "input_tokens": 10 + number, "output_tokens": 1}
        place.write(f"metrics/efficiency/iteration-{number}.json", record)
    place.write("state/agents.json", [{"id": str(n), "status": f"s{n}"} for n in range(20)])
    place.write("queue/pending.json", "{")
    settle(place.loki / "queue/pending.json")
    numbers = scrape(client)
    tokens = {name: n for name, n in numbers.items() if name.startswith("loki_tokens")}
    assert len(tokens) == 2 * 9
    assert sum(tokens.values()) == sum(range(10, 30)) + 20
    assert all(len(name) < 150 and name.isprintable() for name in tokens)
    assert sum(name.startswith("loki_agents ") for name in numbers) == 9
    assert numbers["loki_agents other"] == 12
    assert numbers["loki_damaged_files"] == 1


def settle(path: Path) -> None:
    """Make a damaged file look as if nobody were writing it."""
    os.utime(path, (1, 1))


def test_tasks_in_review_are_in_none_of_the_documented_states(
    place: Place, client: FlaskClient
) -> None:
    place.write("queue/review.json", [{"id": "a"}])
    place.write("queue/in-progress.json", [{"id": "b"}])
    numbers = scrape(client)
    assert {key: n for key, n in numbers.items() if "tasks" in key and n} == {
        "loki_tasks_total in_progress": 1
    }


def test_without_a_state_folder_every_family_is_there_until_there_is_one(place: Place) -> None:
    place.loki.rmdir()
    client = place.client()
    zeros = scrape(client)
    assert zeros.pop("loki_iteration_max") == 1000
    assert (zeros.pop("loki_up"), zeros.pop("loki_audit_writable")) == (1, 1)
    of_server = ("loki_build", "loki_index")
    assert {value for name, value in zeros.items() if not name.startswith(of_server)} == {0}
    assert not place.loki.exists()
    place.write("events.jsonl", "{}\n{}\n")
    assert scrape(client)["loki_events_total"] == 2


@pytest.mark.parametrize(
    "state",
    [
        *([1, 2], "x", 5, None, "{"),
        '{"iteration": "NaN\\n# x", "tasks": 5, "agents": {"a": NaN}}',
        '{"iteration": NaN, "startedAt": 1e999, "tasks": {"pending": [1, null, {"id": []}]}}',
        {"iteration": {}, "currentIteration": -4, "startedAt": "never", "mode": ["autonomous"]},
        {"iteration": 1e300, "agents": ["a", None], "tasks": {"inProgress": "x"}},
    ],
)
def test_no_content_gets_into_the_exposition(place: Place, client: FlaskClient, state: Any) -> None:
    place.write("dashboard-state.json", state)
    for name in ("state/agents.json", "queue/pending.json", "council/state.json"):
        place.write(name, state)
    place.write("metrics/efficiency/iteration-1.json", '{"cost_usd": NaN, "input_tokens": "x"}')
    place.write("metrics/efficiency/iteration-2.json", '{"cost_usd": 1e999}')
    numbers = scrape(client)
    assert all(0 <= number < 1e15 for number in numbers.values())
    assert "# x" not in client.get("/metrics").get_data(as_text=True)


@pytest.fixture
def zombie(children: Children) -> int:
    return children.zombie()


def session_file(kind: str) -> Any:
    now = datetime.now(UTC)
    return {
        "missing": None,
        "fresh": {"status": "running", "startedAt": (now - timedelta(minutes=1)).isoformat()},
        "stale": {"status": "running", "startedAt": (now - timedelta(hours=7)).isoformat()},
        "stopped": {"status": "stopped"},
        "broken": '{"status": "runn',
    }[kind]


@pytest.mark.parametrize("session_kind", ["missing", "fresh", "stale", "stopped", "broken"])
@pytest.mark.parametrize("pid", ["live", "dead", "zombie", "-1", "0", "garbage", "own", ""])
@pytest.mark.parametrize("control", ["", "PAUSE", "STOP"])
def test_status_and_metrics_agree_on_what_lives(
    place: Place,
    client: FlaskClient,
    sleeper: int,
    zombie: int,
    pid: str,
    session_kind: str,
    control: str,
) -> None:
    pids = {"live": sleeper, "dead": DEAD_PID, "zombie": zombie, "own": os.getpid()}
    if pid:
        place.write("loki.pid", f"{pids.get(pid, pid)}\n")
    if session_kind != "missing":
        place.write("session.json", session_file(session_kind))
    if control:
        place.write(control, "")
    alive = pid == "live" or session_kind == "fresh"
    expected = 0 if not alive else 2 if control == "PAUSE" else 1
    numbers = scrape(client)
    status = client.get("/api/status").get_json()
    codes = {"stopped": 0, "running": 1, "autonomous": 1, "paused": 2}
    assert numbers["loki_session_status"] == codes[status["status"]] == expected
    assert numbers["loki_agents_active"] == status["running_agents"]
    assert (numbers["loki_uptime_seconds"] > 0) == alive


def test_events_are_counted_as_they_come(place: Place, client: FlaskClient) -> None:
    path = place.write("events.jsonl", '{"type": "a"}\n{"type": "b"}\n{"type": "c')
    assert scrape(client)["loki_events_total"] == 2
    with path.open("a") as stream:
        stream.write('"}\n' + '{"type": "d"}\n' * 5)
    assert scrape(client)["loki_events_total"] == 8


def write_events(path: Path, first: int, last: int, end: str = "\n") -> None:
    path.write_text("\n".join(f'{{"type": "a", "n": {n}}}' for n in range(first, last)) + end)


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ((60, 100), 100),  # trimmed to the last lines
        ((60, 105), 105),  # and written again
        ((100, 130), 130),  # rotated
        ((100, 200), 200),  # and as many lines as before
        ((40, 140), 140),
        ((200, 201), 101),
        ((0, 0), 100),  # emptied
        ((0, 90), 100),  # cut off
        (None, 100),
    ],
)
def test_the_number_of_events_never_falls(
    place: Place, then: tuple[int, int] | None, expected: int
) -> None:
    path = place.loki / "events.jsonl"
    write_events(path, 0, 100)
    clients = [place.client() for _ in range(3)]  # two of them see the file before and after
    seen = [scrape(client)["loki_events_total"] for client in clients[:2]]
    if then:
        write_events(path, *then, end="\n" if then[1] else "")
    else:
        path.unlink()
    seen += [scrape(client)["loki_events_total"] for client in clients]
    assert seen == [100, 100, *[expected] * 3]
    with path.open("a") as stream:
        stream.write('{"type": "b"}\n{"type": "c"}\n{"type": "torn')
    more = [scrape(client)["loki_events_total"] for client in reversed(clients)]
    assert more == [expected + 2] * 3


@pytest.mark.parametrize(
    ("rotated", "new", "expected"),
    [
        ((0, 105), (105, 107), 107),
        ((0, 100), (100, 107), 107),
        ((0, 105), (105, 205), 205),
        ((60, 105), (105, 107), 107),
        ((0, 90), (105, 107), 102),  # of another time
        ((105, 110), (110, 112), 102),  # rotated twice
        ((0, 105), (0, 0), 100),  # counted when there are lines again
    ],
)
def test_events_are_counted_that_were_rotated_before_they_were_seen(
    place: Place, rotated: tuple[int, int], new: tuple[int, int], expected: int
) -> None:
    path = place.loki / "events.jsonl"
    write_events(path, 0, 100)
    clients = [place.client() for _ in range(2)]
    assert scrape(clients[0])["loki_events_total"] == 100
    write_events(path.with_name("events.jsonl.1"), *rotated)
    write_events(path, *new, end="\n" if new[1] else "")
    assert [scrape(each)["loki_events_total"] for each in clients * 2] == [expected] * 4


@pytest.mark.slow
def test_a_large_journal_is_counted_once(place: Place, client: FlaskClient) -> None:
    line = b'{"type": "iteration_start", "data": {"text": "' + b"x" * 950 + b'"}}\n'
    path = place.write("events.jsonl", line * 60_000)
    assert scrape(client)["loki_events_total"] == 60_000
    with path.open("ab") as stream:
        stream.write(line * 5)
    before = bytes_read()
    assert scrape(client)["loki_events_total"] == 60_005
    assert bytes_read() - before < 1 << 20


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "text/plain",
        "application/openmetrics-text; version=one",
        "text/plain; version=newest",
        "application/json",
    ],
)
def test_the_plain_format_is_what_most_get(client: FlaskClient, accept: str | None) -> None:
    response = client.get("/metrics", headers={"Accept": accept} if accept else {})
    assert (response.status_code, response.headers["Content-Type"]) == (200, PLAIN)
    assert response.data.endswith(b"\n")


def test_openmetrics_is_sent_on_request(place: Place, client: FlaskClient) -> None:
    place.write("events.jsonl", "{}\n")
    response = client.get(
        "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    text = response.get_data(as_text=True)
    parse: Callable[[str], Iterator[Metric]] = openmetrics.text_string_to_metric_families
    families = list(parse(text))
    assert len(families) == 9 + len(OWN)
    counter = next(family for family in families if family.type == "counter")
    assert [(s.name, s.value) for s in counter.samples] == [("loki_events_total", 1)]
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["loki_cost_usd"], ["loki_cost_usd"]),
        (["loki_events_total"], ["loki_events_total"]),
        (["loki_tasks_total", "loki_cost_usd"], ["loki_tasks_total"] * 4 + ["loki_cost_usd"]),
        (["nope"], []),
    ],
)
def test_only_requested_samples_are_returned(
    client: FlaskClient, names: list[str], expected: list[str]
) -> None:
    response = client.get("/metrics", query_string=[("name[]", name) for name in names])
    text = response.get_data(as_text=True)
    exposed = [s.name for family in text_string_to_metric_families(text) for s in family.samples]
    assert exposed == expected


@pytest.mark.parametrize("name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
def test_a_variable_meant_for_other_programs_changes_nothing(
    session: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    expected = scrape(session.client())
    monkeypatch.setenv(name, str(session.home / "not there"))
    assert scrape(session.client()) == expected


def test_metrics_answer_head_and_refuse_other_methods(client: FlaskClient) -> None:
    response = client.head("/metrics")
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Type"] == PLAIN
    assert client.post("/metrics").status_code == 405


def test_metrics_are_in_the_openapi_document(client: FlaskClient) -> None:
    operation = client.get("/openapi.json").get_json()["paths"]["/metrics"]["get"]
    assert "text/plain" in operation["responses"]["200"]["content"]
    assert operation["tags"] == ["metrics"]
