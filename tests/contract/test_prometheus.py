"""A real Prometheus scrapes the server, with the rules and the dashboard of deploy/."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support import places
from tests.support.programs import needed
from tests.support.servers import ROOT, Server, free_port, serving
from tests.support.waiting import PATIENCE_SECONDS, wait_until

DEPLOYED = ROOT / "deploy/prometheus"
RULES, RULE_TESTS = DEPLOYED / "rules/loki-web.rules.yml", DEPLOYED / "loki-web.test.yml"
DASHBOARD = json.loads((ROOT / "deploy/grafana/loki-web.json").read_bytes())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
CONFIG = f"""
global: {{{{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}}}
rule_files: [{RULES}]
scrape_configs:
  - job_name: loki-web
    static_configs: [{{{{targets: ["{{target}}"]}}}}]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sleeper: int) -> Iterator[Server]:
    place = places.recorded(tmp_path_factory.mktemp("p") / "p", live_pid=sleeper, today=True)
    nobody = f"127.0.0.1:{free_port()}"  # the metrics of what is set up are there all the same
    with serving(
        place, workers=2, LOKI_BUDGET_LIMIT="100",
        LOKI_REDIS_URL=f"redis://{nobody}", LOKI_WEBHOOK_URL=f"http://{nobody}",
    ) as server:  # fmt: skip
        yield server


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that scrapes the server each second."""
    program, folder = needed("prometheus", "prometheus"), tmp_path_factory.mktemp("prometheus")
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(target=server.host))
    address = f"127.0.0.1:{free_port()}"
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with subprocess.Popen(
        [*command, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL
    ) as process:
        yield f"http://{address}"
        process.terminate()


def asked(url: str, **parameters: str) -> Any:
    try:
        return requests.get(url, parameters, timeout=PATIENCE_SECONDS).json()["data"]
    except (requests.RequestException, ValueError, KeyError):
        return None


def target(prometheus: str) -> Any:
    """What is known of the server once it was scraped; a scrape in a busy second comes too late."""
    found = asked(f"{prometheus}/api/v1/targets")
    for one in found["activeTargets"] if found else []:
        if one["health"] != "unknown" and "deadline exceeded" not in one["lastError"]:
            return one
    return None


def value(prometheus: str, query: str) -> float | None:
    found = asked(f"{prometheus}/api/v1/query", query=query)
    return float(found["result"][0]["value"][1]) if found and found["result"] else None


def test_the_scrape_succeeds_and_the_samples_are_those_of_the_api(
    prometheus: str, server: Server
) -> None:
    seen = wait_until(lambda: target(prometheus), "a scrape")
    assert (seen["health"], seen["lastError"]) == ("up", "")
    status = server.get("/api/status").json()
    for query, expected in [
        ("loki_session_status", 1),
        ("loki_iteration_current", status["iteration"]),
        ('loki_tasks_total{status="pending"}', status["pending_tasks"]),
        ('count(loki_http_request_duration_seconds_count{route="/api/status"})', 1),
    ]:
        wait_until(lambda query=query: value(prometheus, query) is not None, query)  # type: ignore[misc]
        assert value(prometheus, query) == expected, query


def test_each_query_of_the_dashboard_finds_something(prometheus: str, server: Server) -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        for target in panel["targets"]:
            query = re.sub(r"\$(?:job|instance)\b", ".*", target["expr"])
            query = query.replace("$__rate_interval", "1m")
            assert "$" not in query
            server.get("/api/status")
            wait_until(lambda query=query: value(prometheus, query) is not None, query)  # type: ignore[misc]


def test_each_rule_can_be_evaluated(prometheus: str) -> None:
    def healths() -> set[str]:
        groups = (asked(f"{prometheus}/api/v1/rules") or {"groups": []})["groups"]
        return {rule["health"] for group in groups for rule in group["rules"]}

    wait_until(lambda: healths() - {"unknown"} == healths() != set(), "an evaluation of all")
    assert healths() == {"ok"}


@pytest.mark.slow
def test_the_rules_fire_when_they_should_and_each_alert_is_tested() -> None:
    promtool = needed("promtool", "prometheus")
    subprocess.run([promtool, "check", "rules", RULES], check=True, capture_output=True)
    subprocess.run([promtool, "check", "config", DEPLOYED / "prometheus.yml"], check=True)
    subprocess.run([promtool, "test", "rules", RULE_TESTS.name], check=True, cwd=DEPLOYED)
    tested = re.findall(r'alertname="(\w+)"', RULE_TESTS.read_text())
    assert set(tested) == set(re.findall(r"- alert: (\w+)", RULES.read_text()))


def test_every_metric_in_deploy_is_one_of_ours(server: Server) -> None:
    exposed = set(re.findall(r"(?m)^# TYPE (\w+)", server.get("/metrics").text))
    texts = RULES.read_text() + RULE_TESTS.read_text() + json.dumps(DASHBOARD)
    used = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"\bloki_\w+", texts)}
    assert used <= exposed
