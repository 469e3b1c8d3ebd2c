"""Answers that were captured from a server, given back by one Flask view each: the bare view.

`gunicorn -c gunicorn.conf.py benchmarks.bare:app` with BENCHMARK_ANSWERS naming a file that `save`
wrote. The n-th answer is at `/<n>` followed by the path of the request that got it; with the same
status, body and Content-Type, Content-Encoding and Content-Length. `benchmarks.bare:health` is
`/health` as a WSGI application without Flask.
"""

import os
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from flask import Flask, Response

VARIABLE = "BENCHMARK_ANSWERS"
_HEALTH = b'{"service":"loki-dashboard","status":"healthy"}'

Answer = tuple[str, int, dict[str, str], bytes]  # path, status, headers, body


def save(path: Path, answers: list[Answer]) -> None:
    path.write_bytes(pickle.dumps(answers))


def create_app(answers: list[Answer]) -> Flask:
    app = Flask("bare", static_folder=None)
    app.url_map.merge_slashes = False
    app.add_url_rule("/health", view_func=lambda: {"status": "healthy"}, endpoint="health")
    for number, answer in enumerate(answers):
        path = answer[0].partition("?")[0]
        app.add_url_rule(f"/{number}{path}", str(number), _view(answer))
    return app


def _view(answer: Answer) -> Callable[[], Response]:
    _, status, headers, body = answer
    return lambda: Response(body, status, headers)


def health(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(_HEALTH)))]
    start_response("200 OK", headers)
    return (_HEALTH,)


def __getattr__(name: str) -> Flask:
    if name != "app":
        raise AttributeError(name)
    answers = pickle.loads(Path(os.environ[VARIABLE]).read_bytes())  # noqa: S301 - our own file
    app = globals()[name] = create_app(answers)
    return app
