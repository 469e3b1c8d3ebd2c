"""CPU of an unchanged GET without gunicorn, against the bare view that returns the same bytes.

    HOME=... LOKI_DIR=... python -m benchmarks.views [PATH ...]

Both are called in this process in turns; the least of many rounds counts, so other work on the
machine hardly matters. Prints a table in Markdown, the largest ratio first, by default of every
documented GET. gunicorn adds the same to both, see `benchmarks.rest`: ratios are nearer to 1 then.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import create_environ

from benchmarks import bare
from loki_web.app import create_app
from tests.support import answers

_HEADERS = {"Accept-Encoding": "gzip"}
_KEPT = ("Content-Type", "Content-Encoding", "Content-Length")
_WARM_UP = 20
_ROUNDS, _REQUESTS = 25, 40
Application = Callable[[dict[str, Any], Any], Any]


def measure(paths: list[str]) -> Iterator[tuple[str, int, int, float, float]]:
    """Yield path, status, bytes of the body, and microseconds of our and of the bare answer."""
    ours = create_app()
    captured = [_capture(ours.test_client(), path) for path in _find_paths(ours, paths)]
    view = bare.create_app(captured)
    for number, (path, status, _, body) in enumerate(captured):
        mine, other = _time_in_turns((ours, path), (view, f"/{number}{path}"))
        yield path, status, len(body), mine * 1e6, other * 1e6


def _find_paths(app: Any, paths: list[str]) -> Iterator[str]:
    """Yield the paths, by default each documented one with the first id that its list has."""
    get = app.test_client().get
    for template in paths or [*answers.gets(), "/api/logs?lines=100", "/metrics"]:
        path = next(answers.addresses(get, template), None)
        if path is not None:
            yield path


def _capture(client: FlaskClient, path: str) -> bare.Answer:
    answer = client.get(path, headers=_HEADERS)
    headers = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
    return path, answer.status_code, headers, answer.data


def _time_in_turns(*turns: tuple[Application, str]) -> list[float]:
    """Return the seconds of CPU that a request of each takes."""
    least = [float("inf")] * len(turns)
    environs = [create_environ(path, headers=_HEADERS) for _, path in turns]
    for _ in range(_WARM_UP):
        for (app, _path), environ in zip(turns, environs, strict=True):
            _request(app, environ)
    for _ in range(_ROUNDS):
        for n, ((app, _path), environ) in enumerate(zip(turns, environs, strict=True)):
            began = time.thread_time()
            for _ in range(_REQUESTS):
                _request(app, environ)
            least[n] = min(least[n], (time.thread_time() - began) / _REQUESTS)
    return least


def _request(app: Application, environ: dict[str, Any]) -> None:
    chunks = app(dict(environ), lambda status, headers, exc_info=None: None)
    for _ in chunks:
        pass
    if hasattr(chunks, "close"):
        chunks.close()


def main() -> None:
    figures = sorted(measure(sys.argv[1:]), key=lambda each: each[3] / each[4], reverse=True)
    print("| GET | Status | Bytes | CPU, µs | CPU : bare |\n|---|---|---|---|---|")  # noqa: T201
    for path, status, size, mine, other in figures:
        print(f"| `{path}` | {status} | {size:,} | {mine:.0f} | {mine / other:.2f} |")  # noqa: T201


if __name__ == "__main__":
    main()
