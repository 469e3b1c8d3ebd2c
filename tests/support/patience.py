"""Servers that wait for slow clients as long as a test needs, and whether they serve others."""

from pathlib import Path

import requests

from tests.support.waiting import PATIENCE_SECONDS

_CONF = """
from loki_web.server.conf import *
from loki_web.server import worker
worker.HEAD_SECONDS, worker.REQUEST_SECONDS = {head}, {request}
"""


def with_patience(folder: Path, *, head: float, request: float) -> Path:
    """Settings for gunicorn: seconds for the head of a request, and for all the rest."""
    conf = folder / "conf.py"
    conf.write_text(_CONF.format(head=head, request=request))
    return conf


def serves(url: str, times: int = 20) -> None:
    """Ask as somebody who waits for nobody; every question has to be answered.

    The first answer also means that the server has seen what other clients sent before.
    """
    for _ in range(times):
        answer = requests.get(f"{url}/health", timeout=PATIENCE_SECONDS, verify=False)  # noqa: S501
        assert answer.status_code == 200
