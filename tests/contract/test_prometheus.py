"""A real Prometheus scrapes the server and has no complaint."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import places
from tests.support.programs import needed
from tests.support.servers import Server, free_port, serving
from tests.support.waiting import PATIENCE_SECONDS, wait_until

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: loki-mode
    static_configs: [{{targets: ["{target}"]}}]
"""


@pytest.fixture
def server(tmp_path: Path, sleeper: int) -> Iterator[Server]:
    place = places.recorded(tmp_path / "p", live_pid=sleeper, today=True)
    with serving(place, workers=2) as server:
        yield server


@pytest.fixture
def prometheus(server: Server, tmp_path: Path) -> Iterator[str]:
    """The address of a Prometheus that scrapes the server each second."""
    program = needed("prometheus", "prometheus")
    config = tmp_path / "prometheus.yml"
    config.write_text(CONFIG.format(target=server.host))
    address = f"127.0.0.1:{free_port()}"
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}"]
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
