"""Servers that wait for slow clients as long as a test needs, and whether they serve others."""

from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from tests.support.tls import any_certificate
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
        with closing(_connect(url)) as connection:
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200


def _connect(url: str) -> HTTPConnection:
    scheme, _, host = url.partition("://")
    if scheme == "https":
        return HTTPSConnection(host, context=any_certificate(), timeout=PATIENCE_SECONDS)
    return HTTPConnection(host, timeout=PATIENCE_SECONDS)
