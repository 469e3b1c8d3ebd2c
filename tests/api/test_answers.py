"""Answers that are kept: the same for everybody who may have them, and for nobody else."""

import gc
import gzip
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
from flask import Flask, request, request_started
from werkzeug.datastructures import Headers
from werkzeug.test import create_environ, run_wsgi_app

from loki_web.api.metrics import ActivityCollector
from loki_web.logging_setup import USER
from loki_web.store import packing
from loki_web.web.answers import Answer
from loki_web.web.exposition import Exposition
from tests.support import answers
from tests.support.accounts import PAST, bearer, entry, everybody, store
from tests.support.places import Place
from tests.support.registered import add_project
from tests.support.switching import switching_often

OWN, EVIL = "http://localhost:57374", "https://evil.example"
ALLOW = "Access-Control-Allow-Origin"
STATUS = "/api/status"
BIG = "/openapi.json"
UNPACK: dict[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": packing.unpack,
}


@dataclass(frozen=True)
class Sent:
    """:param environ: of the request, as it was left behind."""

    code: int
    headers: Headers
    body: bytes
    environ: dict[str, Any]

    @property
    def lasting(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """What is the same each time."""
        own = {"X-Request-ID", "Date"}
        return self.code, sorted(one for one in self.headers if one[0] not in own), self.body


def send(
    app: Flask, path: str, /, *, method: str = "GET", data: bytes = b"", **environ: Any
) -> Sent:
    """Send a request; `environ` has its headers as WSGI names them."""
    made = create_environ(path, method=method, data=data or None)
    made |= environ
    seen: dict[str, Any] = {}

    def server(environ: Any, start_response: Any) -> Any:
        nonlocal seen
        seen = environ  # `run_wsgi_app` hands over a copy
        return app(environ, start_response)

    chunks, status, headers = run_wsgi_app(server, made, buffered=True)
    return Sent(int(status.split()[0]), Headers(headers), b"".join(chunks), seen)


@contextmanager
def noting_requests(app: Flask) -> Iterator[list[str]]:
    """Yield the paths of the requests that Flask handles in the block."""
    paths = list[str]()

    def note(_: Flask) -> None:
        paths.append(request.path)

    with request_started.connected_to(note, app):
        yield paths


def of(name: str) -> dict[str, Any]:
    return {"HTTP_AUTHORIZATION": bearer(name)["Authorization"]}


@pytest.fixture
def app(session: Place) -> Flask:
    """A server that sends the answers of the recorded session without Flask already."""
    app = session.app()
    for path in 2 * (STATUS, BIG, "/health", "/metrics"):
        assert send(app, path).code == 200
    return app


@pytest.fixture
def guarded(session: Place) -> Flask:
    """The same with tokens."""
    everybody(session)
    app = session.app(LOKI_ENTERPRISE_AUTH="true")
    for path in 2 * (STATUS, "/metrics"):
        assert send(app, path, **of("viewer")).code == 200
    return app


def test_the_second_answer_is_the_first(session: Place) -> None:
    app = session.app()
    client = app.test_client()
    for template in answers.gets():
        for path in answers.addresses(client.get, template):
            for coding in ("", "gzip"):
                responses = [send(app, path, HTTP_ACCEPT_ENCODING=coding) for _ in range(3)]
                assert responses[0].lasting == responses[1].lasting == responses[2].lasting, path
                assert len({each.headers["X-Request-ID"] for each in responses}) == 3


def test_requests_after_the_second_bypass_flask(session: Place) -> None:
    app, path = session.app(), "/api/tasks?limit=5"
    with noting_requests(app) as paths:
        counts = []
        for _ in range(4):
            assert send(app, path).code == 200
            counts.append(len(paths))
        session.write("queue/pending.json", [{"id": f"t{n}"} for n in range(77)])
        for _ in range(2):
            assert send(app, path).code == 200
            counts.append(len(paths))
    assert counts == [1, 2, 2, 2, 3, 3]


def test_clients_that_revalidate_bypass_flask_too(session: Place) -> None:
    app = session.app()
    with noting_requests(app) as paths:
        known = send(app, BIG, HTTP_ACCEPT_ENCODING="gzip").headers["ETag"]
        for count in (2, 2, 2):
            answer = send(app, BIG, HTTP_ACCEPT_ENCODING="gzip", HTTP_IF_NONE_MATCH=known)
            assert (answer.code, answer.body) == (304, b"")
            assert len(paths) == count
        assert send(app, BIG, HTTP_ACCEPT_ENCODING="gzip").code == 200
    assert len(paths) == 2


def test_the_second_request_in_another_content_coding_bypasses_flask(app: Flask) -> None:
    for coding in ("gzip", "br"):
        assert send(app, BIG, HTTP_ACCEPT_ENCODING=coding).code == 200
    with noting_requests(app) as paths:
        for coding in ("gzip", "br"):
            assert send(app, BIG, HTTP_ACCEPT_ENCODING=coding).code == 200
    assert not paths


def test_first_requests_cache_no_form(app: Flask) -> None:
    def count_forms() -> int:
        gc.collect()
        return sum(type(each).__name__ == "_Form" for each in gc.get_objects())

    before = count_forms()
    for limit in range(1, 40):
        assert send(app, f"/api/tasks?limit={limit}").code == 200
    assert count_forms() == before
    for limit in range(1, 5):
        assert send(app, f"/api/tasks?limit={limit}").code == 200
    assert count_forms() == before + 4


def test_each_request_has_its_own_id(app: Flask) -> None:
    assert send(app, STATUS, HTTP_X_REQUEST_ID="mine").headers["X-Request-ID"] == "mine"
    assert send(app, STATUS).headers["X-Request-ID"] != "mine"


@pytest.mark.parametrize("host", ["evil.example", "a b", "[::1", "localhost:99999999", ""])
def test_another_host_gets_nothing_that_is_kept(app: Flask, host: str) -> None:
    assert send(app, STATUS, HTTP_HOST=host).code == 403
    assert send(app, "/metrics", HTTP_HOST=host).code == 403
    assert send(app, "/health", HTTP_HOST=host).code == 200
    assert send(app, STATUS).code == 200


def test_no_origin_gets_the_headers_of_another(app: Flask) -> None:
    for origin, allowed in ((None, None), (OWN, OWN), (EVIL, None), (None, None), (OWN, OWN)):
        for _ in range(2):
            told: dict[str, Any] = {"HTTP_ORIGIN": origin} if origin else {}
            answer = send(app, STATUS, **told)
            assert answer.code == 200
            assert answer.headers.get(ALLOW) == allowed
            assert {"Origin", "Accept-Encoding"} <= set(answer.headers["Vary"].split(", "))


@pytest.mark.parametrize(
    ("name", "code", "scopes"),
    [
        (None, 401, None),
        ("nobody", 401, None),
        ("expired", 401, None),
        ("revoked", 401, None),
        ("bogus", 403, ""),
        ("auditor", 200, "audit read"),
        ("viewer", 200, "read"),
    ],
)
@pytest.mark.parametrize("path", [STATUS, "/metrics"])
def test_a_kept_answer_is_for_those_who_may_read(
    guarded: Flask, path: str, name: str | None, code: int, scopes: str | None
) -> None:
    for _ in range(2):
        answer = send(guarded, path, **(of(name) if name else {}))
        assert (answer.code, answer.headers.get("X-Loki-Scopes")) == (code, scopes)
        assert answer.environ.get(USER, "") == (name if code != 401 else "")


def test_a_token_that_ends_gets_nothing_more(guarded: Flask, session: Place) -> None:
    for ending in ({"revoked": True}, {"expires_at": PAST}, {"scopes": ["bogus"]}):
        store(session, entry("viewer", "read"))
        assert send(guarded, STATUS, **of("viewer")).code == 200
        store(session, {**entry("viewer", "read"), **ending})
        assert send(guarded, STATUS, **of("viewer")).code in (401, 403)


def test_metrics_may_be_public(session: Place) -> None:
    everybody(session)
    app = session.app(LOKI_ENTERPRISE_AUTH="true", LOKI_METRICS_PUBLIC="true")
    for _ in range(2):
        assert send(app, "/metrics").code == 200
        assert "X-Loki-Scopes" not in send(app, "/metrics").headers
        assert send(app, STATUS).code == 401


def test_metrics_have_the_format_that_is_asked_for(app: Flask) -> None:
    for accepted, kind in (("text/plain", "text/plain"), ("application/openmetrics-text", "open")):
        for _ in range(2):
            assert kind in send(app, "/metrics", HTTP_ACCEPT=accepted).headers["Content-Type"]


@pytest.mark.parametrize("kind", ["", "text/plain", "application/openmetrics-text"])
def test_metrics_without_flask_are_current(app: Flask, session: Place, kind: str) -> None:
    codings = (None, "gzip", "br", "gzip", None, None)
    for number, coding in enumerate(codings):
        session.write("queue/pending.json", [{"id": f"t{n}"} for n in range(100 + number)])
        answer = send(app, "/metrics", HTTP_ACCEPT=kind, HTTP_ACCEPT_ENCODING=coding or "")
        assert answer.headers.get("Content-Encoding") == coding
        assert answer.headers.getlist("Content-Length") == [str(len(answer.body))]
        assert answer.headers["Vary"] == "Accept-Encoding, Origin"
        assert answer.headers["Cache-Control"] == "no-store"
        text = UNPACK[coding](answer.body).decode()
        assert f'loki_tasks_total{{status="pending"}} {100 + number}.0' in text.splitlines()
        whole = send(app, "/metrics?name[]=loki_iteration_current", HTTP_ACCEPT=kind)
        assert set(whole.body.decode().splitlines()) <= set(text.splitlines())


def test_metrics_of_other_projects_are_not_kept(session: Place) -> None:
    add_project(session, "other")
    app = session.app()
    for _ in range(2):
        own, others = send(app, "/metrics").body, send(app, "/metrics?project=*").body
        assert b'project="other"' not in own
        assert b'project="other"' in others


def test_refused_calls_are_in_the_next_metrics(session: Place) -> None:
    app = session.app(LOKI_ENTERPRISE_AUTH="true", LOKI_METRICS_PUBLIC="true")
    for number in range(4):
        lines = send(app, "/metrics").body.decode().splitlines()
        assert f'loki_refused_calls_total{{status="401"}} {number}.0' in lines
        assert send(app, STATUS).code == 401


def test_formats_that_few_ask_for_hold_no_expositions(app: Flask) -> None:
    def count() -> int:
        gc.collect()
        return sum(isinstance(each, Exposition) for each in gc.get_objects())

    before = count()
    for number in range(40):
        accepted = f"application/openmetrics-text;version=1.0.{number}"
        for _ in range(2):
            assert send(app, "/metrics", HTTP_ACCEPT=accepted).code == 200
    assert count() - before < 10


def test_a_large_answer_is_held_compressed_and_sent_whole(app: Flask, session: Place) -> None:
    tasks = [{"id": f"task-{number}", "title": "a title"} for number in range(2000)]
    session.write("queue/pending.json", tasks)
    first = send(app, "/api/tasks", HTTP_ORIGIN=OWN).lasting
    body = first[2]
    assert len(body) > packing.LARGE_BYTES
    gc.collect()
    held = [each for each in gc.get_objects() if isinstance(each, Answer)]
    assert max(len(each.body) for each in held if each.rule == "/api/tasks") < len(body) / 4
    for _ in range(2):
        assert send(app, "/api/tasks", HTTP_ORIGIN=OWN).lasting == first
        assert send(app, "/api/tasks").body == body
        head = send(app, "/api/tasks", method="HEAD")
        assert head.headers["Content-Length"] == str(len(body))


def test_a_failing_collector_causes_status_500(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        with monkeypatch.context() as broken:
            broken.setattr(ActivityCollector, "collect", None)
            answer = send(app, "/metrics")
            assert answer.code == 500
            assert set(json.loads(answer.body)) == {"detail"}
        assert send(app, "/metrics").code == 200


def test_scrapes_of_one_format_are_computed_one_at_a_time(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect, running, most = ActivityCollector.collect, set[int](), 0

    def note(collector: ActivityCollector) -> object:
        nonlocal most
        running.add(get_ident())
        most = max(most, len(running))
        try:
            return collect(collector)
        finally:
            running.discard(get_ident())

    monkeypatch.setattr(ActivityCollector, "collect", note)
    with switching_often(), ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(lambda _: send(app, "/metrics").code, range(200)))
    assert set(codes) == {200}
    assert most == 1


def test_an_answer_that_the_client_has_is_not_sent_again(app: Flask, session: Place) -> None:
    whole = send(app, STATUS)
    for known in (whole.headers["ETag"], f'"x", {whole.headers["ETag"]}', "*"):
        answer = send(app, STATUS, HTTP_IF_NONE_MATCH=known)
        assert (answer.code, answer.body) == (304, b"")
        assert answer.headers["ETag"] == whole.headers["ETag"]
        assert "Content-Length" not in answer.headers
    session.write("queue/pending.json", [{"id": f"t{n}"} for n in range(77)])
    changed = send(app, STATUS, HTTP_IF_NONE_MATCH=whole.headers["ETag"])
    assert changed.code == 200
    assert changed.body != whole.body


def test_what_a_file_held_is_not_kept_while_the_answer_is_sent(app: Flask, session: Place) -> None:
    before = send(app, STATUS)
    session.write("queue/pending.json", [{"id": f"t{n}"} for n in range(77)])
    changed = send(app, STATUS)
    assert changed.body != before.body
    assert not [name for name in changed.environ if name.endswith(".change")]


def test_head_is_get_without_a_body(app: Flask) -> None:
    whole, head = send(app, STATUS), send(app, STATUS, method="HEAD")
    assert (head.code, head.body) == (200, b"")
    assert head.headers["ETag"] == whole.headers["ETag"]
    assert send(app, STATUS).lasting == whole.lasting


def test_parts_and_bodies_are_no_reason_for_another_answer(app: Flask) -> None:
    whole = send(app, STATUS)
    part = send(app, STATUS, HTTP_RANGE="bytes=0-3")
    assert part.body == (whole.body[:4] if part.code == 206 else whole.body)
    assert send(app, STATUS, data=b"{}").body == whole.body
    assert send(app, STATUS, data=b" " * (2 << 20)).code == 413
    assert send(app, STATUS).lasting == whole.lasting


ACCEPTED = [
    *(("gzip", "gzip"), ("GZIP", "gzip"), ("gzip;q=abc", None), ("", None), ("br", "br")),
    *(("gzip;q=0", None), ("gzip; q=0", None), ("zstd", "zstd"), ("*", "zstd"), ("*;q=0", None)),
    *(("identity", None), ("identity, gzip;q=0.5", None), ("gzip;q=0, *", "zstd"), ("x", None)),
    ("gzip, deflate, br;q=0.9", "gzip"),
]


def test_each_client_gets_a_coding_that_it_understands(app: Flask) -> None:
    plain = send(app, BIG).body
    for header, coding in [*ACCEPTED, *reversed(ACCEPTED)]:
        answer = send(app, BIG, HTTP_ACCEPT_ENCODING=header)
        assert answer.headers.get("Content-Encoding") == coding, header
        assert UNPACK[coding](answer.body) == plain
        assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_addresses_that_say_the_same_have_the_same_answer(app: Flask) -> None:
    first = send(app, "/api/memory/episodes?limit=2&offset=1")
    assert len(json.loads(first.body)) == 2
    for same in (
        "/api/memory/episodes?offset=1&limit=2",
        "/api/memory/%65pisodes?limit=2&offset=1",
        "/api/memory/episodes?limit=%32&offset=1",
    ):
        assert [send(app, same).body for _ in range(3)] == [first.body] * 3
    for other in ("?limit=1&offset=1", "?limit=2", ""):
        assert send(app, f"/api/memory/episodes{other}").body != first.body


def test_errors_are_not_kept(app: Flask, session: Place) -> None:
    for path, code in (
        ("/api/memory/episodes/none", 404),
        ("/api/logs?lines=x", 422),
        ("/no", 404),
    ):
        for _ in range(2):
            answer = send(app, path)
            assert answer.code in (code, 400), path
            assert answer.headers["Cache-Control"] == "no-store"
    session.write("memory/episodic/none.json", {"id": "none", "timestamp": "2026-02-19T00:00:00Z"})
    for _ in range(3):
        assert send(app, "/api/memory/episodes/none").code == 200
    (session.loki / "memory/episodic/none.json").unlink()
    assert send(app, "/api/memory/episodes/none").code == 404


@pytest.fixture
def proxied(session: Place) -> Flask:
    """Behind a proxy that is trusted."""
    app = session.app(LOKI_TRUSTED_PROXIES="1")
    for _ in range(2):
        assert send(app, STATUS).code == 200
    return app


def test_the_headers_of_a_trusted_proxy_count_for_each_request(proxied: Flask) -> None:
    assert send(proxied, STATUS, HTTP_X_FORWARDED_HOST="evil.example").code == 403
    assert send(proxied, STATUS, HTTP_X_FORWARDED_HOST="localhost").code == 200
    for prefix in ("", "/a", "", "/b", "/a"):
        for _ in range(3):
            answer = send(proxied, BIG, HTTP_X_FORWARDED_PREFIX=prefix)
            assert json.loads(answer.body)["servers"] == [{"url": prefix or "/"}]


def test_a_prefix_that_nobody_trusted_told_changes_nothing(app: Flask) -> None:
    plain = send(app, BIG)
    assert send(app, BIG, HTTP_X_FORWARDED_PREFIX="/a").lasting == plain.lasting
    assert send(app, STATUS, HTTP_X_FORWARDED_HOST="evil.example").code == 200
