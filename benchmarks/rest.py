"""Every GET on sessions of three sizes, beside the bare view and a plain server, in one run.

    python -m benchmarks.rest --sizes S,M --routes /api/status,/api/tasks --parts steady,304

Needs the test extras and wrk (`apt-get install -y wrk`). For each route the servers take turns, so
that a drift of the machine meets all of them. Prints a table in Markdown for each part and writes
all figures to a JSON file after each step. Read the ratios of CPU a request: rates depend on what
else the machine does.

Parts: `counts` (files opened, looked at and read, regular expressions run), `steady` (unchanged
files, against the bare view and the plain server), `304`, `memory` (a worker, before and after
distinct queries), `cold` (the first request after a start, with an empty and with a warm cache
folder), `retrieve` (`POST /api/memory/retrieve`), `feed` (change to subscriber, idle CPU) and
`writer` (rates and latency while the session is written to). The last two change the session, which
is then made again; do not run two of these at once in one folder (`--where`). A folder in memory
(`--where /dev/shm/sessions`) keeps a busy disk out of the figures. Except for `cold`, a server is
ready (`/health/ready`) before it is measured.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from benchmarks import bare, feed, load, plain, records, servers, sessions
from benchmarks.load import Run
from benchmarks.servers import Server
from benchmarks.sessions import SIZES, Session
from tests.support import answers

# The ones in the README's table.
MAIN = (
    *("/health", "/api/status", "/api/tasks", "/api/logs?lines=100", "/api/memory/summary"),
    *("/api/memory/patterns", "/api/learning/metrics", "/api/learning/trends"),
    *("/api/learning/signals", "/api/cost", "/api/council/verdicts", "/api/agents"),
    *("/api/notifications", "/api/checkpoints", "/metrics"),
)
PARTS = ("counts", "steady", "304", "memory", "cold", "retrieve", "feed", "writer")
_CAPTURED = ("Content-Type", "Content-Encoding")
_WARM_SECONDS = 0.3
_RUNS_OF_A_CLIENT = 24  # as long as so many: some changes are several seconds apart
_OF_A_CLIENT = ("p50", "p99", "max")  # milliseconds
_SAMPLES = 120
_KIND_SECONDS = 60.0
_IDLE_SECONDS = 10.0
_RETRIEVALS = 100

Figures = dict[str, Any]  # of a size: part → route → server → figures


class Benchmark:
    """Measures one size.

    :param options: the command line.
    :param figures: where the figures are added.
    :param keep: called after each step.
    """

    def __init__(
        self, size: str, options: argparse.Namespace, figures: Figures, keep: Callable[[], None]
    ) -> None:
        self._size = size
        self._options = options
        self._keep = keep
        self._headers = {"Accept-Encoding": options.encoding}
        self._scratch = Path(tempfile.mkdtemp(prefix="loki-web-benchmark-"))
        self._session = sessions.session(size, options.where)
        self._figures = figures

    def run(self) -> None:
        try:
            for part in PARTS:  # those that change the session are the last
                if part in self._options.parts:
                    alone = part == "writer"  # which is a session itself
                    with nullcontext() if alone else servers.running_session(self._session.loki):
                        self._measure(part)
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _measure(self, part: str) -> None:
        work: dict[str, Callable[[], Iterator[tuple[str, Figures]]]] = {
            "steady": self._steady,
            "304": self._revalidated,
            "writer": self._written,
            "cold": self._cold,
            "memory": self._memory,
            "feed": self._feed,
            "retrieve": self._retrieve,
            "counts": self._counts,
        }
        for name, figures in work[part]():
            self._figures.setdefault(part, {})[name] = figures
            self._keep()
            _say(f"{self._size} {part} {name}: {_in_short(figures)}")

    # The servers

    @contextmanager
    def _ours(self) -> Iterator[Server]:
        """Our server, ready: the values that it computes at its start are there."""
        with self._starting("cache") as server:
            server.wait_for("/health/ready")
            yield server

    def _starting(self, cache: str) -> AbstractContextManager[Server]:
        return self._serving(servers.OURS, self._session, cache, self._options.tree)

    @contextmanager
    def _serving(
        self, target: str, session: Session, cache: str, tree: Path, **more: str
    ) -> Iterator[Server]:
        with servers.serving(
            target,
            home=session.home,
            loki=session.loki,
            cache=self._scratch / cache,
            tree=tree,
            **more,
        ) as server:
            yield server

    @contextmanager
    def _bare(self, captured: dict[str, bare.Answer]) -> Iterator[Server]:
        """The bare views under the same settings, on a session with nothing in it."""
        empty = Session(self._scratch / "empty")
        empty.loki.mkdir(parents=True, exist_ok=True)
        file = self._scratch / "answers"
        bare.save(file, list(captured.values()))
        tree, more = self._options.tree, {bare.VARIABLE: str(file)}
        with self._serving(servers.BARE, empty, "bare", tree, **more) as server:
            yield server

    # The parts

    def _steady(self) -> Iterator[tuple[str, Figures]]:
        with ExitStack() as stack:
            ours = stack.enter_context(self._ours())
            captured = self._captured(ours)
            rival = stack.enter_context(self._bare(captured))
            tree = self._options.tree
            simple = stack.enter_context(self._serving(servers.PLAIN, self._session, "cache", tree))
            alone = stack.enter_context(
                self._serving(servers.BARE_HEALTH, self._session, "cache", tree)
            )
            for number, (route, answer) in enumerate(captured.items()):
                path = answer[0]
                turns = {"ours": (ours, path), "bare": (rival, f"/{number}{path}")}
                if self._options.plain and path.partition("?")[0] in plain.ROUTES:
                    turns["plain"] = (simple, path)
                if path == "/health":
                    turns["wsgi"] = (alone, path)
                yield route, {"bytes": len(answer[3]), **self._turns(turns, self._headers)}

    def _revalidated(self) -> Iterator[tuple[str, Figures]]:
        with self._ours() as ours:
            etags = {
                route: ours.raw(path, self._headers)[1].get("ETag", "")
                for route, path in _paths(ours, self._options.routes)
            }
            captured = {
                route: self._capture(ours, path, {"If-None-Match": etags[route]})
                for route, path in _paths(ours, self._options.routes)
            }
            with self._bare(captured) as rival:
                for number, (route, (path, status, _, _)) in enumerate(captured.items()):
                    if status != 304:
                        yield route, {}
                        continue
                    turns = {"ours": (ours, path), "bare": (rival, f"/{number}{path}")}
                    headers = {**self._headers, "If-None-Match": etags[route]}
                    yield route, self._turns(turns, headers)

    def _written(self) -> Iterator[tuple[str, Figures]]:
        """Rates of several clients and latencies of a single one while the writer is at work."""
        command = (sys.executable, "-m", "benchmarks.writer", str(self._session.folder))
        with ExitStack() as stack:
            writer = subprocess.Popen(
                [*command, str(self._options.speed)],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(servers.ROOT)},
            )
            stack.callback(_end, writer)
            ours = stack.enter_context(self._ours())
            captured = self._captured(ours)
            rival = stack.enter_context(self._bare(captured))
            for number, (route, answer) in enumerate(captured.items()):
                path = answer[0]
                turns = {"ours": (ours, path), "bare": (rival, f"/{number}{path}")}
                rates = self._turns(turns, self._headers)
                seconds = self._options.seconds * _RUNS_OF_A_CLIENT
                single = load.measure_single(ours, path, self._headers, seconds)
                yield route, {**rates, "single": single}

    def _cold(self) -> Iterator[tuple[str, Figures]]:
        """The first request of a route after a start, of each route with a server of its own."""
        with self._ours() as ours:
            captured = self._captured(ours)
        for number, (route, (path, _, _, _)) in enumerate(captured.items()):
            times: Figures = {}
            for state in ("empty", "warm"):
                with self._starting(f"cold-{number}") as server:
                    times[f"{state} cache: start ms"] = server.start_milliseconds
                    started_at = time.perf_counter()
                    server.raw(path, self._headers)
                    times[f"{state} cache: first ms"] = (time.perf_counter() - started_at) * 1000
                    if state == "empty":
                        load.measure(server, path, self._headers, _WARM_SECONDS)
                        server.wait_for("/health/ready")
            yield route, times

    def _memory(self) -> Iterator[tuple[str, Figures]]:
        with self._ours() as ours:
            yield "after the start", _memory(ours)
            for path, _, _, _ in self._captured(ours).values():
                load.measure(ours, path, self._headers, _WARM_SECONDS)
            yield "after the routes", _memory(ours)
            queries = self._options.queries
            for done in range(1, queries + 1):
                _distinct_query(ours, done)
                if done == queries // 10:
                    yield "after a tenth of the distinct queries", _memory(ours)
            yield "after the distinct queries", {**_memory(ours), "queries": queries}

    def _feed(self) -> Iterator[tuple[str, Figures]]:
        with self._ours() as ours:
            yield "idle", {"cpu_percent": feed.idle_cpu(ours, _IDLE_SECONDS)}
            yield from feed.latencies(ours, self._session, _SAMPLES, _KIND_SECONDS).items()

    def _retrieve(self) -> Iterator[tuple[str, Figures]]:
        chance, milliseconds = random.Random(2), []
        with self._ours() as ours:
            for _ in range(_RETRIEVALS):
                body = {"query": f"{records.title(chance)} {records.text(chance)}", "topK": 5}
                started_at = time.perf_counter()
                ours.post("/api/memory/retrieve", body).raise_for_status()
                milliseconds.append((time.perf_counter() - started_at) * 1000)
        last = sorted(milliseconds)[int(len(milliseconds) * 0.99)]
        figures = {"p50": statistics.median(milliseconds), "p99": last, "first": milliseconds[0]}
        yield "POST /api/memory/retrieve", figures

    def _counts(self) -> Iterator[tuple[str, Figures]]:
        """In a process of its own, which serves nobody else."""
        home, loki, tree = self._session.home, self._session.loki, self._options.tree
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.counts", *self._options.routes],
            env=servers.environment(home, loki, self._scratch / "counts", tree),
            cwd=tree,
            stdout=subprocess.PIPE,
            check=True,
        )
        yield from json.loads(done.stdout).items()

    # The requests

    def _captured(self, server: Server) -> dict[str, bare.Answer]:
        """The answers of the routes that were asked for; those that are not 200 are left out."""
        answers = {
            route: self._capture(server, path, {})
            for route, path in _paths(server, self._options.routes)
        }
        return {route: answer for route, answer in answers.items() if answer[1] == 200}

    def _capture(self, server: Server, path: str, headers: dict[str, str]) -> bare.Answer:
        status, got, body = server.raw(path, {**self._headers, **headers})
        return path, status, {name: got[name] for name in _CAPTURED if name in got}, body

    def _turns(
        self, turns: dict[str, tuple[Server, str]], headers: dict[str, str]
    ) -> dict[str, Figures]:
        """Several short runs of each server, one after the other."""
        runs: dict[str, list[Run]] = {name: [] for name in turns}
        for server, path in turns.values():
            load.measure(server, path, headers, _WARM_SECONDS)
        for _ in range(self._options.rounds):
            for name, (server, path) in turns.items():
                runs[name].append(load.measure(server, path, headers, self._options.seconds))
        return {name: load.total(taken).figures() for name, taken in runs.items()}


def _paths(server: Server, routes: list[str]) -> Iterator[tuple[str, str]]:
    """Each route with its path, in which stands the first id that is listed."""
    for route in routes:
        yield route, next(answers.addresses(server.get, route), route)


def _memory(server: Server) -> Figures:
    used = server.memory()
    return {"rss": max(rss for rss, _ in used), "pss": max(pss for _, pss in used)}


def _distinct_query(server: Server, number: int) -> None:
    """Send a query that no other number sends: signals, log lines or a search, in turn.

    The numbers of log lines are mixed, so that memory does not grow with the answers.
    """
    if number % 3 == 0:
        server.get(f"/api/learning/signals?offset={number}&limit=20")
    elif number % 3 == 1:
        server.get(f"/api/logs?lines={number * 7919 % 10_000 + 1}")
    else:
        server.post("/api/memory/retrieve", {"query": f"basket {number}", "topK": 5})


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()


# The report


def report(by_size: dict[str, Figures]) -> str:
    """All tables of a run."""
    parts = [part for part in PARTS if any(part in figures for figures in by_size.values())]
    return "\n\n".join(_TABLES[part](part, by_size) for part in parts)


def _steady_table(part: str, by_size: dict[str, Figures]) -> str:
    head = [f"GET ({part})"]
    for size in by_size:
        head += [f"{size}: bytes", "ours/s", "bare/s", "plain/s", "CPU µs", ": bare", ": plain"]
    rows = []
    for route in _routes(part, by_size):
        row = [route]
        for figures in by_size.values():
            one = figures.get(part, {}).get(route, {})
            row += [_number(one.get("bytes"))]
            row += [_number(one.get(name, {}).get("rate")) for name in ("ours", "bare", "plain")]
            row += [_number(one.get("ours", {}).get("cpu"))]
            row += [_ratio(one.get("ours"), one.get(name)) for name in ("bare", "plain")]
        rows.append(row)
    if len(by_size) > 1:
        (smallest, first), *_, (largest, last) = by_size.items()
        head.append(f"CPU {largest} : {smallest}")
        for row in rows:
            row.append(
                _growth(*(figures.get(part, {}).get(row[0], {}) for figures in (last, first)))
            )
    text = _table(head, rows)
    for size, figures in by_size.items():
        health = figures.get(part, {}).get("/health", {})
        if "wsgi" in health:
            rate, ratio = _number(health["wsgi"]["rate"]), _ratio(health["ours"], health["wsgi"])
            text += f"\n\n{size}: `/health` as a WSGI callable: {rate} a second; ours : it {ratio}"
    return text


def _written_table(part: str, by_size: dict[str, Figures]) -> str:
    head = ["GET (writer at work)"]
    for size in by_size:
        head += [f"{size}: ours/s", "bare/s", "rate : bare", "CPU : bare"]
        head += [f"{name} ms" for name in _OF_A_CLIENT]
    rows = []
    for route in _routes(part, by_size):
        row = [route]
        for figures in by_size.values():
            one = figures.get(part, {}).get(route, {})
            mine, other = one.get("ours", {}), one.get("bare", {})
            row += [_number(mine.get("rate")), _number(other.get("rate"))]
            row += [_ratio(mine, other, "rate"), _ratio(mine, other)]
            single = one.get("single", {})
            row += [_number(single.get(name)) for name in _OF_A_CLIENT]
        rows.append(row)
    return _table(head, rows)


def _flat_table(part: str, by_size: dict[str, Figures]) -> str:
    """A column for each figure of each size."""
    names: list[str] = []
    for figures in by_size.values():
        for one in figures.get(part, {}).values():
            names += [name for name in one if name not in names]
    head = [part, *(f"{size}: {name}" for size in by_size for name in names)]
    rows = [
        [route, *(_number(figures.get(part, {}).get(route, {}).get(name))
                  for figures in by_size.values() for name in names)]
        for route in _routes(part, by_size)
    ]  # fmt: skip
    return _table(head, rows)


_TABLES = dict.fromkeys(PARTS, _flat_table) | {
    "steady": _steady_table,
    "304": _steady_table,
    "writer": _written_table,
}


def _routes(part: str, by_size: dict[str, Figures]) -> list[str]:
    """The rows of a part in the order in which they were measured."""
    return list(
        dict.fromkeys(name for figures in by_size.values() for name in figures.get(part, {}))
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    """In Markdown; the routes of the README's table are bold."""
    bold = [[f"**{name}**" if name in MAIN else name, *rest] for name, *rest in rows]
    lines = [head, ["---"] * len(head), *bold]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(one: Figures | None, other: Figures | None, name: str = "cpu") -> str:
    if not one or not other or not other[name]:
        return "–"
    return f"{one[name] / other[name]:.2f}"


def _growth(large: Figures, small: Figures) -> str:
    """CPU of one answer to the other's, in brackets where they are not of about the same size."""
    ratio = _ratio(large.get("ours"), small.get("ours"))
    sizes = [figures.get("bytes", 1) for figures in (large, small)]
    return ratio if max(sizes) <= 1.25 * min(sizes) else f"({ratio})"


def _in_short(figures: Figures) -> str:
    if "bare" in figures:
        rates = (
            f"{name} {_number(figures[name]['rate'])}/s" for name in figures if name != "bytes"
        )
        errors = sum(one["errors"] for one in figures.values() if isinstance(one, dict))
        ratio = _ratio(figures["ours"], figures["bare"])
        return f"{', '.join(rates)}; CPU : bare {ratio}" + f"; {errors} ERRORS" * bool(errors)
    return ", ".join(f"{name} {_number(value)}" for name, value in figures.items()) or "no 304"


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure every GET at three sizes.")
    parser.add_argument("--sizes", type=_words(tuple(SIZES)), default=["S", "M", "L"])
    parser.add_argument(
        "--routes",
        default="main",
        help="`main` (the README's table), `all`, or paths with commas in between",
    )
    parser.add_argument("--parts", type=_words(PARTS), default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=0.5, help="of one run of one server")
    parser.add_argument("--rounds", type=int, default=9, help="runs of each server, in turns")
    parser.add_argument(
        "--plain",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare with the plain server too",
    )
    parser.add_argument("--queries", type=int, default=10_000, help="distinct ones, for memory")
    parser.add_argument("--speed", type=float, default=1.0, help="of the writer")
    parser.add_argument("--encoding", default="gzip", help="Accept-Encoding; `identity` for none")
    parser.add_argument(
        "--tree", type=Path, default=servers.ROOT, help="checkout whose server is measured"
    )
    parser.add_argument("--where", type=Path, default=sessions.WHERE)
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"), help="all figures")
    parser.add_argument("--add", action="store_true", help="to the figures in that file")
    options = parser.parse_args()
    load.require_wrk()
    options.tree = options.tree.absolute()
    options.routes = _routes_named(options.routes)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are ended
    by_size: dict[str, Figures] = {}
    if options.add and options.json.exists():
        by_size = json.loads(options.json.read_text())

    def keep() -> None:
        options.json.write_text(json.dumps(by_size, indent=1))

    try:
        for size in options.sizes:
            Benchmark(size, options, by_size.setdefault(size, {}), keep).run()
    finally:
        ordered = {size: by_size[size] for size in SIZES if size in by_size}
        busy = f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
        sys.stdout.write(f"{report(ordered)}\n\n{busy}\n")


def _words(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def words(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose of {', '.join(known)}")
        return chosen

    return words


def _routes_named(text: str) -> list[str]:
    if text == "main":
        return list(MAIN)
    if text == "all":
        rest = [path for path in answers.gets() if path not in MAIN and path != "/api/logs"]
        return [*MAIN, *rest]
    return text.split(",")


if __name__ == "__main__":
    main()
