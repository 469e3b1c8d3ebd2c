"""Measure the delay from a change to a WebSocket subscriber, and the CPU of an idle one."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import websocket

from benchmarks.records import compact, pretty, seconds
from benchmarks.servers import Server
from benchmarks.sessions import Session
from loki_web.demo.writers import Writers

_CHANNELS = ["tasks", "projects", "status", "agents", "logs", "notifications", "cost", "council"]
_LONGEST_WAIT = 20.0

# Makes the n-th change; returns a piece of the message that tells it.
Change = Callable[[int], str]


@contextmanager
def _subscriber(server: Server, channels: list[str]) -> Iterator[websocket.WebSocket]:
    client = websocket.create_connection(
        f"ws://127.0.0.1:{server.port}/ws", timeout=_LONGEST_WAIT, suppress_origin=True
    )
    client.send(json.dumps({"type": "subscribe", "data": {"channels": channels}}))
    while json.loads(client.recv())["type"] != "subscribed":
        pass
    _drain(client)
    yield client
    client.close()


def _drain(client: websocket.WebSocket, quiet: float = 0.3) -> None:
    """Take what there is until nothing has come for a while."""
    client.settimeout(quiet)
    try:
        while True:
            client.recv()
    except websocket.WebSocketTimeoutException:
        client.settimeout(_LONGEST_WAIT)


def idle_cpu(server: Server, duration: float) -> float:
    """Percent of one core that the workers use with one subscriber while nothing changes."""
    with _subscriber(server, _CHANNELS) as client:
        _drain(client, 2.0)
        before, began = server.cpu_seconds(), time.monotonic()
        time.sleep(duration)
        return 100 * (server.cpu_seconds() - before) / (time.monotonic() - began)


def latencies(
    server: Server, session: Session, samples: int, most_seconds: float
) -> dict[str, dict[str, float]]:
    """Milliseconds from the end of a write to its message, for three kinds of change.

    :param most_seconds: after which a kind ends early.
    """
    session.discard()
    figures = {}
    for name, (channel, change) in _changes(session).items():
        with _subscriber(server, [channel]) as client:
            latencies = _sample(client, change, samples, most_seconds)
        figures[name] = {
            "samples": len(latencies),
            "p50": statistics.median(latencies),
            "p99": sorted(latencies)[int(len(latencies) * 0.99)],
        }
    return figures


def _sample(
    client: websocket.WebSocket, change: Change, samples: int, most_seconds: float
) -> list[float]:
    latencies: list[float] = []
    began = time.monotonic()
    while len(latencies) < samples and time.monotonic() - began < most_seconds:
        piece = change(len(latencies))
        changed = time.perf_counter()
        try:
            while piece not in str(client.recv()):
                pass
        except websocket.WebSocketTimeoutException:
            latencies.append(_LONGEST_WAIT * 1000)
            continue
        latencies.append((time.perf_counter() - changed) * 1000)
        time.sleep(0.02 + len(latencies) % 7 * 0.01)  # so that changes meet no rhythm of the server
    return latencies


def _changes(session: Session) -> dict[str, tuple[str, Change]]:
    write = Writers(session.loki)
    pending: list[Any] = write.read("queue/pending.json", [])

    def log(number: int) -> str:
        write.line("logs/agent.log", f"Sample {number} of the benchmark")
        return f"Sample {number} of the benchmark"

    def event(number: int) -> str:
        data = {"iteration": 100_000 + number, "provider": "claude", "prd": "./prd.md"}
        record = {"timestamp": seconds(time.time()), "type": "iteration_start", "data": data}
        write.line("events.jsonl", compact(record))
        return f'"iteration":{100_000 + number}'

    def task(number: int) -> str:
        pending[0]["payload"]["action"] = f"Sample {number} of the benchmark"
        write.in_place("queue/pending.json", pretty(pending).decode())
        return f"Sample {number} of the benchmark"

    return {
        "log line": ("logs", log),
        "event": ("status", event),
        "queue file": ("tasks", task),
    }
