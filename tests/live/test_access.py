"""Who may listen, from where, and for how long."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.live.clients import Client, Stream, listening, streaming
from tests.support import accounts
from tests.support.places import Place
from tests.support.servers import Server, serving

FOREIGN = ["https://evil.example", "null", "http://localhost:57374.evil.example", "file://"]


def refusal(server: Server, path: str = "/ws", **options: Any) -> int:
    """The status with which a handshake is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        Client(server.host, path, **options)
    assert b'"detail"' in (caught.value.resp_body or b"")
    return int(caught.value.status_code)


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_of_other_origins_may_not_listen(shared: Server, origin: str) -> None:
    assert refusal(shared, origin=origin) == 403
    assert shared.get("/api/events", headers={"Origin": origin}).status_code == 403


def test_null_is_no_origin_of_ours_even_where_any_is(place: Place) -> None:
    with serving(place, LOKI_DASHBOARD_CORS="*") as server:
        assert refusal(server, origin="null") == 403
        with listening(server, origin="https://anywhere.example"):
            pass


def test_our_own_pages_configured_ones_and_programs_may(shared: Server) -> None:
    for origin in (shared.url, "http://localhost:57374"):
        with listening(shared, origin=origin):
            pass
    with listening(shared, suppress_origin=True):
        pass


@pytest.fixture(scope="module")
def guarded_place(shared_place: Place) -> Place:
    accounts.everybody(shared_place)
    return shared_place


@pytest.fixture(scope="module")
def guarded(guarded_place: Place) -> Iterator[Server]:
    with serving(guarded_place, LOKI_ENTERPRISE_AUTH="true") as server:
        yield server


VIEWER = accounts.raw("viewer")
CARRIERS: list[dict[str, Any]] = [
    {"path": f"/ws?token={VIEWER}"},
    {"header": accounts.bearer("viewer")},
    {"subprotocols": ["loki", f"loki.token.{VIEWER}"]},
    {"subprotocols": ["bearer", VIEWER]},
]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_token_is_taken_from_where_clients_can_put_it(
    guarded: Server, carrier: dict[str, Any]
) -> None:
    with listening(guarded, **carrier) as client:
        assert client.ask({"type": "ping"}) == {"type": "pong"}
        offered = carrier.get("subprotocols", [None])
        assert client.socket.getsubprotocol() == offered[0]


@pytest.mark.parametrize("name", ["unknown", "expired", "revoked"])
def test_a_token_that_opens_nothing_is_refused(guarded: Server, name: str) -> None:
    assert refusal(guarded, f"/ws?token={accounts.raw(name)}") == 401
    assert guarded.get("/api/events", headers=accounts.bearer(name)).status_code == 401


def test_a_client_without_a_token_is_refused(guarded: Server) -> None:
    assert refusal(guarded) == 401
    assert guarded.get("/api/events").status_code == 401


def test_a_token_without_the_right_to_read_is_refused(guarded: Server) -> None:
    assert refusal(guarded, f"/ws?token={accounts.raw('bogus')}") == 403
    assert guarded.get("/api/events", headers=accounts.bearer("bogus")).status_code == 403


def test_a_page_can_listen_to_events_with_a_token_in_the_address(guarded: Server) -> None:
    with streaming(guarded, f"/api/events?token={VIEWER}"):
        pass


def test_a_token_in_the_address_opens_nothing_else(guarded: Server) -> None:
    assert guarded.get(f"/api/status?token={VIEWER}").status_code == 401


# Whether a client may still listen is checked at each keepalive.
IN_A_HURRY = """
from loki_web.server.conf import *
from loki_web.live.hub import event_stream, websocket
websocket.WebSocket.KEEPALIVE_SECONDS /= 50
event_stream.EventStream.KEEPALIVE_SECONDS /= 30
"""


def test_a_revoked_token_ends_what_it_opened(place: Place, tmp_path: Path) -> None:
    accounts.everybody(place)
    conf = tmp_path / "conf.py"
    conf.write_text(IN_A_HURRY)
    with serving(place, conf=conf, LOKI_ENTERPRISE_AUTH="true") as server:
        header = accounts.bearer("viewer")
        with (
            listening(server, header=header) as client,
            listening(server, header=accounts.bearer("admin")) as other,
        ):
            stream = Stream(server.host, Authorization=header["Authorization"])
            accounts.store(place, accounts.entry("admin", "*"))
            assert client.close_code() == 1008
            assert stream.hear_to_end()[1:] == []
            stream.close()
            assert other.ask({"type": "ping"}) == {"type": "pong"}


def test_no_token_is_written_to_any_log(place: Place) -> None:
    accounts.everybody(place)
    arguments = "--access-logfile /dev/stderr --log-level debug"
    with serving(place, LOKI_ENTERPRISE_AUTH="true", GUNICORN_CMD_ARGS=arguments) as server:
        for carrier in CARRIERS:
            with listening(server, **carrier):
                pass
        with streaming(server, f"/api/events?token={VIEWER}"):
            pass
        refusal(server, f"/ws?token={accounts.raw('expired')}")
        server.get(f"/api/events?token={accounts.raw('bogus')}")
        assert server.end() == 0
    said = "\n".join(server.errors)
    assert "/ws" in said
    for name in ("viewer", "expired", "bogus"):
        assert accounts.raw(name) not in said
    for path in place.home.rglob("*"):
        if path.is_file() and path.suffix in (".log", ".jsonl"):
            assert VIEWER.encode() not in path.read_bytes()


def test_a_client_that_leaves_during_the_handshake_is_no_fault_of_ours(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    headers["Sec-WebSocket-Key"] = "MDEyMzQ1Njc4OWFiY2RlZg=="
    with ours:
        client, environ = place.client(), {"gunicorn.socket": ours}
        answer = client.get("/ws", headers=headers, environ_overrides=environ)
    assert answer.status_code == 400
    assert caplog.records == []
