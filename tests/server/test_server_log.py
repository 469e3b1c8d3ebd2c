"""The log of a real server: whole lines, whole objects, ids that lead to a request, no secrets."""

import contextlib
import json
import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from loki_web import logging_setup
from loki_web.store.coerce import Json
from tests.live.clients import listening
from tests.support import accounts
from tests.support.accounts import bearer, raw
from tests.support.places import Place
from tests.support.servers import ROOT, Server, serving
from tests.support.waiting import PATIENCE_SECONDS, wait_until

EVERYTHING = {"LOKI_ENTERPRISE_AUTH": "true", "LOKI_ACCESS_LOG": "true", "LOKI_LOG_LEVEL": "debug"}
NEW_ID = re.compile(r"[0-9a-f]{32}")
HEAD_OF_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\S+ \[\d+\] (DEBUG|INFO|WARNING|ERROR) [\w.]+: ")
HOSTILE = "/a%1b%5b31mred%0a2026-01-01T00:00:00+00:00%20[1]%20INFO%20x:%20forged%c2%9b%e2%80%ae"
FAULTY = """
import threading
import warnings
from flask import request
from loki_web.app import create_app

app = create_app()

def broken():
    raise ValueError("a\\x1b[31m\\n2026-01-01 " + request.args["token"])

def stream():
    def parts(token=request.args["token"]):
        yield "x" * 100_000
        raise OverflowError(token)
    return parts()

def thread():
    warnings.warn("mind " + request.args["token"])
    threading.Thread(target={}.__getitem__, args=[request.args["token"]]).start()
    return "x"

for view in (broken, stream, thread):
    app.add_url_rule("/api/" + view.__name__, view_func=view)
"""


@contextmanager
def logging_server(
    place: Place, form: str, *, target: str = "wsgi:app", **settings: str
) -> Iterator[Server]:
    accounts.everybody(place)
    chosen = {**EVERYTHING, "LOKI_LOG_FORMAT": form, **settings}
    with serving(place, workers=2, target=target, **chosen) as server:
        yield server


def objects(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.errors]


def accesses(server: Server) -> list[dict[str, Any]]:
    return [entry for entry in objects(server) if entry["logger"] == "gunicorn.access"]


def send(server: Server, data: bytes) -> bytes:
    """What comes back for bytes that no HTTP library would send."""
    host, port = server.host.split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while block := connection.recv(65536):
            answer += block
    return answer


def malformed(token: bytes) -> list[bytes]:
    """Requests that cannot be read, with the token wherever it can be."""
    line = b"GET /api/events?token=" + token
    header = b"Authorization: Bearer " + token + b"\r\n"
    host = b"Host: localhost\r\n"
    return [
        line + b" HTTP/9.9\r\n" + host + header + b"\r\n",
        line + b" NOTHTTP\r\n\r\n",
        line + b"\r\n\r\n",
        b"G(T /api/events?token=" + token + b" HTTP/1.1\r\n" + host + b"\r\n",
        line + b"\x1b[31m HTTP/1.1\r\n" + host + b"\r\n",
        line + b" HTTP/1.1\r\n" + host + b"Authorization : Bearer " + token + b"\r\n\r\n",
        line + b" HTTP/1.1\r\n" + host + header + b" folded " + token + b"\r\n\r\n",
        line + b" HTTP/1.1\r\n" + host + b"X: " + token + b"\x00\r\n\r\n",
        line + b" HTTP/1.1\r\n" + host + b"Bearer " + token + b"\r\n\r\n",
        line + b" HTTP/1.1\r\n" + host + b"Expect: " + token + b"\r\n\r\n",
        line + b" HTTP/1.1\r\n" + host + b"Transfer-Encoding: " + token + b"\r\n\r\n",
        line + b" HTTP/1.1\r\n" + host + b"Content-Length: " + token + b"\r\n\r\n",
        line + b" HTTP/1.1\r\n" + host + header,
        b"POST /api/control/pause HTTP/1.1\r\n" + host + header + b"Transfer-Encoding: chunked\r\n"
        b"\r\n" + token + b"\r\n\r\n",
        b"GET http://user:" + token + b"@localhost/?token=" + token + b" HTTP/1.1\r\n\r\n",
        token + b"\r\n\r\n",
    ]


def use_everything(server: Server) -> None:
    """Requests of all kinds, each with a token where one can be, and hostile ones."""
    token = raw("viewer")
    server.get(f"/api/status?token={token}", headers=bearer("viewer"))
    server.get(
        f"/api/nothing?x={token}", headers={**bearer("viewer"), "Referer": f"http://x/?{token}"}
    )
    server.post("/api/control/pause", headers=bearer("viewer"))
    server.get(f"/api/status?token={raw('revoked')}", headers=bearer("revoked"))
    server.get(f"{HOSTILE}?token={token}")
    requests.get(
        f"{server.url}/api/events?token={token}", stream=True, timeout=PATIENCE_SECONDS
    ).close()
    with listening(server, path=f"/ws?token={token}"):
        pass
    for data in malformed(raw("admin").encode()):
        send(server, data)


def test_each_line_is_an_object_and_no_secret_is_in_any(place: Place) -> None:
    with logging_server(place, "json") as server:
        use_everything(server)
        assert server.end() == 0
        for entry in objects(server):
            assert {"time", "level", "logger", "process", "message"} <= set(entry)
            assert all(value.isprintable() for value in entry.values() if isinstance(value, str))
        said = "\n".join(server.errors)
        for name in ("viewer", "revoked", "admin"):
            assert raw(name) not in said
            assert raw(name)[10:] not in said
        assert "?token=" not in said
        assert "Referer" not in said


def test_no_line_of_text_is_split_or_coloured_by_a_client(place: Place) -> None:
    with logging_server(place, "text") as server:
        use_everything(server)
        assert server.end() == 0
        for line in server.errors:
            assert HEAD_OF_TEXT.match(line), line
            assert line.isprintable()
            assert raw("viewer") not in line
            assert raw("admin") not in line
        assert [line for line in server.errors if r"\x1b[31mred\n2026-01-01" in line]
        assert not [line for line in server.errors if line.startswith("2026-01-01")]


def test_a_request_has_one_line_with_its_fields(place: Place) -> None:
    with logging_server(place, "json", LOKI_LOG_LEVEL="info") as server:
        given = {"X-Request-ID": "from-the.proxy_1"}
        server.get("/api/status?x=1", headers={**bearer("viewer"), **given})
        server.get("/api/nothing", headers=bearer("viewer"))
        requests.get(
            f"{server.url}/api/events?token={raw('viewer')}", stream=True, timeout=PATIENCE_SECONDS
        ).close()
        with listening(server, path=f"/ws?token={raw('viewer')}"):
            pass
        assert server.end() == 0
        found = [entry for entry in accesses(server) if entry["path"] != "/health"]
        statuses = {entry["path"]: entry["status"] for entry in found}
        assert len(found) == 4
        assert statuses == {
            "/api/status": 200,
            "/api/nothing": 404,
            "/api/events": 200,
            "/ws": 101,
        }
        (first,) = [entry for entry in found if entry["path"] == "/api/status"]
        assert first["request_id"] == "from-the.proxy_1"
        assert (first["method"], first["client"], first["user"]) == ("GET", "127.0.0.1", "viewer")
        assert 0 < first["duration_ms"] < 10_000
        assert len({entry["request_id"] for entry in found}) == 4


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [
        ("a", True),
        ("A.b_c-9", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("a b", False),
        ("a/b", False),
        ("a\tb", False),
        ("é", False),
        (None, False),
    ],
)
def test_an_id_is_taken_over_or_made(place: Place, given: str | None, is_taken: bool) -> None:
    client = place.client()
    headers = {} if given is None else {"X-Request-ID": given}
    for path in ("/api/status", "/api/nothing", "/health", "/", "/docs", "/metrics"):
        answer = client.get(path, headers=headers).headers.get_all("X-Request-ID")
        assert len(answer) == 1
        assert answer[0] == given if is_taken else NEW_ID.fullmatch(answer[0])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/status", 405),
        ("OPTIONS", "/api/status", 200),
        ("HEAD", "/api/status", 200),
        ("POST", "/api/checkpoints", 400),
        ("POST", "/api/checkpoints/../x", 404),
    ],
)
def test_every_kind_of_answer_has_an_id(place: Place, method: str, path: str, status: int) -> None:
    answer = place.client().open(path, method=method, data="{", content_type="application/json")
    assert answer.status_code == status
    assert NEW_ID.fullmatch(answer.headers["X-Request-ID"])


def test_a_malformed_request_has_an_id_that_is_in_the_log(place: Place) -> None:
    with logging_server(place, "json") as server:
        answer = send(server, b"GET / HTTP/9.9\r\n\r\n").decode()
        (given,) = re.findall(r"X-Request-ID: (\w+)\r\n", answer)
        wait_until(
            lambda: given in [entry.get("request_id") for entry in objects(server)], "the id"
        )


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("traceparent", "is_logged"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"cc-{TRACE}-{PARENT}-01-what-comes-later", True),
        (f"00-{TRACE}-{PARENT}-01-what", False),
        (f"cc-{TRACE}-{PARENT}-01x", False),
        (f"ff-{TRACE}-{PARENT}-01", False),
        (f"00-{TRACE.upper()}-{PARENT}-01", False),
        (f"00-{'0' * 32}-{PARENT}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        ("\n", False),
    ],
)
def test_the_trace_of_a_request_is_logged_until_it_ends(traceparent: str, is_logged: bool) -> None:
    def log() -> Json:
        record = logging.LogRecord("x", logging.INFO, "", 0, "told", (), None)
        content: Json = json.loads(logging_setup.formatter("json").format(record))
        return content

    logging_setup.begin_request("mine", traceparent)
    assert log().get("trace_id") == (TRACE if is_logged else None)
    logging_setup.begin_request("mine")
    assert "trace_id" not in log()
    logging_setup.begin_request("mine", traceparent)
    logging_setup.end_request()
    assert not {"trace_id", "request_id"} & set(log())


def test_what_services_log_carries_the_id_and_what_comes_after_does_not(place: Place) -> None:
    place.write("notifications/active.json", "{")  # which is not read at start
    settings = {"LOKI_ENTERPRISE_AUTH": "false", "LOKI_LOG_LEVEL": "info"}
    with logging_server(place, "json", **settings) as server:
        headers = {"X-Request-ID": "mine", "traceparent": f"00-{TRACE}-{PARENT}-01"}
        server.get("/api/notifications", headers=headers)
        server.get("/api/notifications", headers=headers)
        wait_until(lambda: "damaged" in str(server.errors), "a warning")
        (entry,) = [entry for entry in objects(server) if "damaged" in entry["message"]][:1]
        assert (entry["request_id"], entry["trace_id"]) == ("mine", TRACE)
        assert entry["level"] == "warning"
        assert server.end() == 0
        assert "request_id" not in objects(server)[-1]


@pytest.fixture
def faulty(place: Place) -> dict[str, str]:
    """Settings that add a module whose routes fail to what can be imported."""
    folder = place.home / "modules"
    folder.mkdir()
    (folder / "faulty.py").write_text(FAULTY)
    return {"PYTHONPATH": f"{ROOT}:{folder}"}


@pytest.mark.parametrize("form", ["json", "text"])
def test_faults_of_ours_are_told_with_their_traceback(
    place: Place, faulty: dict[str, str], form: str
) -> None:
    with logging_server(place, form, target="faulty:app", **faulty) as server:
        headers = {**bearer("admin"), "X-Request-ID": "mine"}
        answer = server.get(f"/api/broken?token={raw('viewer')}", headers=headers)
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (500, "mine")
        for path in ("stream", "thread"):
            with contextlib.suppress(requests.RequestException):
                server.get(f"/api/{path}?token={raw('viewer')}", headers=bearer("admin"))
        wait_until(lambda: "KeyError" in str(server.errors), "the fault in the log")
        assert server.end() == 0
        for line in server.errors:
            assert raw("viewer") not in line
            assert line.isprintable()
            if form == "text":
                assert HEAD_OF_TEXT.match(line) or line.startswith("    | "), line
        if form == "json":
            (told,) = [e for e in objects(server) if "ValueError" in e.get("exception", "")]
            assert (told["request_id"], told["level"]) == ("mine", "error")
            assert told["exception"].startswith("Traceback")
            assert r"a\x1b[31m\n2026-01-01 [redacted]" in told["exception"]
        said = "\n".join(server.errors)
        for name in ("ValueError", "OverflowError", "KeyError", "UserWarning"):
            assert name in said


def test_by_default_requests_are_not_logged(place: Place) -> None:
    with serving(place) as server:
        assert server.get("/api/status").status_code == 200
        assert server.end() == 0
        assert not [line for line in server.errors if "/api/status" in line]
        assert [line for line in server.errors if "Listening at" in line]


def test_less_is_logged_where_less_is_wanted(place: Place) -> None:
    with logging_server(place, "json", LOKI_LOG_LEVEL="error", LOKI_ACCESS_LOG="false") as server:
        use_everything(server)
        assert server.end() == 0
        assert server.errors == []
