"""Requests by the thousand: wrk, or one after another where a single one takes long."""

import http.client
import re
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.servers import Server

CONNECTIONS = 4
_SLOW_MILLISECONDS = (
    100.0  # from here on what is unfinished when wrk ends would distort its figures
)
_MOST_SECONDS = 15.0
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass
class Run:
    """:param cpu: microseconds of the workers' CPU a request.
    :param p50: milliseconds, as `p99`.
    :param errors: answers that were neither 2xx nor 3xx, and connections that failed.
    """

    requests: int
    seconds: float
    cpu: float
    p50: float
    p99: float
    errors: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def figures(self) -> dict[str, float]:
        return {**asdict(self), "rate": self.rate}


def require_wrk() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: apt-get update && apt-get install -y wrk")


def measure(server: Server, path: str, headers: Mapping[str, str], seconds: float) -> Run:
    """Ask for one path as often as it goes within the seconds."""
    is_slow = min(_ask(server, path, headers, 0.0, 2)[0]) > _SLOW_MILLISECONDS
    before, began = server.cpu_seconds(), time.perf_counter()
    if is_slow:
        latencies, errors = _ask(server, path, headers, seconds, 3)
        took = time.perf_counter() - began
        p50, p99, count = statistics.median(latencies), max(latencies), len(latencies)
    else:
        count, took, p50, p99, errors = _wrk(server.url + path, headers, seconds)
    cpu = (server.cpu_seconds() - before) / max(count, 1) * 1e6
    return Run(count, took, cpu, p50, p99, errors)


def measure_single(
    server: Server, path: str, headers: Mapping[str, str], seconds: float
) -> dict[str, float]:
    """Ask for one path again and again as one client that waits for each answer.

    :return: percentiles of the milliseconds of all requests, and the maximum. Those of wrk are
        not comparable: it counts a slow request once more for each that it would have sent
        meanwhile.
    """
    began = time.perf_counter()
    latencies, errors = _ask(server, path, headers, seconds, 3)
    took, count = time.perf_counter() - began, len(latencies)
    *_, p99 = percentiles = statistics.quantiles(latencies, n=100, method="inclusive")
    figures = {"p50": percentiles[49], "p99": p99, "max": max(latencies)}
    return {**figures, "requests": count, "rate": count / took, "errors": errors}


def total(runs: list[Run]) -> Run:
    """Combine runs: sums of counts, medians of CPU and latencies (one busy run does not count)."""
    figures = ((run.cpu, run.p50, run.p99) for run in runs)
    cpu, p50, p99 = (statistics.median(values) for values in zip(*figures, strict=True))
    count, errors = sum(run.requests for run in runs), sum(run.errors for run in runs)
    return Run(count, sum(run.seconds for run in runs), cpu, p50, p99, errors)


def _ask(
    server: Server, path: str, headers: Mapping[str, str], seconds: float, least: int
) -> tuple[list[float], int]:
    """Send requests one after another on one connection; return their milliseconds and errors."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    latencies: list[float] = []
    errors = 0
    began = time.perf_counter()
    while (past := time.perf_counter() - began) < seconds or len(latencies) < least:
        if past > _MOST_SECONDS and latencies:
            break
        started_at = time.perf_counter()
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        answer.read()
        latencies.append((time.perf_counter() - started_at) * 1000)
        errors += answer.status >= 400
    connection.close()
    return latencies, errors


def _wrk(
    url: str, headers: Mapping[str, str], seconds: float
) -> tuple[int, float, float, float, int]:
    options = [f"-H{name}: {value}" for name, value in headers.items()]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "--timeout", "60s", "--latency", *options, url]
    report = _run_wrk(command, seconds)
    match = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", report)
    if match is None:
        raise SystemExit(f"wrk failed: {report}")
    took = float(match[2]) * _UNITS[match[3]] / 1000
    p50, p99 = (_percentile(report, share) for share in (50, 99))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    broken = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    errors = int(failed[1]) if failed else 0
    errors += sum(int(number) for number in broken.groups()) if broken else 0
    return int(match[1]), took, p50, p99, errors


def _run_wrk(command: list[str], seconds: float) -> str:
    """Return the report of wrk, which takes whole seconds: SIGINT ends it earlier."""
    process = subprocess.Popen(
        [*command, f"-d{int(seconds) + 1}s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while process.poll() is None and not _catches_interrupt(process.pid):
        time.sleep(0.001)
    try:
        report, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        report, _ = process.communicate(timeout=90)
    return report


def _catches_interrupt(pid: int) -> bool:
    """Return whether a process has begun to catch SIGINT, which ends it until then."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    match = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return match is not None and bool(int(match[1], 16) >> (signal.SIGINT - 1) & 1)


def _percentile(report: str, share: int) -> float:
    match = re.search(rf"\s{share}%\s+([\d.]+)(us|ms|s|m)\b", report)
    return float(match[1]) * _UNITS[match[2]] if match else 0.0
