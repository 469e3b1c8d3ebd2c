"""Measure what others lose while clients are slow on purpose: first bytes, heads, responses.

    python -m benchmarks.attacks --seconds 4

For each attack: the slowest `/health` of somebody else, how many were answered, and how many lost.
"""

import argparse
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import requests

from benchmarks.servers import Server, serving

CLIENTS = 32  # four times the threads of a worker
_TIMEOUT_SECONDS = 5.0
_ATTACKS = {
    "nobody": None,
    "a byte each": b"\x16",
    "half heads": b"GET /hea",
    "pipelined, answers not read": b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each attack")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        loki = home / "project" / ".loki"
        loki.mkdir(parents=True)
        with serving("wsgi:app", home=home, loki=loki, cache=home / "cache") as server:
            print("| attack | answered | lost | slowest, ms |\n|---|---|---|---|")  # noqa: T201
            for name, said in _ATTACKS.items():
                answered, lost, slowest = _attack(server, said, seconds)
                print(f"| {name} | {answered} | {lost} | {slowest * 1000:.0f} |")  # noqa: T201


def _attack(server: Server, said: bytes | None, seconds: float) -> tuple[int, int, float]:
    """Return how many requests were answered and lost during an attack, and the slowest time."""
    answered, lost, slowest = 0, 0, 0.0
    with ExitStack() as stack:
        for _ in range(CLIENTS if said is not None else 0):
            sock = socket.create_connection(("127.0.0.1", server.port), timeout=_TIMEOUT_SECONDS)
            stack.enter_context(sock).sendall(said or b"")
        end = time.monotonic() + seconds
        while (began := time.monotonic()) < end:
            try:
                requests.get(f"{server.url}/health", timeout=_TIMEOUT_SECONDS).raise_for_status()
                answered += 1
            except requests.RequestException:
                lost += 1
            slowest = max(slowest, time.monotonic() - began)
    return answered, lost, slowest


if __name__ == "__main__":
    main()
