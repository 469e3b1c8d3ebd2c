"""Sockets by the hundred and the ten thousand, on gunicorn with the hub and on uvicorn.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.sockets --connections 100 1000 10000 --changes 12

Prints a table in Markdown: memory a connection, the time from the change of a file to the last
subscriber, and what is left for the REST API. Client and server share one machine: only the ratios
of one run mean anything.
"""

import argparse
import http.client
import json
import os
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
TASK = b'"task'  # in messages of tasks
_PING, _PONG = b"\x89", b"\x8a\x80\0\0\0\0"  # the server closes connections that do not answer
_MOST_SECONDS = 30.0  # within which all clients must have a message
KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
COMMANDS = {
    "gunicorn + hub": ("-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"),
    "uvicorn + websockets": (
        *("-m", "uvicorn", "benchmarks.peer:app", "--log-level", "error"),
        *("--ws", "websockets", "--ws-per-message-deflate", "false", "--port", "{port}"),
    ),
}


@dataclass(frozen=True)
class Figures:
    """Times in milliseconds, memory in KiB a connection, requests a second."""

    connect: float
    memory: float
    first: float
    last: float
    requests: float


class Subscribers:
    """Many clients in one thread."""

    def __init__(self, port: int, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._sockets = [self._connected(port, number) for number in range(count)]

    def _connected(self, port: int, number: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        lines = ("GET /ws HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket")
        more = ("Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")
        sock.sendall("\r\n".join([*lines, *more, "", ""]).encode())
        if not sock.recv(4096).startswith(b"HTTP/1.1 101"):
            raise SystemExit("a connection was refused: is the limit of open files high enough?")
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ, number)
        return sock

    def hear(self, seconds: float) -> Iterator[tuple[int, bytes]]:
        """Yield the number of a client and what it gets, for some seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                sock = self._sockets[key.data]
                data = sock.recv(65536)
                if not data:
                    self._selector.unregister(sock)  # closed by the server: readable for ever
                if _PING in data:
                    sock.sendall(_PONG)
                yield key.data, data

    def hear_once(self, seconds: float = 2.0) -> None:
        """Take what comes within some seconds."""
        for _ in self.hear(seconds):
            pass

    def times_to_hear(self, mark: bytes = b"") -> list[float]:
        """Return when each client gets a message with these bytes, the first one first."""
        times: dict[int, float] = {}
        for number, data in self.hear(_MOST_SECONDS):
            if mark in data:
                times.setdefault(number, time.perf_counter())
            if len(times) == len(self._sockets):
                return sorted(times.values())
        raise SystemExit(f"only {len(times)} of {len(self._sockets)} clients were told")

    def close(self) -> None:
        for one in self._sockets:
            one.close()


@contextmanager
def server(name: str, loki: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A server with one process for everything: its port, and the process that serves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = {"LOKI_DIR": str(loki), "HOME": str(loki.parent), "LOKI_WORKERS": "1"}
    limits = {"LOKI_DASHBOARD_PORT": str(port), "LOKI_MAX_WS_CONNECTIONS": "100000"}
    command = [sys.executable, *(word.format(port=port) for word in COMMANDS[name])]
    env = {**os.environ, **settings, **limits}
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            master = psutil.Process(process.pid)
            yield port, next(iter(master.children()), master)
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            _get(port, "/health")
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def _get(port: int, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    connection.getresponse().read()
    connection.close()


def measure(name: str, count: int, changes: int, seconds: float) -> Figures:
    """:param changes: how many are told; the figures are medians of them.
    :param seconds: for which requests are made while all the sockets are open.
    """
    with tempfile.TemporaryDirectory() as folder:
        pending = Path(folder, ".loki", "queue", "pending.json")
        pending.parent.mkdir(parents=True)
        pending.write_text("[]")
        with server(name, pending.parent.parent) as (port, process):
            first = Subscribers(port, 1)  # what the first one costs, the others do not
            before = process.memory_info().rss
            began = time.perf_counter()
            subscribers = Subscribers(port, count)
            connect = time.perf_counter() - began
            subscribers.hear_once()
            first.close()
            memory = (process.memory_info().rss - before) / 1024 / count if count else 0.0
            firsts, lasts = [], []
            for number in range(changes if count else 0):
                changed = time.perf_counter()
                pending.write_text(json.dumps([{"id": f"t{number}", "title": "A task"}]))
                times = subscribers.times_to_hear(TASK)
                firsts.append((times[0] - changed) * 1000)
                lasts.append((times[-1] - times[0]) * 1000)
                subscribers.hear_once(0.3)
            requests = throughput(port, seconds)
            subscribers.close()
    return Figures(connect * 1000, memory, median(firsts), median(lasts), requests)


def throughput(port: int, seconds: float) -> float:
    """Requests a second for the list of tasks, on two connections that are kept."""
    counts = [0, 0]
    until = time.perf_counter() + seconds

    def ask(index: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while time.perf_counter() < until:
            connection.request("GET", "/api/tasks")
            connection.getresponse().read()
            counts[index] += 1
        connection.close()

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def table(figures: dict[tuple[str, int], Figures]) -> str:
    """The figures, and what the first server's are of the second's.

    The two answer requests with different amounts of work, so what the sockets leave of each
    server's own rate is compared.
    """
    lines = [
        "| server | sockets | to connect all, ms | KiB each | file to first, ms "
        "| first to last, ms | GET /api/tasks a second | of the rate without sockets |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (name, count), one in figures.items():
        kept = one.requests / figures[name, 0].requests
        values = (one.connect, one.memory, one.first, one.last, one.requests, kept)
        lines.append(f"| {name} | {count} | " + " | ".join(f"{x:.2f}" for x in values) + " |")
    ours, peer = COMMANDS
    for count in sorted({count for _, count in figures if count}):
        a, b = figures[ours, count], figures[peer, count]
        pairs = [(a.connect, b.connect), (a.memory, b.memory), (a.first, b.first)]
        alone = figures[ours, 0].requests, figures[peer, 0].requests
        pairs += [(a.last, b.last), (a.requests, b.requests)]
        pairs += [(a.requests / alone[0], b.requests / alone[1])]
        ratios = " | ".join(f"{x / y:.2f}" if y else "-" for x, y in pairs)
        lines.append(f"| *ratio ours : peer* | {count} | {ratios} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Sockets on gunicorn with the hub and on uvicorn.")
    parser.add_argument("--connections", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--changes", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    figures = {
        (name, count): measure(name, count, options.changes, options.seconds)
        for count in (0, *options.connections)
        for name in COMMANDS
    }
    sys.stdout.write(table(figures) + "\n")


if __name__ == "__main__":
    main()
