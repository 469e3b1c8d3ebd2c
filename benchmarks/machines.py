"""Two servers with files and an edge without, which share a Redis server.

    pip install -e '.[redis]'
    python -m benchmarks.machines --connections 100 1000 10000 --changes 12

Prints tables in Markdown: the time from the change of a file on one machine to the last subscriber
of the edge; what happens to what is written while Redis is killed and started again, with one
subscriber and with the most; and requests a second with and without Redis. Everything runs on one
machine, which it has to itself: only the ratios of one run mean anything.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import requests

from benchmarks.sockets import ROOT, TASK, Subscribers, throughput

_KILLS = 3
_LINES = 300
_TASKS = 24


class Redis:
    """A Redis server that keeps nothing when it is killed."""

    def __init__(self, folder: str) -> None:
        self.port = _free_port()
        program = shutil.which("redis-server") or sys.exit("redis-server is missing")
        self._command = [program, "--port", str(self.port), "--save", "", "--dir", folder]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def serving(folder: Path, name: str, redis: Redis | None, **settings: str) -> Iterator[int]:
    """:return: the port of a server on an empty project."""
    port, loki = _free_port(), folder / name / ".loki"
    (loki / "queue").mkdir(parents=True)
    (loki / "logs").mkdir()
    url = f"redis://127.0.0.1:{redis.port}/0" if redis else ""
    env = {
        **os.environ,
        "HOME": str(folder / name),
        "LOKI_DIR": str(loki),
        "LOKI_DASHBOARD_PORT": str(port),
        "LOKI_WORKERS": "1",
        "LOKI_MAX_WS_CONNECTIONS": "100000",
        "LOKI_REDIS_URL": url,
        "LOKI_MACHINE": name,
        **settings,
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/health")
            yield port
        finally:
            process.terminate()


def measure_delay(folder: Path, edge: int, count: int, changes: int) -> tuple[float, float]:
    """:return: milliseconds from a change to the first and to the last subscriber; medians."""
    subscribers = Subscribers(edge, count)
    subscribers.hear_once()
    firsts, lasts = [], []
    for number in range(changes):
        changed = time.perf_counter()
        write_tasks(folder, f"t{count}-{number}")
        times = subscribers.times_to_hear(TASK)
        firsts.append((times[0] - changed) * 1000)
        lasts.append((times[-1] - changed) * 1000)
        subscribers.hear_once(0.5)
    subscribers.close()
    return median(firsts), median(lasts)


def measure_outages(folder: Path, edge: int, redis: Redis) -> tuple[int, int, float]:
    """:return: lines that were lost, and told twice, and seconds until the last one was told."""
    heard: list[str] = []
    is_listening, is_done = threading.Event(), threading.Event()

    def listen() -> None:
        url = f"http://127.0.0.1:{edge}/api/events?channels=logs"
        with requests.get(url, stream=True, timeout=60) as stream:
            for line in stream.iter_lines(chunk_size=1):
                if b'"connected"' in line:
                    is_listening.set()
                if b"benchmark line" in line:
                    heard.append(json.loads(line.partition(b": ")[2])["data"]["message"])
                    if heard[-1].endswith(f" {_LINES - 1}"):
                        is_done.set()
                        return

    threading.Thread(target=listen, daemon=True).start()
    is_listening.wait()
    for number in range(_LINES):
        _kill_or_start(redis, number, _LINES)
        with (folder / "alpha/.loki/logs/session.log").open("a") as log:
            log.write(f"benchmark line {number}\n")
        time.sleep(0.02)
    written = time.monotonic()
    is_done.wait(60)
    return _LINES - len(set(heard)), len(heard) - len(set(heard)), time.monotonic() - written


def measure_outages_of_many(
    folder: Path, edge: int, redis: Redis, count: int
) -> tuple[int, int, int]:
    """Write tasks while Redis is killed and started again.

    :return: how many messages of new tasks all subscribers got, how many are missing, and how many
        came more than once.
    """
    subscribers = Subscribers(edge, count)
    subscribers.hear_once()
    heard = [b""] * count

    def listen(seconds: float) -> None:
        for number, data in subscribers.hear(seconds):
            heard[number] += data

    for number in range(_TASKS):
        _kill_or_start(redis, number, _TASKS)
        write_tasks(folder, *(f"crowd-{each:03}" for each in range(number + 1)))
        listen(1.0)
    listen(15.0)
    subscribers.close()
    marks = [f'"crowd-{number:03}"'.encode() for number in range(_TASKS)]
    told = [data.count(mark) for data in heard for mark in marks]
    return sum(told), told.count(0), sum(times - 1 for times in told if times)


def write_tasks(folder: Path, *names: str) -> None:
    path = folder / "alpha/.loki/queue/pending.json"
    path.write_text(json.dumps([{"id": name, "title": "A task"} for name in names]))


def _kill_or_start(redis: Redis, number: int, steps: int) -> None:
    """Before a step: _KILLS times Redis is killed, and started again half a period later."""
    period = steps // (_KILLS + 1)
    turn, within = divmod(number, period)
    if turn and within == 0:
        redis.kill()
    if turn and within == period // 2:
        redis.start()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, machine: str = "") -> None:
    for _ in range(300):
        try:
            answer = requests.get(url, timeout=5)
            if answer.ok and answer.headers.get("X-Loki-Project", "").startswith(machine):
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"no answer of {url}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--changes", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, redis = Path(name), Redis(name)
        stack.callback(redis.kill)
        alone = stack.enter_context(serving(folder, "alone", None))
        alpha = stack.enter_context(serving(folder, "alpha", redis))
        stack.enter_context(serving(folder, "beta", redis))
        edge = stack.enter_context(serving(folder, "edge", redis, LOKI_EDGE="true"))
        (folder / "alpha/.loki/logs/session.log").write_text("begin\n")
        write_tasks(folder, "first")
        _wait_for(f"http://127.0.0.1:{edge}/api/tasks", "alpha")
        say("| Subscribers | to the first, ms | to the last, ms |\n|---|---|---|")
        for count in options.connections:
            first, last = measure_delay(folder, edge, count, options.changes)
            say(f"| {count} | {first:.0f} | {last:.0f} |")
        lost, twice, seconds = measure_outages(folder, edge, redis)
        say(f"\n{_LINES} lines, Redis killed {_KILLS} times: {lost} lost, {twice} twice,")
        say(f"the last one {seconds:.1f} s after it was written")
        most = max(options.connections)
        told, lost, twice = measure_outages_of_many(folder, edge, redis, most)
        say(f"{_TASKS} tasks and {most} subscribers, Redis killed {_KILLS} times:")
        say(f"{told} messages, {lost} missing, {twice} too many")
        say("\n| `GET /api/tasks`, requests a second | |\n|---|---|")
        for label, port in (("without Redis", alone), ("with Redis", alpha), ("edge", edge)):
            say(f"| {label} | {throughput(port, options.seconds):.0f} |")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
