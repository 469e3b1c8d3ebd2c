"""Measure how soon a server ends, and the cost of its listeners.

    python -m benchmarks.ending --sockets 100 --turns 5

Prints a table in Markdown: from SIGTERM to the first and to the last socket that is told 1001, to
the end of the process, and the part of a CPU that listeners cost while nothing happens.
"""

import argparse
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.sockets import Subscribers, server

GUNICORN = "gunicorn + hub"


def measure(sockets: int, seconds: float) -> tuple[float, float, float, float]:
    """Milliseconds to the first and the last goodbye and to the end, and percent of a CPU.

    :param seconds: for which nothing happens before.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, ".loki").mkdir()
        with server(GUNICORN, Path(folder, ".loki")) as (port, worker):
            subscribers = Subscribers(port, sockets)
            subscribers.hear_once()
            used = sum(worker.cpu_times()[:2])
            time.sleep(seconds)
            idle = (sum(worker.cpu_times()[:2]) - used) / seconds
            began = time.perf_counter()
            master = psutil.Process(worker.ppid())
            master.send_signal(signal.SIGTERM)
            times = subscribers.times_to_hear()
            subscribers.close()
            master.wait()
            end = time.perf_counter()
    return (times[0] - began) * 1e3, (times[-1] - began) * 1e3, (end - began) * 1e3, idle * 100


def main() -> None:
    parser = argparse.ArgumentParser(description="How soon a server ends.")
    parser.add_argument("--sockets", type=int, default=100)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    turns = [measure(options.sockets, options.seconds) for _ in range(options.turns)]
    medians = " | ".join(f"{statistics.median(column):.1f}" for column in zip(*turns, strict=True))
    sys.stdout.write(
        "| sockets | first 1001, ms | last 1001, ms | end, ms | idle, % of a CPU |\n"
        "|---|---|---|---|---|\n"
        f"| {options.sockets} | {medians} |\n"
    )


if __name__ == "__main__":
    main()
